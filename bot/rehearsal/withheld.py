"""What was not done or put off, by reason: who was capped, skipped or held, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from bot.rehearsal.findings import Findings
from bot.rehearsal.reasons import REASONS, Reason, reason_of

EXAMPLES = 3


@dataclass(slots=True)
class _Pile:
    counts: Counter[str] = field(default_factory=Counter)
    subjects: set[int] = field(default_factory=set)
    examples: list[dict[str, str]] = field(default_factory=list)


def withheld(found: Findings) -> list[dict[str, Any]]:
    """One row a reason, in a fixed order, only those that occurred.

    `skipped` counts steps, `dropped` messages that will never leave, `waiting` messages and steps
    that still wait at the end, `put_off` how often something was put off (it may have left later),
    `rules` what rules did not do, `entries` who did not come into an SOP; `people` all it hit.
    """
    piles: dict[Reason, _Pile] = defaultdict(_Pile)
    _messages(found, piles)
    _steps(found, piles)
    _traces(found, piles)
    names = ("skipped", "dropped", "waiting", "put_off", "rules", "entries")
    return [
        {
            "reason": reason.key,
            "label": reason.label,
            **{name: piles[reason].counts[name] for name in names},
            "people": len(piles[reason].subjects),
            "examples": piles[reason].examples,
        }
        for reason in REASONS
        if reason in piles
    ]


def _messages(found: Findings, piles: dict[Reason, _Pile]) -> None:
    for box in found.ledger.boxes:
        reason = found.reason(box)
        if box.part or not reason or box.state not in ("dropped", "failed", "queued"):
            continue
        name = "waiting" if box.state == "queued" else "dropped"
        what = f"「{' '.join(box.text.split())[:20]}」"
        _add(found, piles, name, box.subject_id, what, reason, box.created_at)
    for hold in found.holds:
        held = found.boxes.get(hold.box_id or 0)
        if held is not None and held.part == 0:
            what = f"「{' '.join(held.text.split())[:20]}」"
            _add(
                found, piles, "put_off", held.subject_id, what, hold.reason, hold.since, hold.times
            )


def _steps(found: Findings, piles: dict[Reason, _Pile]) -> None:
    for run in found.ledger.runs:
        walk = found.walks.get(run.walk_id)
        if walk is not None and run.outcome == "skipped":
            what = f"{found.title(walk.sop)}的 {run.step}"
            _add(found, piles, "skipped", walk.subject_id, what, run.because, run.at)
    for walk in found.ledger.walks:
        if walk.state == "active" and walk.waiting:
            what = f"{found.title(walk.sop)}的 {walk.step}"
            _add(found, piles, "waiting", walk.subject_id, what, walk.waiting, walk.entered_at)
    for hold in found.holds:
        walk = found.walks.get(hold.walk_id or 0)
        if walk is not None:
            what = f"{found.title(walk.sop)}的 {hold.step}"
            _add(
                found, piles, "put_off", walk.subject_id, what, hold.reason, hold.since, hold.times
            )


def _traces(found: Findings, piles: dict[Reason, _Pile]) -> None:
    for trace in found.ledger.traces:
        name = "entries" if trace.what.startswith("进入 SOP") else "rules"
        _add(found, piles, name, trace.subject_id, trace.what, trace.because, trace.at)


def _add(
    found: Findings,
    piles: dict[Reason, _Pile],
    name: str,
    subject: int,
    what: str,
    because: str,
    at: int,
    times: int = 1,
) -> None:
    pile = piles[reason_of(because)]
    pile.counts[name] += times
    if subject not in pile.subjects and len(pile.examples) < EXAMPLES:
        when = found.clock(at).strftime("%m-%d %H:%M")
        example = {"who": found.name(subject), "what": what, "at": when, "because": because}
        pile.examples.append(example)
    pile.subjects.add(subject)
