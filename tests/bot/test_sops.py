"""SOPs on the clock, over real databases: coming in, walking, waiting, ending, being left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.stage import Stage
from sop.engine import Walk
from sop.events import EventKind
from sop.sequences import Sop
from sop.versions import as_data, digest, from_data
from storage.enrollments import Beginning, Enrolled, begin
from storage.people import account_id
from storage.sql import insert_rows
from storage.store import Tx
from storage.tables import Contact
from tests.conftest import Perform
from tests.support import DAY, HOUR, MINUTE, NO_GAPS, Play, at, workspace

TAGS = """
tags: {买: {}, 要: {}, 甲: {}, 沉默: {}, 意向: {values: [低, 中, 高], one_of: true}}
"""
NIGHT = NO_GAPS + "\nhours: {quiet: '22:00-08:30'}"


def sop(steps: str, *, id: str = "x", enter: str = "{on: friend_added}", more: str = "") -> str:
    body = "\n".join(f"      {line}" for line in steps.strip().splitlines())
    return f"{TAGS}sops:\n  - id: {id}\n    enter: {enter}\n{more}    steps:\n{body}\n"


def key(line: str) -> str:
    return f"    {line}\n"


def standing(play: Play) -> list[tuple[str, str, str]]:
    """(state, step, reason) of every enrollment, oldest first."""
    return list(play.rows("SELECT state, step, reason FROM enrollment ORDER BY id"))  # type: ignore[arg-type]


def runs(play: Play) -> list[tuple[str, str]]:
    return list(play.rows("SELECT step, outcome FROM steprun ORDER BY id"))  # type: ignore[arg-type]


FOUR = """
- {id: hello, after: 1m, do: [{say: a}]}
- {id: value, day: 1, at: "10:00", do: [{say: b}]}
- {id: last, day: 7, at: "19:30", do: [{say: c}]}
"""


async def test_a_new_friend_walks_the_days(perform: Perform) -> None:
    play = await perform(sop(FOUR))
    await play.befriend("eve")
    await play.stage.wait(MINUTE)
    assert play.texts == ["A"]
    await play.stage.advance(at("2026-11-22 09:59"))
    assert play.texts == ["A"]
    await play.stage.advance(at("2026-11-22 10:00"))
    await play.stage.advance(at("2026-11-28 19:29"))
    assert play.texts == ["A", "B"]
    await play.stage.wait(DAY)
    assert play.texts == ["A", "B", "C"]
    assert standing(play) == [("done", "last", "走完了全部步骤")]
    assert runs(play) == [("hello", "done"), ("value", "done"), ("last", "done")]


async def test_nobody_is_in_an_sop_twice_and_never_means_never(perform: Perform) -> None:
    play = await perform(sop("- {id: a, after: 1h, do: [{say: a}]}", enter="{tag: 要}") + """
rules:
  - {id: want, on: message, match: {any: [要]}, do: [{untag: 要}, {tag: 要}]}
""")  # fmt: skip
    await play.hear("amy", "要")
    await play.hear("amy", "要")
    assert len(standing(play)) == 1
    assert "已经在里面了" in play.notes("withheld")
    await play.stage.wait(2 * HOUR)
    await play.hear("amy", "要")
    assert play.texts == ["A"]
    assert "以前走过一次，again: never 不再走第二次" in play.notes("withheld")


async def test_again_after_a_while(perform: Perform) -> None:
    rules = sop("- {id: a, do: [{say: a}]}", enter="{tag: 要}", more=key("again: after 2d"))
    play = await perform(rules + """
rules:
  - {id: want, on: message, match: {any: [要]}, do: [{untag: 要}, {tag: 要}]}
""")  # fmt: skip
    await play.hear("amy", "要")
    await play.stage.wait(DAY)
    await play.hear("amy", "要")
    assert play.texts == ["A"]
    await play.stage.wait(DAY + HOUR)
    await play.hear("amy", "要")
    assert play.texts == ["A", "A"]


async def test_an_exit_ends_the_walk_and_takes_back_what_waits(perform: Perform) -> None:
    steps = """
- {id: a, do: [{say: a}]}
- {id: b, after: 1d, do: [{say: b}]}
"""
    rules = sop(steps, enter="{tag: 要}", more=key("exit: [{tag: 买}, {on: friend_removed}]"))
    play = await perform(rules + """
rules:
  - {id: want, on: message, match: {any: [要]}, do: [{tag: 要}]}
  - {id: bought, on: message, match: {any: [买了]}, do: [{tag: 买}]}
