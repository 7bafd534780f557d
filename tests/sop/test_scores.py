"""The arithmetic of points against oracles that know only sets of days and sums."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sop.points import PointRules
from sop.scores import (
    NAMELESS,
    allowed,
    bonuses,
    day_of,
    ends_at,
    extended,
    joined,
    missed_day,
    month_of,
    places,
    shown_name,
)
from tests.support import DAY, ZONE, at

DAYS = st.lists(st.integers(1, 12), min_size=1, max_size=14)


def run_at(days: set[int], day: int) -> int:
    """How many days in a row end with `day`."""
    return 0 if day not in days else 1 + run_at(days, day - 1)


def book(order: list[int]) -> tuple[set[int], int, list[tuple[int, int]]]:
    """Days checked in one after the other, as the engine does it: the days, the streak, bonuses."""
    days: set[int] = set()
    last, streak, won = None, 0, []
    for day in order:
        if last is None or day > last:
            run = extended(last, streak, day)
        elif day in days:
            continue
        else:
            run = joined(days, day)
        days.add(day)
        last = max(day, last or 0)
        streak = run.length if run.end == last else streak
        won += [(length, day) for length, _ in bonuses({2: 1, 3: 1, 5: 1}, run)]
    return days, streak, won


@given(DAYS)
def test_a_streak_is_the_run_that_ends_with_the_last_day(order: list[int]) -> None:
    days, streak, _ = book(order)
    assert days == set(order)
    assert streak == run_at(days, max(days))


@given(DAYS)
def test_who_comes_in_order_gets_each_bonus_once_a_run(order: list[int]) -> None:
    days, _, won = book(sorted(order))
    expected = [(length, day) for day in sorted(days) for length in (2, 3, 5)
                if run_at(days, day) == length]  # fmt: skip
    assert won == expected


@given(DAYS)
def test_no_order_brings_a_bonus_twice_for_the_same_days(order: list[int]) -> None:
    days, _, won = book(order)
    for length in (2, 3, 5):
        runs = [day for day in days if day + 1 not in days and run_at(days, day) >= length]
        together = sum(run_at(days, day) // length for day in runs)
        assert len(runs) <= len([1 for n, _ in won if n == length]) <= together


@given(DAYS, st.data())
def test_events_of_one_day_may_come_in_any_order(order: list[int], data: st.DataObject) -> None:
    days = sorted(order)
    shuffled = data.draw(st.permutations(days))
    assert book(sorted(shuffled)) == book(days)


@given(st.lists(st.tuples(st.sampled_from("甲乙"), st.integers(1, 9)), max_size=8), st.data())
def test_what_caps_leave_does_not_depend_on_the_order(
    gifts: list[tuple[str, int]], data: st.DataObject
) -> None:
    def given_out(order: list[tuple[str, int]]) -> int:
        got = {"甲": 0, "乙": 0}
        for reason, amount in order:
            left = allowed(amount, got=got[reason], cap=7)
            got[reason] += allowed(left, got=sum(got.values()), cap=10)
        return sum(got.values())

    assert given_out(data.draw(st.permutations(gifts))) == given_out(gifts)


@given(st.lists(st.integers(-3, 5), max_size=8))
def test_equals_share_a_place(values: list[int]) -> None:
    falling = sorted(values, reverse=True)
    assert places(falling) == [1 + sum(v > value for v in falling) for value in falling]


@given(st.text(max_size=200))
def test_any_nickname_is_one_short_harmless_line(name: str) -> None:
    shown = shown_name(name)
    assert 0 < len(shown) <= 12
    assert shown == " ".join(shown.split())
    assert not set(shown) & set("@[]<>\n\r\u202e\u200b\u2028")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("小雨", "小雨"),
        ("", NAMELESS),
        ("\u200b\u202e \n", NAMELESS),
        ("@所有人", "＠所有人"),
        ("小雨\n1. 第一名　999", "小雨 1. 第一名 9…"),
        ("长" * 9_000, "长" * 11 + "…"),
    ],
)
def test_nicknames(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_a_day_is_the_workspace_s() -> None:
    late = at("2026-11-21 23:59")
    assert day_of(late, ZONE, now=late + DAY) == date(2026, 11, 21).toordinal()
    assert day_of(late, ZoneInfo("America/New_York"), now=late) == date(2026, 11, 21).toordinal()
    assert day_of(late, ZoneInfo("Asia/Tokyo"), now=late) == date(2026, 11, 22).toordinal()
    assert day_of(late + 9 * DAY, ZONE, now=late) == date(2026, 11, 21).toordinal()
    assert ends_at(date(2026, 11, 21).toordinal(), ZONE) == at("2026-11-23 00:00")


def test_a_month_is_a_calendar_month() -> None:
    assert month_of(date(2026, 12, 31), ZONE) == (at("2026-12-01"), at("2027-01-01"))
    assert month_of(date(2028, 2, 1), ZONE) == (at("2028-02-01"), at("2028-03-01"))


def test_the_last_missed_day() -> None:
    assert missed_day({10, 9, 7}, 10, back=3) == 8
    assert missed_day({9, 8}, 10, back=2) is None
    assert missed_day({}, 10, back=1) == 9


def test_levels_by_what_was_earned() -> None:
    rules = PointRules(levels={"乙": 100, "甲": 0})
    assert [rules.level(n) for n in (-1, 0, 99, 100)] == [None, "甲", "甲", "乙"]
    assert [rules.next_level(n) for n in (-1, 40, 100)] == [("甲", 1), ("乙", 60), None]
