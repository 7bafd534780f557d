"""The calendar of a rehearsal: what would leave each day, and what would come in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from bot.rehearsal.findings import Findings
from storage.rehearsal import Box

RULES = "rules"  # what no SOP, push or Moment said
BROADCASTS = ("push:", "moment:")
_CAME = {
    "friend_added": "joined",
    "friend_removed": "left",
    "message": "heard",
    "order": "orders",
}
_PURPOSES = {"touch": "touches", "reply": "replies", "notice": "notices"}


def per_day(found: Findings) -> list[dict[str, Any]]:
    """One row a day, quiet days too.

    `messages` counts every bubble that left and `by_kind` what they were; `touches`, `replies` and
    `notices` count messages, of which `by_sop` tells who sent them.
    """
    counts: dict[date, Counter[str]] = defaultdict(Counter)
    kinds: dict[date, Counter[str]] = defaultdict(Counter)
    sops: dict[date, Counter[str]] = defaultdict(Counter)
    for box in found.left:
        day = found.day(box.left_at or 0)
        counts[day]["messages"] += 1
        kinds[day][box.kind] += 1
        if box.part == 0:
            counts[day][_PURPOSES[box.purpose]] += 1
            sops[day][_origin(box)] += 1
    for event in found.ledger.events:
        if event.kind in _CAME:
            counts[found.day(event.at)][_CAME[event.kind]] += 1
    seen = {name for day in sops.values() for name in day if name.startswith(BROADCASTS)}
    order = [*(sop.id for sop in found.sops), *sorted(seen), RULES]
    return [
        {
            "date": day.isoformat(),
            "weekday": day.isoweekday(),
            **{name: counts[day][name] for name in ("messages", *_PURPOSES.values())},
            "by_sop": {name: sops[day][name] for name in order if sops[day][name]},
            "by_kind": dict(sorted(kinds[day].items())),
            **{name: counts[day][name] for name in _CAME.values()},
        }
        for day in _days(found, counts)
    ]


def _origin(box: Box) -> str:
    """The SOP that sent it; a push or Moment by its source."""
    return box.source if box.source.startswith(BROADCASTS) else box.sop or RULES


def _days(found: Findings, seen: Iterable[date]) -> list[date]:
    first = found.day(found.times.start)
    planned = {first + timedelta(days=n) for n in range(found.times.days)}
    return sorted(planned | set(seen))
