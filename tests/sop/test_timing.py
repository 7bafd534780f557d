"""When steps are due and windows open: zones, clock changes, midnight, the calendar."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sop.almanac import Birthday
from sop.sequences import Step
from sop.times import DAY, HOUR, MINUTE, Window, parse_window
from sop.timing import local_day, local_moment, next_open, planned_at

ROOT = Path(__file__).parents[2]
SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")
ZONES = (
    SHANGHAI,
    NEW_YORK,
    ZoneInfo("Africa/Cairo"),  # its clocks change at midnight
    ZoneInfo("Australia/Lord_Howe"),  # by half an hour
)
BORN = Birthday(2, 29)


class Office:
    """Monday to Friday but for the first week of October; two festivals; no lunar dates."""

    def is_workday(self, day: date) -> bool:
        return day.weekday() < 5 and not (day.month == 10 and day.day <= 7)

    def festivals(self) -> Collection[str]:
        return ("元旦", "国庆")

    def festival(self, name: str, year: int) -> date:
        if year > 2100:
            raise KeyError(year)
        return date(year, *{"元旦": (1, 1), "国庆": (10, 1)}[name])

    def birthday(self, born: Birthday, year: int) -> date:
        return date(year, born.month, min(born.day, 28))


def ms(text: str, zone: ZoneInfo = SHANGHAI, *, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)
    return int(moment.timestamp() * 1000)


def shown(moment: int | None, zone: ZoneInfo = SHANGHAI) -> str | None:
    if moment is None:
        return None
    return f"{datetime.fromtimestamp(moment / 1000, zone):%Y-%m-%d %H:%M:%S}"


def step(**timing: object) -> Step:
    return Step.model_validate({"id": "a", **timing})


def due(
    timing: dict[str, object],
    since: str | int,
    *,
    entered: str | int | None = None,
    zone: ZoneInfo = SHANGHAI,
    birthday: Birthday | None = BORN,
) -> int | None:
    since = ms(since, zone) if isinstance(since, str) else since
    entered = ms(entered, zone) if isinstance(entered, str) else entered
    return planned_at(
        step(**timing),
        entered_at=since if entered is None else entered,
        since=since,
        zone=zone,
        almanac=Office(),
        birthday=birthday,
    )


# --- relative --------------------------------------------------------------------------------

SATURDAY = "2026-11-07 10:00:30"


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        ({}, "2026-11-07 10:00:30"),
        ({"after": "1h30m"}, "2026-11-07 11:30:30"),
        ({"after": "1h", "workday": True}, "2026-11-09 11:00:30"),
        ({"after": "2d", "workday": True}, "2026-11-09 10:00:30"),
        ({"weekday": "sat", "at": "10:00"}, "2026-11-14 10:00:00"),
        ({"weekday": "sat", "at": "10:01"}, "2026-11-07 10:01:00"),
        ({"weekday": ["wed", "mon"], "at": "08:00"}, "2026-11-09 08:00:00"),
        ({"weekday": ["sat", "sun"], "at": "08:00", "workday": True}, "2026-11-09 08:00:00"),
        ({"workday": True, "at": "09:00"}, "2026-11-09 09:00:00"),
        ({"festival": "国庆", "at": "09:00"}, "2027-10-01 09:00:00"),
        ({"festival": ["国庆", "元旦"], "at": "09:00"}, "2027-01-01 09:00:00"),
        ({"festival": "元旦", "days": -60, "at": "09:00"}, "2027-11-02 09:00:00"),
        ({"festival": "国庆", "days": 38, "at": "11:00"}, "2026-11-08 11:00:00"),
        ({"festival": "国庆", "at": "09:00", "workday": True}, "2027-10-08 09:00:00"),
        ({"birthday": "生日", "at": "09:00"}, "2027-02-28 09:00:00"),
        ({"birthday": "生日", "days": -3, "at": "09:00"}, "2027-02-25 09:00:00"),
        ({"day": 0, "at": "09:00"}, "2026-11-07 09:00:00"),
        ({"day": 0, "at": "00:00"}, "2026-11-07 00:00:00"),
        ({"day": 1, "at": "00:00"}, "2026-11-08 00:00:00"),
        ({"day": 1, "at": "23:59", "workday": True}, "2026-11-09 23:59:00"),
        ({"date": "2026-12-01", "at": "10:00"}, "2026-12-01 10:00:00"),
        ({"date": "2026-10-01", "at": "10:00"}, "2026-10-01 10:00:00"),
        ({"date": "2026-10-01", "at": "10:00", "workday": True}, "2026-10-08 10:00:00"),
        ({"on": "order"}, None),
        ({"on": "order", "workday": False}, None),
        ({"wait_until": {"on": "order", "within": "1d"}}, None),
    ],
    ids=str,
)
def test_from_a_saturday(timing: dict[str, object], expected: str | None) -> None:
    assert shown(due(timing, SATURDAY)) == expected


def test_an_unknown_birthday_is_never_due() -> None:
    assert due({"birthday": "生日", "at": "09:00"}, SATURDAY, birthday=None) is None


def test_days_count_from_entry_and_after_from_the_step_before() -> None:
    entered, since = "2026-11-01 23:59:59", "2026-11-05 08:00:00"
    assert shown(due({"day": 3, "at": "20:00"}, since, entered=entered)) == "2026-11-04 20:00:00"
    assert shown(due({"after": "1d"}, since, entered=entered)) == "2026-11-06 08:00:00"


def test_a_year_the_almanac_does_not_reach_is_left_out() -> None:
    assert due({"festival": "国庆", "at": "09:00"}, "2100-12-01 00:00:00") is None
    assert due({"festival": "国庆", "at": "09:00"}, "2099-12-01 00:00:00") is not None


RECURRING: list[dict[str, object]] = [
    {"weekday": "sun", "at": "00:00"},
    {"weekday": "sun", "at": "00:00", "workday": True},
    {"workday": True, "at": "00:00"},
    {"festival": "国庆", "at": "00:00"},
    {"festival": "国庆", "days": 10, "workday": True, "at": "00:00"},
    {"birthday": "生日", "at": "00:00"},
]


@pytest.mark.parametrize("timing", RECURRING, ids=str)
def test_the_very_moment_counts_on_entry_and_not_after_a_step(timing: dict[str, object]) -> None:
    first = due(timing, "2026-05-01 00:00:01")
    assert first is not None
    assert due(timing, first) == first
    again = due(timing, first, entered="2026-05-01 00:00:01")
    assert again is not None
    assert again > first


def test_a_weekday_moved_past_holidays_is_not_forgotten() -> None:
    """Thursday, 1 October, is kept on the 8th, also when asked for in between."""
    timing: dict[str, object] = {"weekday": "thu", "workday": True, "at": "10:00"}
    assert shown(due(timing, "2026-09-30 00:00:00")) == "2026-10-08 10:00:00"
    assert shown(due(timing, "2026-10-04 00:00:00")) == "2026-10-08 10:00:00"
    assert shown(due(timing, "2026-10-08 10:00:00.001")) == "2026-10-15 10:00:00"


# --- clock changes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "minute", "zone", "expected"),
    [
        (date(2026, 3, 8), 150, NEW_YORK, "2026-03-08 03:00:00"),  # 02:30 does not exist
        (date(2026, 3, 8), 120, NEW_YORK, "2026-03-08 03:00:00"),
        (date(2026, 3, 8), 119, NEW_YORK, "2026-03-08 01:59:00"),
        (date(2026, 3, 8), 180, NEW_YORK, "2026-03-08 03:00:00"),
        (date(2026, 11, 1), 90, NEW_YORK, "2026-11-01 01:30:00"),
        (date(2026, 4, 24), 0, ZoneInfo("Africa/Cairo"), "2026-04-24 01:00:00"),
        (date(2011, 12, 30), 600, ZoneInfo("Pacific/Apia"), "2011-12-31 00:00:00"),
        (date(2026, 11, 7), 0, SHANGHAI, "2026-11-07 00:00:00"),
    ],
)
def test_wall_clock(day: date, minute: int, zone: ZoneInfo, expected: str) -> None:
    assert shown(local_moment(day, minute, zone), zone) == expected


def test_a_time_shown_twice_is_the_first() -> None:
    first = local_moment(date(2026, 11, 1), 90, NEW_YORK)
    assert first == ms("2026-11-01 01:30", NEW_YORK)
    assert first + HOUR == ms("2026-11-01 01:30", NEW_YORK, fold=1)


@pytest.mark.parametrize("entered", ["2026-03-07 12:00:00", "2026-10-31 12:00:00"])
def test_days_keep_their_clock_time_over_a_change(entered: str) -> None:
    for n in range(4):
        moment = due({"day": n, "at": "10:00"}, entered, zone=NEW_YORK)
        day = date.fromisoformat(entered[:10]) + timedelta(days=n)
        assert shown(moment, NEW_YORK) == f"{day} 10:00:00"
    assert due({"after": "1d"}, entered, zone=NEW_YORK) == ms(entered, NEW_YORK) + DAY


def table() -> list[list[int | None]]:
    """What is due and open at every hour around both changes of New York, in both zones."""
    quiet = parse_window("22:00-08:30")
    timings: list[dict[str, object]] = [
        {"day": 1, "at": "02:30"},
        {"day": 0, "at": "00:00"},
        {"after": "30m", "workday": True},
        *RECURRING,
    ]
    rows: list[list[int | None]] = []
    for zone in (SHANGHAI, NEW_YORK):
        for change in ("2026-03-08 07:00", "2026-11-01 06:00"):
            middle = ms(change, ZoneInfo("UTC"))
            for moment in range(middle - 2 * DAY, middle + 2 * DAY, HOUR):
                row: list[int | None] = [due(timing, moment, zone=zone) for timing in timings]
                row.append(next_open(moment, window=None, quiet=quiet, zone=zone))
                rows.append(row)
    return rows


@pytest.mark.parametrize("host", ["EST5EDT,M3.2.0,M11.1.0", "America/New_York", "Asia/Shanghai"])
def test_the_zone_of_the_host_plays_no_part(host: str) -> None:
    """The first is New York's rule itself, for hosts without zone files."""
    script = (
        "import json, time; time.tzset(); from tests.sop.test_timing import table;"
        "print(json.dumps([list(time.tzname), table()]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TZ": host},
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    names, found = json.loads(ran.stdout)
    if host.startswith("EST"):
        assert names == ["EST", "EDT"]
    assert found == table()


