"""Collisions: days on which two SOPs wanted the same person, and who got through."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from itertools import combinations
from typing import Any

from bot.rehearsal.findings import Findings
from bot.rehearsal.reasons import reason_of

Wish = tuple[int, date]  # a person on a day


def collisions(found: Findings) -> list[dict[str, Any]]:
    """One row a pair of SOPs: `days` is how often they met in one person on one day.

    `first_won` + `second_won` + `both_sent` + `neither` = `days`; `people` is how many it hit.
    """
    wanted, sent = _wishes(found)
    order = {sop.id: n for n, sop in enumerate(found.sops)}
    results: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    people: dict[tuple[str, str], set[int]] = defaultdict(set)
    for wish, sops in wanted.items():
        for pair in combinations(sorted(sops, key=lambda sop: order.get(sop, len(order))), 2):
            first, second = (sop in sent[wish] for sop in pair)
            outcome = {
                (True, False): "first_won",
                (False, True): "second_won",
                (True, True): "both_sent",
            }.get((first, second), "neither")
            results[pair][outcome] += 1
            people[pair].add(wish[0])
    names = ("first_won", "second_won", "both_sent", "neither")
    return [
        {
            "first": pair[0],
            "second": pair[1],
            "days": sum(results[pair].values()),
            "people": len(people[pair]),
            **{name: results[pair][name] for name in names},
        }
        for pair in sorted(results, key=lambda pair: [order.get(sop, len(order)) for sop in pair])
    ]


def _wishes(found: Findings) -> tuple[dict[Wish, set[str]], dict[Wish, set[str]]]:
    """Which SOPs wanted to speak to whom on which day, and which did."""
    wanted: dict[Wish, set[str]] = defaultdict(set)
    sent: dict[Wish, set[str]] = defaultdict(set)
    for box in found.ledger.boxes:
        if box.sop and box.purpose == "touch" and box.part == 0 and not box.in_group:
            wanted[box.subject_id, found.day(box.created_at)].add(box.sop)
    for box in found.left:
        if box.sop and box.purpose == "touch" and box.part == 0 and not box.in_group:
            wanted[box.subject_id, found.day(box.left_at or 0)].add(box.sop)
            sent[box.subject_id, found.day(box.left_at or 0)].add(box.sop)
    for hold in found.holds:  # steps that were put off before they came to words
        walk = found.walks.get(hold.walk_id or 0)
        if walk is not None and reason_of(hold.reason).key == "capped":
            wanted[walk.subject_id, found.day(hold.since)].add(walk.sop)
    return wanted, sent
