"""Questions in other words: one index of what they ask, for `like` and for what people look up.

`find` says which questions mean about the same (the overlap of their words, the rarer the
weightier); `rank` orders all of them by BM25 over words, characters and pairs of characters.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log, sqrt

from ahocorasick_rs import AhoCorasick

from bot.language.lexicon import ASIDES, ASKING, SMALL_TALK
from bot.language.normal import normalise, tighten
from bot.language.words import Sentence, Vocabulary, frequency, weight

_ENOUGH = 0.72
"""The share of the weight that must be common; below it two questions are on different things."""

_MISSING, _EXTRA = 0.8, 0.25
"""A word of the question that the message lacks costs more than one that it has on top."""

_ASKING_WEIGHT = 6.0
_HEAVIEST = 12.0

_CANONICAL = {way: key for key, ways in ASKING.items() for way in ways}

_K1, _B = 1.2, 0.75
"""BM25's usual: how fast repetition stops counting, how much length does."""

_WORD, _PART = 2, 1
"""A word counts as much as two of the characters and pairs it is made of."""

_SUPPOSED = 60
"""So many questions of general Chinese stand beside the operator's, or with ten of their own the
rarest word would be whichever stands in one of them."""

_ABOUT_NOTHING = 0.3
"""What greetings, particles and ways of asking count, as part of one: 怎么 is in every question."""

Features = dict[str, float]
Terms = dict[str, float]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A question with how alike it is, 0 to 1; `covered` is the share of what was asked in it."""

    position: int
    score: float
    covered: float


class Questions:
    """The operators' questions, indexed by what they are about.

    `like` are the ones that `find` looks for; `others` are only ranked, behind them.
    """

    def __init__(
        self,
        like: Sequence[str],
        others: Sequence[str] = (),
        *,
        words: Collection[str] = (),
        synonyms: Mapping[str, Sequence[str]] = {},
    ) -> None:
        self.like = tuple(like)
        self._texts = [normalise(text) for text in (*like, *others)]
        self._same = dict(_CANONICAL)
        for key, variants in synonyms.items():
            self._same.update(dict.fromkeys(map(_key, variants), _key(key)))
        self._vocabulary = Vocabulary({*map(_key, words), *self._same} - {""})
        self._features = [self._weigh(text) for text in self._texts[: len(like)]]
        topics: dict[str, set[int]] = {}
        for position, features in enumerate(self._features):
            for word in _topics(features):
                topics.setdefault(word, set()).add(position)
        self._about = list(self._spellings(topics))
        self._finder = AhoCorasick([word for word, _ in self._about])

    def find(self, text: str) -> set[str]:
        """The questions of `like` that a normalised message asks in other words."""
        hits = self._finder.find_matches_as_indexes(text, overlapping=True)
        if not hits:
            return set()
        likely = set[int]().union(*(self._about[index][1] for index, _, _ in hits))
        said = self._weigh(text)
        return {self.like[n] for n in likely if _alike(self._features[n], said)}

    def rank(self, text: str, *, first: int = 0) -> list[Ranked]:
        """The questions from position `first` on that share anything with the text, best first."""
        asked = self._terms(normalise(text))
        whole = self._index.worth(asked)
        scores: dict[int, float] = defaultdict(float)
        for term in asked:
            for position, score in self._index.postings.get(term, ()):
                if position >= first:
                    scores[position] += score
        return [
            Ranked(n, score / sqrt(whole * self._index.selves[n]), min(1.0, score / whole))
            for n, score in sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        ]

    def empty(self, text: str) -> bool:
        """Whether nothing is left of a message without greetings, particles and asking."""
        words = self._words(normalise(text))
        return all(word in ASIDES or word in ASKING or word in SMALL_TALK for word in words)

    @cached_property
    def _index(self) -> "_Index":
        return _Index([self._terms(text) for text in self._texts])

    def _terms(self, text: str) -> Terms:
        """Words, characters and pairs, each with how much it stands for."""
        terms: Terms = defaultdict(float)
        chars: list[tuple[str, float]] = []
        for word in self._words(text):
            worth = _ABOUT_NOTHING if word in ASKING or word in ASIDES else 1.0
            terms[f"w{word}"] += _WORD * worth
            chars += [(char, worth) for char in word]
        for char, worth in chars:
            terms[f"c{char}"] += _PART * worth
        for (left, one), (right, other) in pairwise(chars):
            terms[f"p{left}{right}"] += _PART * min(one, other)
        return terms

    def _words(self, text: str) -> list[str]:
        cut = Sentence(tighten(text), self._vocabulary).cut()
        return [self._same.get(word, word) for word in cut if any(map(str.isalnum, word))]

    def _spellings(self, topics: Mapping[str, set[int]]) -> Iterator[tuple[str, set[int]]]:
        yield from topics.items()
        for variant, key in self._same.items():
            if key in topics:
                yield variant, topics[key]

    def _weigh(self, text: str) -> Features:
        """The words that matter; long and unknown ones by their pairs of characters too."""
        words = [self._same.get(word, word) for word in Sentence(text, self._vocabulary).cut()]
        words = [word for word in words if any(map(str.isalnum, word))]
        words = [word for word in words if word not in ASIDES] or words
        features = {
            word: _ASKING_WEIGHT if word in ASKING else min(weight(word), _HEAVIEST)
            for word in words
        }
        for pair in _pairs(words):
            features.setdefault(pair, _HEAVIEST / 2)
        return features


class _Index:
    """BM25 over bags of terms, each document's score with itself known, so that scores compare."""

    def __init__(self, documents: Sequence[Terms]) -> None:
        self._holders = Counter(term for document in documents for term in document)
        self._count = len(documents)
        total = sum(sum(document.values()) for document in documents)
        self._length = total / max(len(documents), 1) or 1.0
        self.postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self.selves: list[float] = []
        for position, document in enumerate(documents):
            shares = self._shares(document)
            self.selves.append(sum(shares.values()) or 1.0)
            for term, share in shares.items():
                self.postings[term].append((position, share))

    def worth(self, terms: Terms) -> float:
        """What a document that is just these terms would score for them."""
        return sum(self._shares(terms).values()) or 1.0

    def _shares(self, document: Terms) -> dict[str, float]:
        damping = _K1 * (1 - _B + _B * sum(document.values()) / self._length)
        return {
            term: self._rarity(term) * count * (_K1 + 1) / (count + damping)
            for term, count in document.items()
        }

    def _rarity(self, term: str) -> float:
        supposed = 0.0 if term[0] == "p" else _SUPPOSED * min(0.5, 10 * frequency(term[1:]))
        holders = self._holders[term] + supposed
        return log(1 + (self._count + _SUPPOSED - holders + 0.5) / (holders + 0.5))


def _key(word: str) -> str:
    return tighten(normalise(word))


def _pairs(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if len(word) > 2 and word not in ASKING and not word.isascii():
            yield from (word[i : i + 2] for i in range(len(word) - 1))
    for left, right in pairwise(words):
        if len(left) == len(right) == 1:
            yield left + right


def _topics(features: Features) -> list[str]:
    """What the question is about; of a question that only asks (怎么样?), all of it."""
    return [word for word in features if word not in ASKING] or list(features)


def _alike(asked: Features, said: Features) -> bool:
    common = sum(cost for word, cost in asked.items() if word in said)
    missing = sum(asked.values()) - common
    extra = sum(cost for word, cost in said.items() if word not in asked)
    total = common + _MISSING * missing + _EXTRA * extra
    return common > 0 and common >= _ENOUGH * total
