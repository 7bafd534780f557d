"""The funnel: how many came into each SOP, how far they got, and how they ended."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

from bot.rehearsal.findings import GONE, Findings
from bot.rehearsal.reasons import reason_of
from sop.sequences import Sop, Step
from storage.rehearsal import Box, RunRow, WalkRow

_ENDS = ("active", "done", "goal", "exited", "removed")


def funnel(found: Findings) -> list[dict[str, Any]]:
    """One row an SOP, in the order of the files, with its steps.

    entered + carried = active + done + goal + exited + removed. `carried` were under way before.
    """
    walks: dict[str, list[WalkRow]] = defaultdict(list)
    for walk in found.ledger.walks:
        walks[walk.sop].append(walk)
    boxes: dict[tuple[str, str], list[Box]] = defaultdict(list)
    for box in found.ledger.boxes:
        if box.sop and box.part == 0 and box.purpose != "notice":
            boxes[box.sop, box.step].append(box)
    refused = _refused(found)
    return [_of_sop(found, sop, walks[sop.id], boxes, refused[sop.id]) for sop in found.sops]


def _of_sop(
    found: Findings,
    sop: Sop,
    walks: list[WalkRow],
    boxes: dict[tuple[str, str], list[Box]],
    refused: Counter[str],
) -> dict[str, Any]:
    states = Counter(walk.state for walk in walks)
    entered = sum(walk.entered_at >= found.times.start for walk in walks)
    return {
        "sop": sop.id,
        "title": sop.title or sop.id,
        "entered": entered,
        "carried": len(walks) - entered,
        **{state: states[state] for state in _ENDS},
        "refused": dict(sorted(refused.items())),
        "exits": _exits(walks),
        "steps": [
            _of_step(step, walks, found.runs[sop.id, step.id], boxes[sop.id, step.id])
            for step in sop.steps
        ],
    }


def _of_step(
    step: Step, walks: list[WalkRow], runs: list[tuple[WalkRow, RunRow]], boxes: list[Box]
) -> dict[str, Any]:
    """One step.

    `reached` counts walks that came to the step at all; `done`, `skipped`, `replied` and `timeout`
    count what came of it, more than once for who passes it more than once. `standing` are there at
    the end; `exited` and `goal` ended there. `sent`, `answered`, `dropped`, `queued` are messages.
    """
    here = [walk for walk in walks if walk.step == step.id]
    outcomes = Counter(run.outcome for _, run in runs)
    skipped = Counter(reason_of(run.because).key for _, run in runs if run.outcome == "skipped")
    ended = Counter(walk.state for walk in here)
    states = Counter((box.purpose, box.state in GONE) for box in boxes)
    lost = Counter(reason_of(b.reason).key for b in boxes if b.state in ("dropped", "failed"))
    return {
        "step": step.id,
        "title": step.title,
        "reached": len({walk.id for walk, _ in runs} | {walk.id for walk in here}),
        "done": outcomes["done"],
        "sent": states["touch", True],
        "answered": states["reply", True],
        "queued": sum(box.state in ("queued", "sending") for box in boxes),
        "dropped": dict(sorted(lost.items())),
        "skipped": dict(sorted(skipped.items())),
        "replied": outcomes["replied"],
        "timeout": outcomes["timeout"],
        "standing": ended["active"],
        "exited": ended["exited"] + ended["removed"],
        "goal": ended["goal"],
    }


def _exits(walks: list[WalkRow]) -> dict[str, int]:
    why = Counter(walk.reason for walk in walks if walk.state in ("exited", "removed"))
    return dict(sorted(why.items()))


def _refused(found: Findings) -> dict[str, Counter[str]]:
    """Who came to the door in vain, by SOP and reason."""
    out: dict[str, Counter[str]] = defaultdict(Counter)
    for trace in found.ledger.traces:
        if trace.what.startswith("进入 SOP") and trace.refs:
            out[json.loads(trace.refs).get("sop", "")][reason_of(trace.because).key] += 1
    return out
