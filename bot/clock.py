"""Time: the real clock, the virtual one, the one alarm, and what a cron expression means.

APScheduler holds a single permanent job whose next run is moved; what it holds is rebuilt from the
tables at any start, so it needs no store of its own.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

_FIELDS = {  # of a cron expression, with what people call them and what they may be
    "minute": ("分", "0 到 59"),
    "hour": ("时", "0 到 23"),
    "day": ("日", "1 到 31"),
    "month": ("月", "1 到 12"),
    "day_of_week": ("星期", "mon 到 sun，或 0 到 7（0 和 7 都是星期天）"),
}
_WEEK = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_YEARS = 12  # how far ahead a cron expression is followed: beyond the next 29 February
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


class CronTimes:
    """`sop.planning.Cron`: crontab's five fields, on a wall without a time zone.

    Days of the week are crontab's (0 and 7 are Sunday), not APScheduler's (0 is Monday). Asked on a
    bare wall, the trigger knows nothing of clocks that change; `sop.timing` has the rule for that.
    """

    def problem(self, expression: str) -> str:
        """Why the expression cannot be used, in a sentence; empty when it can."""
        fields = expression.split()
        if len(fields) != len(_FIELDS):
            return f"cron 要有五段（分 时 日 月 星期），这里有 {len(fields)} 段"
        for place, (name, text) in enumerate(zip(_FIELDS, fields, strict=True), 1):
            if not _readable(name, text):
                label, expected = _FIELDS[name]
                return f"cron 的第 {place} 段（{label}）写得不对：{text}，应为 {expected}"
        if fields[2] != "*" and fields[4] != "*":
            return "cron 的日和星期只能限定一个，另一个写 *"
        if self.following(expression, datetime(2026, 1, 1)) is None:  # noqa: DTZ001 (a wall clock)
            return "这个 cron 永远不会到，没有这样的日子"
        return ""

    def following(self, expression: str, wall: datetime) -> datetime | None:
        """The first minute on the wall after `wall` that the expression names."""
        after = wall.replace(second=0, microsecond=0, tzinfo=UTC) + timedelta(minutes=1)
        found = _trigger(expression, after.year + _YEARS).get_next_fire_time(None, after)
        return None if found is None else found.replace(tzinfo=None)


@lru_cache(maxsize=512)
def _trigger(expression: str, last_year: int) -> CronTrigger:
    minute, hour, day, month, weekday = expression.split()
    return CronTrigger(
        minute=minute,
        hour=hour,
        day=day,
        month=month,
        day_of_week=_weekdays(weekday),
        timezone=UTC,
        end_date=datetime(last_year, 12, 31, tzinfo=UTC),
    )


def _readable(name: str, text: str) -> bool:
    try:
        value = _weekdays(text) if name == "day_of_week" else text
        CronTrigger(timezone=UTC, **{name: value})
    except (ValueError, IndexError):
        return False
    return True


def _weekdays(text: str) -> str:
    """Crontab's days of the week as a list of names. Raises ValueError."""
    if text == "*":
        return text
    days: set[str] = set()
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        low, high = (0, 6) if span == "*" else (_weekday(first), _weekday(last if dash else first))
        if high < low and last in ("sun", "7", "0"):
            high = 7  # fri-sun
        days.update(_WEEK[low : high + 1 : int(step or 1)] or [""])
    if "" in days:
        raise ValueError(text)
    return ",".join(sorted(days, key=_WEEK.index))


def _weekday(text: str) -> int:
    return int(text) if text.isdecimal() and int(text) < len(_WEEK) else _WEEK.index(text)
