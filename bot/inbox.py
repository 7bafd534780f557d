"""What came in and waits to be worked off: bounded, in order within a conversation, and fair.

Conversations take turns, an event each, so that one who floods waits behind itself and not others
behind it. Half of the turns belong to those who had nothing waiting. Turns decide what is taken
together; it then comes in the order of arrival. What is no event (a login, a roster) keeps its
place among the events.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

from sop.events import Event

T = TypeVar("T")
Numbered = tuple[int, Event]  # in the order of arrival


class _Turns:
    """The events between two things that are none, by conversation; whose turn it is comes first.

    `new` are conversations of which nothing was taken yet, `old` those that have more to say.
    """

    def __init__(self) -> None:
        self._new: OrderedDict[str, deque[Numbered]] = OrderedDict()
        self._old: OrderedDict[str, deque[Numbered]] = OrderedDict()
        self._prefer_old = False
        self._arrived = 0

    def __bool__(self) -> bool:
        return bool(self._new or self._old)

    def add(self, event: Event) -> None:
        """Add one at the end of its conversation."""
        waiting = self._old.get(event.conversation)
        if waiting is None:
            waiting = self._new.setdefault(event.conversation, deque())
        self._arrived += 1
        waiting.append((self._arrived, event))

    def take(self, most: int) -> list[Event]:
        """At most so many, whose turn it is."""
        out: list[Numbered] = []
        while self and len(out) < most:
            out.append(self._next())
        return [event for _, event in sorted(out, key=lambda numbered: numbered[0])]

    def _next(self) -> Numbered:
        old = not self._new or (self._prefer_old and bool(self._old))
        conversation, waiting = (self._old if old else self._new).popitem(last=False)
        self._prefer_old = not old
        event = waiting.popleft()
        if waiting:
            self._old[conversation] = waiting
        return event


class Inbox(Generic[T]):
    """Holds at most `size` events and other things (`T`)."""

    def __init__(self, size: int) -> None:
        self._room = asyncio.Semaphore(size)
        self._line: deque[_Turns | T] = deque()

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._line

    async def put(self, item: Event | T) -> None:
        """Add one; waits while it is full."""
        await self._room.acquire()
        if not isinstance(item, Event):
            self._line.append(item)
            return
        turns = self._line[-1] if self._line else None
        if not isinstance(turns, _Turns):
            turns = _Turns()
            self._line.append(turns)
        turns.add(item)

    def take(self, most: int) -> list[Event | T]:
        """The next ones, at most so many."""
        out: list[Event | T] = []
        while self._line and len(out) < most:
            first = self._line[0]
            if isinstance(first, _Turns):
                out += first.take(most - len(out))
            else:
                out.append(first)
            if not isinstance(first, _Turns) or not first:
                self._line.popleft()
        for _ in out:
            self._room.release()
        return out