""")  # fmt: skip
    await play.hear("amy", "要")
    await play.hear("amy", "买了")
    assert standing(play) == [("exited", "b", "满足退出条件 exit[0]")]
    await play.hear("bob", "要")
    await play.channel.unfriend("bob")
    await play.stage.wait(2 * DAY)
    assert standing(play)[1] == ("exited", "b", "发生了退出事件 friend_removed")
    assert play.texts == ["A", "A"]


async def test_a_goal_counts_as_reached(perform: Perform) -> None:
    rules = sop("- {id: a, after: 3d, do: [{say: a}]}", more=key("goal: {tag: 买, within: 14d}"))
    play = await perform(rules + """
rules:
  - {id: bought, on: order, do: [{tag: 买}]}
""")  # fmt: skip
    await play.befriend("eve")
    await play.tell(EventKind.ORDER, who="eve")
    assert standing(play) == [("goal", "a", "达到目标")]
    await play.stage.wait(5 * DAY)
    assert play.texts == []


REPLY = """
- id: ask
  do: [{say: a}]
  reply:
    within: 24h
    cases:
      - {match: {any: [要, 好的]}, do: [{tag: 意向/高}, {say: b}]}
      - {match: {any: [不用]}, do: [{tag: 意向/低}], then: exit}
    none: {do: [{tag: 沉默}]}
- {id: last, after: 1h, do: [{say: c}]}
"""
CHAT = """
rules:
  - {id: any, on: message, match: {any: [好的, 多少钱]}, do: [{tag: 甲}, {say: d}]}
"""


async def test_a_reply_that_matches_is_answered_once_and_goes_on(perform: Perform) -> None:
    play = await perform(sop(REPLY) + CHAT)
    await play.befriend("eve")
    assert await play.hear("eve", "多少钱") == ["D"], "outside any case the rules answer"
    assert await play.hear("eve", "好的") == ["B"], "inside a case only the SOP does"
    assert play.tags("eve") == ["意向/高", "甲"]
    await play.stage.wait(2 * HOUR)
    assert play.texts == ["A", "D", "B", "C"]


async def test_a_reply_may_end_the_walk(perform: Perform) -> None:
    play = await perform(sop(REPLY))
    await play.befriend("eve")
    await play.hear("eve", "不用了谢谢")
    await play.stage.wait(3 * DAY)
    assert play.texts == ["A"]
    assert standing(play) == [("done", "ask", "步骤 ask 写了 then: exit")]


async def test_silence_has_its_own_way(perform: Perform) -> None:
    play = await perform(sop(REPLY))
    await play.befriend("eve")
    await play.stage.wait(DAY - MINUTE)
    assert play.tags("eve") == []
    await play.stage.wait(DAY)
    assert play.tags("eve") == ["沉默"]
    assert runs(play) == [("ask", "done"), ("ask", "timeout"), ("last", "done")]


async def test_waiting_until_something_holds(perform: Perform) -> None:
    steps = """
- id: a
  wait_until: {if: {tag: 买}, within: 3d, none: {do: [{tag: 沉默}], then: exit}}
  do: [{say: a}]
"""
    play = await perform(sop(steps) + """
rules:
  - {id: bought, on: order, do: [{tag: 买}]}
""")  # fmt: skip
    await play.befriend("eve")
    await play.befriend("amy")
    await play.stage.wait(DAY)
    assert play.texts == []
    await play.tell(EventKind.ORDER, who="eve")
    assert play.said == [("eve", "A")]
    await play.stage.wait(3 * DAY)
    assert play.said == [("eve", "A")]


async def test_a_step_keeps_out_of_the_night(perform: Perform) -> None:
    play = await perform(sop("- {id: a, after: 13h, do: [{say: a}]}"), settings=NIGHT)
    await play.befriend("eve")
    await play.stage.advance(at("2026-11-22 08:29"))
    assert play.texts == []
    assert play.one("SELECT waiting FROM enrollment") == "免打扰或不在发送时段"
    await play.stage.advance(at("2026-11-22 08:51"))
    assert play.texts == ["A"]


async def test_the_day_is_full_and_the_loser_names_the_winner(perform: Perform) -> None:
    limits = (
        "limits: {contact: {per_day: 1, per_week: 9},"
        " account: {gap: 0s, reply_gap: 0s, per_hour: 1000, per_day: 10000}}"
    )
    rules = (
        TAGS
        + """
sops:
  - id: low
    enter: {on: friend_added}
    steps: [{id: a, after: 1h, do: [{say: a}]}]
  - id: high
    priority: 10
    enter: {on: friend_added}
    steps: [{id: b, after: 1h, do: [{say: b}]}]
