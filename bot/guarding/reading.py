"""From a message in a group to its signs: what it says, what it is, and who says it how often."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from bot.happening import Happening
from bot.language import Forbidden, advert_signs, normalise
from bot.remembered import remembered
from bot.workspace import Workspace
from sop.conditions import many
from sop.events import MessageType
from sop.guarding import Guard, Sign, SignKind
from storage.guarding import Standing

_TYPES = {
    MessageType.IMAGE: SignKind.PICTURE,
    MessageType.CONTACT: SignKind.CARD,
    MessageType.LINK: SignKind.SHARED,
    MessageType.MINI_PROGRAM: SignKind.SHARED,
    MessageType.CHAT_HISTORY: SignKind.SHARED,
}
_ONLY_OF_NEWCOMERS = frozenset({SignKind.PICTURE})
_COMPARED = 12  # shorter messages are alike without being the same
_ALIKE = 0.8  # the share of pairs of characters that two messages have in common
_AGAIN = 2  # earlier postings of the same, after which it is a flood
_LETTERS = re.compile(r"[\W_\d]+")


class Reader:
    """Reads messages as one guard does."""

    def __init__(self, workspace: Workspace, guard: Guard) -> None:
        self._guard = guard
        self._own = workspace.definitions.words
        self._links = tuple(link.casefold().lstrip(".") for link in many(guard.allow.links))
        self._signs = remembered(self._look)
        self._allowed = {normalise(word) for word in many(guard.allow.words)}

    @cached_property
    def _forbidden(self) -> Forbidden:
        """Built when the first message comes: it takes a moment."""
        return Forbidden(many(self._guard.words), many(self._guard.watch), known=self._own)

    def warm_up(self) -> None:
        """Load what the first message would load."""
        self.text("加微信，兼织日结")

    def text(self, text: str) -> list[Sign]:
        """The signs in the words alone."""
        return [*self._signs(text)]

    def _look(self, text: str) -> list[Sign]:
        found = [*self._forbidden.find(text), *advert_signs(text)]
        return [sign for sign in found if not self._is_allowed(sign)]

    def kind(self, type: MessageType, *, newcomer: bool) -> Iterator[Sign]:
        """The sign that the type of a message gives."""
        kind = _TYPES.get(type)
        if kind is not None and (newcomer or kind not in _ONLY_OF_NEWCOMERS):
            yield Sign(kind, "")

    def is_newcomer(self, h: Happening, standing: Standing | None) -> bool:
        """Whether this is the first message of somebody who came in lately."""
        return (
            standing is not None
            and standing.joined_at is not None
            and standing.messages <= 1
            and h.event.at - standing.joined_at <= self._guard.new_member
        )

    def repeats(self, h: Happening, before: Sequence[tuple[int, str]]) -> Iterator[Sign]:
        """Signs that the same was said before, here or in other groups."""
        said = _core(h.event.text)
        if len(said) < _COMPARED:
            return
        alike = [group for group, text in before if _alike(said, _core(text))]
        elsewhere = {group for group in alike if group != h.group_id}
        if elsewhere:
            yield Sign(SignKind.SPREAD, f"{len(elsewhere) + 1} 个群")
        if alike.count(h.group_id or 0) >= _AGAIN:
            yield Sign(SignKind.REPEATED, f"第 {alike.count(h.group_id or 0) + 1} 遍")

    def _is_allowed(self, sign: Sign) -> bool:
        if sign.kind is SignKind.LINK:
            return any(_leads_to(sign.found, host) for host in self._links)
        return normalise(sign.found) in self._allowed


def _leads_to(address: str, host: str) -> bool:
    """Whether a link leads to a host or below it; 别人.com/?u=我们.com does not."""
    rest = re.sub(r"^https?:/*", "", address.replace(" ", ""))
    name = re.split(r"[/?#:\\@]", rest, maxsplit=1)[0]
    return "@" not in rest.partition("/")[0] and (name == host or name.endswith(f".{host}"))


def _core(text: str) -> str:
    """What is left of a text without figures and marks, which repeated adverts vary."""
    return _LETTERS.sub("", normalise(text))


def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    if not 0.7 < len(one) / max(len(other), 1) < 1.4:
        return False
    mine, theirs = _pairs(one), _pairs(other)
    return len(mine & theirs) >= _ALIKE * len(mine | theirs)


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)}


def needs_history(text: str) -> bool:
    """Whether a message is long enough to be compared with earlier ones."""
    return len(text) >= _COMPARED
