"""What simulated people ask: from the knowledge, in its words or around them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from bot.rehearsal.cast import Act, Cast, Part, Times, awake
from sop.knowledge import Entry
from sop.times import DAY, MINUTE

_AROUND = ("{}，那另一种呢", "我朋友说的{}是怎么回事呀", "{}和别家比怎么样")


def ask_around(cast: Cast, entries: Sequence[Entry], times: Times, *, seed: int) -> None:
    """Give those who ask (`asks:`) their questions, from dice of their own."""
    wordings = [text for entry in entries for text in entry.wordings]
    for part in cast.parts if wordings else ():
        if part.persona.asks:
            asked = _questions(part, wordings, times, seed)
            part.acts = tuple(sorted([*part.acts, *asked], key=lambda act: act.at))


def _questions(part: Part, wordings: Sequence[str], times: Times, seed: int) -> list[Act]:
    dice = Random(f"{seed}/{part.number}/asks")  # noqa: S311
    ends = times.end if part.silent_at is None else part.silent_at
    acts: list[Act] = []
    for day in range((part.began_at - times.start) // DAY, times.days):
        moment = times.start + timedelta(days=day) // timedelta(milliseconds=1)
        at = awake(moment + dice.randrange(8 * 60, 22 * 60) * MINUTE, times, dice)
        asks, text = dice.random() < part.persona.asks, dice.choice(wordings)
        if dice.random() < 0.5:
            text = dice.choice(_AROUND).format(text[: max(2, len(text) // 2)])
        if asks and part.began_at < at < ends:
            acts.append(Act(at, "say", text))
    return acts
