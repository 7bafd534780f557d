"""The Chinese calendar, against published dates and on its rare days."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from borax.calendars.lunardate import LunarDate

from bot.almanac import ChineseAlmanac
from sop.almanac import Almanac, Birthday
from sop.definitions import CalendarSettings
from sop.load import load
from sop.sequences import WEEKDAYS, Step
from sop.timing import planned_at

DOCS = Path(__file__).parents[2] / "docs/calendar.md"
SHANGHAI = ZoneInfo("Asia/Shanghai")
ALMANAC: Almanac = ChineseAlmanac()


def calendar(workdays: str = "", holidays: str = "") -> CalendarSettings:
    given = {"workdays": workdays.split(), "holidays": holidays.split()}
    return CalendarSettings.model_validate(given)


# --- workdays --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 2, 14), True),  # a Saturday worked for the Spring Festival
        (date(2026, 2, 17), False),
        (date(2026, 2, 24), True),
        (date(2026, 5, 1), False),
        (date(2026, 5, 9), True),
        (date(2026, 10, 10), True),
        (date(2026, 11, 7), False),
        (date(2026, 11, 9), True),
        (date(2020, 1, 31), False),  # prolonged in that year
    ],
)
def test_the_official_arrangement(day: date, works: bool) -> None:
    assert ALMANAC.is_workday(day) is works


def test_a_year_without_data_is_monday_to_friday_and_says_so_once() -> None:
    told: list[int] = []
    almanac = ChineseAlmanac(on_unknown_year=told.append)
    assert almanac.is_workday(date(2026, 12, 31))
    assert told == []
    for day in range(365):
        this = date(2099, 1, 1) + timedelta(days=day)
        assert almanac.is_workday(this) is (WEEKDAYS[this.weekday()] not in ("sat", "sun"))
    assert not almanac.is_workday(date(1999, 10, 2))
    assert told == [2099, 1999]


def test_own_days_go_first_in_known_and_unknown_years() -> None:
    told: list[int] = []
    own = calendar("2099-02-14 2026-11-07", "2099-02-17 2026-11-09")
    almanac = ChineseAlmanac(own, on_unknown_year=told.append)
    assert almanac.is_workday(date(2099, 2, 14))  # a Saturday
    assert not almanac.is_workday(date(2099, 2, 17))
    assert almanac.is_workday(date(2026, 11, 7))
    assert not almanac.is_workday(date(2026, 11, 9))
    assert told == [2099]


def test_a_day_cannot_be_both() -> None:
    text = "community: 小满家\ncalendar: {workdays: [2027-02-06], holidays: [2027-02-06]}\n"
    problems = load({"siyu.yaml": text}, env={}).problems
    assert ["2027-02-06 既写了上班又写了放假" in problem.message for problem in problems] == [True]


# --- festivals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "year", "day"),
    [
        ("元旦", 2027, "01-01"),
        ("除夕", 2026, "02-16"),
        ("春节", 2026, "02-17"),
        ("春节", 2027, "02-06"),
        ("元宵节", 2026, "03-03"),
        ("龙抬头", 2026, "03-20"),
        ("清明", 2026, "04-05"),
        ("清明节", 2028, "04-04"),
        ("五一", 2026, "05-01"),
        ("端午", 2026, "06-19"),
        ("七夕", 2026, "08-19"),
        ("中元节", 2026, "08-27"),
        ("中秋节", 2026, "09-25"),
        ("国庆", 2026, "10-01"),
        ("重阳节", 2026, "10-18"),
        ("冬至", 2026, "12-22"),
        ("腊八", 2026, "01-26"),
        ("小年", 2026, "02-10"),
        ("南方小年", 2026, "02-11"),
        ("情人节", 2027, "02-14"),
        ("女神节", 2026, "03-08"),
        ("母亲节", 2026, "05-10"),
        ("父亲节", 2026, "06-21"),
        ("感恩节", 2026, "11-26"),
        ("双11", 2026, "11-11"),
        ("双十二", 2026, "12-12"),
        ("平安夜", 2026, "12-24"),
        ("圣诞", 2026, "12-25"),
        ("小满", 2026, "05-21"),
    ],
)
def test_festivals(name: str, year: int, day: str) -> None:
    assert ALMANAC.festival(name, year).isoformat() == f"{year}-{day}"


def test_every_name_has_a_day_in_every_year() -> None:
    names = ALMANAC.festivals()
    assert len(names) == len(set(names))
    for name in names:
        days = [ALMANAC.festival(name, year) for year in range(1901, 2101)]
        gaps = {(after - before).days for before, after in pairwise(days)}
        assert gaps <= {353, 354, 355, 364, 365, 366, 371, 382, 383, 384, 385}, name


@pytest.mark.parametrize("year", range(1901, 2102))
def test_the_last_evening_is_before_the_first_day(year: int) -> None:
    last = ALMANAC.festival("除夕", year)
    assert last.year == year
    if year <= 2100:
        assert ALMANAC.festival("春节", year) - last == timedelta(days=1)
    kept = LunarDate.from_solar(last)
    assert (kept.month, kept.day in (29, 30)) == (12, True)


def test_two_in_one_year_and_none_in_the_next() -> None:
    """腊八 of lunar 2022 was on 30 December; the solar year 2023 had none."""
    assert [str(ALMANAC.festival("腊八", year)) for year in (2022, 2023, 2024)] == [
        "2022-01-10",
        "2022-12-30",
        "2024-01-18",
    ]


@pytest.mark.parametrize(
    ("name", "year", "text"),
    [
        ("春节", 2101, "农历只查得到 1900 到 2100 年"),
        ("小年", 1900, "农历只查得到 1900 到 2100 年"),
        ("冬至", 2101, "节气只查得到 1900 到 2100 年"),
        ("春天", 2026, "没有叫“春天”的节日"),
    ],
)
def test_what_it_does_not_know(name: str, year: int, text: str) -> None:
    with pytest.raises(KeyError, match=text):
        ALMANAC.festival(name, year)


# --- birthdays -------------------------------------------------------------------------------


def kept(born: Birthday, *years: int) -> list[str]:
    return [ALMANAC.birthday(born, year).isoformat() for year in years]


def test_29_february_is_kept_on_the_28th() -> None:
    assert kept(Birthday(2, 29), 2027, 2028, 2100) == ["2027-02-28", "2028-02-29", "2100-02-28"]


def test_the_30th_of_a_short_last_month_is_kept_on_the_29th() -> None:
    """Lunar 2024 to 2028 end on 腊月廿九, 2029 ends on the 30th."""
    days = kept(Birthday(12, 30, lunar=True), 2025, 2026, 2029, 2030)
    assert days == ["2025-01-28", "2026-02-16", "2029-02-12", "2030-02-02"]
    assert all(ALMANAC.festival("除夕", int(day[:4])).isoformat() == day for day in days)


def test_a_leap_month_is_kept_in_the_ordinary_one_when_there_is_none() -> None:
    born = Birthday(6, 8, lunar=True, leap=True)  # 2025 had a leap sixth month
    assert kept(born, 2024, 2025, 2026) == ["2024-07-13", "2025-08-01", "2026-07-21"]
    assert kept(Birthday(6, 8, lunar=True), 2025) == ["2025-07-02"]


def test_the_leap_eleventh_month_of_2033() -> None:
    born = Birthday(11, 10, lunar=True, leap=True)
    assert kept(born, 2032, 2033, 2034) == ["2032-12-12", "2033-12-31", "2034-12-20"]


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("leap", [False, True])
def test_nobody_is_skipped_nor_greeted_twice_in_300_days(month: int, leap: bool) -> None:
    for day in range(1, 31):
        born = Birthday(month, day, lunar=True, leap=leap)
        days = [ALMANAC.birthday(born, year) for year in range(1901, 2101)]
        gaps = [(after - before).days for before, after in pairwise(days)]
        assert min(gaps) > 300
        assert max(gaps) < 420
        for year, this in zip(range(1901, 2101), days, strict=True):
            assert abs((this - date(year, 7, 1)).days) < 210  # in or just beside its year


def test_a_lunar_birthday_beyond_the_tables() -> None:
    with pytest.raises(KeyError, match="农历只查得到 1900 到 2100 年"):
        ALMANAC.birthday(Birthday(8, 15, lunar=True), 2101)
    assert kept(Birthday(5, 1), 2150) == ["2150-05-01"]


# --- steps on rare days ----------------------------------------------------------------------


def due(timing: dict[str, object], since: str, born: Birthday | None = None) -> str:
    moment = planned_at(
        Step.model_validate({"id": "a", "at": "09:00", **timing}),
        entered_at=0,
        since=int(datetime.fromisoformat(since).replace(tzinfo=SHANGHAI).timestamp() * 1000),
        zone=SHANGHAI,
        almanac=ALMANAC,
        birthday=born,
    )
    assert moment is not None
    return f"{datetime.fromtimestamp(moment / 1000, SHANGHAI):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("timing", "since", "born", "expected"),
    [
        ({"birthday": "生日"}, "2027-01-01", Birthday(2, 29), "2027-02-28 09:00"),
        ({"birthday": "生日"}, "2027-02-28 09:00", Birthday(2, 29), "2028-02-29 09:00"),
        ({"birthday": "生日"}, "2026-01-01", Birthday(12, 30, lunar=True), "2026-02-16 09:00"),
        ({"birthday": "生日"}, "2026-02-17", Birthday(12, 30, lunar=True), "2027-02-05 09:00"),
        (
            {"birthday": "生日", "days": -3},
            "2026-02-17",
            Birthday(6, 8, lunar=True, leap=True),
            "2026-07-18 09:00",
        ),
        ({"festival": "腊八"}, "2022-01-11", None, "2022-12-30 09:00"),
        ({"festival": "腊八"}, "2022-12-31", None, "2024-01-18 09:00"),
        ({"festival": ["除夕", "春节"], "days": -3}, "2026-11-07", None, "2027-02-02 09:00"),
        ({"festival": "春节", "workday": True}, "2026-01-01", None, "2026-02-24 09:00"),
        ({"workday": True}, "2026-02-13 09:00", None, "2026-02-14 09:00"),
        ({"workday": True}, "2099-10-02 09:00", None, "2099-10-05 09:00"),
    ],
)
def test_steps(timing: dict[str, object], since: str, born: Birthday | None, expected: str) -> None:
    assert due(timing, since, born) == expected


def test_every_festival_is_documented() -> None:
    words = set(re.findall(r"\w+", DOCS.read_text(encoding="utf-8")))
    assert set(ALMANAC.festivals()) <= words
