"""Checks of pushes and Moments: times that never come or too often, and how they sit together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta

from sop.check_flow import show_clock
from sop.definitions import Definitions
from sop.mistakes import Mistake
from sop.moments import adverts, doubles, slots
from sop.planning import Planner
from sop.pushes import AtCron, MomentPlan, Push, When
from sop.source import Path
from sop.times import DAY, Window
from sop.timing import local_moment, wall_of

SAMPLE = date(2026, 3, 2)  # four weeks without a festival, to look at what comes again and again
WEEKS = 4
OFTEN = 3  # times a day that a push may come before it is worth a word
_MINUTES = range(24 * 60)


def calendar_mistakes(
    definitions: Definitions,
    *,
    planner: Planner | None,
    quiet: Window | None,
    moment_problem: Callable[[str], str | None],
) -> Iterator[Mistake]:
    """Every push and Moment that cannot do what it says. Without settings there is no `planner`."""
    for n, push in enumerate(definitions.pushes):
        path: Path = ("pushes", n)
        yield from _window(path, push, quiet)
        if push.at is not None and planner is not None:
            cron = list(_cron((*path, "at"), push.at, planner))
            yield from cron or _hours(path, push, planner, quiet)
    yield from _moments(definitions.moments, planner, moment_problem)


def _moments(
    moments: tuple[MomentPlan, ...],
    planner: Planner | None,
    moment_problem: Callable[[str], str | None],
) -> Iterator[Mistake]:
    wrong: list[Mistake] = []
    for n, moment in enumerate(moments):
        path: Path = ("moments", n)
        if planner is not None:
            wrong += _cron((*path, "at"), moment.at, planner)
        if problem := moment_problem(moment.say):
            yield Mistake((*path, "say"), f"这个模板发不成朋友圈：{problem}")
    yield from wrong
    if planner is not None and not wrong:
        yield from _together(moments, planner)


def _cron(path: Path, at: When, planner: Planner) -> Iterator[Mistake]:
    if not isinstance(at, AtCron):
        return
    if problem := planner.cron.problem(at.cron):
        hint = '像 "0 10 * * mon" 是每周一 10:00，"30 20 * * *" 是每天 20:30'
        yield Mistake((*path, "cron"), problem, found=at.cron, hint=hint)


def _window(path: Path, push: Push, quiet: Window | None) -> Iterator[Mistake]:
    window = push.window
    if window and quiet and not any(m in window and m not in quiet for m in _MINUTES):
        message = f"window {window} 全在免打扰时段 {quiet} 里，永远发不出去"
        hint = "换一个白天的时段，或者改 siyu.yaml 里的 hours.quiet"
        yield Mistake((*path, "window"), message, hint=hint)


def _hours(path: Path, push: Push, planner: Planner, quiet: Window | None) -> Iterator[Mistake]:
    """Times of day at which nothing may leave, and days with too many of them."""
    if push.at is None:
        return
    start = local_moment(SAMPLE, 0, planner.zone)
    first = planner.following(push.at, after=start)
    if first is None:
        return
    wall = wall_of(first, planner.zone)
    minute = wall.hour * 60 + wall.minute
    where = (*path, "at")
    if quiet and minute in quiet:
        message = f"{show_clock(minute)} 在免打扰时段 {quiet} 里，要等免打扰过了才发得出去"
        yield Mistake(where, message, hint="想准时就换个钟点", warning=True)
    elif push.window and minute not in push.window:
        message = f"{show_clock(minute)} 不在 window {push.window} 里，要等到那个时段才发得出去"
        yield Mistake(where, message, hint="想准时就换个钟点", warning=True)
    midnight = local_moment(wall.date(), 0, planner.zone)
    tomorrow = local_moment(wall.date() + timedelta(days=1), 0, planner.zone)
    times = 0
    for _ in planner.between(push.at, midnight, tomorrow):
        times += 1
    if times > OFTEN:
        message = f"这个群发一天要发 {times} 次"
        hint = '分和时都写成一个数，如 "0 10 * * *"，就是一天一次'
        yield Mistake((*where, "cron"), message, hint=hint, warning=True)


def _together(moments: tuple[MomentPlan, ...], planner: Planner) -> Iterator[Mistake]:
    """How what comes again and again sits together over four weeks."""
    start = local_moment(SAMPLE, 0, planner.zone)
    again = [(n, moment) for n, moment in enumerate(moments) if isinstance(moment.at, AtCron)]
    end = start + WEEKS * 7 * DAY
    plan = slots([moment for _, moment in again], planner, start=start, end=end)
    for objection in adverts(plan):
        path = ("moments", again[objection.n][0], "pillar")
        message = f"按 cron 排的朋友圈，{WEEKS} 周 {objection.text}"
        yield Mistake(path, message, hint="多发日常和干货，siyu moments 看日历", warning=True)
    for objection in doubles(plan, zone=planner.zone):
        path = ("moments", again[objection.n][0], "at")
        yield Mistake(path, objection.text, hint="错开几个小时", warning=True)
