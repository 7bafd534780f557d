"""When so many messages will have left, by the account's limits and the hours: an estimate."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from sop.sending import day_start, opening
from sop.times import HOUR, Range, Window
from sop.timing import local_day, local_moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What bounds sending. `today` left already, `ahead` wait before."""

    per_hour: int
    per_day: int
    gap: Range
    quiet: Window | None
    window: Window | None
    zone: ZoneInfo
    today: int = 0
    ahead: int = 0


def finish(count: int, pace: Pace, *, start: int, until: int) -> tuple[int, int]:
    """How many of `count` leave before `until`, and when the last of them does, ms UTC.

    Every message takes the middle of `gap`; replies and other work of the account come on top.
    """
    gap = (pace.gap.low + pace.gap.high) // 2
    moment, last, left = start, start, 0
    hour: deque[int] = deque()
    sent, midnight = pace.today, day_start(start, pace.zone, days=1)
    shut = 0  # up to here it is known to be open
    for n in range(pace.ahead + count):
        if len(hour) >= pace.per_hour:
            moment = max(moment, hour.popleft() + HOUR)
        if sent >= pace.per_day:
            moment = max(moment, midnight)
        if moment >= shut:
            opens = opening(moment, window=pace.window, quiet=pace.quiet, zone=pace.zone)
            if opens is None:
                break
            moment, shut = opens, _minute_after(opens)
        while moment >= midnight:
            day = local_day(midnight, pace.zone)
            midnight, sent = local_moment(day + timedelta(days=1), 0, pace.zone), 0
        if moment >= until:
            break
        hour.append(moment)
        sent += 1
        if n >= pace.ahead:
            left, last = left + 1, moment
        moment += gap
    return left, last


def _minute_after(moment: int) -> int:
    return moment // 60_000 * 60_000 + 60_000
