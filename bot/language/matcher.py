"""Which of the operators' patterns a message matches, at a cost that their number does not set."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick

from bot.language.normal import normalise, tighten
from bot.language.regex import Regexes
from bot.language.similar import Questions
from bot.language.words import Sentence, Vocabulary, load_dictionary


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a message must say.

    `any`, `regex` and `like` are alternatives: one hit among all of them is enough. `all` must all
    be there besides, `none` must all be absent. Only `none`: every other message matches.
    """

    id: str
    any: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    regex: tuple[str, ...] = ()
    like: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.any or self.all or self.none or self.regex or self.like):
            raise ValueError(f"匹配“{self.id}”里没有任何条件")


class _Found(NamedTuple):
    """What one message contains, each kind as the operators' own spellings."""

    keywords: Collection[str]
    regexes: Mapping[str, str]  # with the piece of the message that each found
    questions: Collection[str]


class Keywords:
    """Keywords and their synonyms, found in one pass and then judged word by word."""

    def __init__(
        self,
        keywords: Iterable[str],
        *,
        vocabulary: Vocabulary,
        synonyms: Mapping[str, Sequence[str]],
    ) -> None:
        means: dict[str, set[str]] = {}
        for keyword in keywords:
            key = _key(keyword)
            for spelling in (key, *synonyms.get(key, ())):
                if spelling:
                    means.setdefault(spelling, set()).add(keyword)
        self._means = list(means.values())
        self._vocabulary = vocabulary
        self._finder = AhoCorasick(list(means))

    def candidates(self, text: str) -> set[str]:
        """The keywords that occur as mere substrings."""
        hits = self._finder.find_matches_as_indexes(text, overlapping=True)
        return set[str]().union(*(self._means[index] for index, _, _ in hits))

    def find(self, text: str) -> set[str]:
        """The keywords that stand in the text as words."""
        hits = self._finder.find_matches_as_indexes(text, overlapping=True)
        found: set[str] = set()
        if hits:
            sentence = Sentence(text, self._vocabulary)
            for index, start, end in hits:
                means = self._means[index]
                if not means <= found and sentence.stands(start, end):
                    found |= means
        return found


class Matcher:
    """All patterns of a workspace, built once per edit of its files.

    `words` are longer words that hide the keywords inside them. `synonyms` maps a keyword to
    other spellings that count as it; the reverse does not hold. `questions` is an index that knows
    the questions of `like` and more; without it, one of its own is built.
    """

    def __init__(
        self,
        patterns: Iterable[Pattern],
        *,
        words: Collection[str] = (),
        synonyms: Mapping[str, Sequence[str]] = {},
        questions: Questions | None = None,
    ) -> None:
        self._patterns = tuple(patterns)
        own = {_key(word) for word in words} - {""}
        same = {_key(key): [_key(other) for other in others] for key, others in synonyms.items()}
        keywords = {
            word for pattern in self._patterns for word in pattern.any + pattern.all + pattern.none
        }
        self._keywords = Keywords(keywords, vocabulary=Vocabulary(own), synonyms=same)
        self._regexes = tuple({text for pattern in self._patterns for text in pattern.regex})
        asked = tuple({text for pattern in self._patterns for text in pattern.like})
        self._regex_index = Regexes(self._regexes) if self._regexes else None
        if asked and questions is None:
            questions = Questions(asked, words=own, synonyms=same)
        self._question_index = questions if asked else None
        self._index()

    def warm_up(self) -> None:
        """Load what the first match would load, if any could need it (a second or two)."""
        if any(p.any or p.all or p.none or p.like for p in self._patterns):
            load_dictionary()

    def match(self, text: str) -> dict[str, tuple[str, ...]]:
        """The ids of the patterns that match, each with what fired.

        Keywords and questions come as the operator wrote them; a regex, which few can read, as the
        piece of the message it found.
        """
        text = normalise(text)
        if not text:
            return {}
        found = self._find(text)
        if not (self._always or any(found)):
            return {}
        concerned = set(self._always)
        for index, hits in zip(self._by, found, strict=True):
            for hit in hits:
                concerned.update(index.get(hit, ()))
        matched: dict[str, tuple[str, ...]] = {}
        for position in sorted(concerned):
            pattern = self._patterns[position]
            fired = _evidence(pattern, found)
            if fired is not None:
                matched[pattern.id] = fired
        return matched

    def _find(self, text: str) -> _Found:
        regexes: Mapping[str, str] = {}
        questions: Collection[str] = ()
        if self._regex_index:
            hits = self._regex_index.find(text)
            regexes = {self._regexes[index]: piece for index, piece in hits.items()}
        if self._question_index:
            questions = self._question_index.find(text)
        return _Found(self._keywords.find(tighten(text)), regexes, questions)

    def _index(self) -> None:
        """Note for each keyword, regex and question the patterns it could make match."""
        self._by: tuple[dict[str, list[int]], ...] = ({}, {}, {})
        self._always: list[int] = []
        for position, pattern in enumerate(self._patterns):
            triggers = _triggers(pattern)
            if not any(triggers):
                self._always.append(position)
            for index, texts in zip(self._by, triggers, strict=True):
                for text in texts:
                    index.setdefault(text, []).append(position)


def _key(keyword: str) -> str:
    return tighten(normalise(keyword))


def _triggers(pattern: Pattern) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """Without at least one of these in it, a message cannot match."""
    if pattern.any or pattern.regex or pattern.like:
        return pattern.any, pattern.regex, pattern.like
    # The longest of those that must all be there is most likely the rarest.
    return [max(pattern.all, key=len)] if pattern.all else (), (), ()


def _evidence(pattern: Pattern, found: _Found) -> tuple[str, ...] | None:
    if any(word in found.keywords for word in pattern.none):
        return None
    if not all(word in found.keywords for word in pattern.all):
        return None
    fired = (
        *(word for word in pattern.any if word in found.keywords),
        *(found.regexes[text] for text in pattern.regex if text in found.regexes),
        *(text for text in pattern.like if text in found.questions),
    )
    if not fired and (pattern.any or pattern.regex or pattern.like):
        return None
    return (*fired, *pattern.all)
