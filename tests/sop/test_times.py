"""Spans, clock times and windows as operators write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sop.times import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Range,
    Window,
    parse_clock,
    parse_duration,
    parse_range,
    parse_window,
    show_duration,
)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("30s", 30 * SECOND),
        ("10m", 10 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("1.5h", 90 * MINUTE),
        ("2w", 14 * DAY),
        ("250ms", 250),
        ("1d 12h", 36 * HOUR),
        ("0s", 0),
    ],
)
def test_spans_are_read(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize(
    "text", ["", "10", "m", "-5m", "5 分钟", "1h-2h", "1e3s", "m10", "10mm", "1.s", ".5h", None]
)
def test_what_is_no_span_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "minute"), [("00:00", 0), ("8:30", 510), ("08:30", 510), ("23:59", 1_439)]
)
def test_clock_times_are_read(text: str, minute: int) -> None:
    assert parse_clock(text) == minute


@pytest.mark.parametrize("text", ["24:00", "8", "8:3", "8:60", "-1:00", "08:30:00", "八点", ""])
def test_what_is_no_clock_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_clock(text)


def test_a_range_may_be_one_span_and_is_never_upside_down() -> None:
    assert parse_range("6s-20s") == Range(6 * SECOND, 20 * SECOND)
    assert parse_range("5s") == Range(5 * SECOND, 5 * SECOND)
    with pytest.raises(ValueError, match=r".*"):
        parse_range("20s-6s")


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_window("08:00-08:00")


MINUTES = st.integers(0, 1_439)


@settings(deadline=None, derandomize=True)
@given(start=MINUTES, end=MINUTES, minute=MINUTES)
def test_a_window_and_the_opposite_one_share_the_day(start: int, end: int, minute: int) -> None:
    if start == end:
        return
    assert (minute in Window(start, end)) is not (minute in Window(end, start))
    assert start in Window(start, end)
    assert end not in Window(start, end)
    assert parse_window(str(Window(start, end))) == Window(start, end)


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (500, "0.5 秒"),
        (30 * SECOND, "30 秒"),
        (90 * SECOND, "1 分 30 秒"),
        (10 * MINUTE, "10 分钟"),
        (2 * HOUR, "2 小时"),
        (90 * MINUTE, "1 小时 30 分"),
        (36 * HOUR, "1 天 12 小时"),
    ],
)
def test_spans_are_shown_as_people_say_them(ms: int, shown: str) -> None:
    assert show_duration(ms) == shown
