"""When a step is due, and when something may happen: wall clocks, calendars, windows.

Everything is computed in the workspace's time zone; the zone of the host plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from itertools import count
from zoneinfo import ZoneInfo

from sop.almanac import Almanac, Birthday
from sop.conditions import OneOrMany, many
from sop.sequences import WEEKDAYS, Step
from sop.times import DAY, MINUTE, Window

_MINUTES_A_DAY = DAY // MINUTE
_LONGEST_HOLIDAY = 31  # days, generously: how far `workday` can move a day


# --- wall clock ------------------------------------------------------------------------------


@lru_cache(maxsize=4_096)
def local_moment(day: date, minute: int, zone: ZoneInfo) -> int:
    """A wall clock time, `minute` minutes after midnight of `day`, as ms UTC.

    A time that the clock skips is the first one after the gap; one that it shows twice is the
    first of the two.
    """
    wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60)  # noqa: DTZ001
    while True:
        moment = wall.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == wall:
            return int(moment.timestamp()) * 1000
        wall += timedelta(minutes=1)


def local_day(moment: int, zone: ZoneInfo) -> date:
    """The calendar day of a moment (ms UTC) in `zone`."""
    return _local(moment, zone).date()


def wall_of(moment: int, zone: ZoneInfo) -> datetime:
    """What the wall clock of `zone` shows at a moment (ms UTC), to the minute."""
    return _local(moment, zone).replace(tzinfo=None)


def _local(moment: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment // MINUTE * 60, zone)  # to the minute


def _minute(local: datetime) -> int:
    return local.hour * 60 + local.minute


# --- steps -----------------------------------------------------------------------------------


def planned_at(
    step: Step,
    *,
    entered_at: int,
    since: int,
    zone: ZoneInfo,
    almanac: Almanac,
    birthday: Birthday | None,
) -> int | None:
    """When a step is due, ms UTC; None when no time says so.

    `entered_at` is when the walk began, `since` when the step before ended (`entered_at` for the
    first). `day` and `date` may lie in the past: `late` decides what happens then. Times that come
    again (weekday, workday, festival, birthday) are the next one: on entry from `since` on, later
    strictly after it, so that a loop never meets the same moment twice. `workday` moves a day off
    to the next workday, at the same time of day.
    """
    if step.on is not None or step.wait_until is not None:
        return None
    if step.at is None:
        moment = since + (step.after or 0)
        return _moved(moment, zone, almanac) if step.workday else moment
    earliest = since if since == entered_at else since + 1
    if step.day is not None:
        days: Iterable[date] = (local_day(entered_at, zone) + timedelta(days=step.day),)
    elif step.date is not None:
        days = (step.date,)
    else:
        days = _recurring(step, local_day(since, zone), almanac, birthday)
    for day in days:
        kept = workday_from(day, almanac) if step.workday else day
        moment = local_moment(kept, step.at, zone)
        if moment >= earliest or step.day is not None or step.date is not None:
            return moment
    return None


def _recurring(
    step: Step, today: date, almanac: Almanac, birthday: Birthday | None
) -> Iterable[date]:
    """The days a step may fall on, in order, from some time before `today`."""
    if step.festival is not None:
        return festival_days(step.festival, days=step.days, today=today, almanac=almanac)
    if step.birthday is not None:
        kept = [] if birthday is None else [partial(almanac.birthday, birthday)]
        return _yearly(step.days, today, kept)
    return _daily(step, today)


def festival_days(names: OneOrMany, *, days: int, today: date, almanac: Almanac) -> list[date]:
    """`days` off each of the festivals, in order, from last year to the year after next."""
    return _yearly(days, today, [partial(almanac.festival, name) for name in many(names)])


def _yearly(days: int, today: date, kept: Iterable[Callable[[int], date]]) -> list[date]:
    """`days` off what is kept from last year to the year after next.

    Lunar dates drift over the end of the year and `days` reach over it; two years ahead always
    hold one that is still to come. A year that the almanac does not reach is left out.
    """
    found = []
    for year in range(today.year - 1, today.year + 3):
        for day_in in kept:
            with suppress(KeyError):
                found.append(day_in(year) + timedelta(days=days))
    return sorted(found)


def _daily(step: Step, today: date) -> Iterator[date]:
    """The weekdays of the step, every day when it names none."""
    wanted = WEEKDAYS if step.weekday is None else many(step.weekday)
    # a weekday in the past may have been moved to a workday that is still to come
    first = -_LONGEST_HOLIDAY if step.workday and step.weekday is not None else 0
    for n in count(first):
        day = today + timedelta(days=n)
        if WEEKDAYS[day.weekday()] in wanted:
            yield day


def _moved(moment: int, zone: ZoneInfo, almanac: Almanac) -> int:
    """The same time of day on the next workday, when the moment is on a day off."""
    local = _local(moment, zone)
    kept = workday_from(local.date(), almanac)
    if kept == local.date():
        return moment
    return local_moment(kept, _minute(local), zone) + moment % MINUTE


def workday_from(day: date, almanac: Almanac) -> date:
    """The day itself when people work on it, else the next one they do."""
    for n in range(366):
        if almanac.is_workday(day + timedelta(days=n)):
            return day + timedelta(days=n)
    return day  # nobody ever works: not a reason to wait for ever


# --- windows ---------------------------------------------------------------------------------


@lru_cache(maxsize=256)  # thousands who are due together ask the same
def next_open(moment: int, *, window: Window | None, quiet: Window | None, zone: ZoneInfo) -> int:
    """The first moment from `moment` on that is inside `window` and outside `quiet`, ms UTC.

    Raises ValueError when the two leave no minute of the day.
    """

    def is_open(minute: int) -> bool:
        return (window is None or minute in window) and (quiet is None or minute not in quiet)

    local = _local(moment, zone)
    if is_open(_minute(local)):
        return moment
    edges = ([window.start] if window else []) + ([quiet.end] if quiet else [])
    edges = [edge for edge in edges if is_open(edge)]
    if not edges:
        raise ValueError(f"时段 {window} 全在免打扰时段 {quiet} 里")
    this_minute = moment // MINUTE * MINUTE
    wait = min((edge - _minute(local)) % _MINUTES_A_DAY for edge in edges)
    opens = this_minute + wait * MINUTE
    if _local(opens, zone).utcoffset() == local.utcoffset():
        return opens
    # The clocks change in between: look at every minute.
    return next(this for this in count(this_minute, MINUTE) if is_open(_minute(_local(this, zone))))
