"""The budget of an account: what counts how much, what youth and trouble leave of it."""

from __future__ import annotations

from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sop.definitions import AccountLimits
from sop.health import (
    BAD_MOST,
    RISK,
    Full,
    Ledger,
    Room,
    Signals,
    assess,
    born,
    budget,
    fitting,
    room,
    slowed,
    weight,
)
from sop.messages import Body
from sop.times import DAY, HOUR, Range
from tests.support import at

NOW = 1_000 * DAY
STAGES = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 50), st.integers(1, 300)), max_size=4
).map(
    lambda steps: [
        {"until": f"{until}d", "per_hour": hour, "per_day": day}
        for until, hour, day in zip(
            sorted({step[0] for step in steps}),
            sorted(step[1] for step in steps),
            sorted(step[2] for step in steps),
            strict=False,
        )
    ]
)
LIMITS = st.builds(
    lambda hour, day, warmup: AccountLimits.model_validate(
        {"per_hour": hour, "per_day": day, "warmup": warmup}
    ),
    st.integers(1, 100), st.integers(1, 500), STAGES,
)  # fmt: skip
KINDS = st.sampled_from(["text", "image", *RISK])


@given(limits=LIMITS, ages=st.lists(st.integers(0, 90 * DAY), min_size=2, max_size=2))
def test_a_budget_only_grows_with_age_and_never_beyond_the_limits(
    limits: AccountLimits, ages: list[int]
) -> None:
    young, old = (budget(limits, age=age) for age in sorted(ages))
    full = budget(limits, age=None)
    assert 1 <= young.per_hour <= old.per_hour <= full.per_hour == limits.per_hour
    assert 1 <= young.per_day <= old.per_day <= full.per_day == limits.per_day
    assert bool(full.because) is False


@given(limits=LIMITS, age=st.one_of(st.none(), st.integers(0, 90 * DAY)))
def test_who_goes_slow_sends_half_but_never_nothing(limits: AccountLimits, age: int | None) -> None:
    usual, slow = (budget(limits, age=age, slow=slow) for slow in (False, True))
    assert 1 <= slow.per_hour <= (usual.per_hour + 1) // 2
    assert 1 <= slow.per_day <= (usual.per_day + 1) // 2
    assert "减半" in slow.because


@given(
    limits=LIMITS,
    age=st.one_of(st.none(), st.integers(0, 30 * DAY)),
    wishes=st.lists(st.tuples(KINDS, st.integers(0, 30 * 60_000)), max_size=80),
)
def test_whatever_is_wished_no_hour_and_no_day_holds_more_than_its_budget(
    limits: AccountLimits, age: int | None, wishes: list[tuple[str, int]]
) -> None:
    may = budget(limits, age=age)
    sent: list[tuple[int, int]] = []
    now = NOW
    for kind, wait in wishes:
        now += wait
        day = NOW + (now - NOW) // DAY * DAY
        lately = [(t, w) for t, w in sent if t > now - HOUR]
        ledger = Ledger(
            sum(w for t, w in sent if t >= day),
            sum(w for _, w in lately),
            lately[0][0] if lately else None,
            sent[-1][0] if sent else None,
        )
        found = room(ledger, may, now=now, tomorrow=day + DAY)
        if isinstance(found, Full):
            assert found.until > now
        elif fitting([kind], found):
            sent.append((now, weight(kind)))
    for t, _ in sent:
        hour = sum(w for other, w in sent if t - HOUR < other <= t)
        assert hour <= may.per_hour + max(RISK.values()) - 1
    assert sum(w for t, w in sent if t < NOW + DAY) <= may.per_day + max(RISK.values()) - 1


@given(kinds=st.lists(KINDS, max_size=40), units=st.integers(0, 40))
def test_what_leaves_together_fits_but_for_the_last(kinds: list[str], units: int) -> None:
    n = fitting(kinds, Room(units))
    assert sum(weight(kind) for kind in kinds[: max(n - 1, 0)]) < units or n == 0
    if n < len(kinds):
        assert sum(weight(kind) for kind in kinds[:n]) >= units


def test_a_full_hour_ends_when_its_first_message_is_an_hour_old() -> None:
    may = budget(AccountLimits(per_hour=3, per_day=10), age=None)
    found = room(Ledger(3, 3, NOW - HOUR + 5, NOW), may, now=NOW, tomorrow=NOW + DAY)
    assert found == Full(NOW + 6, "账号一小时内已发出 3 条，到了每小时的上限")
    found = room(Ledger(10, 2, NOW, NOW), may, now=NOW, tomorrow=NOW + DAY)
    assert found == Full(NOW + DAY, "账号今天已发出 10 条，到了每天的上限")


def test_the_reason_names_youth() -> None:
    limits = AccountLimits.model_validate(
        {"warmup": [{"until": "3d", "per_hour": 5, "per_day": 9}]}
    )
    found = room(Ledger(9, 0, None, None), budget(limits, age=DAY), now=NOW, tomorrow=NOW + DAY)
    assert isinstance(found, Full)
    assert found.because == "账号今天已发出 9 条，到了每天的上限（养号期，还不满 3 天）"


@pytest.mark.parametrize(
    ("signals", "stop", "span"),
    [
        (Signals(100, 0, 0), None, 0),
        (Signals(100, BAD_MOST, 0), None, 0),
        (Signals(4, 4, 0), None, 0),
        (Signals(20, BAD_MOST, 0), False, 6 * HOUR),
        (Signals(0, 0, 1), False, DAY),
        (Signals(0, 0, 2), True, DAY),
    ],
)
def test_what_trouble_asks_for(signals: Signals, stop: bool | None, span: int) -> None:
    care = assess(signals, now=NOW)
    assert (care and care.stop) == stop
    assert care is None or care.until == NOW + span


def test_slowness_doubles_the_gaps() -> None:
    assert slowed(Range(2, 5), slow=True) == Range(4, 10)
    assert slowed(Range(2, 5), slow=False) == Range(2, 5)


def test_the_operator_knows_better_how_old_an_account_is() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    assert born(None, 5, zone) == 5
    assert born(None, None, zone) is None
    limits = AccountLimits.model_validate({"since": "2026-03-01"})
    assert born(limits.since, 5, zone) == at("2026-03-01")


def test_what_is_no_message_weighs_most() -> None:
    kinds = {
        kind
        for model in get_args(get_args(Body)[0])
        for kind in get_args(model.model_fields["kind"].annotation)
    }
    assert {"accept", "invite", "moment"} <= kinds
    said = {"text", "image", "file", "video"}
    assert {kind for kind in kinds if weight(kind) == 1} == said
