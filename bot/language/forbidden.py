"""The words that an operator forbids, as they stand, and as people write them to get through."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from bot.language.disguise import Homophones, joined, unmask
from bot.language.matcher import Keywords
from bot.language.normal import normalise, tighten
from bot.language.words import Vocabulary
from sop.guarding import Sign, SignKind


class Forbidden:
    """Forbidden and suspicious words, found on words and not inside of others.

    `known` are longer words that hide them. What only sounds like a forbidden word, or stands in
    pieces, is a sign of its own and no proof.
    """

    def __init__(
        self, words: Sequence[str], watched: Sequence[str] = (), *, known: Collection[str] = ()
    ) -> None:
        vocabulary = Vocabulary({tighten(normalise(word)) for word in known} - {""})
        self._words = Keywords(words, vocabulary=vocabulary, synonyms={})
        self._watched = Keywords(watched, vocabulary=vocabulary, synonyms={})
        self._sounds = Homophones((tighten(normalise(word)) for word in words), known=known)

    def find(self, text: str) -> Iterator[Sign]:
        """The signs that these words give."""
        plain = unmask(text)
        found = self._words.find(plain)
        yield from (Sign(SignKind.WORD, word) for word in sorted(found))
        yield from (Sign(SignKind.WATCHED, word) for word in sorted(self._watched.find(plain)))
        hidden = self._words.find(joined(plain)) - found
        yield from (Sign(SignKind.DISGUISED, word) for word in sorted(hidden))
        for word, piece in self._sounds.find(plain).items():
            if word not in found | hidden:
                yield Sign(SignKind.DISGUISED, f"{piece}（{word}）")
