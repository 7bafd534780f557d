"""Pushes: at their time, to whom they are meant, once, at the account's pace, to the end or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.push_control import ACTS
from bot.stage import Stage
from sop.errors import SiyuError
from sop.pinned import unpin
from storage import runs
from storage.push_report import PushReport, push_report
from storage.store import Store
from tests.support import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    START,
    Perform,
    Play,
    World,
    at,
    on_stage,
    workspace,
)

TAGS = """
tags:
  VIP: {}
  买了: {}
  福利群: {}
  吵: {}
groups: [{match: "小满福利群*", kind: 转化, tags: [福利群]}]
audiences:
  - {id: 大家, all: [{not: {tag: 买了}}]}
  - {id: 贵宾, all: [{tag: VIP}]}
rules:
  - {id: hot, on: message, match: {any: [要]}, do: [{tag: VIP}]}
"""
NEWS = (
    TAGS
    + """
pushes:
  - {id: news, title: 上新, to: {audience: 大家}, at: {on: 2026-11-21 11:00}, say: a}
"""
)
BY_HAND = TAGS + "pushes: [{id: news, to: {audience: 大家}, say: a}]"
FAST = """
limits:
  contact: {per_day: 100, per_week: 100}
  account: {gap: 0s, reply_gap: 0s, per_hour: 100000, per_day: 100000}
