"""What tests against a gateway share: a sink that can be waited on, and a small world."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from bot.channels.port import Status, StatusKind
from sop.events import Event, Person, Room
from tests.gateway.gateway import Gateway

PATIENCE = 20.0  # seconds; only a broken test waits so long


class Recorder:
    """A sink that keeps everything, and wakes whoever waits for it. `gate` closed: it waits."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.statuses: list[Status] = []
        self.rosters: list[tuple[Sequence[Person], Sequence[Room]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0
        self._changed = asyncio.Condition()

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def event(self, event: Event) -> None:
        self.waiting += 1
        await self._note()
        await self.gate.wait()
        self.waiting -= 1
        self.events.append(event)
        await self._note()

    async def status(self, status: Status) -> None:
        self.statuses.append(status)
        await self._note()

    async def roster(self, people: Sequence[Person], rooms: Sequence[Room]) -> None:
        self.rosters.append((people, rooms))
        await self._note()

    async def until(self, predicate: Callable[[], Any]) -> Any:
        """Wait for deliveries until `predicate()` is truthy, and return what it gave."""
        async with asyncio.timeout(PATIENCE), self._changed:
            return await self._changed.wait_for(predicate)

    async def nth(self, count: int) -> Event:
        """Wait for the `count`-th event (from 1)."""
        await self.until(lambda: len(self.events) >= count)
        return self.events[count - 1]

    async def saw(self, kind: StatusKind, times: int = 1) -> Status:
        """Wait until a kind of status came so many times, and return the last."""
        found = await self.until(
            lambda: len(all_ := [s for s in self.statuses if s.kind is kind]) >= times and all_
        )
        return found[-1]

    async def by_id(self, external_id: str) -> Event:
        """Wait for the event with this id."""
        return await self.until(
            lambda: next((e for e in self.events if e.external_id == external_id), None)
        )


def populate(gateway: Gateway) -> None:
    """The small world most tests share: the bot, two friends, a stranger and a group of theirs."""
    gateway.contact("bot", name="小满")
    gateway.contact("alice", name="爱丽丝", alias="老客户爱丽丝")
    gateway.contact("bob", name="鲍勃")
    gateway.contact("stranger", name="路人", friend=False)
    gateway.room(
        "fans@chatroom",
        topic="小满福利群",
        members=["bot", "alice", "bob", "stranger"],
        ownerId="bot",
        aliases={"alice": "群里的爱丽丝"},
    )
    gateway.login("bot")
