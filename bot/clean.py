"""Making what a gateway reports fit to be stored: no NUL, no half characters.

PostgreSQL refuses U+0000 in text, and a surrogate without its other half cannot be written down at
all. One such message would otherwise be lost, or stop the bot.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sop.events import Event, Person, Room


def storable(text: str) -> str:
    """The text without NUL; halves of characters are joined, or replaced where one is missing."""
    text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean_event(event: Event) -> Event:
    """The event with every text in it storable."""
    return replace(
        event,
        external_id=storable(event.external_id),
        contact=event.contact and clean_person(event.contact),
        group=event.group and clean_room(event.group),
        text=storable(event.text),
        others=tuple(clean_person(person) for person in event.others),
        by=event.by and clean_person(event.by),
        data=_plain(event.data),
    )


def clean_person(person: Person) -> Person:
    """The person with every text storable."""
    return replace(
        person,
        external_id=storable(person.external_id),
        name=storable(person.name),
        alias=storable(person.alias),
    )


def clean_room(room: Room) -> Room:
    """The group with every text storable."""
    return replace(
        room,
        external_id=storable(room.external_id),
        topic=storable(room.topic),
        owner_id=storable(room.owner_id),
        members=tuple(clean_person(member) for member in room.members),
    )


def _plain(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(str(key)): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