"""
ELEVEN = at("2026-11-21 11:00")


def crowd(count: int) -> Callable[[World], None]:
    def people(world: World) -> None:
        world.add_person("wxid_boss", "老板", friend=True)
        for n in range(count):
            world.add_person(f"p{n:05}", f"人{n}", friend=True)

    return people


def got(play: Play) -> Counter[str]:
    return Counter(to for to, text in play.said if text == "A")


def states(play: Play) -> list[tuple[Any, ...]]:
    return play.rows("SELECT state, reason FROM run ORDER BY planned_at, id")


def recipients(play: Play) -> Counter[tuple[Any, ...]]:
    return Counter(play.rows("SELECT state, reason FROM recipient"))


def act(play: Play, what: str, name: str = "news") -> str:
    me = play.stage.bot.me
    assert me is not None
    return play.write(lambda tx: ACTS[what](tx, me.id, name, by="运营用命令", now=play.now))


def reported(play: Play, which: int = -1) -> PushReport:
    with play.stage.store.read() as connection:
        run = [r for r in reversed(runs.runs_of(connection, "push")) if r.definition][which]
        groups = unpin(run.definition).target.groups
        return push_report(connection, run, groups=groups)


def adds_up(found: PushReport) -> bool:
    parts = (found.sent, found.unknown, found.failed, found.on_its_way, found.waiting)
    return found.meant == sum(parts) + sum(found.withheld.values())


# --- at its time -----------------------------------------------------------------------------


async def test_everybody_who_is_meant_gets_it_at_its_time(perform: Perform) -> None:
    play = await perform(NEWS)
    await play.stage.advance(ELEVEN - SECOND)
    assert play.said == []
    await play.stage.advance(ELEVEN + 5 * MINUTE)
    assert got(play) == {"amy": 1, "bob": 1}
    assert states(play) == [("done", "")]
    assert recipients(play) == {
        ("settled", ""): 2,
        ("withheld", "不是好友，私聊发不到"): 1,
        ("withheld", "自己人（运营或自己的号），不群发"): 1,
    }
    assert play.rows("SELECT DISTINCT source, because, purpose FROM outbox") == [
        ("push:news", "群发 上新", "touch")
    ]


async def test_groups_get_it_again_and_again(perform: Perform) -> None:
    play = await perform(
        TAGS + "pushes: [{id: g, to: {groups: {tag: 福利群, kind: 转化, without: 吵}},"
        " at: {cron: '0 11 * * *'}, say: a}]"
    )
    await play.stage.advance(at("2026-11-22 12:00"))
    assert got(play) == {"g1": 2}
    await play.hear("wxid_boss", "/标签 小满福利群1 吵")
    await play.stage.advance(at("2026-11-23 12:00"))
    assert got(play) == {"g1": 2}
    assert [row[0] for row in states(play)] == ["done", "done", "done", "planned"]
    assert reported(play).meant == 0


async def test_a_missed_time_is_made_up_for_within_late_only(perform: Perform) -> None:
    early = await perform(NEWS)
    early.stage.clock.set(ELEVEN + 110 * MINUTE)  # the bot was not turned meanwhile
    await early.settle()
    await early.stage.wait(MINUTE)
    assert got(early) == {"amy": 1, "bob": 1}


async def test_what_is_too_late_is_skipped_and_told(perform: Perform) -> None:
    play = await perform(NEWS)
    play.stage.clock.set(ELEVEN + 121 * MINUTE)
    await play.settle()
    await play.stage.wait(MINUTE)
    assert got(play) == {}
    reason = "晚了 2 小时 1 分，超过 late 允许的 2 小时，这一次不发了"
    assert states(play) == [("skipped", reason)]
    assert play.said == [("wxid_boss", f"群发「news」没有发：{reason}")]


async def test_a_time_that_was_over_when_it_was_written_is_not_kept(perform: Perform) -> None:
    play = await perform(NEWS, start=ELEVEN + MINUTE)
    await play.stage.wait(DAY)
    assert got(play) == {}
    assert states(play) == [("skipped", "写进文件的时候，这个时间已经过了")]


async def test_no_time_is_kept_twice_when_the_clock_is_set_back(perform: Perform) -> None:
    play = await perform(
        TAGS + "pushes: [{id: news, to: {audience: 大家}, at: {cron: '0 11 * * *'}, say: a}]"
    )
    await play.stage.advance(ELEVEN + 5 * MINUTE)
    assert got(play) == {"amy": 1, "bob": 1}
    play.stage.clock.set(ELEVEN - 10 * MINUTE)
    await play.settle()
    await play.stage.advance(ELEVEN + HOUR)
    assert got(play) == {"amy": 1, "bob": 1}
    await play.stage.advance(ELEVEN + DAY + MINUTE)
    assert got(play) == {"amy": 2, "bob": 2}


async def test_a_clock_once_far_ahead_does_not_lose_the_next_time(perform: Perform) -> None:
    play = await perform(
        TAGS + "pushes: [{id: news, to: {audience: 贵宾}, at: {cron: '0 11 * * *'}, say: a}]"
    )
    play.stage.clock.set(START + 400 * DAY)
    await play.settle()
    play.stage.clock.set(START)
    await play.settle()
    # Today's was recorded as missed, and no time is kept twice.
    assert play.one("SELECT planned_at FROM run WHERE state = 'planned'") == ELEVEN + DAY


# --- edits -----------------------------------------------------------------------------------


async def test_an_edit_moves_the_time_and_a_deleted_push_has_none(
    perform: Perform, tmp_path: Path
) -> None:
    play = await perform(NEWS)
    moved = NEWS.replace("2026-11-21 11:00", "2026-11-21 15:00")
    play.stage.bot.reload(workspace(tmp_path / "moved", moved))
    await play.stage.advance(at("2026-11-21 14:59"))
    assert got(play) == {}
    play.stage.bot.reload(workspace(tmp_path / "gone", TAGS))
    await play.stage.advance(at("2026-11-21 18:00"))
    assert got(play) == {}
    assert play.rows("SELECT * FROM run") == []


async def test_a_push_under_way_ends_as_it_began(perform: Perform, tmp_path: Path) -> None:
    slow = "limits: {account: {gap: 60s, reply_gap: 1s, per_hour: 1000, per_day: 1000}}"
    play = await perform(NEWS, settings=slow, people=crowd(6))
    await play.stage.advance(ELEVEN + 2 * MINUTE)
    assert 0 < got(play).total() < 6
    edited = NEWS.replace("大家}, at", "贵宾}, at").replace("上新", "换了")
    play.stage.bot.reload(workspace(tmp_path / "edited", edited, settings=slow))
    await play.stage.advance(ELEVEN + HOUR)
    assert got(play).total() == 6
    assert {row[0] for row in play.rows("SELECT because FROM outbox")} == {"群发 上新"}


async def test_deleting_a_push_under_way_cancels_it(perform: Perform, tmp_path: Path) -> None:
    slow = "limits: {account: {gap: 60s, reply_gap: 1s, per_hour: 1000, per_day: 1000}}"
    play = await perform(NEWS, settings=slow, people=crowd(6))
    await play.stage.advance(ELEVEN + 2 * MINUTE)
    sent = got(play).total()
    play.stage.bot.reload(workspace(tmp_path / "gone", TAGS, settings=slow))
    await play.stage.advance(ELEVEN + HOUR)
    assert got(play).total() == sent < 6
    assert states(play) == [("cancelled", "从文件里删掉了，没轮到的不再发")]
    assert adds_up(reported(play))


async def test_the_next_time_ends_what_is_left(perform: Perform) -> None:
    slow = "limits: {contact: {per_day: 9}, account: {gap: 20m, reply_gap: 1s}}"
    play = await perform(
        TAGS + "pushes: [{id: news, to: {audience: 大家}, at: {cron: '0 11,12 21 * *'}, say: a}]",
        settings=slow, people=crowd(6),
    )  # fmt: skip
    await play.stage.advance(at("2026-11-21 18:00"))
    assert [row[0] for row in states(play)] == ["cancelled", "done", "planned"]
    first, second = reported(play, 0), reported(play, 1)
    assert first.withheld["下一次已经开始，没轮到的不再发"] > 0
    assert second.sent == 6
    assert adds_up(first)
    assert adds_up(second)


# --- who gets it when their turn comes -------------------------------------------------------


async def test_who_is_no_longer_meant_gets_nothing(perform: Perform) -> None:
    slow = "limits: {account: {gap: 60s, reply_gap: 1s, per_hour: 1000, per_day: 1000}}"
    many = crowd(150)  # more than are fed at once
    play = await perform(NEWS, settings=slow, people=many)
    await play.stage.advance(ELEVEN + 2 * MINUTE)
    await play.hear("wxid_boss", "/标签 p00149 买了")
    await play.channel.unfriend("p00148")
    await play.stage.advance(ELEVEN + 4 * HOUR)
    assert got(play).total() == 148
    found = reported(play)
    assert found.withheld["轮到的时候已经不在人群「大家」里"] == 1
    assert found.withheld["轮到的时候已经不是好友"] == 1
    assert adds_up(found)


async def test_limits_and_takeover_hold_for_pushes_too(perform: Perform) -> None:
    limits = "limits: {contact: {per_day: 1, per_week: 3}, account: {gap: 0s, reply_gap: 0s}}"
    play = await perform(NEWS.replace("say: a", "say: a, within: 2h"), settings=limits)
    play.enqueue("amy", "B", purpose="touch")
    await play.channel.hand("我来", to="bob")
    await play.stage.advance(ELEVEN + 3 * HOUR)
    assert got(play) == {"bob": 1}  # the human's two hours were over in time
    found = reported(play)
    assert adds_up(found)
    (why,) = [w for w in found.withheld if "上限" in w]
    assert why == "今天已经触达 1 次，到了每人每天的上限，等到能发的时候已经过期"


async def test_quiet_hours_put_off_the_feed_and_not_a_hundred_thousand(perform: Perform) -> None:
    quiet = FAST + '\nhours: {quiet: "12:00-14:00"}'
    play = await perform(NEWS.replace("11:00", "12:30"), settings=quiet, people=crowd(300))
    await play.stage.advance(at("2026-11-21 13:50"))
    assert play.one("SELECT COUNT(*) FROM outbox") == 0
    await play.stage.advance(at("2026-11-21 14:30"))
    assert got(play).total() == 300


async def test_within_bounds_a_push_that_does_not_get_through(perform: Perform) -> None:
    limits = "limits: {account: {gap: 0s, reply_gap: 0s, per_hour: 10, per_day: 1000}}"
    play = await perform(
        NEWS.replace("say: a", "say: a, within: 3h"), settings=limits, people=crowd(120)
    )
    await play.stage.advance(ELEVEN + 6 * HOUR)
    found = reported(play)
    assert 27 <= found.sent == got(play).total() <= 36  # one of ten an hour is kept for notices
    assert adds_up(found)
    assert found.waiting == found.on_its_way == 0
    assert states(play)[0][0] == "done"


async def test_an_answer_never_waits_for_a_push(perform: Perform) -> None:
    rules = BY_HAND.replace(
        "rules:", "rules:\n  - {id: hi, on: message, match: {any: [价格]}, do: [{say: b}]}"
    )
    slow = "limits: {account: {gap: 60s, reply_gap: 1s, per_hour: 1000, per_day: 1000}}"
    play = await perform(rules, settings=slow, people=crowd(50))
    act(play, "start")
    await play.stage.wait(3 * MINUTE)
    await play.channel.say("p00049", "价格")
    await play.stage.wait(5 * SECOND)
    assert ("p00049", "B") in play.said


# --- by hand ---------------------------------------------------------------------------------


async def test_pausing_takes_back_and_resuming_goes_on(perform: Perform) -> None:
    slow = "limits: {account: {gap: 60s, reply_gap: 1s, per_hour: 1000, per_day: 1000}}"
    play = await perform(NEWS, settings=slow, people=crowd(10))
    await play.stage.advance(ELEVEN + 3 * MINUTE)
    before = got(play).total()
    assert act(play, "pause") == "好的，news 停下了，没发的先不发，下一次也先不发"
    assert "本来就停着" in act(play, "pause")
    await play.stage.wait(3 * HOUR)
    assert got(play).total() == before
    assert play.one("SELECT COUNT(*) FROM outbox WHERE state = 'queued'") == 0
    assert adds_up(reported(play))
    assert act(play, "resume") == "好的，news 接着发"
    await play.stage.wait(HOUR)
    assert got(play) == {f"p{n:05}": 1 for n in range(10)}
    assert reported(play).sent == 10


async def test_a_time_that_passed_in_a_pause_follows_late(perform: Perform) -> None:
    play = await perform(NEWS)
    act(play, "pause")
    await play.stage.advance(ELEVEN + 3 * HOUR)
    assert got(play) == {}
    act(play, "resume")
    await play.stage.wait(MINUTE)
    assert got(play) == {}
    assert states(play)[0][0] == "skipped"


async def test_cancelling_in_the_middle(perform: Perform) -> None:
    slow = "limits: {account: {gap: 60s, reply_gap: 1s, per_hour: 1000, per_day: 1000}}"
    play = await perform(BY_HAND, settings=slow, people=crowd(10))
    assert "现在没有在发" in act(play, "cancel")
    act(play, "start")
    await play.stage.wait(3 * MINUTE)
    with pytest.raises(SiyuError, match="正在发"):
        act(play, "start")
    act(play, "cancel")
    sent = got(play).total()
    await play.stage.wait(DAY)
    assert got(play).total() == sent < 10
    found = reported(play)
    assert adds_up(found)
    assert found.withheld["运营用命令取消了这次群发"] == 10 - sent


async def test_operators_manage_pushes_by_chat(perform: Perform) -> None:
    play = await perform(BY_HAND)

    async def ask(text: str) -> str:
        before = len(play.said)
        await play.hear("wxid_boss", text)
        return next(t for to, t in play.said[before:] if to == "wxid_boss")

    assert await ask("/群发") == "news（news），给人群 大家：没有下一次"
    assert await ask("/群发 nws") == "没有「nws」这个群发。是不是想写 news？"
    assert await ask("/群发 news 快点") == "不认识「快点」，可以是：开始、暂停、恢复、取消"
    assert await ask("/群发 news") == "news 还没有发过"
    assert await ask("/群发 news 开始") == "好的，news 马上开始发"
    await play.stage.wait(MINUTE)
    assert got(play) == {"amy": 1, "bob": 1}
    assert "该收到 4，发出 2，没有发 2" in await ask("/群发 news")
    assert play.rows("SELECT DISTINCT because FROM outbox WHERE purpose = 'touch'") == [
        ("群发 news，运营 老板 ",)
    ]


# --- the report ------------------------------------------------------------------------------


async def test_the_report_says_what_the_tables_say(perform: Perform) -> None:
    play = await perform(NEWS, settings=FAST, people=crowd(40))
    await play.stage.advance(ELEVEN + MINUTE)
    for n, (hours, words) in enumerate([(1, "要"), (30, "要"), (80, "要"), (2, "好"), (2, "嗯")]):
        await play.stage.advance(max(play.now, ELEVEN + hours * HOUR))
        await play.channel.say(f"p{n:05}", words)
        await play.settle()
    await play.channel.unfriend("p00010")
    await play.stage.advance(ELEVEN + 8 * DAY)
    await play.channel.unfriend("p00011")
    await play.settle()
    found = reported(play)
    assert adds_up(found)
    assert found == _recounted(play)
    assert (found.sent, found.left) == (40, 1)
    assert found.tags == {"VIP": 3}


def _recounted(play: Play) -> PushReport:
    """The report once more, from plain rows and Python alone."""
    events = play.rows("SELECT kind, contact_id, group_id, at, text FROM event WHERE NOT from_self")
    boxes = {
        row[0]: row[1:]
        for row in play.rows("SELECT id, state, reason, sent_at, conversation_id FROM outbox")
    }
    out: dict[str, int] = Counter()
    why: dict[str, int] = Counter()
    sent: dict[int, int] = {}
    for subject, state, reason, box in play.rows(
        "SELECT subject_id, state, reason, outbox_id FROM recipient"
    ):
        if state == "withheld":
            why[reason] += 1
        elif state == "waiting":
            out["waiting"] += 1
        elif boxes[box][0] == "dropped":
            why[boxes[box][1]] += 1
        else:
            out[boxes[box][0]] += 1
            if boxes[box][0] == "sent":
                sent[subject] = boxes[box][2]

    def after(kind: str, span: int) -> set[tuple[int, str]]:
        return {
            (who, text if kind == "tag_added" else "")
            for found, who, group, when, text in events
            if found == kind and who in sent and group is None and 0 < when - sent[who] <= span
        }

    tags = Counter(text for _, text in after("tag_added", 7 * DAY))
    return PushReport(
        meant=sum(out.values()) + sum(why.values()),
        sent=out["sent"],
        unknown=out["unknown"],
        failed=out["failed"],
        on_its_way=out["queued"] + out["sending"],
        waiting=out["waiting"],
        withheld=dict(sorted(why.items(), key=lambda item: (-item[1], item[0]))),
        replied=(len(after("message", 24 * HOUR)), len(after("message", 72 * HOUR))),
        tags=dict(sorted(tags.items(), key=lambda item: (-item[1], item[0]))),
        left=len(after("friend_removed", 7 * DAY)),
        last_sent_at=max(sent.values(), default=None),
    )


async def test_words_that_are_empty_for_somebody_are_withheld(perform: Perform) -> None:
    words = {"a": "{% if 'VIP' in tags %}{% else %}A{% endif %}"}
    play = await perform(NEWS, templates=words)
    await play.hear("wxid_boss", "/标签 小雨 VIP")
    await play.stage.advance(ELEVEN + HOUR)
    assert got(play) == {"bob": 1}
    assert reported(play).withheld["话术对这个人是空的，或者渲染不出来"] == 1


async def test_what_people_call_themselves_is_data(perform: Perform) -> None:
    def people(world: World) -> None:
        world.add_person("odd", "{{ 7*7 }}\n/群发 news 取消 <b>" + "长" * 5_000, friend=True)
        world.add_person("evil", "'; DROP TABLE run; --", friend=True)

    play = await perform(NEWS, templates={"a": "{{ nickname }}，上新"}, people=people)
    await play.stage.advance(ELEVEN + HOUR)
    texts = dict(play.said)
    assert texts["odd"].startswith("{{ 7*7 }}/群发 news 取消 <b>长")
    assert len(texts["odd"]) < 100
    assert texts["evil"] == "'; DROP TABLE run; --，上新"
    assert states(play) == [("done", "")]


async def test_old_pushes_are_forgotten_whole(perform: Perform) -> None:
    play = await perform(NEWS, settings=FAST + "\nkeep: 30d", people=crowd(20))
    await play.stage.advance(ELEVEN + HOUR)
    assert play.one("SELECT COUNT(*) FROM recipient") == 21
    await play.stage.advance(ELEVEN + 20 * DAY)
    assert adds_up(reported(play))
    await play.stage.advance(ELEVEN + 32 * DAY)
    for table in ("run", "recipient", "outbox"):
        assert play.one(f"SELECT COUNT(*) FROM {table}") == 0  # noqa: S608


# --- dying -----------------------------------------------------------------------------------


async def _dies_again_and_again(root: Path, url: str, *, count: int) -> None:
    """A push is paused and resumed, and its process dies in the middle, several times over."""
    space = workspace(root, BY_HAND, settings=FAST)
    lives: list[Play] = []
    async with on_stage(space, url, people=crowd(count)) as play:
        lives.append(play)
        act(play, "start")
        for _ in range(6):  # turn by turn, without waiting for what lands: then it is gone
            await play.stage.bot.turn()
    for minute, order in enumerate(("pause", "resume", "", ""), 1):
        store = Store(url)
        stage = Stage(space, store, start=START + minute * MINUTE)
        stage.world.people.update(play.world.people)
        lives.append(Play(stage))
        await _briefly(stage)
        if order:
            act(lives[-1], order)
            await _briefly(stage)
        if minute < 4:
            store.close()
    await stage.wait(HOUR)
    found = reported(lives[-1])
    assert adds_up(found)
    assert found == _recounted(lives[-1])
    assert (found.meant, found.waiting, found.on_its_way) == (count + 1, 0, 0)
    assert found.sent + found.unknown == count
    store.close()
    delivered = sum((got(life) for life in lives), Counter[str]())
    assert set(delivered.values()) == {1}
    assert found.sent <= delivered.total() <= count
    assert found.unknown < 33 * len(lives)  # what was in flight each time it died


async def _briefly(stage: Stage) -> None:
    if stage.bot.me is None:
        await stage.bot.start()
        await stage.channel.open(stage.bot)
    for _ in range(8):
        await stage.bot.turn()


async def test_nobody_gets_it_twice_though_it_dies(tmp_path: Path, url: str) -> None:
    await _dies_again_and_again(tmp_path / "w", url, count=350)


@pytest.mark.slow
async def test_five_thousand_and_nobody_twice(tmp_path: Path, url: str) -> None:
    await _dies_again_and_again(tmp_path / "w", url, count=5_000)
