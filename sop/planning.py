"""When pushes and Moments come: from what `at:` says to moments, in the workspace's time zone.

What a cron expression means is asked of a `Cron`, as festivals are of an `Almanac`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Protocol, assert_never
from zoneinfo import ZoneInfo

from sop.almanac import Almanac
from sop.pushes import AtCron, AtFestival, AtOnce, When
from sop.timing import festival_days, local_day, local_moment, wall_of, workday_from

_LONGEST_HOLIDAY = 31  # days, generously


class Cron(Protocol):
    """What the core asks of cron. The real one lives in `bot.clock`."""

    def problem(self, expression: str) -> str:
        """Why the expression cannot be used, in a sentence; empty when it can."""

    def following(self, expression: str, wall: datetime) -> datetime | None:
        """The first minute on the wall after `wall` that the expression names."""


class Planner:
    """Knows the calendar of one workspace."""

    def __init__(self, zone: ZoneInfo, almanac: Almanac, cron: Cron) -> None:
        self.zone = zone
        self._almanac = almanac
        self.cron = cron

    def following(self, at: When, *, after: int) -> int | None:
        """The first time strictly after `after`, ms UTC; None when there is none any more.

        A time that the clock skips is the first one after the gap; one that it shows twice is the
        first of the two.
        """
        match at:
            case AtOnce():
                moment = self._moment(at.on)
                return moment if moment > after else None
            case AtFestival():
                return self._festival(at, after)
            case AtCron():
                return self._by_cron(at, after)
            case _:
                assert_never(at)

    def between(self, at: When, start: int, end: int) -> Iterator[int]:
        """Every time from `start` on and before `end`, ms UTC."""
        moment = self.following(at, after=start - 1)
        while moment is not None and moment < end:
            yield moment
            moment = self.following(at, after=moment)

    def _festival(self, at: AtFestival, after: int) -> int | None:
        today = local_day(after, self.zone) - timedelta(days=_LONGEST_HOLIDAY)
        days = festival_days(at.festival, days=at.days, today=today, almanac=self._almanac)
        moments = [local_moment(self._kept(day, at.workday), at.at, self.zone) for day in days]
        return min((moment for moment in moments if moment > after), default=None)

    def _by_cron(self, at: AtCron, after: int) -> int | None:
        """Days off move together onto one workday, so their times do not come in order."""
        best: int | None = None
        wall = self.cron.following(at.cron, self._first_wall(at, after))
        while wall is not None:
            if best is not None and wall.date() > local_day(best, self.zone):
                break
            kept = datetime.combine(self._kept(wall.date(), at.workday), wall.time())
            moment = self._moment(kept)
            if moment > after and (best is None or moment < best):
                best = moment
                if not at.workday:
                    break
            wall = self.cron.following(at.cron, wall)
        return best

    def _first_wall(self, at: AtCron, after: int) -> datetime:
        """Where to begin to look: before days off that move to a day still to come."""
        wall = wall_of(after, self.zone)
        if not at.workday:
            return wall - timedelta(minutes=1)  # the minute itself may be still to come
        day = wall.date()
        for _ in range(_LONGEST_HOLIDAY):
            if self._almanac.is_workday(day - timedelta(days=1)):
                break
            day -= timedelta(days=1)
        return datetime.combine(day, time.min) - timedelta(minutes=1)

    def _kept(self, day: date, workday: bool) -> date:
        return workday_from(day, self._almanac) if workday else day

    def _moment(self, wall: datetime) -> int:
        return local_moment(wall.date(), wall.hour * 60 + wall.minute, self.zone)