"""
    )
    play = await perform(rules, settings=limits)
    await play.befriend("eve")
    await play.stage.wait(2 * HOUR)
    assert play.texts == ["B"]
    assert "sop:high/b" in play.one("SELECT waiting FROM enrollment WHERE sop = 'low'")
    await play.stage.wait(DAY)
    assert play.texts == ["B", "A"]


async def test_a_human_has_the_conversation(perform: Perform) -> None:
    play = await perform(sop("- {id: a, after: 1h, do: [{say: a}]}"))
    await play.befriend("eve")
    await play.channel.hand("我来聊", to="eve")
    await play.stage.wait(2 * HOUR - MINUTE)
    assert play.texts == []
    await play.stage.wait(2 * MINUTE)
    assert play.texts == ["A"]


async def test_after_an_outage_nothing_blasts_out(perform: Perform) -> None:
    steps = """
- {id: a, after: 1h, late: skip after 2h, do: [{say: a}]}
- {id: b, after: 1m, do: [{say: b}]}
"""
    play = await perform(sop(steps))
    await play.befriend("eve")
    play.stage.clock.set(play.now + 6 * HOUR)
    await play.stage.wait(MINUTE)
    assert play.texts == ["B"]
    assert runs(play) == [("a", "skipped"), ("b", "done")]


async def test_a_clock_set_back_repeats_nothing(perform: Perform) -> None:
    play = await perform(sop(FOUR))
    await play.befriend("eve")
    await play.stage.advance(at("2026-11-22 11:00"))
    play.stage.clock.set(at("2026-11-21 10:00"))
    await play.stage.advance(at("2026-11-29 11:00"))
    assert play.texts == ["A", "B", "C"]


async def test_a_lost_friend_is_let_go(perform: Perform) -> None:
    play = await perform(sop("- {id: a, after: 1h, do: [{say: a}]}"))
    await play.befriend("eve")
    await play.channel.unfriend("eve")
    await play.stage.wait(2 * HOUR)
    assert standing(play) == [("exited", "a", "对方不是好友，私聊发不到")]


async def test_rules_can_enroll_and_take_out(perform: Perform) -> None:
    rules = (
        TAGS
        + """
sops:
  - {id: x, steps: [{id: a, after: 1h, do: [{say: a}]}]}
rules:
  - {id: in, on: message, match: {any: [报名]}, do: [{enroll: x}]}
  - {id: out, on: message, match: {any: [退出]}, do: [{leave: x}]}
"""
    )
    play = await perform(rules)
    await play.hear("amy", "报名")
    await play.hear("bob", "报名")
    await play.hear("amy", "退出")
    await play.stage.wait(2 * HOUR)
    assert play.said == [("bob", "A")]
    assert [state for state, _, _ in standing(play)] == ["exited", "done"]


async def test_a_group_walks(perform: Perform) -> None:
    rules = """
tags: {福利群: {}}
groups: [{match: "小满福利群*", tags: [福利群]}]
sops:
  - id: week
    for: group
    enter: {tag: 福利群}
    steps:
      - {id: a, day: 1, at: "10:00", do: [{say: a}]}
      - {id: b, day: 2, at: "10:00", do: [{say: b}]}
"""
    play = await perform(rules)
    await play.stage.wait(3 * DAY)
    assert play.said == [("g1", "A"), ("g1", "B")]
    assert standing(play) == [("done", "b", "走完了全部步骤")]


async def test_stages_move_and_bring_people_in(perform: Perform) -> None:
    rules = """
stages:
  休眠期: {last_message: {before: 30d}}
  成长期: {count: {of: message, at_least: 2}}
sops:
  - {id: back, enter: {stage: 休眠期}, steps: [{id: a, do: [{say: a}]}]}
rules: []
"""
    play = await perform(rules)
    await play.hear("amy", "在吗")
    await play.hear("amy", "在的")
    assert play.one("SELECT stage FROM contact WHERE external_id = 'amy'") == "成长期"
    await play.stage.wait(32 * DAY)
    assert play.one("SELECT stage FROM contact WHERE external_id = 'amy'") == "休眠期"
    assert ("amy", "A") in play.said


async def test_the_calendar_brings_people_in(perform: Perform) -> None:
    rules = """
tags: {要: {}}
audiences: [{id: 想要的, all: [{tag: 要}]}]
sops:
  - id: born
    enter: {birthday: 生日, days: -1}
    steps: [{id: a, day: 0, at: "09:30", do: [{say: a}]}]
  - {id: feast, enter: {festival: 元旦}, steps: [{id: b, day: 0, at: "09:30", do: [{say: b}]}]}
  - {id: dated, enter: {date: 2026-12-05}, steps: [{id: c, day: 0, at: "09:30", do: [{say: c}]}]}
  - {id: wish, enter: {audience: 想要的}, steps: [{id: d, do: [{say: d}]}]}
