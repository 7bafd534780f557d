"""What is forgotten, and above all what is not."""

from __future__ import annotations

from typing import Any

import pytest

from sop.engine import Run, State
from sop.events import EventKind
from sop.memory import counted
from sop.sequences import Sop
from storage import enrollments as rows
from storage.prune import prune
from storage.sql import insert_rows, run_rows
from storage.tables import Migration
from tests.conftest import Perform
from tests.support import DAY, HOUR, MINUTE, Play

KEEP = 180 * DAY
RULES = """
tags: {宝妈: {}, 聊过: {}}
rules:
  - {id: mum, on: message, match: {any: [宝妈]}, do: [{tag: 宝妈}, {say: a}]}
  - id: often
    on: message
    match: {any: [在吗]}
    if: {count: {of: message, at_least: 3}}
    do: [{say: b}]
sops:
  - id: nf
    enter: {tag: 宝妈}
    steps: [{id: one, after: 1m, do: [{say: c}]}, {id: two, after: 300d, do: [{say: d}]}]
"""


def forget(play: Play, limit: int = 500) -> bool:
    definitions = play.stage.bot.heart.workspace.definitions
    return play.write(lambda tx: prune(tx, [definitions], keep=KEEP, now=play.now, limit=limit))


def later(play: Play, span: int) -> None:
    play.stage.clock.set(play.now + span)


def count(play: Play, table: str, where: str = "1 = 1") -> int:
    return int(play.one(f"SELECT COUNT(*) FROM {table} WHERE {where}"))  # noqa: S608


async def test_old_traces_go_and_young_ones_stay(perform: Perform) -> None:
    play = await perform(RULES)
    await play.hear("amy", "宝妈")
    later(play, KEEP - HOUR)
    await play.hear("amy", "宝妈")
    assert not forget(play)
    before = count(play, "trace")
    later(play, 2 * HOUR)
    forget(play)
    assert 0 < count(play, "trace") < before


async def test_a_count_and_a_tag_keep_their_evidence(perform: Perform) -> None:
    play = await perform(RULES)
    await play.hear("amy", "宝妈")  # the evidence
    for n in range(6):
        await play.stage.wait(MINUTE)
        await play.hear("amy", f"第{n}句")
    later(play, 200 * DAY)
    forget(play)
    assert play.events("message") == ["宝妈", "第3句", "第4句", "第5句"]
    assert await play.hear("amy", "在吗") == ["B"]


async def test_orders_and_noticed_silence_stay(perform: Perform) -> None:
    play = await perform(RULES)
    await play.tell(EventKind.ORDER, who="amy")
    await play.tell(EventKind.SILENT, who="amy")
    await play.tell(EventKind.LINK_CLICKED, who="amy")
    later(play, 200 * DAY)
    forget(play)
    assert count(play, "event", "kind IN ('order', 'silent', 'link_clicked')") == 2


async def test_a_walk_under_way_keeps_its_runs_and_its_messages(perform: Perform) -> None:
    play = await perform(RULES)
    await play.hear("amy", "宝妈")
    await play.stage.wait(2 * MINUTE)
    later(play, 200 * DAY)
    forget(play)
    assert count(play, "steprun") == 1
    assert [text for text, *_ in play.outbox()] == ["C"]
    ids = [row[0] for row in play.rows("SELECT id FROM enrollment")]
    play.write(lambda tx: rows.end(tx, [(ids[0], State.EXITED, "够了")], now=play.now))
    forget(play)
    assert (count(play, "steprun"), count(play, "outbox")) == (0, 0)
    assert count(play, "enrollment") == 1  # `again` wants to know


@pytest.mark.parametrize("state", ["queued", "sending", "unknown"])
async def test_what_is_not_settled_stays(perform: Perform, state: str) -> None:
    play = await perform(RULES)
    play.enqueue("amy", "你好")
    play.write(lambda tx: run_rows(tx.connection, "UPDATE outbox SET state = ?", [(state,)]))
    later(play, 400 * DAY)
    forget(play)
    assert count(play, "outbox") == 1


async def test_a_batch_at_a_time(perform: Perform) -> None:
    play = await perform(RULES)
    (who,) = (row[0] for row in play.rows("SELECT id FROM contact WHERE external_id = 'amy'"))
    play.write(lambda tx: rows.record_runs(tx, [(who, Run("x", "done", ""))] * 7, now=play.now))
    later(play, 200 * DAY)
    assert forget(play, limit=3)
    assert count(play, "steprun") == 4
    assert forget(play, limit=3)
    assert not forget(play, limit=3)
    assert count(play, "steprun") == 0


async def test_an_old_migration_cannot_be_undone_for_ever(perform: Perform) -> None:
    play = await perform(RULES)
    play.write(
        lambda tx: insert_rows(
            tx.connection,
            Migration,
            ("batch", "enrollment_id", "at", "sop", "undone"),
            [(1, 1, play.now, "nf", False), (2, 1, play.now + DAY, "nf", False)],
        )
    )
    later(play, KEEP + HOUR)
    forget(play)
    assert play.rows("SELECT batch FROM migration") == [(2,)]


async def test_the_daily_sweep_forgets_until_nothing_is_left(perform: Perform) -> None:
    play = await perform(RULES)
    (who,) = (row[0] for row in play.rows("SELECT id FROM contact WHERE external_id = 'amy'"))
    play.write(lambda tx: rows.record_runs(tx, [(who, Run("x", "done", ""))] * 1_200, now=play.now))
    await play.stage.wait(KEEP - DAY)
    assert count(play, "steprun") == 1_200
    await play.stage.wait(2 * DAY)
    assert count(play, "steprun") == 0


def test_only_counts_that_look_further_back_bind() -> None:
    def needs(*counts: dict[str, Any]) -> dict[EventKind, int]:
        conditions = [{"count": one} for one in counts]
        sop = Sop.model_validate(
            {"id": "s", "exit": conditions, "steps": [{"id": "a", "if": conditions[0]}]}
        )
        return counted([sop], keep=KEEP)

    assert needs({"of": "message", "within": "7d", "at_least": 3}) == {}
    assert needs({"of": "message", "within": "365d", "at_least": 3}) == {EventKind.MESSAGE: 3}
    assert needs({"of": "order", "at_most": 0}, {"of": "order", "at_least": 5}) == {
        EventKind.ORDER: 5
    }
    assert needs({"of": "order", "at_most": 4}) == {EventKind.ORDER: 5}


async def test_acts_of_the_guard_go_when_their_strike_is_over(perform: Perform) -> None:
    play = await perform("guard: {mode: confirm, say: a, expires: 200d}")
    await play.hear("amy", "低价代购，加V：abc12345", group="g1")
    later(play, KEEP + DAY)
    forget(play)
    assert count(play, "guardact") == 1
    later(play, 30 * DAY)
    forget(play)
    assert count(play, "guardact") == 0
