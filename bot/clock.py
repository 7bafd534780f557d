"""Time: the real clock, the virtual one, and the one alarm.

APScheduler holds a single permanent job whose next run is moved; what it holds is rebuilt from the
tables at any start, so it needs no store of its own.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

_LONGEST = 60_000  # looking again notices a clock that was set, and what commands wrote beside us


class Clock(Protocol):
    """Something that knows what time it is."""

    def now(self) -> int:
        """ms since the epoch, UTC."""


class SystemClock:
    """The host's clock."""

    def now(self) -> int:
        """ms since the epoch, UTC."""
        return time.time_ns() // 1_000_000


class VirtualClock:
    """A clock that stands until it is set; the same engine runs on it in tests and rehearsals."""

    def __init__(self, start: int) -> None:
        self._now = start

    def now(self) -> int:
        """ms since the epoch, UTC."""
        return self._now

    def set(self, now: int) -> None:
        """Move the clock to `now`, ms UTC; also backwards, as hosts' clocks do."""
        self._now = now


class Alarm:
    """One wake-up at the earliest due time, live.

    `wait` returns when `at` has come or `ring` was called, whichever is first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.start()
        # A date job moved while it is due would be dropped, as misfired or as a second instance
        # (FINDINGS §2). An interval job is never used up, and its grace is unbounded.
        self._job = self._scheduler.add_job(
            self.ring,
            IntervalTrigger(seconds=_LONGEST // 1000),
            misfire_grace_time=None,
            coalesce=True,
            max_instances=8,
        )

    def ring(self) -> None:
        """Wake the waiter now."""
        self._rung.set()

    async def wait(self, at: int | None) -> None:
        """Sleep until `at` (ms UTC; None: until rung, but no longer than a minute)."""
        if at is not None and at <= self._clock.now():
            self._rung.clear()
            await asyncio.sleep(0)  # others get their turn
            return
        delay = _LONGEST if at is None else min(max(at - self._clock.now(), 0), _LONGEST)
        self._job.modify(next_run_time=datetime.now(UTC) + timedelta(milliseconds=delay))
        await self._rung.wait()
        self._rung.clear()

    def close(self) -> None:
        """Stop the scheduler."""
        self._scheduler.shutdown(wait=False)
