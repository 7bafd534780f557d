"""One account's process: batches, poison, a database in trouble, logins, random weeks."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from bot import process
from bot.channels.port import Status, StatusKind
from bot.channels.simulator import Failure
from bot.heart import Heart
from bot.language import Matcher
from bot.process import Bot
from bot.stage import Stage
from sop.events import Event, EventKind, MessageType, Person
from storage.people import account_id
from storage.store import Store
from tests.support import (
    DAY,
    HOUR,
    LEGAL_STATES,
    MINUTE,
    SECOND,
    START,
    Perform,
    Play,
    on_stage,
    populate,
    workspace,
)

PRICE = "rules:\n  - {id: price, on: message, match: {any: [价格]}, do: [{say: a}]}\n"


def message(play: Play, who: str, words: str, external_id: str) -> Event:
    return Event(
        kind=EventKind.MESSAGE,
        at=play.now,
        external_id=external_id,
        contact=play.world.people[who],
        text=words,
    )


# --- poison --------------------------------------------------------------------------------------


async def test_a_poison_event_does_not_take_its_neighbours_along(
    perform: Perform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    play = await perform(PRICE)
    match = Matcher.match

    def trip(self: Matcher, words: str) -> object:
        if "毒" in words:
            raise RuntimeError("poison")
        return match(self, words)

    monkeypatch.setattr(Matcher, "match", trip)
    for n, words in enumerate(["价格，一", "毒", "价格，二"]):
        await play.stage.bot.event(message(play, ["amy", "bob", "amy"][n], words, f"m{n}"))
    await play.settle()
    assert play.said == [("amy", "A"), ("amy", "A")]
    assert sorted(play.events("message")) == sorted(["价格，一", "毒", "价格，二"])  # none is lost
    assert any("程序出了错" in because for because in play.notes("failed"))
    assert "could not be taken" in caplog.text and "毒" not in caplog.text


async def test_a_roster_that_cannot_be_taken_does_not_stop_the_bot(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = await perform(PRICE)

    def trip(*args: object, **more: object) -> None:
        raise RuntimeError("poison")

    monkeypatch.setattr(Heart, "roster", trip)
    await play.channel.reconnect()
    assert await play.hear("amy", "价格") == ["A"]


async def test_timers_that_fail_do_not_stop_answers(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = await perform(PRICE)

    def trip(*args: object, **more: object) -> None:
        raise RuntimeError("poison")

    monkeypatch.setattr(play.stage.bot._runner, "tick", trip)
    assert await play.hear("amy", "价格") == ["A"]
    await play.stage.wait(HOUR)
    assert await play.hear("amy", "价格") == ["A"]


async def test_no_message_text_is_logged(
    perform: Perform, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG", logger="siyu")
    play = await perform(PRICE)
    play.world.failures.extend([Failure.REFUSE, Failure.HANG])
    await play.hear("amy", "价格机密")
    await play.stage.wait(HOUR)
    assert "机密" not in caplog.text


# --- a database in trouble -----------------------------------------------------------------------


async def test_a_locked_database_loses_nothing_and_sends_nothing(
    rehearse: Perform, tmp_path: Path
) -> None:
    play = await rehearse(PRICE)
    play.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA busy_timeout = 0"))
    blocker = sqlite3.connect(tmp_path / "siyu.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    await play.channel.say("amy", "价格")
    await play.channel.say("bob", "价格")
    again = await play.stage.bot.turn()
    assert again == play.now + SECOND
    assert play.stage.bot.waiting
    assert play.texts == []
    play.stage.clock.set(play.now + 3 * SECOND)
    assert await play.stage.bot.turn() == play.now + SECOND
    blocker.execute("ROLLBACK")
    blocker.close()
    await play.settle()
    assert play.said == [("amy", "A"), ("bob", "A")]


async def test_a_lock_between_sending_and_recording_is_no_second_sending(
    rehearse: Perform, tmp_path: Path
) -> None:
    play = await rehearse(PRICE)
    play.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA busy_timeout = 0"))
    await play.channel.say("amy", "价格")
    await play.stage.bot.turn()
    await play.stage.bot.deliveries.landed()
    blocker = sqlite3.connect(tmp_path / "siyu.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        await play.stage.bot.turn()
    assert play.states() == ["sending"]
    blocker.execute("ROLLBACK")
    blocker.close()
    await play.stage.wait(HOUR)
    assert play.outbox() == [("A", "sent", "")]
    assert play.said == [("amy", "A")]


async def test_a_lock_in_the_middle_of_single_events_repeats_none(
    rehearse: Perform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = await rehearse("rules:\n  - {id: o, on: order, do: [{say: a}]}\n")
    play.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA busy_timeout = 0"))
    blocker = sqlite3.connect(tmp_path / "siyu.db", isolation_level=None)
    one, taken = Bot._one, list[int]()

    async def lock_after_first(self: Bot, event: Event, me: object, now: int) -> None:
        if len(taken) == 1:
            blocker.execute("BEGIN IMMEDIATE")
        taken.append(1)
        await one(self, event, me, now)  # type: ignore[arg-type]

    work = Bot._do

    def fail_once(self: Bot, *args: object) -> int | None:
        if not taken:
            raise RuntimeError("the batch as a whole fails")
        return work(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Bot, "_one", lock_after_first)
    monkeypatch.setattr(Bot, "_do", fail_once)
    for who in ("amy", "bob"):
        await play.stage.bot.event(
            Event(kind=EventKind.ORDER, at=play.now, external_id="", contact=play.world.people[who])
        )
    await play.stage.bot.turn()
    blocker.execute("ROLLBACK")
    blocker.close()
    await play.settle()
    assert play.one("SELECT COUNT(*) FROM event WHERE kind = 'order'") == 2


@pytest.mark.postgres
async def test_a_connection_cut_by_the_server_is_healed(tmp_path: Path, postgres_url: str) -> None:
    space = workspace(tmp_path, PRICE)
    async with on_stage(space, postgres_url) as play:
        assert await play.hear("amy", "价格") == ["A"]
        pid = play.write(
            lambda tx: tx.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        )
        engine = create_engine(postgres_url)
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        engine.dispose()
        assert await play.hear("bob", "价格") == []
        await play.stage.wait(2 * SECOND)
        assert play.said == [("amy", "A"), ("bob", "A")]


# --- logging in ----------------------------------------------------------------------------------


async def test_events_before_the_first_login_wait_and_are_answered(
    tmp_path: Path, sqlite_url: str
) -> None:
    store = Store(sqlite_url)
    stage = Stage(workspace(tmp_path, PRICE), store, start=START)
    populate(stage.world)
    play = Play(stage)
    await stage.bot.start()
    for n in range(process.BATCH + 50):
        await stage.bot.event(message(play, "amy", "价格" if n == 7 else "嗯", f"m{n}"))
    await stage.advance(START + MINUTE)
    assert play.texts == []
    await stage.channel.open(stage.bot)
    await stage.advance(START + MINUTE)
    assert play.texts == ["A"]
    assert play.one("SELECT COUNT(*) FROM event WHERE kind = 'message'") == process.BATCH + 50
    store.close()


async def test_a_start_without_a_gateway_works_off_timers_and_sends_nothing(
    tmp_path: Path, sqlite_url: str
) -> None:
    rules = "tags: {近期: {expires: 1h}}\n" + PRICE.replace("[{say: a}]", "[{tag: 近期}, {say: a}]")
    space = workspace(tmp_path, rules)
    async with on_stage(space, sqlite_url) as play:
        await play.hear("amy", "价格")
    store = Store(sqlite_url)
    stage = Stage(space, store, start=START + 10 * MINUTE)
    populate(stage.world)
    again = Play(stage)
    await stage.bot.start()
    await stage.advance(START + 2 * HOUR)
    assert again.tags("amy") == []
    assert again.texts == []
    store.close()


async def test_two_bots_on_one_database_keep_to_their_own_account(tmp_path: Path, url: str) -> None:
    rules = (
        "tags: {群友: {expires: 1h}}\nrules:\n"
        "  - {id: w, on: group_joined, gather: 30s, do: [{tag: 群友}, {say: a}]}\n"
        "  - {id: gone, on: tag_removed, do: [{say: b}]}\n"
    )
    space = workspace(tmp_path, rules)
    async with on_stage(space, url) as play:
        await play.channel.join("g1", ["amy"])
        await play.settle()
        store = Store(url)
        other = Bot(workspace=space, store=store, channel=play.channel, clock=play.stage.clock)
        await other.status(
            Status(
                kind=StatusKind.LOGIN,
                at=play.now,
                account=Person(external_id="wxid_second", name="二号"),
            )
        )
        await other.turn()
        play.stage.clock.set(play.now + MINUTE)
        await other.turn()
        assert play.one("SELECT COUNT(*) FROM outbox") == 0
        await play.settle()
        assert play.said == [("g1", "A")]
        play.stage.clock.set(play.now + 2 * HOUR)
        await other.turn()
        assert play.tags("amy") == ["群友"]
        await play.settle()
        assert play.said == [("g1", "A"), ("amy", "B")]
        store.close()


async def test_a_database_remembers_which_account_was_here_last(
    tmp_path: Path, sqlite_url: str
) -> None:
    store = Store(sqlite_url)
    store.write(
        lambda tx: (
            account_id(tx, channel="simulator", external_id="old", name="", now=1),
            account_id(tx, channel="simulator", external_id="new", name="", now=2),
            account_id(tx, channel="wechaty", external_id="other", name="", now=3),
        )
    )
    stage = Stage(workspace(tmp_path), store, start=START)
    await stage.bot.start()
    assert stage.bot.me is not None and stage.bot.me.external_id == "new"
    store.close()


async def test_a_full_queue_makes_the_channel_wait(
    rehearse: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = await rehearse(PRICE)
    for n in range(process.QUEUE):
        await play.stage.bot.event(message(play, "amy", "嗯", f"m{n}"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await play.channel.say("amy", "价格")
    await play.settle()
    assert play.one("SELECT COUNT(*) FROM event") == process.QUEUE


async def test_a_reload_takes_effect_at_the_next_event(perform: Perform, tmp_path: Path) -> None:
    play = await perform(PRICE)
    assert await play.hear("amy", "地址") == []
    play.stage.bot.reload(workspace(tmp_path / "new", PRICE.replace("价格", "地址")))
    assert await play.hear("amy", "地址") == ["A"]
    assert await play.hear("amy", "价格") == []


# --- anything at all -----------------------------------------------------------------------------

WILD = """
tags: {甲: {expires: 1h}, 乙: {}, 意向: {values: [低, 高], one_of: true}}
rules:
  - {id: a, on: message, where: anywhere, match: {any: [价格]}, cooldown: 1m,
     do: [{say: a}, {tag: 甲}]}
  - {id: b, on: message, match: {any: [人工]}, do: [{hand_off: 要人}, {say: b}]}
  - {id: c, on: tag_added, tag: 甲, do: [{tag: 意向/低}, {untag: 乙}]}
  - {id: d, on: tag_removed, tag: 甲, do: [{tag: [意向/高, 乙]}, {say: c}]}
  - {id: e, on: group_joined, gather: 30s, do: [{say: d}, {tag: 乙}]}
  - {id: f, on: friend_added, do: [{say: a}, {set: {来过: "1"}}]}
  - {id: g, on: friend_request, do: [{accept: true}]}
  - {id: h, on: group_left, do: [{notify: "{{ nickname }} 走了"}]}
