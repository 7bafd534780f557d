"""What a message is after and in what mood, by its words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bot.language.lexicon import CALLS
from bot.language.matcher import Matcher, Pattern

_RANK = ("投诉", "意向", "咨询")
_MOODS = ("差", "好")


@dataclass(frozen=True, slots=True)
class Reading:
    """What somebody is after (咨询, 意向, 投诉 or 闲聊), their mood (好, 差, or none to speak of).

    `words` are what told; none for 闲聊, which is what is left. `mood_words` tell the mood.
    """

    intent: str
    mood: str
    words: tuple[str, ...] = ()
    mood_words: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether somebody waits for an answer."""
        return self.intent != "闲聊"


class Reader:
    """Reads messages by the built-in words and the operator's own (`reading:`)."""

    def __init__(
        self,
        own: Mapping[str, Sequence[str]],
        *,
        words: Collection[str] = (),
        synonyms: Mapping[str, Sequence[str]] = {},
    ) -> None:
        patterns = [
            Pattern(id=name, any=(*calls.any, *own.get(name, ())), regex=calls.regex)
            for name, calls in CALLS.items()
        ]
        chat = own.get("闲聊", ())
        if chat:
            patterns.append(Pattern(id="闲聊", any=tuple(chat)))
        self._matcher = Matcher(patterns, words=words, synonyms=synonyms)

    def read(self, text: str, *, empty: bool) -> Reading:
        """What a message says; `empty`: it holds nothing but greetings and particles."""
        found = self._matcher.match(text)
        mood = next((name for name in _MOODS if name in found), "")
        for name in _RANK:
            told = found.get(name, ())
            if told and not (name == "咨询" and (empty or "闲聊" in found)):
                return Reading(name, mood, tuple(dict.fromkeys(told)), found.get(mood, ()))
        return Reading("闲聊", mood, mood_words=found.get(mood, ()))
