"""Rehearsals: the same seed says the same, and every number is what the tables say."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bot.rehearsal import run
from bot.rehearsal.alarms import warnings
from bot.rehearsal.findings import Findings
from bot.rehearsal.reasons import OTHER, reason_of
from bot.rehearsal.report import report
from bot.rehearsal.run import Plan, rehearse_workspace
from bot.rehearsal.screen import screen
from bot.stage import Stage
from bot.starter import copy_starter
from bot.workspace import Workspace, read_workspace
from storage.rehearsal import Ledger
from storage.store import Store
from tests.support import HOUR, Play, populate, workspace
from tests.support import START as NOON

START = date(2026, 5, 25)


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The starter shop."""
    root = tmp_path_factory.mktemp("shop") / "w"
    copy_starter(root)
    return read_workspace(root, env={})


@pytest.fixture(scope="module")
def played(starter: Workspace) -> Findings:
    """A small rehearsal of the starter shop, as it was found."""
    kept: list[Findings] = []
    patch = pytest.MonkeyPatch()
    patch.setattr(run, "report", lambda found: kept.append(found) or report(found))
    plan = Plan(sops=(), contacts=40, days=25, seed=3, start=START)
    asyncio.run(rehearse_workspace(starter, plan, progress=lambda _done: None))
    patch.undo()
    return kept[0]


def test_the_calendar_adds_up_to_what_left(played: Findings) -> None:
    days = report(played)["per_day"]
    left = [b for b in played.ledger.boxes if b.state == "sent"]
    first = [b for b in left if b.part == 0]
    purposes = Counter(b.purpose for b in first)
    assert len(days) == 25
    assert sum(d["messages"] for d in days) == len(left) > 100
    assert sum(d["touches"] for d in days) == purposes["touch"] > 20
    assert sum(d["replies"] for d in days) == purposes["reply"] > 20
    assert sum(d["notices"] for d in days) == purposes["notice"]
    assert sum(sum(d["by_kind"].values()) for d in days) == len(left)
    for day in days:
        sent = day["touches"] + day["replies"] + day["notices"]
        assert sum(day["by_sop"].values()) == sent


def test_the_funnel_adds_up_to_walks_and_steps(played: Findings) -> None:
    rows = report(played)["funnel"]
    ledger = played.ledger
    assert sum(r["entered"] for r in rows) == len(ledger.walks) > 30
    for row in rows:
        ends = sum(row[state] for state in ("active", "done", "goal", "exited", "removed"))
        assert row["entered"] + row["carried"] == ends
        mine = {w.id for w in ledger.walks if w.sop == row["sop"]}
        for step in row["steps"]:
            runs = Counter(
                r.outcome for r in ledger.runs if r.walk_id in mine and r.step == step["step"]
            )
            assert step["done"] == runs["done"]
            assert sum(step["skipped"].values()) == runs["skipped"]
            assert (step["replied"], step["timeout"]) == (runs["replied"], runs["timeout"])
            assert step["reached"] <= len(mine)
            sent = [
                b for b in ledger.boxes
                if b.source == f"sop:{row['sop']}/{step['step']}" and b.part == 0
                and b.purpose == "touch"
            ]  # fmt: skip
            assert step["sent"] == sum(b.state == "sent" for b in sent)


def test_what_was_withheld_adds_up(played: Findings) -> None:
    rows, ledger = report(played)["withheld"], played.ledger
    dropped = [b for b in ledger.boxes if b.state in ("dropped", "failed") and b.part == 0]
    assert sum(r["dropped"] for r in rows) == len(dropped)
    assert sum(r["skipped"] for r in rows) == sum(r.outcome == "skipped" for r in ledger.runs)
    assert sum(r["rules"] + r["entries"] for r in rows) == len(ledger.traces)
    assert all(r["people"] >= 1 and r["examples"] for r in rows)


def test_no_sentence_of_the_engine_is_without_a_heading(played: Findings) -> None:
    ledger = played.ledger
    told = [h.reason for h in ledger.holds] + [t.because for t in ledger.traces]
    told += [r.because for r in ledger.runs if r.outcome == "skipped"]
    told += [b.reason for b in ledger.boxes if b.state == "dropped"]
    assert not {text for text in told if reason_of(text) is OTHER}


