"""May this message leave now? Every verdict, and the arithmetic of days and nights."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sop.definitions import ContactLimits, Limits
from sop.sending import (
    SPREAD,
    Drop,
    Go,
    SendRules,
    Wait,
    Waiting,
    day_start,
    jitter,
    judge,
    next_slot,
    quiet_until,
)
from sop.times import DAY, HOUR, MINUTE, SECOND, Range, Window, parse_window
from tests.support import ZONE, at

NIGHT = parse_window("22:00-08:30")
RULES = SendRules(Limits(contact=ContactLimits(per_day=2, per_week=3)), NIGHT, ZONE)
NOON, MIDNIGHT = at("2026-11-21 12:00"), at("2026-11-21 23:30")
ZONES = st.sampled_from(
    [
        ZoneInfo(name)
        for name in (
            "Asia/Shanghai",
            "America/New_York",
            "Europe/London",
            "America/Sao_Paulo",  # once changed its clocks at midnight
            "Asia/Beirut",  # still does
            "Australia/Lord_Howe",  # by half an hour
            "Pacific/Apia",  # left out a whole day in 2011
            "Asia/Kathmandu",
        )
    ]
)
MOMENTS = st.integers(at("2008-01-01 00:00"), at("2030-01-01 00:00"))
BOUNDED = settings(max_examples=300, deadline=None, derandomize=True)


def verdict(now: int = NOON, **facts: Any) -> object:
    message = {"id": 1, "purpose": "touch", "part": 0, "expires_at": None} | facts
    return judge(Waiting(**message), RULES, now=now)


def test_nothing_in_the_way() -> None:
    for purpose in ("reply", "touch", "notice"):
        assert verdict(purpose=purpose) == Go()


def test_who_cannot_be_reached_is_not_written_to_whatever_else() -> None:
    for purpose in ("reply", "touch", "notice"):
        assert verdict(purpose=purpose, unreachable="不是好友") == Drop("不是好友")


def test_what_expires_now_is_too_old() -> None:
    assert isinstance(verdict(expires_at=NOON), Drop)
    assert verdict(expires_at=NOON + 1) == Go()


def test_a_pause_holds_touches_drops_replies_and_lets_notices_pass() -> None:
    pause = {"paused": "人工", "paused_until": NOON + HOUR}
    assert verdict(**pause) == Wait(NOON + HOUR, "人工")
    assert verdict(purpose="reply", **pause) == Drop("人工")
    assert verdict(purpose="notice", **pause) == Go()
    assert verdict(paused="人工", paused_until=None) == Drop("人工")


def test_quiet_hours_hold_touches_only() -> None:
    found = verdict(MIDNIGHT)
    assert isinstance(found, Wait)
    assert at("2026-11-22 08:30") <= found.until < at("2026-11-22 08:30") + SPREAD
    assert verdict(MIDNIGHT, purpose="reply") == Go()
    assert verdict(MIDNIGHT, purpose="notice") == Go()


@pytest.mark.parametrize(
    ("today", "week", "goes"), [(1, 2, True), (2, 2, False), (0, 3, False), (9, 9, False)]
)
def test_touches_are_counted_for_the_first_bubble_only(today: int, week: int, goes: bool) -> None:
    counts = {"touched_today": today, "touched_week": week}
    found = verdict(**counts)
    assert (found == Go()) is goes
    if not goes:
        assert isinstance(found, Wait) and found.until == at("2026-11-22 00:00")
    assert verdict(part=1, **counts) == Go()
    assert verdict(purpose="reply", **counts) == Go()


def test_what_would_be_too_old_when_its_wait_ends_is_dropped_at_once() -> None:
    found = verdict(touched_today=2, expires_at=at("2026-11-22 00:00"))
    assert isinstance(found, Drop) and "上限" in found.reason
    assert isinstance(verdict(touched_today=2, expires_at=at("2026-11-22 00:00") + 1), Wait)


def test_no_quiet_hours_no_waiting() -> None:
    rules = SendRules(Limits(), None, ZONE)
    message = Waiting(id=1, purpose="touch", part=0, expires_at=None)
    assert judge(message, rules, now=MIDNIGHT) == Go()


# --- arithmetic ----------------------------------------------------------------------------------


@BOUNDED
@given(low=st.integers(0, DAY), more=st.integers(0, DAY), seed=st.integers(0, 2**60))
def test_jitter_stays_in_its_range_and_is_the_same_again(low: int, more: int, seed: int) -> None:
    span = Range(low, low + more)
    assert low <= jitter(span, seed) <= low + more
    assert jitter(span, seed) == jitter(span, seed)


def test_jitter_of_neighbouring_ids_is_spread() -> None:
    found = [jitter(Range(0, SPREAD), id_) for id_ in range(1_000, 1_100)]
    assert len(set(found)) == 100
    assert all(any(n * MINUTE <= f < (n + 2) * MINUTE for f in found) for n in range(0, 20, 2))


@BOUNDED
@given(
    last=st.one_of(st.none(), MOMENTS),
    low=st.integers(0, HOUR),
    more=st.integers(0, HOUR),
    now=MOMENTS,
)
def test_the_next_slot_is_within_one_gap(last: int | None, low: int, more: int, now: int) -> None:
    gap = Range(low, low + more)
    slot = next_slot(last, gap, seed=last or 0, now=now)
    assert slot <= now + gap.high
    if last is None:
        assert slot == now
    elif last <= now:
        assert last + low <= slot <= last + gap.high


@BOUNDED
@given(now=MOMENTS, zone=ZONES, days=st.integers(-40, 40))
def test_a_day_begins_on_its_date_and_not_after_now(now: int, zone: ZoneInfo, days: int) -> None:
    start = day_start(now, zone)
    local, begin = (datetime.fromtimestamp(ms / 1000, zone) for ms in (now, start))
    assert begin.date() == local.date()
    assert now - 26 * HOUR < start <= now
    if start % SECOND == 0:
        before = datetime.fromtimestamp((start - 1) / 1000, zone)
        assert before.date() < begin.date()
    assert day_start(start, zone) == start
    assert day_start(now, zone, days=1) > now
    assert (day_start(now, zone, days=days) > start) == (days > 0)


@BOUNDED
@given(
    now=MOMENTS,
    zone=ZONES,
    window=st.builds(Window, st.integers(0, 1_439), st.integers(0, 1_439)).filter(
        lambda w: w.start != w.end
    ),
)
def test_quiet_hours_end_and_then_are_over(now: int, zone: ZoneInfo, window: Window) -> None:
    local = datetime.fromtimestamp(now / 1000, zone)
    until = quiet_until(window, zone, now=now)
    assert (until is None) == (local.hour * 60 + local.minute not in window)
    if until is not None:
        assert now < until <= now + 27 * HOUR + DAY  # Apia once had a day less
        assert quiet_until(window, zone, now=until) is None


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-07 23:00", "2026-03-08 03:00"),  # 02:00 to 03:00 is skipped: 02:30 is 03:00
        ("2026-03-08 01:59", "2026-03-08 03:00"),
        ("2026-10-31 23:00", "2026-11-01 02:30"),
    ],
)
def test_nights_on_which_clocks_change(now: str, until: str) -> None:
    zone = ZoneInfo("America/New_York")
    window = parse_window("22:00-02:30")
    found = quiet_until(window, zone, now=at(now, zone))
    assert found == at(until, zone)
