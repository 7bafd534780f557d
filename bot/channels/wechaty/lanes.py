"""Delivery in order within a conversation, side by side between conversations, bounded in all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from sop.events import Event


class Lanes:
    """Takes what arrives as coroutines that find out what it is; hands over what they find.

    Finding out (calls to the gateway) runs concurrently; what is found is dealt to lanes in the
    order of arrival, one lane a conversation. `add` waits while `window` items are under way, from
    arrival to the end of delivery, so whoever feeds the lanes stops reading: backpressure.

    The conversation of an item is only known once it is resolved, so a slow one holds up those
    behind it; resolving is therefore bounded in time by whoever writes the coroutines.
    """

    def __init__(self, deliver: Callable[[Event], Awaitable[None]], *, window: int) -> None:
        self._deliver = deliver
        self._window = asyncio.Semaphore(window)
        self._size = window
        self._arrived: asyncio.Queue[asyncio.Task[Sequence[Event]]] = asyncio.Queue()
        self._lanes: dict[str, deque[Sequence[Event]]] = {}

    async def add(self, resolve: Coroutine[Any, Any, Sequence[Event]]) -> None:
        """Queue one item; waits for room."""
        try:
            await self._window.acquire()
        except BaseException:
            resolve.close()
            raise
        self._arrived.put_nowait(asyncio.create_task(resolve))

    async def run(self) -> None:
        """Deliver until cancelled. Raises what `deliver` or a resolving coroutine raises."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._deal(await (await self._arrived.get()), group)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            while not self._arrived.empty():
                self._arrived.get_nowait().cancel()

    def _deal(self, events: Sequence[Event], group: asyncio.TaskGroup) -> None:
        if not events:
            self._window.release()
            return
        conversation = events[0].conversation
        lane = self._lanes.get(conversation)
        if lane is not None:
            lane.append(events)
            return
        self._lanes[conversation] = deque([events])
        group.create_task(self._drive(conversation))

    async def _drive(self, conversation: str) -> None:
        lane = self._lanes[conversation]
        while lane:
            for event in lane[0]:
                await self._deliver(event)
            lane.popleft()
            self._window.release()
        del self._lanes[conversation]

    async def drained(self) -> None:
        """Wait until nothing is under way; for an orderly end, when nothing arrives any more."""
        for _ in range(self._size):
            await self._window.acquire()