# --- windows ---------------------------------------------------------------------------------


def opening(moment: str, *, window: str = "", quiet: str = "", zone: ZoneInfo = SHANGHAI) -> str:
    found = next_open(
        ms(moment, zone),
        window=parse_window(window) if window else None,
        quiet=parse_window(quiet) if quiet else None,
        zone=zone,
    )
    return shown(found, zone) or ""


@pytest.mark.parametrize(
    ("moment", "window", "quiet", "expected"),
    [
        ("11-07 12:00:07", "", "", "11-07 12:00:07"),
        ("11-07 21:59:59", "", "22:00-08:30", "11-07 21:59:59"),
        ("11-07 22:00:00", "", "22:00-08:30", "11-08 08:30:00"),
        ("11-07 23:59:59", "", "22:00-08:30", "11-08 08:30:00"),
        ("11-08 00:00:00", "", "22:00-08:30", "11-08 08:30:00"),
        ("11-08 08:29:59", "", "22:00-08:30", "11-08 08:30:00"),
        ("11-08 08:30:00", "", "22:00-08:30", "11-08 08:30:00"),
        ("11-07 09:00:00", "10:00-12:00", "", "11-07 10:00:00"),
        ("11-07 12:00:00", "10:00-12:00", "", "11-08 10:00:00"),
        ("11-07 12:00:00", "20:00-02:00", "", "11-07 20:00:00"),
        ("11-07 01:30:05", "20:00-02:00", "", "11-07 01:30:05"),
        ("11-07 12:00:00", "20:00-02:00", "21:00-09:00", "11-07 20:00:00"),
        ("11-07 21:30:00", "20:00-02:00", "21:00-09:00", "11-08 20:00:00"),
        ("11-07 23:00:00", "08:30-22:00", "22:00-08:30", "11-08 08:30:00"),  # they touch
        ("11-07 07:00:00", "06:00-23:00", "22:00-08:30", "11-07 08:30:00"),
        ("11-07 12:00:00", "22:00-00:30", "22:00-00:00", "11-08 00:00:00"),
    ],
)
def test_windows(moment: str, window: str, quiet: str, expected: str) -> None:
    assert opening(f"2026-{moment}", window=window, quiet=quiet) == f"2026-{expected}"


