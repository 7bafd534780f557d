"""Recorded histories of the starter playbooks: new code takes the same decisions on old runs.

After a change of the playbooks themselves: SIYU_UPDATE_GOLDEN=1 pytest tests/bot/rehearsal
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path

import pytest

from bot.rehearsal import run
from bot.rehearsal.findings import Findings
from bot.rehearsal.reasons import reason_of
from bot.rehearsal.report import report
from bot.rehearsal.run import Plan, rehearse_workspace
from bot.starter import copy_starter
from bot.workspace import read_workspace

GOLDEN = Path(__file__).parents[2] / "golden/histories"
STARTER = ["birthday", "camp", "festival", "first-order", "group-days", "group-week",
           "new-friend", "repurchase", "win-back"]  # fmt: skip
PLAN = Plan(sops=tuple(STARTER), contacts=24, days=40, seed=5, start=date(2026, 5, 25))


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """What each walk decided, by SOP: who and when, then step by step, then the end."""
    root = tmp_path_factory.mktemp("shop") / "w"
    copy_starter(root)
    tags = root / "tags.yaml"  # the group is a camp too, or that playbook would never begin
    text = tags.read_text(encoding="utf-8")
    assert "tags: [福利群]" in text
    tags.write_text(text.replace("tags: [福利群]", "tags: [福利群, 训练营]"), encoding="utf-8")
    workspace = read_workspace(root, env={})
    kept: list[Findings] = []
    patch = pytest.MonkeyPatch()
    patch.setattr(run, "report", lambda found: kept.append(found) or report(found))
    asyncio.run(rehearse_workspace(workspace, PLAN, progress=lambda _done: None))
    patch.undo()
    return _histories(kept[0])


def _histories(found: Findings) -> dict[str, list[list[str]]]:
    steps: dict[int, list[str]] = defaultdict(list)
    for one in found.ledger.runs:
        why = f" {reason_of(one.because).key}" if one.outcome == "skipped" else ""
        steps[one.walk_id].append(f"{_when(found, one.at)} {one.step} {one.outcome}{why}")
    out: dict[str, list[list[str]]] = defaultdict(list)
    for walk in found.ledger.walks:
        first = f"{_when(found, walk.entered_at)} {found.name(walk.subject_id)} enters"
        last = f"{_when(found, walk.ended_at)} {walk.state}" if walk.ended_at else walk.state
        out[walk.sop].append([first, *steps[walk.id], last])
    return out


def _when(found: Findings, at: int) -> str:
    return datetime.fromtimestamp(at / 1000, found.times.zone).strftime("%m-%d %H:%M")


@pytest.mark.parametrize("sop", STARTER)
def test_old_runs_take_the_same_decisions(sop: str, histories: dict[str, list[list[str]]]) -> None:
    file = GOLDEN / f"{sop}.json"
    now = histories.get(sop, [])
    if os.environ.get("SIYU_UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(now, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert now, "the recording must not be empty"
    assert now == json.loads(file.read_text(encoding="utf-8"))
