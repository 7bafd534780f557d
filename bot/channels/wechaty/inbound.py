"""From a gateway's event to ours: look up what the payload only names, then translate."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.channels.wechaty import payloads
from bot.channels.wechaty.cache import Cache
from bot.channels.wechaty.fetch import Unfetched, fetch
from bot.channels.wechaty.link import Link
from bot.channels.wechaty.payloads import Scene
from bot.channels.wechaty.wire import puppet_pb2 as pb
from sop.events import Event, MessageType, Person, Room

log = logging.getLogger(__name__)

Resolve = Callable[[], Awaitable[list[Event]]]


class Inbound:
    """Resolves events of one account. Every method is tolerant: what cannot be had is left out."""

    def __init__(
        self,
        link: Link,
        *,
        now: Callable[[], int],
        self_id: str,
        lost: Callable[[str], Awaitable[None]],
        by_plugin: Callable[[Any], Awaitable[bool]],
    ) -> None:
        """`lost` hears which event had to be given up; `by_plugin` judges echoes."""
        self.self_id = self_id
        self.cache = Cache(self._asker("ContactPayload"), self._asker("RoomPayload"))
        self._link = link
        self._now = now
        self._lost = lost
        self._by_plugin = by_plugin

    def _asker(self, method: str) -> Callable[[str], Awaitable[Any]]:
        return lambda id: fetch(self._link, method, pb.IdRequest(id=id))

    async def safely(self, resolve: Resolve, what: str) -> list[Event]:
        """Resolve one event; a payload odd enough to break us costs that event and no other."""
        try:
            return await resolve()
        except Exception:
            log.exception("%s could not be understood", what)
            await self._lost(what)
            return []

    async def message(self, id: str) -> list[Event]:
        """A message event."""
        try:
            payload = await fetch(self._link, "MessagePayload", pb.IdRequest(id=id))
        except Unfetched as failure:
            log.warning("message %s could not be fetched: %s", id, failure)
            await self._lost(f"message {id}")
            return []
        payload.id = payload.id or id
        contact = payloads.about(payload, self_id=self.self_id)
        if self._at_hand(contact, payload.room_id):
            scene = await self._scene(contact, payload.room_id)
            extra, text = await self._attachment(payload)
            official = await self._official(contact)
        else:
            # Side by side, so that a gateway that hangs costs its deadline twice, not five times.
            scene, (extra, text), official = await asyncio.gather(
                self._scene(contact, payload.room_id),
                self._attachment(payload),
                self._official(contact),
            )
        if payloads.sent_by_self(payload, self_id=self.self_id) and await self._by_plugin(payload):
            extra["by_plugin"] = True
        if official:
            extra["official"] = True
        return [payloads.message(payload, scene, extra=extra, text=text)]

    async def _scene(self, contact: str, group: str) -> Scene:
        # Our own name is only needed to find us mentioned in a group's text.
        us = self.self_id if group else ""
        if self._at_hand(contact, group):
            person, room = await self._person(contact), await self._room(group)
            own = await self._person(us)
        else:
            person, room, own = await asyncio.gather(
                self._person(contact), self._room(group), self._person(us)
            )
        return Scene(
            now=self._now(),
            self_id=self.self_id,
            self_name=own.name if own else "",
            contact=person,
            group=room,
        )

    def _at_hand(self, contact: str, group: str) -> bool:
        """Whether a scene can be set without asking the gateway, and so without tasks."""
        ids = (contact, self.self_id) if group else (contact,)
        known = all(self.cache.contacts.at_hand(id) for id in ids if id)
        return known and (not group or self.cache.rooms.at_hand(group))

    async def _person(self, id: str) -> Person | None:
        return await self.cache.person(id) if id else None

    async def _room(self, id: str) -> Room | None:
        return await self.cache.room(id) if id else None

    async def _official(self, contact: str) -> bool:
        try:
            known = await self.cache.contacts.get(contact) if contact else None
        except Unfetched:
            return False
        return known is not None and known.type == payloads.OFFICIAL

    async def _attachment(self, payload: Any) -> tuple[dict[str, Any], str | None]:
        """What a card holds, as data, and the words that stand for it."""
        request = pb.IdRequest(id=payload.id)
        try:
            match payloads.MESSAGE_TYPES.get(payload.type):
                case MessageType.LINK:
                    link = (await fetch(self._link, "MessageUrl", request)).url_link
                    return _link(link), f"{link.title} {link.url}".strip()
                case MessageType.MINI_PROGRAM:
                    mini = (await fetch(self._link, "MessageMiniProgram", request)).mini_program
                    return _mini_program(mini), mini.title
                case MessageType.CONTACT:
                    card = await fetch(self._link, "MessageContact", request)
                    return {"contact_id": card.id} if card.id else {}, None
        except Unfetched as failure:
            log.warning("attachment of message %s left out: %s", payload.id, failure)
        return {}, None

    async def friendship(self, id: str) -> list[Event]:
        """A friend request or confirmation; other kinds of friendship event give nothing."""
        try:
            payload = await fetch(self._link, "FriendshipPayload", pb.IdRequest(id=id))
        except Unfetched as failure:
            log.warning("friendship event %s could not be fetched: %s", id, failure)
            return []
        payload.id = payload.id or id
        self.cache.contacts.drop(payload.contact_id)  # whether they are a friend just changed
        event = payloads.friendship(payload, await self._scene(payload.contact_id, ""))
        if event is None:
            log.info("friendship event %s of type %s ignored", id, payload.type)
            return []
        return [event]

    async def room_join(self, found: Mapping[str, Any]) -> list[Event]:
        """People came into a group."""
        self.cache.rooms.drop(payloads.text_of(found, "roomId"))
        people = await self._people(payloads.ids_of(found, "inviteeIdList", "inviteeIds"))
        by = await self._person(payloads.text_of(found, "inviterId"))
        return payloads.joined(found, await self._group_scene(found), people, by)

    async def room_leave(self, found: Mapping[str, Any]) -> list[Event]:
        """People left a group, or were removed."""
        self.cache.rooms.drop(payloads.text_of(found, "roomId"))
        people = await self._people(payloads.ids_of(found, "removeeIdList", "removeeIds"))
        by = await self._person(payloads.text_of(found, "removerId"))
        return payloads.left(found, await self._group_scene(found), people, by)

    async def room_topic(self, found: Mapping[str, Any]) -> list[Event]:
        """A group was renamed."""
        self.cache.rooms.drop(payloads.text_of(found, "roomId"))
        by = await self._person(payloads.text_of(found, "changerId"))
        return [payloads.renamed(found, await self._group_scene(found), by)]

    async def _people(self, ids: tuple[str, ...]) -> list[Person]:
        return await asyncio.gather(*(self.cache.person(id) for id in ids))

    async def _group_scene(self, found: Mapping[str, Any]) -> Scene:
        return await self._scene("", payloads.text_of(found, "roomId"))


def _link(link: Any) -> dict[str, Any]:
    return {
        "url": link.url,
        "title": link.title,
        "description": link.description,
        "thumbnail": link.thumbnail_url,
    }


def _mini_program(mini: Any) -> dict[str, Any]:
    return {
        "app_id": mini.appid,
        "title": mini.title,
        "username": mini.username,
        "page_path": mini.page_path,
        "description": mini.description,
    }
