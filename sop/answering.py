"""How sure is sure enough: from guesses, best first, to what may be said. Pure.

The thresholds were chosen on one half of a public set of questions and measured on the other
(docs/answers.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Thresholds(NamedTuple):
    """From which score on a guess is sure, and by how much it must lead the next entry."""

    score: float
    lead: float


SURE = Thresholds(0.45, 0.15)
BOTH = Thresholds(0.45, 0.30)
MEANING = 0.3
"""How much of a score is meaning, where embeddings are configured; the rest is words."""

PERHAPS = 0.25
"""A guess below this is no guess: it is neither shown to an operator nor to a model."""

NEAR = 0.35
"""What is so near an entry waits for an answer, though it may not sound like a question."""

SHOWN = 3
"""How many guesses an operator gets, and how many entries a model reads."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What may answer a question: the guesses to show, best first, and the one that is sure.

    `how` says on what it rests besides the words; empty where there is nothing to say.
    """

    guesses: tuple[Guess, ...]
    best: Guess | None
    how: str = ""


@dataclass(frozen=True, slots=True)
class Guess:
    """An entry that may answer: how alike the wording is, and how much of the question is in it."""

    entry: str
    score: float
    covered: float


def sure(guesses: Sequence[Guess], thresholds: Thresholds = SURE) -> Guess | None:
    """The first guess, if it is alike enough and ahead enough."""
    if not guesses or guesses[0].score < thresholds.score:
        return None
    ahead = guesses[0].covered - (guesses[1].covered if len(guesses) > 1 else 0.0)
    return guesses[0] if ahead >= thresholds.lead else None


def fuse(words: Sequence[Guess], alike: Mapping[str, float]) -> tuple[Guess, ...]:
    """Guesses by words and likeness in meaning (0 to 1, each entry's) as one list, best first.

    A weighted sum, which does better than a fusion of ranks when both are on one scale (Bruch, Gai
    and Ingber 2023, arXiv:2210.11934); so a score goes on meaning what it means by words alone.
    """
    by_words = {guess.entry: guess for guess in words}
    nothing = Guess("", 0.0, 0.0)
    fused = [
        Guess(entry, _between(found.score, meant), _between(found.covered, meant))
        for entry in by_words.keys() | alike.keys()
        for found, meant in [(by_words.get(entry, nothing), alike.get(entry, 0.0))]
    ]
    found = [guess for guess in fused if guess.score > 0]
    return tuple(sorted(found, key=lambda guess: (-guess.covered, guess.entry)))


def _between(by_words: float, meant: float) -> float:
    return (1 - MEANING) * by_words + MEANING * meant


def sure_of_both(
    words: Sequence[Guess], fused: Sequence[Guess], thresholds: Thresholds = BOTH
) -> Guess | None:
    """The guess to answer with: by its words alone; else by both, if the words put it first too.

    So embeddings of a poor model cost nothing that is sure without them.
    """
    if by_words := sure(words):
        return by_words
    both = sure(fused, thresholds)
    return both if both and words and words[0].entry == both.entry else None


def waits(guesses: Sequence[Guess], *, asks: bool) -> bool:
    """Whether somebody waits for an answer: they ask, or speak of what we know."""
    return asks or (bool(guesses) and guesses[0].score >= NEAR)


def likely(guesses: Sequence[Guess]) -> tuple[Guess, ...]:
    """The guesses worth showing."""
    return tuple(guess for guess in guesses if guess.score >= PERHAPS)[:SHOWN]
