"""Where words begin and end: jieba's dictionary, read for every reasonable segmentation."""

import importlib
import re
import warnings
from collections.abc import Collection, Iterator
from functools import cache
from math import log
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick

from bot.language.lexicon import FALSE_NEGATIONS, NEGATIONS, SOFT_PREFIXES, STANCES, WORDS
from bot.language.normal import HAN

_KNOWN = 300
"""The weight, as a count in jieba's corpus of 60 million, of a word the operator vouches for."""

_SLACK = 1.0
"""How much less likely (in nats) than the best reading a reading may be and still be reasonable."""

_LONGEST = 16
"""Characters in the longest word of jieba's dictionary."""

_TIE = 1e-6
"""What sums of the same costs in another order may differ by."""

_IS_HAN = re.compile(f"[{HAN}]")
# What readers take as one piece outside Chinese: links, addresses, numbers with their marks, words.
_PIECE = re.compile(
    rf"https?://[!-~]+|[a-z0-9_.+-]{{1,64}}@[a-z0-9-]+(?:\.[a-z0-9-]+)+|\d+(?:[.,:]\d+)+"
    rf"|[^\W{HAN}]+(?:['_-][^\W{HAN}]+)*"
)


class _Dictionary(NamedTuple):
    """jieba's words with their counts in its corpus, and the sum of these."""

    counts: dict[str, int]
    total: int


@cache
def _dictionary() -> _Dictionary:
    """jieba's dictionary, read at the first doubt (a third of a second), shared, never changed.

    Its own `initialize` would drop a cache into the shared temporary folder and load it back
    from there unchecked, whoever wrote it; it also notes every beginning of a word, which takes
    three times as long to read and which looking up each length does without.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and pkg_resources, on newer Pythons
        module = importlib.import_module("jieba")
    with module.Tokenizer().get_dict_file() as file:
        fields = file.read().decode().split()  # word, count, part of speech
    counts = dict(zip(fields[::3], map(int, fields[1::3]), strict=True))
    return _Dictionary(counts, sum(counts.values()))


def load_dictionary() -> None:
    """Load jieba's dictionary now, so that the first message need not wait for it."""
    _dictionary()


def weight(word: str) -> float:
    """How rare a word is: minus the logarithm of its frequency in general Chinese."""
    counts, total = _dictionary()
    return log(total) - log(counts.get(word) or 1)


def frequency(word: str) -> float:
    """How often a word stands in general Chinese, 0 to 1."""
    counts, total = _dictionary()
    return (counts.get(word) or 1) / total


def _known_weight(word: str) -> float:
    return min(weight(word), log(_dictionary().total) - log(_KNOWN))


_Known = tuple[int, int, bool]
"""Start, end, and whether the word is the operator's own."""


class Vocabulary:
    """Words that the operator or the shop trade knows and jieba does not."""

    def __init__(self, words: Collection[str]) -> None:
        self._own = frozenset(words)
        self._all = sorted(self._own | WORDS)
        self._finder = AhoCorasick(self._all)

    def occurrences(self, text: str) -> Iterator[_Known]:
        for index, start, end in self._finder.find_matches_as_indexes(text, overlapping=True):
            yield start, end, self._all[index] in self._own