def test_collisions_and_the_sample(played: Findings) -> None:
    found = report(played)
    for row in found["collisions"]:
        parts = ("first_won", "second_won", "both_sent", "neither")
        assert sum(row[part] for part in parts) == row["days"] >= row["people"]
    lines = found["sample"]["lines"]
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert {"sent", "heard", "entered"} <= {line["kind"] for line in lines}


def test_it_all_can_be_read(played: Findings) -> None:
    text = "\n".join(screen(report(played)))
    assert "每天会发多少" in text
    assert "新好友七天培育" in text
    assert "None" not in text


def test_an_sop_that_nobody_enters_is_told(played: Findings) -> None:
    empty = Findings(played.workspace, played.times, Ledger({}, [], [], [], [], [], [], []))
    kinds = Counter(alarm["kind"] for alarm in warnings(empty))
    assert kinds["sop_empty"] == len(played.sops)
    assert not report(empty)["withheld"]
    assert report(empty)["sample"] is None


@pytest.mark.slow
def test_the_same_seed_says_the_same_byte_for_byte(starter: Workspace) -> None:
    def once(hash_seed: str, seed: str) -> bytes:
        command = [
            sys.executable, "-c", "from bot.cli.main import run; run()", "rehearse", "--json",
            "--workspace", str(starter.root), "--contacts", "15", "--days", "12", "--seed", seed,
        ]  # fmt: skip
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        root = Path(__file__).parents[3]
        return subprocess.run(command, env=env, cwd=root, capture_output=True, check=True).stdout

    one = once("1", "7")
    assert one == once("2", "7")
    assert one != once("1", "8")
    keys: dict[str, Any] = json.loads(one)
    assert {"per_day", "funnel", "withheld", "warnings", "sample", "collisions"} <= keys.keys()


def test_who_asks_is_let_into_a_group_and_accepts(starter: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "w"
    copy_starter(root)
    (root / "people.yaml").write_text(
        """
rehearsal:
  people:
    - {name: 想进群的, share: 1, enter: known, wrote: 1d, words: [进群], spontaneous: 1, reply: 0.9}
  groups: [{topic: 小满福利群①, members: 0}]
""",
        encoding="utf-8",
    )
    kept: list[Findings] = []
    patch = pytest.MonkeyPatch()
    patch.setattr(run, "report", lambda found: kept.append(found) or report(found))
    plan = Plan(sops=(), contacts=45, days=5, seed=1, start=START)
    space = read_workspace(root, env={})
    asyncio.run(rehearse_workspace(space, plan, progress=lambda _done: None))
    patch.undo()
    asked = [box for box in kept[0].ledger.boxes if box.kind == "invite"]
    walks = [walk for walk in kept[0].ledger.walks if walk.sop == "group-days"]
    assert len({box.subject_id for box in asked}) == 45
    last: dict[int, int] = {}
    for box in asked:  # nobody while an earlier one is open
        assert box.created_at - last.get(box.subject_id, 0) >= 3 * 24 * 3_600_000
        last[box.subject_id] = box.created_at
    assert 40 < len(walks) <= 45  # above forty members they have to accept, and some do not


async def test_what_lands_at_the_very_end_is_recorded(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'scratch.db'}", scratch=True)
    try:
        rules = (
            "tags: {临时: {expires: 1d}}\n"
            "rules: [{id: hi, on: message, match: {any: [你好]}, do: [{tag: 临时}, {say: a}]}]\n"
        )
        stage = Stage(workspace(tmp_path / "shop", rules), store, start=NOON, alone=True)
        populate(stage.world)
        stage.world.echoes = False
        await stage.open()
        play = Play(stage)
        await stage.channel.say("amy", "你好")
        await stage.settle(free=NOON + HOUR)
        assert stage.bot.deliveries.unrecorded, "the next turn was to be early enough"
        await stage.settle()  # nobody says that there will be one
        assert not stage.bot.deliveries.unrecorded
        assert play.states() == ["sent"]
    finally:
        store.close()
