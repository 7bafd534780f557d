"""When pushes and Moments come: crontab on a wall, clocks that change, days off, festivals."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from bot.almanac import ChineseAlmanac
from bot.clock import CronTimes
from sop.pace import Pace, finish
from sop.planning import Planner
from sop.pushes import When
from sop.times import DAY, HOUR, MINUTE, SECOND, Range, Window
from tests.support import ZONE, at

WHEN: TypeAdapter[When] = TypeAdapter(When)
NEW_YORK, BERLIN, LORD_HOWE = map(
    ZoneInfo, ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
)


def times(when: object, start: str, count: int, zone: ZoneInfo = ZONE) -> list[str]:
    """The next times on the wall, with the offset, after `start`."""
    planner = Planner(zone, ChineseAlmanac(), CronTimes())
    out, moment = [], at(start, zone)
    for _ in range(count):
        found = planner.following(WHEN.validate_python(when), after=moment)
        if found is None:
            break
        moment = found
        out.append(datetime.fromtimestamp(moment / 1000, zone).strftime("%a %m-%d %H:%M %z"))
    return out


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 10 * * mon", ["Mon 11-23 10:00", "Mon 11-30 10:00"]),
        ("0 10 * * 1", ["Mon 11-23 10:00", "Mon 11-30 10:00"]),  # not APScheduler's Tuesday
        ("0 10 * * 0", ["Sun 11-22 10:00", "Sun 11-29 10:00"]),
        ("0 10 * * 7", ["Sun 11-22 10:00", "Sun 11-29 10:00"]),
        ("0 10 * * fri-sun", ["Sun 11-22 10:00", "Fri 11-27 10:00"]),
        ("0 10 * * MON,wed", ["Mon 11-23 10:00", "Wed 11-25 10:00"]),
        ("0 10 1 * *", ["Tue 12-01 10:00", "Fri 01-01 10:00"]),
        ("0 10 29 2 *", ["Tue 02-29 10:00"]),
        ("*/30 9 * * *", ["Sun 11-22 09:00", "Sun 11-22 09:30"]),
        ("0 10 * * *", ["Sun 11-22 10:00", "Mon 11-23 10:00"]),  # strictly after
    ],
)
def test_cron(cron: str, expected: list[str]) -> None:
    found = times({"cron": cron}, "2026-11-21 10:00", len(expected))
    assert [text.removesuffix(" +0800") for text in found] == expected


def test_a_time_that_the_clock_skips_is_the_first_after_the_gap() -> None:
    assert times({"cron": "30 2 * * *"}, "2026-03-07 12:00", 3, NEW_YORK) == [
        "Sun 03-08 03:00 -0400", "Mon 03-09 02:30 -0400", "Tue 03-10 02:30 -0400",
    ]  # fmt: skip
    # Two that fall into the gap are one.
    assert times({"cron": "0,20,40 2 29 3 *"}, "2026-03-29 01:00", 2, BERLIN) == [
        "Sun 03-29 03:00 +0200", "Mon 03-29 02:00 +0200",
    ]  # fmt: skip
    assert times({"on": "2026-03-29 02:30"}, "2026-03-01 00:00", 2, BERLIN) == [
        "Sun 03-29 03:00 +0200"
    ]


def test_a_time_that_the_clock_shows_twice_is_the_first_of_the_two() -> None:
    assert times({"cron": "30 1 * * *"}, "2026-10-31 12:00", 3, NEW_YORK) == [
        "Sun 11-01 01:30 -0400", "Mon 11-02 01:30 -0500", "Tue 11-03 01:30 -0500",
    ]  # fmt: skip
    hourly = times({"cron": "0 * * * *"}, "2026-11-01 00:00", 3, NEW_YORK)
    assert hourly == ["Sun 11-01 01:00 -0400", "Sun 11-01 02:00 -0500", "Sun 11-01 03:00 -0500"]
    assert times({"cron": "45 1 * * *"}, "2026-04-04 12:00", 2, LORD_HOWE) == [
        "Sun 04-05 01:45 +1100", "Mon 04-06 01:45 +1030",
    ]  # fmt: skip


def test_asked_in_the_hour_that_comes_again_it_goes_on() -> None:
    planner = Planner(NEW_YORK, ChineseAlmanac(), CronTimes())
    second = at("2026-11-01 01:10", NEW_YORK) + HOUR  # the second 01:10 of that night
    found = planner.following(WHEN.validate_python({"cron": "30 1,3 * * *"}), after=second)
    assert found == at("2026-11-01 03:30", NEW_YORK)


def test_days_off_move_to_the_next_workday_and_meet_there_once() -> None:
    daily = {"cron": "0 9 * * *", "workday": True}
    assert times(daily, "2026-11-20 12:00", 3) == [
        "Mon 11-23 09:00 +0800", "Tue 11-24 09:00 +0800", "Wed 11-25 09:00 +0800",
    ]  # fmt: skip
    # National Day 2026: 1 to 7 October are off, Saturday the 10th is worked.
    weekly = {"cron": "30 12 * * thu", "workday": True}
    assert times(weekly, "2026-09-24 13:00", 3) == [
        "Thu 10-08 12:30 +0800", "Thu 10-15 12:30 +0800", "Thu 10-22 12:30 +0800",
    ]  # fmt: skip
    saturday = {"cron": "0 9 * * sat", "workday": True}
    assert times(saturday, "2026-10-09 00:00", 2) == [
        "Sat 10-10 09:00 +0800", "Mon 10-19 09:00 +0800",
    ]  # fmt: skip


def test_on_a_day_off_with_a_later_hour_the_earlier_of_the_workday_comes_first() -> None:
    found = times({"cron": "0 9,18 * * *", "workday": True}, "2026-11-20 20:00", 3)
    assert found == ["Mon 11-23 09:00 +0800", "Mon 11-23 18:00 +0800", "Tue 11-24 09:00 +0800"]


def test_festivals_come_every_year() -> None:
    before = {"festival": "春节", "days": -3, "at": "09:00"}
    assert times(before, "2026-11-21 00:00", 2) == [
        "Wed 02-03 09:00 +0800", "Sun 01-23 09:00 +0800",
    ]  # fmt: skip
    both = {"festival": ["双十二", "圣诞节"], "at": "10:00", "workday": True}
    assert times(both, "2026-12-01 00:00", 2) == ["Mon 12-14 10:00 +0800", "Fri 12-25 10:00 +0800"]


def test_once_is_once() -> None:
    assert times({"on": "2026-12-12 10:00"}, "2026-12-12 09:59", 5) == ["Sat 12-12 10:00 +0800"]
    assert times({"on": "2026-12-12 10:00"}, "2026-12-12 10:00", 5) == []


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "0 10 * * 周一", "0 24 * * *", "x 0 * * *", "0 0 31 4 *", "0 0 1 * mon",
             "0 0 * * */0", "0 0 * * 9", "*/0 * * * *", "0 0 * * mon-", "0 0 * * ,"],
)  # fmt: skip
def test_what_is_no_cron_is_said(cron: str) -> None:
    assert CronTimes().problem(cron)


# --- how long a push takes -------------------------------------------------------------------

START = at("2026-11-21 10:00")
PACE = Pace(per_hour=60, per_day=400, gap=Range(10 * SECOND, 30 * SECOND), quiet=None,
            window=None, zone=ZONE)  # fmt: skip


def test_the_pace_of_a_push() -> None:
    assert finish(0, PACE, start=START, until=START + DAY) == (0, START)
    assert finish(1, PACE, start=START, until=START + DAY) == (1, START)
    assert finish(10, PACE, start=START, until=START + DAY) == (10, START + 180 * SECOND)
    assert finish(61, PACE, start=START, until=START + DAY) == (61, START + HOUR)
    # Fourteen hours of sixty are more than the day's four hundred: the rest waits for midnight.
    count, last = finish(401, PACE, start=START, until=START + 7 * DAY)
    assert (count, last) == (401, at("2026-11-22 00:00"))
    assert finish(5_000, PACE, start=START, until=START + DAY)[0] < 1_000


def test_quiet_hours_and_what_waits_before() -> None:
    quiet = Window(22 * 60, 8 * 60 + 30)
    pace = Pace(per_hour=1_000, per_day=1_000, gap=Range(MINUTE, MINUTE), quiet=quiet, window=None,
                zone=ZONE, today=0, ahead=719)  # fmt: skip
    assert finish(1, pace, start=START, until=START + DAY) == (1, START + 719 * MINUTE)
    assert finish(2, pace, start=START, until=START + DAY) == (2, at("2026-11-22 08:30"))