class Sentence:
    """One message under judgement; the costly reading waits for the first real doubt."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._text = text
        self._known = list(vocabulary.occurrences(text))
        # By position, as a hostile message may hold thousands of each.
        self._over: dict[int, list[_Known]] = {}
        for word in self._known:
            for position in range(word[0], word[1]):
                self._over.setdefault(position, []).append(word)
        self._cuts = {
            edge: match.group()
            for match in _PIECE.finditer(text)
            for edge in range(match.start() + 1, match.end())
        }
        self._reading: _Reading | None = None

    def cut(self) -> list[str]:
        """The words of the most likely reading."""
        return [self._text[start:end] for start, end in self._read().best]

    def stands(self, start: int, end: int) -> bool:
        """Whether a reader would see this span as words of their own."""
        if self._covered(start, end) or self._splits_piece(start, start):
            return False
        if self._splits_piece(end, end - 1):
            return False
        if self._refused(start, end):
            return False
        if not (self._inside_han(start) or self._inside_han(end)):
            return True
        return self._reasonable(start, end)

    def _covered(self, start: int, end: int) -> bool:
        return any(
            left <= start and end <= right and right - left > end - start
            for left, right, own in self._over.get(start, ())
            if own or end - start == 1 or self._negated_inside(left, right)
        )

    def _negated_inside(self, start: int, end: int) -> bool:
        return any(char in NEGATIONS for char in self._text[start:end])

    def _splits_piece(self, edge: int, inner: int) -> bool:
        """Whether the edge, whose character on the keyword's side is `inner`, cuts a piece."""
        if edge not in self._cuts:
            return False
        # iphone15 holds iphone, and 100ml holds ml; 1kg does not hold 1.
        outer = edge - 1 if inner == edge else edge
        letters = self._text[inner].isalpha() and self._text[outer].isdigit()
        return not (letters and self._cuts[edge].isalnum())

    def _refused(self, start: int, end: int) -> bool:
        """不想要 is no 想要, and 要不要 is a question: neither 要 nor 不要."""
        text, word = self._text, self._text[start:end]
        before, after = text[max(start - 2, 0) : start], text[end : end + 2]
        if word[0] in NEGATIONS and word[1:2] and before.endswith(word[1]):
            return True
        if word not in STANCES:
            return False
        denied = before[-1:] in NEGATIONS and before not in FALSE_NEGATIONS
        return denied or (after[:1] in NEGATIONS and after[1:] == word[0])

    def _inside_han(self, edge: int) -> bool:
        return 0 < edge < len(self._text) and all(
            _IS_HAN.match(char) for char in self._text[edge - 1 : edge + 1]
        )

    def _reasonable(self, start: int, end: int) -> bool:
        reading = self._read()
        holder = reading.holder(start, end)
        if end - start == 1:
            soft = holder == (end - 2, end) and self._text[end - 2] in SOFT_PREFIXES
            return soft or reading.excess(start, end, vouched=False) <= _TIE
        if holder and (holder[0] == start or holder[1] == end):
            # 价格表 and 优惠券 are still about 价格 and 优惠; 不要紧 is not about 不要.
            return holder == (start, end) or not self._negated_inside(*holder)
        return reading.excess(start, end, vouched=True) <= _SLACK

    def _read(self) -> "_Reading":
        if self._reading is None:
            self._reading = _Reading(self._text, self._known)
        return self._reading


class _Reading:
    """Every segmentation at once: the cheapest cost up to, and from, each position."""

    def __init__(self, text: str, known: list[_Known]) -> None:
        self._text = text
        self._arcs = _arcs(text, known)
        self._from, steps = _costs(self._arcs)
        self._until = _costs_until(self._arcs)
        self.best: list[tuple[int, int]] = []
        start = 0
        while start < len(text):
            self.best.append((start, steps[start]))
            start = steps[start]
        self._word_at = [word for word in self.best for _ in range(*word)]

    def excess(self, start: int, end: int, *, vouched: bool) -> float:
        """How much worse the best reading with both edges at word boundaries is than the best."""
        inside = _costs(
            [
                [(stop, cost) for stop, cost in arcs if stop <= end]
                for arcs in self._arcs[start:end]
            ],
            offset=start,
        )[0][0]
        if vouched:
            inside = min(inside, _known_weight(self._text[start:end]))
        return self._until[start] + inside + self._from[end] - self._from[0]

    def holder(self, start: int, end: int) -> tuple[int, int] | None:
        """The word of the best reading that wholly holds the span, if one does."""
        word = self._word_at[start]
        return word if end <= word[1] else None


_Arcs = list[list[tuple[int, float]]]


def _arcs(text: str, known: list[_Known]) -> _Arcs:
    """From each position, the ends of the words that may start there, with their costs."""
    counts, total = _dictionary()
    whole, arcs = log(total), list[list[tuple[int, float]]]()
    for start in range(len(text)):
        ends = range(start + 1, min(start + _LONGEST, len(text)) + 1)
        found = [(end, count) for end in ends if (count := counts.get(text[start:end]))]
        if not found or found[0][0] > start + 1:
            found.append((start + 1, 1))  # a character by itself is always a way out
        arcs.append([(end, whole - log(count)) for end, count in found])
    for start, end, _own in known:
        arcs[start].append((end, _known_weight(text[start:end])))
    return arcs


def _costs(arcs: _Arcs, offset: int = 0) -> tuple[list[float], list[int]]:
    """From each position, the cheapest cost to the end, and where the first word then ends."""
    costs, steps = [0.0] * (len(arcs) + 1), [0] * len(arcs)
    for start in range(len(arcs) - 1, -1, -1):
        costs[start], steps[start] = min(
            (cost + costs[end - offset], end) for end, cost in arcs[start]
        )
    return costs, steps


def _costs_until(arcs: _Arcs) -> list[float]:
    """The cheapest cost from the beginning to each position."""
    costs = [0.0] + [float("inf")] * len(arcs)
    for start, ways in enumerate(arcs):
        for end, cost in ways:
            costs[end] = min(costs[end], costs[start] + cost)
    return costs
