"""Walks that change versions: where they stand, when they are due, and that nothing runs twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sop.almanac import Birthday
from sop.engine import Facts, Phase, Walk, advance, begin
from sop.moving import How, Moved, how_words, move_over
from sop.sequences import Sop
from sop.times import DAY, HOUR
from tests.support import at

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = at("2026-03-02 09:00")
NOW = at("2026-03-04 12:00")


class Office:
    """Monday to Friday; no festival."""

    def is_workday(self, day: date) -> bool:
        return day.weekday() < 5

    def festivals(self) -> Collection[str]:
        return ()

    def festival(self, name: str, year: int) -> date:
        raise KeyError(name, year)

    def birthday(self, born: Birthday, year: int) -> date:
        return date(year, born.month, born.day)


FACTS = Facts(zone=ZONE, almanac=Office(), quiet=None)


def sop(*steps: dict[str, Any]) -> Sop:
    return Sop.model_validate({"id": "s", "steps": [{"do": [{"say": "x"}], **s} for s in steps]})


def days(*ids: str, **more: Any) -> list[dict[str, Any]]:
    return [{"id": id_, "after": "1d", **more} for id_ in ids]


def walk(step: str, **more: Any) -> Walk:
    due = NOW + HOUR
    base = Walk(id=7, step=step, entered_at=MONDAY, since=due - DAY, planned_at=due, due_at=due)
    return replace(base, **more)


def moved(old: Sop, new: Sop, stands: Walk, *ran: str, now: int = NOW) -> Moved:
    return move_over(old, new, stands, ran=frozenset(ran), facts=FACTS, now=now)


def place(result: Moved) -> tuple[How, str | None]:
    return result.how, result.walk.step if result.walk else None


# --- where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (["a", "b", "c", "d"], (How.STAYS, "b")),
        (["a", "n", "b", "c", "d"], (How.STAYS, "b")),
        (["a", "c", "d"], (How.STEP_GONE, "c")),
        (["d", "c"], (How.STEP_GONE, "c")),
        (["d", "a"], (How.STEP_GONE, "d")),
        (["a", "n", "m"], (How.STEP_GONE, "n")),  # all that lay ahead was replaced
        (["n", "a"], (How.OVER, None)),
        (["n"], (How.STEP_GONE, "n")),
    ],
)
def test_a_walk_at_b_after_a(new: list[str], expected: tuple[How, str | None]) -> None:
    result = moved(sop(*days(*"abcd")), sop(*days(*new)), walk("b"), "a")
    assert place(result) == expected
    if result.walk:
        assert "a" in result.walk.past


def test_a_walk_that_stays_keeps_its_time_and_what_it_waits_for() -> None:
    stands = walk("b", waiting="人工接管", due_at=NOW + 5 * HOUR)
    new = sop(*days("a", "b", do=[{"say": "other"}]))
    assert moved(sop(*days("a", "b")), new, stands, "a").walk == replace(
        stands, past=frozenset({"a"})
    )


def test_what_was_run_before_is_not_run_when_it_now_lies_ahead() -> None:
    new = sop(*days("b", "a", "c"))
    there = moved(sop(*days("a", "b", "c")), new, walk("b"), "a").walk
    assert there is not None
    done = advance(new, there, facts=FACTS, now=NOW + 2 * HOUR)
    assert done.walk is not None
    assert done.walk.step == "c"
    assert [(run.step, run.outcome) for run in done.runs] == [("b", "done"), ("a", "skipped")]


# --- when ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timing", "due"),
    [
        ({"after": "3d"}, NOW + HOUR + 2 * DAY),
        ({"after": "1h"}, NOW),  # it would have been due before: at once, and not late
        ({}, NOW),
        ({"day": 4, "at": "10:00"}, at("2026-03-06 10:00")),
        ({"day": 1, "at": "10:00"}, NOW),
        ({"weekday": "mon", "at": "10:00"}, at("2026-03-09 10:00")),
        ({"workday": True, "at": "10:00"}, at("2026-03-05 10:00")),
    ],
)
def test_a_new_timing_counts_as_though_it_had_held_all_along(
    timing: dict[str, Any], due: int
) -> None:
    result = moved(sop(*days("b")), sop({"id": "b", **timing}), walk("b"))
    assert result.how is How.RETIMED
    assert result.walk is not None
    assert result.walk.due_at == due


def test_a_day_that_is_over_is_as_late_as_it_is() -> None:
    result = moved(sop(*days("b")), sop({"id": "b", "day": 1, "at": "10:00"}), walk("b"))
    assert result.walk is not None
    assert result.walk.planned_at == at("2026-03-03 10:00")


def test_a_wait_that_is_shortened_counts_from_where_it_began() -> None:
    def waiting(span: str) -> Sop:
        return sop({"id": "b", "wait_until": {"on": "order", "within": span}})

    stands = walk("b", phase=Phase.WAIT, since=NOW - DAY, due_at=NOW + DAY, deadline=NOW + DAY)
    result = moved(waiting("2d"), waiting("30h"), stands)
    assert result.walk is not None
    assert (result.walk.phase, result.walk.deadline) == (Phase.WAIT, NOW + 6 * HOUR)


def test_a_timing_that_becomes_a_wait_begins_to_wait_now() -> None:
    new = sop({"id": "b", "wait_until": {"on": "order", "within": "1d"}})
    result = moved(sop(*days("b")), new, walk("b", since=NOW - 30 * DAY))
    assert result.walk is not None
    assert (result.walk.phase, result.walk.deadline) == (Phase.WAIT, NOW + DAY)


def test_a_birthday_that_is_not_known_is_passed_over() -> None:
    new = sop({"id": "b", "birthday": "生日", "at": "10:00"}, *days("c"))
    result = moved(sop(*days("b", "c")), new, walk("b"))
    assert place(result) == (How.RETIMED, "c")
    assert [(run.step, run.outcome) for run in result.runs] == [("b", "skipped")]
    last = moved(sop(*days("b")), sop({"id": "b", "birthday": "生日", "at": "10:00"}), walk("b"))
    assert last.walk is None


# --- replies -------------------------------------------------------------------------------------


def asking(within: str = "24h", **more: Any) -> dict[str, Any]:
    reply = {"within": within, "cases": [{"match": {"any": "要"}}]}
    return {"id": "b", "after": "1d", "reply": reply, **more}


LISTENING = {"phase": Phase.REPLY, "since": NOW - HOUR, "deadline": NOW + 23 * HOUR}


def test_who_waits_for_a_reply_goes_on_waiting() -> None:
    stands = walk("b", **LISTENING, due_at=NOW + 23 * HOUR)
    old, new = sop(asking(), *days("c")), sop(asking(after="9d"), *days("n", "c"))
    result = moved(old, new, stands, "b")
    assert result == Moved(replace(stands, past=frozenset({"b"})), How.STAYS)


def test_a_shorter_wait_for_a_reply_ends_earlier() -> None:
    stands = walk("b", **LISTENING, due_at=NOW + 23 * HOUR)
    result = moved(sop(asking()), sop(asking("2h")), stands, "b")
    assert result.walk is not None
    assert (result.how, result.walk.due_at) == (How.RETIMED, NOW + HOUR)


def test_a_reply_that_is_no_longer_asked_for_is_not_waited_for() -> None:
    stands = walk("b", **LISTENING, due_at=NOW + 23 * HOUR)
    result = moved(sop(asking(), *days("c")), sop(*days("b", "c")), stands, "b")
    assert place(result) == (How.HEARD_OUT, "c")
    assert result.walk is not None
    assert result.walk.due_at == NOW - HOUR + DAY
    last = moved(sop(asking()), sop(*days("b")), stands, "b")
    assert last.how is How.OVER


# --- rounds --------------------------------------------------------------------------------------


def test_a_round_that_both_versions_mean_goes_on() -> None:
    steps = [*days("hello"), *days("weekly"), *days("more", goto="weekly")]
    again = sop(*steps, *days("n"))
    result = moved(sop(*steps), again, walk("more"), "hello", "weekly")
    assert result.walk is not None
    assert result.walk.past == {"hello"}
    assert advance(again, result.walk, facts=FACTS, now=NOW + HOUR).walk.step == "weekly"  # type: ignore[union-attr]


def test_a_round_that_only_the_new_version_means_repeats_nothing_of_the_old() -> None:
    again = sop(*days("hello", "weekly"), *days("more", goto="weekly"), *days("n"))
    result = moved(sop(*days("hello", "weekly", "more")), again, walk("more"), "hello", "weekly")
    assert result.walk is not None
    assert advance(again, result.walk, facts=FACTS, now=NOW + HOUR).runs[-1].outcome == "skipped"


# --- whatever the edit ---------------------------------------------------------------------------

names = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=7, unique=True)
span = st.sampled_from(["", "1h", "1d", "3d"])


@st.composite
def versions(draw: st.DrawFn) -> Sop:
    steps = []
    for name in draw(names):
        step: dict[str, Any] = {"id": name}
        if after := draw(span):
            step["after"] = after
        if draw(st.booleans()):
            step["reply"] = {"within": "2d", "cases": [{"match": {"any": "要"}}]}
        steps.append(step)
    return sop(*steps)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.lists(versions(), min_size=2, max_size=5), st.integers(0, 12), st.integers(0, 3))
def test_no_step_is_done_twice_and_everybody_arrives(
    chain: list[Sop], before: int, between: int
) -> None:
    now = MONDAY
    version = chain[0]
    move = begin(version, id=7, now=now, facts=FACTS)
    done: Counter[str] = Counter()
    ran: set[str] = set()
    for n, following in enumerate([*chain[1:], None]):
        for _ in range(before if n == 0 else between if following else 100):
            if move.walk is None:
                break
            now = max(now, move.walk.due_at or now)
            move = advance(version, move.walk, facts=FACTS, now=now)
            done.update(run.step for run in move.runs if run.outcome == "done")
            ran.update(run.step for run in move.runs)
        if following is None or move.walk is None:
            break
        result = move_over(version, following, move.walk, ran=frozenset(ran), facts=FACTS, now=now)
        move = replace(move, walk=result.walk)
        version = following
        if result.walk is not None:
            assert version.step(result.walk.step) is not None
            assert result.walk.due_at is not None
    assert move.walk is None
    assert max(done.values(), default=1) == 1


def test_every_way_has_words() -> None:
    assert {how_words(how, "a", "b") for how in How} == {
        "留在 a，时间不变",
        "留在 a，时间按新版本重新算",
        "a 不再等回复，接着走 b",
        "a 没有了，接着走 b",
        "后面没有步骤了，到此结束",
    }