@pytest.mark.parametrize("window", ["22:00-08:30", "23:00-01:00", "22:00-22:01"])
def test_a_window_that_is_all_quiet_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="免打扰"):
        opening("2026-11-07 12:00", window=window, quiet="22:00-08:30")


@pytest.mark.parametrize(
    ("moment", "window", "expected"),
    [
        ("2026-03-07 23:00:00", "02:30-04:00", "2026-03-08 03:00:00"),  # opens in the gap
        ("2026-03-07 23:00:00", "02:10-02:40", "2026-03-09 02:10:00"),  # all of it in the gap
        ("2026-03-07 23:00:00", "08:30-22:00", "2026-03-08 08:30:00"),
        ("2026-10-31 23:00:00", "08:30-22:00", "2026-11-01 08:30:00"),
        (
            "2026-11-01 01:55:00",
            "00:30-01:50",
            "2026-11-01 01:00:00",
        ),  # the clock goes back into it
    ],
)
def test_windows_over_a_change(moment: str, window: str, expected: str) -> None:
    assert opening(moment, window=window, zone=NEW_YORK) == expected


# --- properties ------------------------------------------------------------------------------

_CHANGES = ("2026-03-08", "2026-11-01", "2026-04-24", "2026-10-30", "2026-10-04", "2026-04-05")
zones = st.sampled_from(ZONES)
moments = st.one_of(
    st.integers(ms("2024-01-01"), ms("2030-01-01")),
    st.builds(
        lambda day, offset: ms(day) + offset,
        st.sampled_from(_CHANGES),
        st.integers(-DAY, 2 * DAY),
    ),
)
windows = st.tuples(*[st.integers(0, 1439) | st.integers(0, 8).map(lambda h: h * 30)] * 2).filter(
    lambda ends: ends[0] != ends[1]
)
spans = st.none() | windows.map(lambda ends: Window(*ends))
clocks = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
recurring = st.fixed_dictionaries(
    {"at": clocks, "workday": st.booleans()},
).flatmap(
    lambda base: st.sampled_from(
        [
            {**base, "weekday": "mon"},
            {**base, "weekday": ["sat", "thu"]},
            {**base, "workday": True},
            {**base, "festival": ["国庆", "元旦"], "days": -60},
            {**base, "festival": "国庆", "days": 60},
            {**base, "birthday": "生日", "days": 3},
        ]
    )
)
afters = st.builds(
    lambda n, workday: {"after": f"{n}m", "workday": workday}, st.integers(0, 99999), st.booleans()
)


