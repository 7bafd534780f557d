"""What the operator knows, ready to be asked: entries, their index, and what a message is after."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from bot.language import Questions
from bot.language.intent import Reader, Reading
from bot.remembered import remembered
from sop.answering import Guess, Ranking, fuse, sure, sure_of_both
from sop.knowledge import Entry

# WeChat puts what is quoted before the answer: 「小雨：…」, a line of dashes, the words.
_QUOTED = re.compile(r"「.*?」\s*\n[-－— ]{5,}\n", re.DOTALL)
_MENTION = re.compile(r"@[^\s\u2005@]{1,32}[\s\u2005]?")
MOST = 8  # guesses that are looked at


@dataclass(frozen=True)
class Knowledge:
    """The entries of one version of a workspace; `questions` ranks their wordings from `first`."""

    entries: tuple[Entry, ...]
    questions: Questions
    first: int
    reader: Reader

    @cached_property
    def by_id(self) -> dict[str, Entry]:
        """The entries by their ids."""
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def _owners(self) -> list[Entry]:
        return [entry for entry in self.entries for _ in entry.wordings]

    def warm_up(self) -> None:
        """Build what the first question would build, if there is anything to know."""
        if self.entries:
            self.questions.rank("")

    def rank(self, text: str, *, today: date) -> tuple[Guess, ...]:
        """The entries that may answer by their words, best first, of those that hold today."""
        best: dict[str, Guess] = {}
        for one in self.questions.rank(own_words(text), first=self.first):
            entry = self._owners[one.position - self.first]
            if entry.holds(today):
                best.setdefault(entry.id, Guess(entry.id, one.score, one.covered))
            if len(best) == MOST:
                break
        return tuple(best.values())

    def weigh(
        self, text: str, *, today: date, alike: Mapping[str, float] | None = None, how: str = ""
    ) -> Ranking:
        """What may answer: by words, and with `alike` (each entry's) by meaning too."""
        words = self.rank(text, today=today)
        if alike is None:
            return Ranking(words, sure(words), how)
        holding = {entry.id: alike.get(entry.id, 0.0) for entry in self.entries
                   if entry.holds(today)}  # fmt: skip
        fused = fuse(words, holding)[:MOST]
        return Ranking(fused, sure_of_both(words, fused), how)

    def read(self, text: str) -> Reading:
        """What a message is after, and in what mood."""
        return self._readings(text)

    @cached_property
    def _readings(self) -> Callable[[str], Reading]:
        return remembered(self._read)

    def _read(self, text: str) -> Reading:
        words = own_words(text)
        return self.reader.read(words, empty=self.questions.empty(words))

    def empty(self, text: str) -> bool:
        """Whether nothing is left of a message without greetings, particles and asking."""
        return self.questions.empty(own_words(text))


def own_words(text: str) -> str:
    """What somebody says themselves: without what they quote and whom they mention."""
    return _MENTION.sub(" ", _QUOTED.sub("", text)).strip()


def wordings(entries: Sequence[Entry]) -> list[str]:
    """All wordings of all entries, in order."""
    return [text for entry in entries for text in entry.wordings]