rules:
  - {id: want, on: message, match: {any: [要]}, do: [{tag: 要}, {set: {生日: "1990-12-25"}}]}
"""
    play = await perform(rules)
    await play.hear("amy", "要")
    await play.stage.advance(at("2027-01-02 12:00"))
    said = [text for who, text in play.said if who == "amy"]
    assert said == ["D", "C", "A", "B"]
    assert [text for who, text in play.said if who == "bob"] == ["C", "B"]


async def test_an_edit_touches_nobody_under_way(perform: Perform, tmp_path: Path) -> None:
    play = await perform(sop(FOUR))
    await play.befriend("eve")
    changed = FOUR.replace("say: b", "say: d").replace("id: last", "id: end")
    play.stage.bot.reload(workspace(tmp_path / "workspace", sop(changed)))
    play.world.add_person("zoe", "小周")
    await play.befriend("zoe")
    await play.stage.wait(8 * DAY)
    assert [text for who, text in play.said if who == "eve"] == ["A", "B", "C"]
    assert [text for who, text in play.said if who == "zoe"] == ["A", "D", "C"]
    assert len({row[0] for row in play.rows("SELECT digest FROM enrollment")}) == 2


async def test_a_paused_sop_stands_still(perform: Perform) -> None:
    play = await perform(sop("- {id: a, after: 1h, do: [{say: a}]}"))
    await play.befriend("eve")
    play.write(lambda tx: tx.connection.exec_driver_sql("INSERT INTO soppause VALUES ('x', 0)"))
    play.world.add_person("zoe", "小周")
    await play.befriend("zoe")
    await play.stage.wait(DAY)
    assert play.texts == []
    assert "这个 SOP 暂停了，不再进人" in play.notes("withheld")
    play.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM soppause"))
    await play.stage.wait(HOUR)
    assert play.said == [("eve", "A")]


@pytest.mark.parametrize("crash_after", [0, 1, 2, 3])
async def test_a_crash_between_turns_repeats_no_step(perform: Perform, crash_after: int) -> None:
    """The process dies after some turns and a new one goes on with the same rows."""
    play = await perform(sop(FOUR))
    await play.befriend("eve")
    play.stage.clock.set(play.now + MINUTE)
    for _ in range(crash_after):
        await play.stage.bot.turn()
    old = play.stage
    fresh = Stage(old.bot.heart.workspace, old.store, start=old.clock.now())
    fresh.world.people |= old.world.people
    fresh.world.rooms |= old.world.rooms
    await fresh.open()
    await fresh.wait(8 * DAY)
    assert sorted(run for run, _ in runs(play)) == ["hello", "last", "value"]
    texts = play.rows("SELECT text, COUNT(*) FROM outbox GROUP BY text ORDER BY text")
    assert texts == [("A", 1), ("B", 1), ("C", 1)]


async def test_one_account_walks_a_person_known_to_two(perform: Perform, url: str) -> None:
    play = await perform(sop("- {id: a, after: 1d, do: [{say: a}]}", enter="{tag: 要}"))
    twin = play.write(
        lambda tx: account_id(tx, channel="simulator", external_id="two", name="", now=0)
    )
    amy = play.contact("amy")
    version = digest(Sop.model_validate({"id": "x", "steps": [{"id": "a"}]}))

    def elsewhere(tx: Tx) -> None:
        insert_rows(
            tx.connection,
            Contact,
            ("id", "account_id", "external_id", "name", "alias", "stage", "first_seen_at"),
            [(twin, twin, "amy", "小雨", "", "引入期", 0)],
        )
        walk = Walk(id=twin, step="a", entered_at=0, since=0)
        enrolled = Enrolled(account_id=twin, sop="x", digest=version, subject_id=twin,
                            in_group=False, priority=0, walk=walk)  # fmt: skip
        begin(tx, [Beginning(enrolled=enrolled, event_id=None, because="")])

    play.write(elsewhere)
    await play.hear("wxid_boss", f"/标签 #{amy} 要")
    assert "同一个人正由另一个账号带着走" in play.notes("withheld")


def test_a_version_survives_its_own_json(tmp_path: Path) -> None:
    """What is pinned in the database is read back as the very same SOP."""
    space = workspace(
        tmp_path, sop(REPLY + FOUR.replace("id: last", "id: end"), more=key("late: skip after 2h"))
    )
    (one,) = space.definitions.sops
    assert from_data(as_data(one)) == one
