"""What people asked that the knowledge does not answer, alike questions together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.knowledge import Knowledge
from bot.language import Questions
from storage.questions import Asked

ALIKE = 0.4
MOST = 2_000  # questions that are looked at, the newest


@dataclass(slots=True)
class Gap:
    """Questions that ask about the same, the newest first; `nearest` is an entry and its score.

    `chosen` is the entry that operators sent for it most, if they did.
    """

    asked: list[Asked]
    nearest: tuple[str, float] | None = None
    chosen: str = ""
    people: int = field(default=0)


def gaps(asked: Sequence[Asked], knowledge: Knowledge) -> list[Gap]:
    """The gaps, those that most people fell into first."""
    asked = asked[:MOST]
    index = Questions((), [one.text for one in asked])
    leaders: dict[int, Gap] = {}
    for n, one in enumerate(asked):
        leader = next(
            (r.position for r in index.rank(one.text) if r.position in leaders
             and r.score >= ALIKE),
            None,
        )  # fmt: skip
        if leader is None:
            leaders[n] = Gap([one])
        else:
            leaders[leader].asked.append(one)
    for gap in leaders.values():
        _describe(gap, knowledge)
    return sorted(leaders.values(), key=lambda gap: (-gap.people, -gap.asked[0].at))


def _describe(gap: Gap, knowledge: Knowledge) -> None:
    gap.people = len({one.contact_id for one in gap.asked})
    near = Counter(entry for one in gap.asked for _, entry, _ in one.guesses[:1])
    best = next((entry for entry, _ in near.most_common(1) if entry in knowledge.by_id), "")
    if best:
        scores = [s for one in gap.asked for _, entry, s in one.guesses[:1] if entry == best]
        gap.nearest = (best, max(scores))
    chosen = Counter(one.entry for one in gap.asked if one.who == "operator")
    gap.chosen = next((entry for entry, _ in chosen.most_common(1)), "")