def is_open(moment: int, window: Window | None, quiet: Window | None, zone: ZoneInfo) -> bool:
    local = datetime.fromtimestamp(moment / 1000, zone)
    minute = local.hour * 60 + local.minute
    return (window is None or minute in window) and (quiet is None or minute not in quiet)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(moments, spans, spans, zones)
@example(ms("2026-11-01 01:55", NEW_YORK), Window(30, 110), None, NEW_YORK)
@example(ms("2026-10-31 23:59", NEW_YORK), None, Window(60, 59), NEW_YORK)
def test_next_open_is_the_first_open_moment(
    moment: int, window: Window | None, quiet: Window | None, zone: ZoneInfo
) -> None:
    minutes = range(1440)
    if not any((not window or m in window) and (not quiet or m not in quiet) for m in minutes):
        with pytest.raises(ValueError, match="时段"):
            next_open(moment, window=window, quiet=quiet, zone=zone)
        return
    found = next_open(moment, window=window, quiet=quiet, zone=zone)
    assert found >= moment
    assert is_open(found, window, quiet, zone)
    assert next_open(found, window=window, quiet=quiet, zone=zone) == found
    assert found == moment or found % MINUTE == 0
    for earlier in range(moment, found, MINUTE):
        assert not is_open(earlier, window, quiet, zone)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(moments, st.integers(0, 3 * DAY), spans, spans, zones)
def test_next_open_is_monotone(
    moment: int, later: int, window: Window | None, quiet: Window | None, zone: ZoneInfo
) -> None:
    try:
        found = next_open(moment, window=window, quiet=quiet, zone=zone)
    except ValueError:
        return
    assert found <= next_open(moment + later, window=window, quiet=quiet, zone=zone)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(recurring | afters, moments, st.integers(0, 400 * DAY), zones)
def test_relative_times_are_never_before_the_step_before(
    timing: dict[str, object], entered: int, later: int, zone: ZoneInfo
) -> None:
    found = due(timing, entered + later, entered=entered, zone=zone)
    assert found is not None
    assert found >= entered + later
    if timing["workday"]:
        assert Office().is_workday(local_day(found, zone))
    if "at" in timing:
        minute = step(**timing).at or 0
        assert found == local_moment(local_day(found, zone), minute, zone)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(recurring, moments, st.integers(0, 40 * DAY), zones)
def test_recurring_times_are_monotone_and_go_on(
    timing: dict[str, object], since: int, later: int, zone: ZoneInfo
) -> None:
    first = due(timing, since, entered=0, zone=zone)
    second = due(timing, since + later, entered=0, zone=zone)
    assert first is not None
    assert second is not None
    assert first <= second
    assert (first == second) is (first > since + later)
    following = due(timing, first, entered=0, zone=zone)
    assert following is not None
    assert first < following <= first + 400 * DAY


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 1438), zones)
def test_the_wall_clock_is_monotone(day: date, minute: int, zone: ZoneInfo) -> None:
    moment = local_moment(day, minute, zone)
    assert moment <= local_moment(day, minute + 1, zone)
    assert local_day(moment, zone) == day
