"""The SOPs of a workspace, and the older versions that somebody still walks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bot.language import Matcher, Pattern
from sop.actions import Match
from sop.conditions import many
from sop.definitions import Definitions
from sop.events import EventKind
from sop.sequences import Case, Enter, EnterOn, EnterStage, EnterTag, Sop
from sop.versions import as_data, digest, from_data
from storage import enrollments
from storage.store import Tx


@dataclass(frozen=True)
class Version:
    """One version of an SOP, ready to be walked."""

    sop: Sop
    digest: str
    words: tuple[str, ...] = ()
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def birthday(self) -> str:
        """The attribute its steps take a birthday from, or an empty string."""
        return next((step.birthday for step in self.sop.steps if step.birthday), "")

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """The definition as plain data, as it is kept."""
        return as_data(self.sop)

    def case(self, step: str, text: str) -> tuple[Case, tuple[str, ...]] | None:
        """The first case of the step's `reply` that the text matches, and what it found."""
        found = self._matcher.match(text)
        at = self.sop.step(step)
        if at is None or at.reply is None:
            return None
        for n, case in enumerate(at.reply.cases):
            heard = found.get(f"{step}:{n}")
            if heard is not None:
                return case, heard
        return None

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(list(self._patterns()), words=self.words, synonyms=self.synonyms)

    def _patterns(self) -> Iterator[Pattern]:
        for step in self.sop.steps:
            for n, case in enumerate(step.reply.cases if step.reply else ()):
                yield pattern(f"{step.id}:{n}", case.match)


def pattern(id_: str, match: Match) -> Pattern:
    """What the matcher looks for on behalf of a `match:`."""
    return Pattern(
        id=id_,
        any=many(match.any),
        all=many(match.all),
        none=many(match.none),
        regex=many(match.regex),
        like=many(match.like),
    )


class Sops:
    """Current versions by id, their ways in by event, older versions by digest."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self.current = {
            sop.id: Version(sop, digest(sop), definitions.words, definitions.synonyms)
            for sop in definitions.sops
        }
        self._known = {version.digest: version for version in self.current.values()}
        self._ways: dict[EventKind, list[tuple[Version, Enter]]] = defaultdict(list)
        for version in self.current.values():
            for enter in version.sop.entries:
                kind = _opened_by(enter)
                if kind is not None:
                    self._ways[kind].append((version, enter))

        self._doors = Matcher(
            [
                pattern(f"{version.sop.id}:{n}", enter.match)
                for version in self.current.values()
                for n, enter in enumerate(version.sop.entries)
                if isinstance(enter, EnterOn) and enter.match is not None
            ],
            words=definitions.words,
            synonyms=definitions.synonyms,
        )

    def knocks(self, version: Version, way: Enter, text: str) -> bool:
        """Whether a message opens a way in that asks for words."""
        place = version.sop.entries.index(way)
        return f"{version.sop.id}:{place}" in self._doors.match(text)

    def ways(self, kind: EventKind) -> list[tuple[Version, Enter]]:
        """The ways in that an event of this kind may open."""
        return self._ways.get(kind, [])

    def version(self, tx: Tx, digest_: str) -> Version:
        """A version by digest, from the files or from the database."""
        if digest_ not in self._known:
            sop = from_data(enrollments.load_version(tx, digest_))
            self._known[digest_] = Version(
                sop, digest_, self._definitions.words, self._definitions.synonyms
            )
        return self._known[digest_]


def _opened_by(enter: Enter) -> EventKind | None:
    """The kind of event that opens a way in; None for those that the sweep opens."""
    match enter:
        case EnterOn():
            return enter.on
        case EnterTag():
            return EventKind.TAG_ADDED
        case EnterStage():
            return EventKind.STAGE_CHANGED
        case _:
            return None
