"""Birthdays are read the way people write them, and never guessed at."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sop.almanac import Birthday
from sop.birthdays import parse_birthday

SOLAR = """
1990-05-01
1990/5/1
1990.5.1
1990年5月1日
1990年05月1号
1990 年 5 月 1 日
1990 05 01
一九九〇年五月一日
19900501
900501
90年5月1日
0501
5-1
5.1
5/1
5 1
05-01
05月01日
5月1号
5月1
五月一日
五月一號
５月１日
1990-05-01 00:00:00
1990-05-01T00:00:00Z
1990/5/1 0:00
公历5月1日
阳历 1990-5-1
5月1日(阳历)
我的生日是5月1号
生日：5月1日
5月1日生
"""
LUNAR = """
农历八月十五
农历八月十五日
农历 八月 十五
阴历8月15
旧历8-15
農曆八月十五
lunar 8-15
Lunar: 1988-8-15
农历1988年八月十五
1988年8月15日（农历）
农历一九八八年八月十五
农历19880815
八月十五（阴历）
(农)8.15
中秋
中秋节
我是农历八月十五的生日
"""


@pytest.mark.parametrize("text", SOLAR.strip().splitlines())
def test_solar(text: str) -> None:
    assert parse_birthday(text) == Birthday(5, 1)


@pytest.mark.parametrize("text", LUNAR.strip().splitlines())
def test_lunar(text: str) -> None:
    assert parse_birthday(text) == Birthday(8, 15, lunar=True)


@pytest.mark.parametrize(
    ("text", "born"),
    [
        ("正月初一", Birthday(1, 1, lunar=True)),
        ("大年初一", Birthday(1, 1, lunar=True)),
        ("冬月廿三", Birthday(11, 23, lunar=True)),
        ("农历十一月二十", Birthday(11, 20, lunar=True)),
        ("臘月初八", Birthday(12, 8, lunar=True)),
        ("五月初五", Birthday(5, 5, lunar=True)),
        ("八月初8", Birthday(8, 8, lunar=True)),
        ("阴历腊月三十", Birthday(12, 30, lunar=True)),
        ("腊月卅", Birthday(12, 30, lunar=True)),
        ("大年三十", Birthday(12, 30, lunar=True)),
        ("除夕", Birthday(12, 30, lunar=True)),
        ("农历1988年闰四月初三", Birthday(4, 3, lunar=True, leap=True)),
        ("闰四月初三", Birthday(4, 3, lunar=True, leap=True)),
        ("农历闰4-3", Birthday(4, 3, lunar=True, leap=True)),
    ],
)
def test_what_only_the_lunar_calendar_has(text: str, born: Birthday) -> None:
    assert parse_birthday(text) == born


@pytest.mark.parametrize("text", ["2月29日", "2000-02-29", "000229", "1996年2月29号"])
def test_leap_day(text: str) -> None:
    assert parse_birthday(text) == Birthday(2, 29)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "不告诉你",
        "1990",
        "1990-05",
        "5月",
        "5",
        "1991-02-29",
        "2月30日",
        "4-31",
        "13-1",
        "0-5",
        "5-0",
        "31/12/1990",
        "1850-01-01",
        "农历8月31",
        "农历十三月初一",
        "农历八月初十五",
        "农历八月二一",
        "阳历腊月初八",
        "阳历5-1 农历四月初七",
        "1990-5-1-2",
        "-5-1",
        "99999999",
        "1" * 10_000,
    ],
)
def test_what_is_no_birthday(text: str) -> None:
    assert parse_birthday(text) is None


@pytest.mark.parametrize("text", ["八月十五", "1988年八月十五", "十二月二十五", "十月一"])
def test_what_may_be_either_is_not_guessed(text: str) -> None:
    assert parse_birthday(text) is None


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.text(max_size=60) | st.text("农历阴阳闰正腊月日号年初十廿一二三0123456789-/. :", max_size=14)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    born = parse_birthday(text)
    if born is not None:
        assert 1 <= born.month <= 12
        assert 1 <= born.day <= 31 - born.lunar
        assert born.lunar or not born.leap


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)))
def test_every_day_in_every_form(day: date) -> None:
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日", "%y-%m-%d", "%m月%d号"):
        assert parse_birthday(day.strftime(form)) == Birthday(day.month, day.day)
