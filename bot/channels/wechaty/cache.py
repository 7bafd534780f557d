"""What the gateway said about contacts and groups, until it says that this changed. Bounded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from bot.channels.wechaty.fetch import Unfetched
from bot.channels.wechaty.payloads import person, room
from sop.events import Person, Room

T = TypeVar("T")

CONTACT, ROOM, ROOM_MEMBER = 2, 3, 4  # dirty types of the wire


class Kept(Generic[T]):
    """A bounded store that fetches what it misses, once however many ask at the same time."""

    def __init__(self, fetch: Callable[[str], Awaitable[T]], *, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._known: OrderedDict[str, asyncio.Future[T]] = OrderedDict()

    async def get(self, key: str) -> T:
        """The value of `key`; raises what fetching it raises, and forgets the failure."""
        found = self._known.get(key)
        if found is None:
            found = asyncio.ensure_future(self._fetch(key))
            self._known[key] = found
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        try:
            return await asyncio.shield(found)
        except Exception:
            # A failed fetch must not stick; a newer one under the same key may.
            if self._known.get(key) is found:
                del self._known[key]
            raise

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def at_hand(self, key: str) -> bool:
        """Whether `get` would answer without waiting."""
        found = self._known.get(key)
        return found is not None and found.done()

    def drop(self, key: str) -> None:
        """Forget one; a fetch under way answers those who wait, and is not kept."""
        self._known.pop(key, None)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()


class Cache:
    """Contacts and groups by id."""

    def __init__(
        self,
        contact: Callable[[str], Awaitable[Any]],
        room: Callable[[str], Awaitable[Any]],
        *,
        contacts: int = 20_000,
        rooms: int = 5_000,
    ) -> None:
        """`contact` and `room` fetch the wire's payloads; both may raise `Unfetched`."""
        self.contacts = Kept(contact, size=contacts)
        self.rooms = Kept(room, size=rooms)
        self._says_friend = False

    async def person(self, id: str) -> Person:
        """Who this is, as far as the gateway says; never fails for a gateway's failure."""
        try:
            payload = await self.contacts.get(id)
        except Unfetched:
            return Person(external_id=id)
        return self.person_of(payload, id)

    def person_of(self, payload: Any, id: str) -> Person:
        """The Person of a contact payload that was asked for as `id`."""
        self._says_friend = self._says_friend or payload.friend
        found = person(payload, says_friend=self._says_friend)
        return found if found.external_id == id else _renumbered(found, id)

    async def room(self, id: str) -> Room:
        """What group this is, without members; never fails for a gateway's failure."""
        try:
            payload = await self.rooms.get(id)
        except Unfetched:
            return Room(external_id=id)
        found = room(payload)
        return found if found.external_id == id else Room(external_id=id, topic=found.topic)

    def invalidate(self, kind: object, id: str) -> None:
        """A `dirty` event: forget what changed; an unknown kind forgets the id everywhere."""
        if kind != ROOM and kind != ROOM_MEMBER:
            self.contacts.drop(id)
        if kind != CONTACT:
            self.rooms.drop(id)

    def clear(self) -> None:
        """Forget all: after an outage nobody knows what changed."""
        self.contacts.clear()
        self.rooms.clear()
        self._says_friend = False


def _renumbered(found: Person, id: str) -> Person:
    return Person(external_id=id, name=found.name, alias=found.alias, friend=found.friend)
