"""Finding the right answer: hits, and how many are answered, wrongly or where nothing is known.

SIYU_FAQ names a folder with `*_entries.jsonl` and `*_queries.jsonl` (docs/answers.md); without it
only the shop of the tests is measured. SIYU_EMBEDDINGS, an OpenAI-compatible address with `#` and
the name of a model, measures words and meaning together as well; SIYU_EMBEDDINGS_KEY is its key.
"""

import asyncio
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench import Row
from bot.language import Questions
from bot.llm import OpenAIEmbedder
from bot.meaning import COMMON, Vector, likeness
from sop.answering import BOTH, Guess, Thresholds, fuse, sure, sure_of_both
from sop.answers import EmbeddingSettings

SHOP = Path(__file__).parents[1] / "tests/bot/shop_faq.yaml"
ENGLISH = SHOP.with_name("shop_faq_english.yaml")
SHOP_SIZE, DRAWS = 40, 20
CURVE = tuple(Thresholds(score, 0.15) for score in (0.35, 0.4, 0.45, 0.5, 0.55, 0.6))
LEADS = tuple(Thresholds(BOTH.score, lead) for lead in (0.15, 0.2, 0.25, 0.3, 0.35))
Vectors = dict[str, Vector]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, and the entry that answers it; None when none does.

    `guesses` go by words; `fused`, where there are vectors, by words and meaning.
    """

    gold: str | None
    guesses: tuple[Guess, ...]
    fused: tuple[Guess, ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """Of what could be answered: how much was, how much of that wrongly. And what was declined."""

    answered: float
    wrong: float
    declined: float


class Book:
    """Entries with their wordings, to be asked."""

    def __init__(
        self, entries: Iterable[tuple[str, Sequence[str]]], vectors: Vectors | None = None
    ) -> None:
        pairs = [(name, text) for name, texts in entries for text in texts]
        self._names = [name for name, _ in pairs]
        self._index = Questions((), [text for _, text in pairs])
        self._vectors = vectors or {}
        self._meant = [(name, vectors[text]) for name, text in pairs] if vectors else []
        self._common = [vectors[text] for text in COMMON] if vectors else []

    def ask(self, text: str) -> tuple[Guess, ...]:
        """The entries, best first, by their words."""
        best: dict[str, Guess] = {}
        for one in self._index.rank(text):
            name = self._names[one.position]
            best.setdefault(name, Guess(name, one.score, one.covered))
        return tuple(best.values())

    def asked(self, gold: str | None, text: str) -> Asked:
        """A question with what comes of it."""
        words = self.ask(text)
        if not self._vectors:
            return Asked(gold, words)
        return Asked(gold, words, fuse(words, likeness(self._vectors[text], self._meant,
                                                       self._common)))  # fmt: skip


def shop(vectors: Vectors | None = None, file: Path = SHOP) -> tuple[list[Asked], Book]:
    """The shop of the tests, or the one in another file."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    book = Book(data["entries"].items(), vectors)
    known = [book.asked(name, t) for name, texts in data["queries"].items() for t in texts]
    return known + [book.asked(None, text) for text in data["unknown"]], book


def hits(asked: Iterable[Asked], *, first: int) -> float:
    """How often the right entry is among the `first` guesses."""
    known = [one for one in asked if one.gold is not None]
    return sum(one.gold in [g.entry for g in one.guesses[:first]] for one in known) / len(known)


def shares(asked: Iterable[Asked], thresholds: Thresholds) -> Shares:
    """What these thresholds answer by words alone."""
    return _shares([(one.gold, sure(one.guesses, thresholds)) for one in asked])


def shares_of_both(asked: Iterable[Asked], thresholds: Thresholds) -> Shares:
    """What words alone, and else both together, answer."""
    return _shares([(one.gold, sure_of_both(one.guesses, one.fused, thresholds)) for one in asked])


def _shares(told: Sequence[tuple[str | None, Guess | None]]) -> Shares:
    known = [(gold, guess) for gold, guess in told if gold is not None]
    unknown = [guess for gold, guess in told if gold is None]
    answered = [(gold, guess) for gold, guess in known if guess is not None]
    wrong = sum(guess.entry != gold for gold, guess in answered)
    declined = sum(guess is None for guess in unknown)
    return Shares(
        len(answered) / len(known),
        wrong / max(len(answered), 1),
        declined / max(len(unknown), 1),
    )


