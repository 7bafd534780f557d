"""Sending: order, pace, budgets, and what becomes of a message when the gateway fails."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from bot.channels.port import Address, NotSent
from bot.channels.simulator import Failure
from bot.deliveries import SEND_TIMEOUT, UNSURE
from sop.events import EventKind
from sop.messages import Body
from storage.outbox import strand
from tests.support import DAY, HOUR, MINUTE, NO_GAPS, SECOND, Perform, Play, World, at

CALM = (
    "limits: {contact: {per_day: 99, per_week: 99},"
    " account: {gap: 10s, reply_gap: 2s, per_hour: 1000, per_day: 10000}}"
)
NIGHT = NO_GAPS + "\nhours: {quiet: '22:00-08:30'}"


def limits(**account: str | int) -> str:
    inner = {"gap": "0s", "reply_gap": "0s", "per_hour": 1000, "per_day": 10000} | account
    text = ", ".join(f"{key}: {value}" for key, value in inner.items())
    return f"limits: {{contact: {{per_day: 99, per_week: 99}}, account: {{{text}}}}}"


def crowd(world: World) -> None:
    world.add_person("wxid_boss", "老板", friend=True)
    for n in range(12):
        world.add_person(f"p{n}", f"好友{n}", friend=True)
    world.add_group("g1", "小满福利群1", ["p0", "p1"])


# --- order and pace ------------------------------------------------------------------------------


async def test_the_bubbles_of_one_message_leave_in_order(perform: Perform) -> None:
    play = await perform(settings=CALM)
    play.enqueue("amy", "1", "2", "3")
    play.enqueue("amy", "4")
    await play.stage.wait(MINUTE)
    assert play.texts == ["1", "2", "3", "4"]
    assert play.left == [0, 2 * SECOND, 4 * SECOND, 6 * SECOND]


async def test_the_bubbles_of_a_touch_never_overtake_its_first(perform: Perform) -> None:
    play = await perform(settings=CALM)
    play.enqueue("bob", "answer")
    await play.settle()
    play.enqueue("amy", "1", "2", "3", purpose="touch")
    await play.stage.wait(MINUTE)
    assert play.texts == ["answer", "1", "2", "3"]
    assert play.left == [0, 10 * SECOND, 12 * SECOND, 14 * SECOND]


@pytest.mark.parametrize("settings", [CALM, NO_GAPS])
async def test_bubbles_wait_while_the_first_is_tried_again(perform: Perform, settings: str) -> None:
    play = await perform(settings=settings)
    play.enqueue("amy", "1", "2")
    play.world.failures.extend([Failure.REFUSE, Failure.REFUSE])
    await play.stage.wait(29 * SECOND)
    assert play.texts == []
    assert play.states() == ["queued", "queued"]
    await play.stage.wait(10 * MINUTE)
    assert play.texts == ["1", "2"]
    assert play.rows("SELECT attempts FROM outbox ORDER BY id") == [(3,), (1,)]


async def test_bubbles_behind_one_that_fails_for_good_are_given_up(perform: Perform) -> None:
    play = await perform()
    play.enqueue("amy", "1", "2", "3")
    play.enqueue("amy", "another")
    play.world.failures.append(Failure.FORBID)
    await play.stage.wait(MINUTE)
    assert play.outbox() == [
        ("1", "failed", "网关不让发给这个人"),
        ("2", "dropped", "前一条没有发出去"),
        ("3", "dropped", "前一条没有发出去"),
        ("another", "sent", ""),
    ]


async def test_retries_back_off_and_end(perform: Perform) -> None:
    play = await perform()
    tries: list[int] = []

    async def refuse(to: Address, body: Body) -> str | None:
        tries.append(play.now)
        raise NotSent("网关忙")

    play.channel.send = refuse  # type: ignore[method-assign]
    start = play.now
    play.enqueue("amy", "1")
    await play.stage.wait(DAY)
    assert [t - start for t in tries] == [0, 30 * SECOND, 150 * SECOND, 630 * SECOND]
    assert play.outbox() == [("1", "failed", "网关忙")]


async def test_gaps_lie_in_their_range_and_differ(perform: Perform) -> None:
    play = await perform(
        settings=limits(gap="6s-20s", reply_gap="1s-3s"), people=crowd, start=at("2026-11-21 09:00")
    )
    for n in range(10):
        play.enqueue(f"p{n}", "touch", purpose="touch")
    await play.stage.wait(HOUR)
    gaps = [b - a for a, b in zip(play.left, play.left[1:], strict=False)]
    assert all(6 * SECOND <= gap <= 20 * SECOND for gap in gaps)
    assert len(set(gaps)) > 4
    before = len(play.texts)
    for n in range(10):
        play.enqueue(f"p{n}", "reply")
    await play.stage.wait(HOUR)
    left = play.left[before:]
    gaps = [b - a for a, b in itertools.pairwise(left)]
    assert len(gaps) == 9
    assert all(1 * SECOND <= gap <= 3 * SECOND for gap in gaps)


async def test_an_answer_overtakes_touches_that_wait(perform: Perform) -> None:
    play = await perform(settings=CALM, people=crowd)
    for n in range(4):
        play.enqueue(f"p{n}", f"touch{n}", purpose="touch")
    await play.settle()
    play.enqueue("p9", "answer")
    await play.stage.wait(MINUTE)
    assert play.texts == ["touch0", "answer", "touch1", "touch2", "touch3"]
    assert play.left == [0, 2 * SECOND, 12 * SECOND, 22 * SECOND, 32 * SECOND]


@pytest.mark.parametrize("settings", [CALM, NO_GAPS])
async def test_a_chat_that_hangs_does_not_hold_up_the_others(
    perform: Perform, settings: str
) -> None:
    play = await perform(settings=settings, people=crowd)
    answered = asyncio.Event()
    send = play.channel.send

    async def hang_for_one(to: Address, body: Body) -> str | None:
        if to.external_id == "p0":
            await answered.wait()
        return await send(to, body)

    play.channel.send = hang_for_one  # type: ignore[method-assign]
    for n in range(40):
        play.enqueue("p0", f"{n}", f"{n}b")
    play.enqueue("p1", "hello")
    await play.stage.bot.turn()
    await asyncio.sleep(0)
    play.stage.clock.set(play.now + 2 * SECOND)
    await play.stage.bot.turn()
    await asyncio.sleep(0)
    assert play.texts == ["hello"]
    assert play.rows("SELECT state FROM outbox WHERE text = '0'") == [("sending",)]
    answered.set()
    await play.stage.wait(5 * MINUTE)
    assert [text for to, text in play.said if to == "p0"] == [
        t for n in range(40) for t in (f"{n}", f"{n}b")
    ]


async def test_one_conversation_never_has_two_messages_under_way(perform: Perform) -> None:
    play = await perform(people=crowd)
    under_way: list[str] = []
    send = play.channel.send

    async def watch(to: Address, body: Body) -> str | None:
        assert to.external_id not in under_way
        under_way.append(to.external_id)
        await asyncio.sleep(0)
        under_way.remove(to.external_id)
        return await send(to, body)

    play.channel.send = watch  # type: ignore[method-assign]
    for n in range(60):
        play.enqueue(f"p{n % 5}", f"{n}", f"{n}b")
    await play.settle()
    assert set(play.states()) == {"sent"}
    for n in range(5):
        mine = [text for to, text in play.said if to == f"p{n}"]
        assert mine == [t for m in range(n, 60, 5) for t in (f"{m}", f"{m}b")]


async def test_an_answer_waits_for_its_own_gap_where_touches_have_a_shorter_one(
    perform: Perform,
) -> None:
    play = await perform(settings=limits(gap="1s", reply_gap="5s"), people=crowd)
    for n in range(3):
        play.enqueue(f"p{n}", str(n))
    await play.stage.wait(10 * SECOND)
    assert play.texts == ["0", "1", "2"]
    assert play.left == [0, 5_000, 10_000]


# --- budgets -------------------------------------------------------------------------------------


async def test_no_more_leave_in_an_hour_than_allowed_also_over_a_restart(perform: Perform) -> None:
    play = await perform(settings=limits(per_hour=3), people=crowd)
    for n in range(5):
        play.enqueue(f"p{n}", str(n))
    await play.settle()
    assert play.texts == ["0", "1", "2"]
    assert "每小时的上限" in play.outbox()[3][2]
    await play.stage.bot.start()
    await play.stage.wait(HOUR)
    assert len(play.texts) == 3
    await play.stage.wait(1)
    assert len(play.texts) == 5


async def test_no_more_leave_in_a_day_than_allowed(perform: Perform) -> None:
    play = await perform(settings=limits(per_day=3), people=crowd, start=at("2026-11-21 23:00"))
    for n in range(5):
        play.enqueue(f"p{n}", str(n))
    await play.stage.advance(at("2026-11-21 23:59"))
    assert len(play.texts) == 3
    assert "每天的上限" in play.outbox()[4][2]
    await play.stage.advance(at("2026-11-22 00:00"))
    assert len(play.texts) == 5


async def test_a_person_is_touched_no_more_than_allowed(perform: Perform) -> None:
    play = await perform(
        settings=NO_GAPS.replace("limits: {", "limits: {contact: {per_day: 2, per_week: 3}, ")
    )
    for n in range(5):
        play.enqueue("amy", f"touch{n}", f"more{n}", purpose="touch")
    play.enqueue("amy", "answer")
    play.enqueue("amy", "notice", purpose="notice")
    play.enqueue("bob", "touch", purpose="touch")
    await play.settle()
    assert sorted(text for to, text in play.said if to == "amy") == sorted(
        ["answer", "notice", "touch0", "more0", "touch1", "more1"]
    )
    assert ("bob", "touch") in play.said
    assert "每人每天的上限" in play.rows("SELECT reason FROM outbox WHERE text = 'touch2'")[0][0]
    await play.stage.advance(at("2026-11-22 00:00"))
    assert "touch2" in play.texts and "touch3" not in play.texts
    await play.stage.advance(at("2026-11-27 23:59"))
    assert "touch3" not in play.texts
    await play.stage.advance(at("2026-11-28 00:00"))
    assert "touch3" in play.texts and "touch4" in play.texts


async def test_an_unknown_touch_counts_as_one(perform: Perform) -> None:
    play = await perform(
        settings=NO_GAPS.replace("limits: {", "limits: {contact: {per_day: 1, per_week: 9}, ")
    )
    play.world.failures.append(Failure.HANG)
    play.enqueue("amy", "1", purpose="touch")
    await play.settle()
    play.enqueue("amy", "2", purpose="touch")
    await play.stage.wait(MINUTE)
    assert play.states() == ["unknown", "queued"]


# --- quiet hours, expiry, reach ------------------------------------------------------------------


async def test_quiet_hours_hold_touches_and_let_them_out_spread(perform: Perform) -> None:
    play = await perform(settings=NIGHT, people=crowd, start=at("2026-11-21 23:50"))
    for n in range(10):
        play.enqueue(f"p{n}", str(n), purpose="touch")
    play.enqueue("p0", "answer")
    play.enqueue("p0", "notice", purpose="notice")
    await play.settle()
    assert sorted(play.texts) == ["answer", "notice"]
    await play.stage.advance(at("2026-11-22 08:30") - 1)
    assert len(play.texts) == 2
    await play.stage.advance(at("2026-11-22 08:50"))
    assert len(play.texts) == 12
    times = [delivery.at for delivery in play.world.deliveries[2:]]
    assert max(times) - min(times) > 5 * MINUTE
    assert len(set(times)) == 10


async def test_quiet_hours_begin_and_end_to_the_minute(perform: Perform) -> None:
    play = await perform(settings=NIGHT, people=crowd, start=at("2026-11-21 21:59"))
    play.enqueue("p0", "before", purpose="touch")
    await play.settle()
    await play.stage.advance(at("2026-11-21 22:00"))
    play.enqueue("p1", "during", purpose="touch")
    await play.settle()
    assert play.texts == ["before"]
    await play.stage.advance(at("2026-11-22 08:30"))
    play.enqueue("p2", "after", purpose="touch")
    await play.settle()
    assert "after" in play.texts


async def test_what_waited_too_long_is_dropped_with_its_bubbles(perform: Perform) -> None:
    play = await perform()
    await play.channel.disconnect()
    play.enqueue("amy", "1", "2", expires_at=play.now + 5 * MINUTE)
    play.enqueue("bob", "3")
    await play.stage.wait(5 * MINUTE)
    await play.channel.reconnect()
    await play.settle()
    assert play.texts == ["3"]
    assert play.outbox()[0] == ("1", "dropped", "等得太久，再发已经不合时宜")
    assert play.states() == ["dropped", "dropped", "sent"]


async def test_what_would_expire_before_it_may_leave_is_dropped_at_once(perform: Perform) -> None:
    play = await perform(settings=NIGHT, start=at("2026-11-21 23:00"))
    play.enqueue("amy", "1", purpose="touch", expires_at=play.now + HOUR)
    await play.settle()
    ((_, state, reason),) = play.outbox()
    assert state == "dropped"
    assert "免打扰" in reason and "过期" in reason


async def test_nothing_goes_to_who_is_no_friend_any_more(perform: Perform) -> None:
    play = await perform()
    await play.channel.unfriend("amy")
    play.enqueue("amy", "1", "2", purpose="touch")
    await play.settle()
    assert play.texts == []
    assert play.outbox()[0] == ("1", "dropped", "对方已经不是好友")


async def test_a_pause_holds_touches_and_drops_answers(perform: Perform) -> None:
    play = await perform()
    await play.channel.hand("我来", to="amy")
    await play.settle()
    play.enqueue("amy", "answer")
    play.enqueue("amy", "touch", purpose="touch")
    play.enqueue("amy", "notice", purpose="notice")
    await play.settle()
    assert play.texts == ["notice"]
    await play.stage.wait(2 * HOUR - 1)
    assert play.texts == ["notice"]
    await play.stage.wait(1)
    assert play.texts == ["notice", "touch"]
    assert play.states() == ["dropped", "sent", "sent"]


async def test_an_open_end_pause_drops_touches_too(perform: Perform) -> None:
    play = await perform()
    await play.hear("wxid_boss", "/暂停 小雨")
    play.enqueue("amy", "touch", purpose="touch")
    await play.settle()
    assert [row[1] for row in play.outbox() if row[0] == "touch"] == ["dropped"]


# --- trouble -------------------------------------------------------------------------------------


async def fail(play: Play, failure: Failure, times: int) -> None:
    """So many sends in a row go wrong, each to another person."""
    for n in range(times):
        play.world.failures.append(failure)
        play.enqueue(f"p{n}", f"lost{n}")
        await play.settle()


async def test_the_circuit_opens_after_five_failures_and_tries_one(perform: Perform) -> None:
    play = await perform(people=crowd, operators="[]")
    await fail(play, Failure.HANG, 4)
    play.enqueue("p9", "fine")
    await play.settle()
    assert play.texts == ["fine"]  # a success begins the count anew
    await fail(play, Failure.HANG, 5)
    opened = play.now
    assert play.one("SELECT circuit_until FROM account") == opened + 10 * MINUTE
    for n in range(3):
        play.enqueue(f"p{n}", f"wait{n}")
    await play.settle()
    assert play.texts == ["fine"]
    waiting = {text: reason for text, _, reason in play.outbox()}
    assert waiting["wait0"] == "接连发送失败，为保护账号暂停发送"
    play.world.failures.append(Failure.HANG)
    await play.stage.wait(10 * MINUTE)  # one trial, which fails: twice as long
    assert play.texts == ["fine"]
    assert play.states().count("unknown") == 10
    assert play.one("SELECT circuit_until FROM account") == opened + 30 * MINUTE
    await play.stage.wait(20 * MINUTE)  # another, which works: all is well
    assert play.texts == ["fine", "wait1", "wait2"]
    assert play.rows("SELECT failures, opened, circuit_until FROM account") == [(0, 0, None)]


async def test_rests_double_up_to_two_hours(perform: Perform) -> None:
    play = await perform(people=crowd)
    await fail(play, Failure.HANG, 5)
    rests = []
    for n in range(6):
        until = play.one("SELECT circuit_until FROM account")
        rests.append((until - play.now) // MINUTE)
        play.world.failures.append(Failure.HANG)
        play.enqueue("p9", f"trial{n}")
        await play.stage.advance(until)
    assert rests == [10, 20, 40, 80, 120, 120]


async def test_who_cannot_be_written_to_is_not_the_accounts_fault(perform: Perform) -> None:
    play = await perform(people=crowd)
    await fail(play, Failure.FORBID, 9)
    assert play.one("SELECT circuit_until FROM account") is None


async def test_an_operator_closes_the_circuit(perform: Perform) -> None:
    play = await perform(people=crowd)
    await fail(play, Failure.HANG, 5)
    await play.hear("wxid_boss", "/恢复 发送")
    told, answer = play.texts
    assert told.startswith("发送停下了：接连发送失败（")
    assert answer == "好的，恢复发送"


async def test_a_lost_answer_is_unknown_and_never_sent_again(perform: Perform) -> None:
    play = await perform()
    play.world.failures.extend([Failure.DROP, Failure.HANG])
    play.enqueue("amy", "1")
    play.enqueue("bob", "2")
    await play.stage.wait(7 * DAY)
    assert play.texts == ["1"]
    assert play.states() == ["unknown", "unknown"]


async def test_a_lost_answer_is_settled_by_its_echo(perform: Perform) -> None:
    play = await perform()
    play.world.failures.append(Failure.NO_ANSWER)
    play.enqueue("amy", "1")
    await play.settle()
    assert play.outbox() == [("1", "sent", "")]
    assert play.notes("paused") == []


async def test_an_echo_that_comes_late_settles_an_unknown(perform: Perform) -> None:
    play = await perform()
    play.world.failures.append(Failure.DROP)
    play.enqueue("amy", "1")
    await play.settle()
    assert play.states() == ["unknown"]
    await play.stage.wait(5 * MINUTE)
    await play.tell(EventKind.MESSAGE, who="amy", text="1", from_self=True, external_id="e1")
    assert play.outbox() == [("1", "sent", "")]
    assert play.notes("paused") == []
    await play.tell(EventKind.MESSAGE, who="amy", text="1", from_self=True, external_id="h1")
    assert len(play.notes("paused")) == 1  # only one echo a message: this was a hand


async def test_a_send_without_an_answer_is_given_up_after_a_while(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SEND_TIMEOUT >= 30
    monkeypatch.setattr("bot.deliveries.SEND_TIMEOUT", 0.01)
    play = await perform()

    async def never(to: Address, body: Body) -> str | None:
        await asyncio.Event().wait()
        return None

    play.channel.send = never  # type: ignore[method-assign]
    play.enqueue("amy", "1")
    await play.settle()
    assert play.states() == ["unknown"]


async def test_an_error_of_the_channel_is_unknown_and_spares_the_others(perform: Perform) -> None:
    play = await perform()
    send = play.channel.send

    async def trip(to: Address, body: Body) -> str | None:
        if to.external_id == "amy":
            raise RuntimeError("bug")
        return await send(to, body)

    play.channel.send = trip  # type: ignore[method-assign]
    play.enqueue("amy", "1")
    play.enqueue("bob", "2")
    await play.settle()
    assert play.states() == ["unknown", "sent"]
    assert "RuntimeError" in play.outbox()[0][2]


async def test_what_was_in_flight_at_a_crash_is_unknown_and_never_sent_again(
    perform: Perform,
) -> None:
    play = await perform()
    play.enqueue("amy", "1", "2")
    play.write(
        lambda tx: tx.connection.exec_driver_sql(
            "UPDATE outbox SET state = 'sending', left_at = 1 WHERE part = 0"
        )
    )
    assert play.write(lambda tx: strand(tx, 999)) == 0  # another account's are not ours
    await play.stage.bot.start()
    await play.stage.wait(DAY)
    assert play.states() == ["unknown", "sent"]
    assert play.texts == ["2"]


async def test_offline_everything_waits_and_says_why(perform: Perform) -> None:
    play = await perform()
    await play.channel.disconnect()
    play.enqueue("amy", "1")
    await play.stage.wait(HOUR)
    assert play.outbox() == [("1", "queued", "微信不在线，等连上再发")]
    assert play.one("SELECT state FROM account") == "offline"
    await play.channel.reconnect()
    await play.settle()
    assert play.outbox() == [("1", "sent", "")]
    assert play.one("SELECT state FROM account") == "login"


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [-HOUR, -400 * DAY])
async def test_a_clock_set_back_stops_nothing_and_bursts_nothing(
    perform: Perform, jump: int
) -> None:
    play = await perform(
        settings=limits(per_hour=30, per_day=30, gap="10s", reply_gap="10s"), people=crowd
    )
    for n in range(12):
        play.enqueue(f"p{n}", f"a{n}")
    await play.stage.wait(5 * MINUTE)
    assert len(play.texts) == 12
    play.stage.clock.set(play.now + jump)
    for n in range(12):
        play.enqueue(f"p{n}", f"b{n}")
    await play.stage.wait(5 * MINUTE)
    times = [delivery.at for delivery in play.world.deliveries[12:]]
    assert len(times) == 12
    assert all(b - a == 10 * SECOND for a, b in itertools.pairwise(times))


async def test_a_clock_once_far_ahead_leaves_no_open_circuit_behind(perform: Perform) -> None:
    play = await perform(people=crowd)
    start = play.now
    play.stage.clock.set(start + 400 * DAY)
    await fail(play, Failure.HANG, 5)
    play.stage.clock.set(start)
    play.enqueue("p0", "hello")
    await play.settle()
    assert "hello" in play.texts


async def test_a_clock_that_jumps_ahead_drops_what_expired(perform: Perform) -> None:
    play = await perform(settings=CALM)
    play.enqueue("amy", "1", expires_at=play.now + MINUTE)
    play.enqueue("amy", "2")
    play.stage.clock.set(play.now + DAY)
    await play.stage.wait(MINUTE)
    assert play.states() == ["dropped", "sent"]


# --- whose account it is -------------------------------------------------------------------------


async def test_nothing_leaves_while_the_account_may_be_anothers(rehearse: Perform) -> None:
    play = await rehearse()
    play.stage.bot.deliveries._may_send = lambda: False
    play.enqueue("amy", "1", "2")
    await play.settle()
    assert play.states() == ["queued", "queued"]
    assert "不知道这个账号是不是还由这个进程管着" in play.outbox()[0][2]
    assert play.one("SELECT failures FROM account") == 0
    play.stage.bot.deliveries._may_send = lambda: True
    await play.stage.wait(UNSURE)
    assert play.texts == ["1", "2"]