"""
WHO = st.sampled_from(["amy", "bob", "eve", "wxid_boss"])
STEP = st.one_of(
    st.tuples(
        st.just("say"),
        WHO,
        st.sampled_from(["价格", "人工", "嗯", "", "/暂停 小雨 1h", "/恢复 小雨", "{{x}}\x00"]),
        st.booleans(),
    ),
    st.tuples(st.just("hand"), WHO, st.sampled_from(["A", "我来"])),
    st.tuples(st.just("join"), WHO),
    st.tuples(st.just("leave"), WHO),
    st.tuples(st.just("unfriend"), WHO),
    st.tuples(st.just("request"), WHO),
    st.tuples(st.just("offline"), st.booleans()),
    st.tuples(st.just("fail"), st.sampled_from(list(Failure))),
    st.tuples(st.just("restart")),
    st.tuples(st.just("replay")),
    st.tuples(st.just("odd"), st.sampled_from(list(EventKind)), st.sampled_from(list(MessageType))),
    st.tuples(st.just("wait"), st.sampled_from([1, SECOND, 31 * SECOND, HOUR, DAY])),
    st.tuples(st.just("back"), st.sampled_from([SECOND, HOUR])),
)


async def act(play: Play, step: tuple) -> None:  # type: ignore[type-arg]
    channel = play.channel
    match step:
        case ("say", who, words, in_group):
            await channel.say(who, words, group="g1" if in_group else None)
        case ("hand", who, words):
            await channel.hand(words, to=who)
        case ("join", who):
            await channel.join("g1", [who])
        case ("leave", who):
            await channel.leave("g1", who)
        case ("unfriend", who):
            await channel.unfriend(who)
        case ("request", who):
            await channel.request_friend(who, "你好")
        case ("offline", True):
            await channel.disconnect()
        case ("offline", False):
            await channel.reconnect()
        case ("fail", failure):
            play.world.failures.append(failure)
        case ("restart",):
            await play.stage.bot.start()
        case ("replay",):
            await play.stage.bot.event(message(play, "amy", "价格", "the-same"))
        case ("odd", kind, type):
            await play.stage.bot.event(
                Event(kind=kind, at=play.now, external_id="", text="价格", type=type)
            )
        case ("wait", span):
            await play.stage.wait(span)
        case ("back", span):
            play.stage.clock.set(play.now - span)


def check_outbox(play: Play) -> None:
    delivered = [delivery.external_id for delivery in play.world.deliveries]
    assert len(delivered) == len(set(delivered))
    rows = play.rows("SELECT id, state, kind, reason FROM outbox")
    assert {state for _, state, _, _ in rows} <= LEGAL_STATES - {"sending"}
    # What went out, went out for one row each: sent, or unknown when the answer was lost.
    out = [row for row in rows if row[1] in ("sent", "unknown") and row[2] != "accept"]
    assert len(delivered) <= len(out)
    assert all(reason for _, state, _, reason in rows if state in ("dropped", "failed", "unknown"))


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, max_size=25))
async def test_whatever_happens_nothing_raises_and_nothing_is_sent_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list
) -> None:  # type: ignore[type-arg]
    root = tmp_path_factory.mktemp("wild")
    async with on_stage(workspace(root, WILD), f"sqlite:///{root / 'siyu.db'}") as play:
        for step in steps:
            await act(play, step)
        await play.stage.wait(2 * MINUTE)
        check_outbox(play)