def _folder() -> tuple[dict[str, list[str]], list[tuple[str, str]]] | None:
    place = os.environ.get("SIYU_FAQ")
    if not place:
        return None
    found = [sorted(Path(place).glob(f"*_{kind}.jsonl")) for kind in ("entries", "queries")]
    entries, queries = (
        [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
        for paths in found
    )
    return (
        {one["id"]: [one["question"], *one["similar"]] for one in entries},
        [(one["query"], one["gold"]) for one in queries],
    )


def everything(
    entries: dict[str, list[str]], queries: list[tuple[str, str]], vectors: Vectors | None
) -> list[Asked]:
    """Every query against all entries, and again with its own entry left out."""
    book = Book(entries.items(), vectors)
    asked = [book.asked(gold, text) for text, gold in queries]
    return asked + [
        Asked(
            None,
            tuple(guess for guess in one.guesses if guess.entry != one.gold),
            tuple(guess for guess in one.fused if guess.entry != one.gold),
        )
        for one in asked
    ]


def small_shops(
    entries: dict[str, list[str]],
    queries: list[tuple[str, str]],
    vectors: Vectors | None,
    *,
    seed: int,
) -> list[Asked]:
    """Shops of forty entries drawn from all, asked what they know and as much that they do not."""
    dice = random.Random(seed)  # noqa: S311
    asked: list[Asked] = []
    for _ in range(DRAWS):
        drawn = dice.sample(queries, 2 * SHOP_SIZE)
        stocked = {gold for _, gold in drawn[:SHOP_SIZE]}
        book = Book(((name, entries[name]) for name in sorted(stocked)), vectors)
        asked += [book.asked(g if g in stocked else None, text) for text, g in drawn]
    return asked


def _curve(name: str, asked: list[Asked]) -> list[Row]:
    curves = [(f"sure from {one.score:.2f}", shares(asked, one)) for one in CURVE]
    if any(one.fused for one in asked):
        curves += [
            (f"with meaning, lead {one.lead:.2f}", shares_of_both(asked, one)) for one in LEADS
        ]
    return [
        (
            f"{name}: {label}",
            f"{found.answered:.3f} answered",
            f"{found.wrong:.3f} of it wrong, {found.declined:.3f} of the unknown declined",
        )
        for label, found in curves
    ]


def _hits(name: str, asked: list[Asked], remark: str) -> list[Row]:
    rows = [(f"{name}: hit@{n}", f"{hits(asked, first=n):.3f}", remark) for n in (1, 5)]
    if any(one.fused for one in asked):
        both = [Asked(one.gold, one.fused) for one in asked]
        rows += [
            (f"{name}: hit@{n}, with meaning", f"{hits(both, first=n):.3f}", remark) for n in (1, 5)
        ]
    return rows


def _vectors(texts: Iterable[str]) -> Vectors | None:
    place, _, model = os.environ.get("SIYU_EMBEDDINGS", "").partition("#")
    if not place:
        return None
    settings = EmbeddingSettings(
        url=place, name=model, key=os.environ.get("SIYU_EMBEDDINGS_KEY", ""), timeout="60s"
    )
    wanted = list(dict.fromkeys([*texts, *COMMON]))

    async def ask() -> Vectors:
        embedder, out = OpenAIEmbedder(settings), Vectors()
        for start in range(0, len(wanted), 8):
            batch = wanted[start : start + 8]
            out |= dict(zip(batch, await embedder.embed(batch), strict=True))
        await embedder.close()
        return out

    return asyncio.run(ask())


def _texts_of_shops() -> Iterator[str]:
    for file in (SHOP, ENGLISH):
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        for group in (*data["entries"].values(), *data["queries"].values(), data["unknown"]):
            yield from group


def main() -> list[Row]:
    given = _folder()
    entries, queries = given or ({}, [])
    texts = [text for group in entries.values() for text in group] + [text for text, _ in queries]
    vectors = _vectors([*_texts_of_shops(), *texts])
    ours, _ = shop(vectors)
    rows = [*_hits("shop", ours, "tests/bot/shop_faq.yaml"), *_curve("shop", ours)]
    if vectors:
        rows += _hits("shop in English", shop(vectors, ENGLISH)[0], ENGLISH.name)
    if given is None:
        return [*rows, ("SIYU_FAQ", "not set", "a folder with *_entries.jsonl, *_queries.jsonl")]
    every = everything(entries, queries, vectors)
    half: dict[str, Callable[[], list[Asked]]] = {
        "chosen on": lambda: small_shops(entries, queries[::2], vectors, seed=1),
        "reported on": lambda: small_shops(entries, queries[1::2], vectors, seed=2),
    }
    rows += _hits("all", every[: len(queries)], f"{len(entries):,} entries, {len(queries):,} asked")
    rows += _curve("all", every)
    for name, draw in half.items():
        rows += _curve(f"shops of {SHOP_SIZE}, {name}", draw())
    return rows
