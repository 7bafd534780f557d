"""All contacts and groups of the account, for after a login or a reconnect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from bot.channels.wechaty import payloads
from bot.channels.wechaty.cache import Cache
from bot.channels.wechaty.fetch import Unfetched, fetch
from bot.channels.wechaty.link import Link
from bot.channels.wechaty.wire import puppet_pb2 as pb
from sop.events import Person, Room

log = logging.getLogger(__name__)

ABREAST = 16  # calls at a time: enough to be quick, few enough to leave room for messages

T = TypeVar("T")


async def take(link: Link, cache: Cache, *, self_id: str) -> tuple[list[Person], list[Room]]:
    """People (without the account itself and official accounts) and groups with their members.

    A contact or group whose payload cannot be had is there by its id alone. Raises `Unfetched` when
    the lists themselves cannot be had: half a roster would look like everybody left.
    """
    contact_ids = _ids(await fetch(link, "ContactList", pb.Empty()))
    room_ids = _ids(await fetch(link, "RoomList", pb.Empty()))
    people = await _abreast(contact_ids, lambda id: _contact(cache, id))
    known = dict(zip(contact_ids, (found for found, _ in people), strict=True))
    rooms = await _abreast(room_ids, lambda id: _room(link, cache, id, known))
    log.info("roster: %d contacts, %d groups", len(people), len(rooms))
    return [
        found for found, official in people if not official and found.external_id != self_id
    ], rooms


def _ids(answer: Any) -> list[str]:
    return list(dict.fromkeys(id for id in answer.ids if id))


async def _contact(cache: Cache, id: str) -> tuple[Person, bool]:
    """A person, and whether it is an official account."""
    try:
        payload = await cache.contacts.get(id)
    except Unfetched as failure:
        log.warning("contact %s known by its id only: %s", id, failure)
        return Person(external_id=id), False
    return cache.person_of(payload, id), payload.type == payloads.OFFICIAL


async def _room(link: Link, cache: Cache, id: str, known: dict[str, Person]) -> Room:
    try:
        payload = await cache.rooms.get(id)
    except Unfetched as failure:
        log.warning("group %s known by its id only: %s", id, failure)
        return Room(external_id=id)
    for member in payload.member_ids:
        if member not in known:
            known[member] = await _member(link, room_id=id, id=member)
    return Room(
        external_id=id,
        topic=payload.topic.strip(),
        owner_id=payload.owner_id,
        members=tuple(known[member] for member in dict.fromkeys(payload.member_ids)),
    )


async def _member(link: Link, *, room_id: str, id: str) -> Person:
    """A member who is not a contact: only the group knows their name."""
    try:
        found = await fetch(
            link, "RoomMemberPayload", pb.RoomMemberRequest(id=room_id, member_id=id)
        )
    except Unfetched:
        return Person(external_id=id)
    return Person(external_id=id, name=found.name.strip())


async def _abreast(ids: Sequence[str], ask: Callable[[str], Awaitable[T]]) -> list[T]:
    """Ask for all, `ABREAST` at a time, without a task for each; answers in the order of `ids`."""
    answers: dict[str, T] = {}

    async def work(rest: Iterable[str]) -> None:
        for id in rest:
            answers[id] = await ask(id)

    queue = iter(ids)
    async with asyncio.TaskGroup() as group:
        for _ in range(ABREAST):
            group.create_task(work(queue))
    return [answers[id] for id in ids]
