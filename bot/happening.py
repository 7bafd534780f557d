"""An event on its way through the heart, and the account it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sop.events import Event


@dataclass(frozen=True, slots=True)
class Me:
    """The account the events belong to."""

    id: int
    external_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event whose people and group are known by id. `depth` counts links of a chain of tags."""

    event: Event
    id: int
    contact_id: int | None
    group_id: int | None
    by_id: int | None = None
    matched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    depth: int = 0

    @property
    def conversation(self) -> int | None:
        """The group if it happened in one, else the contact."""
        return self.group_id if self.group_id is not None else self.contact_id
