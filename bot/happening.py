"""An event on its way through the heart, and the account it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sop.events import Event, EventKind
from storage import events as facts
from storage.stages import StageMove
from storage.store import Tx


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


def stage_happening(tx: Tx, move: StageMove, now: int) -> Happening:
    """A contact's move to another stage as an event of now, ms UTC."""
    event = Event(
        kind=EventKind.STAGE_CHANGED,
        at=now,
        external_id="",
        text=move.after,
        data={"stage": move.after, "from": move.before},
    )
    return Happening(event=event, id=tx.new_id(), contact_id=move.contact_id, group_id=None)


def row_of(h: Happening) -> facts.NewEvent:
    """The happening as it is recorded."""
    event = h.event
    data = dict(event.data)
    if h.by_id is not None:
        data["by"] = h.by_id
    return facts.NewEvent(
        id=h.id,
        kind=event.kind,
        at=event.at,
        contact_id=h.contact_id,
        group_id=h.group_id,
        external_id=event.external_id or None,
        type=event.type.value if event.kind is EventKind.MESSAGE else "",
        text=event.text,
        from_self=event.from_self,
        data=data,
    )
