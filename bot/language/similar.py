"""Similar questions: overlap of their words, the rarer the weightier."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from ahocorasick_rs import AhoCorasick

from bot.language.lexicon import ASIDES, ASKING
from bot.language.words import Sentence, Vocabulary, weight

_ENOUGH = 0.72
"""The share of the weight that must be common; below it two questions are on different things."""

_MISSING, _EXTRA = 0.8, 0.25
"""A word of the question that the message lacks costs more than one that it has on top."""

_ASKING_WEIGHT = 6.0
_HEAVIEST = 12.0

_CANONICAL = {way: key for key, ways in ASKING.items() for way in ways}

Features = dict[str, float]


class Questions:
    """The example questions, indexed by what they are about."""

    def __init__(
        self,
        questions: Sequence[str],
        words: Collection[str],
        synonyms: Mapping[str, Sequence[str]],
    ) -> None:
        self._same = dict(_CANONICAL)
        for key, variants in synonyms.items():
            self._same.update(dict.fromkeys(variants, key))
        self._vocabulary = Vocabulary({*words, *self._same})
        self._features = [self._weigh(question) for question in questions]
        topics: dict[str, set[int]] = {}
        for position, features in enumerate(self._features):
            for word in _topics(features):
                topics.setdefault(word, set()).add(position)
        self._about = list(self._spellings(topics))
        self._finder = AhoCorasick([word for word, _ in self._about])

    def find(self, text: str) -> set[int]:
        """The positions of the questions that the message asks in other words."""
        hits = self._finder.find_matches_as_indexes(text, overlapping=True)
        if not hits:
            return set()
        likely = set[int]().union(*(self._about[index][1] for index, _, _ in hits))
        said = self._weigh(text)
        return {position for position in likely if _alike(self._features[position], said)}

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
