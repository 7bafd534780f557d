"""Properties of walks over random SOPs, events and times: DESIGN §4 and the promises of §5."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sop.almanac import Birthday
from sop.engine import Facts, Move, Phase, Run, State, Walk, advance, begin, happened, replied
from sop.events import EventKind
from sop.sequences import Case, Sop
from sop.times import DAY, HOUR, MINUTE, NEXT_WINDOW, Window
from sop.versions import as_data, digest, from_data

ZONE = ZoneInfo("Asia/Shanghai")
START = 1_772_413_200_000  # Monday 2 March 2026, 09:00 in Shanghai
QUIET = Window(22 * 60, 8 * 60 + 30)
many_runs = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class PlainAlmanac:
    """Weekdays are workdays, and there is one festival."""

    def is_workday(self, day: date) -> bool:
        return day.weekday() < 5

    def festivals(self) -> Collection[str]:
        return ("国庆",)

    def festival(self, name: str, year: int) -> date:
        if name != "国庆":
            raise KeyError(name)
        return date(year, 10, 1)

    def birthday(self, born: Birthday, year: int) -> date:
        return date(year, born.month, born.day)


def facts(**more: object) -> Facts:
    return replace(Facts(zone=ZONE, almanac=PlainAlmanac(), quiet=QUIET), **more)  # type: ignore[arg-type]


# --- random SOPs -----------------------------------------------------------------------------

clock = st.integers(0, 23 * 60 + 59).map(lambda m: f"{m // 60:02}:{m % 60:02}")
timing = st.one_of(
    st.builds(lambda m: {"after": f"{m}m"}, st.integers(1, 3000)),
    st.builds(lambda d, at: {"day": d, "at": at}, st.integers(0, 6), clock),
    st.builds(
        lambda w, at: {"weekday": w, "at": at}, st.sampled_from(["mon", "fri", "sun"]), clock
    ),
    st.builds(lambda at: {"workday": True, "at": at}, clock),
    st.builds(lambda w: {"wait_until": {"on": "order", "within": f"{w}h"}}, st.integers(1, 90)),
    st.just({}),
)
saying = st.sampled_from([[{"say": "a"}], [{"tag": "甲"}], [{"say": "a"}, {"tag": "乙"}]])


@st.composite
def sops(draw: st.DrawFn) -> Sop:
    count = draw(st.integers(1, 5))
    steps = []
    for n in range(count):
        step: dict[str, object] = {"id": f"s{n}", "do": draw(saying), **draw(timing)}
        if draw(st.integers(0, 3)) == 0:
            step["if"] = {"tag": "要"}
        if draw(st.integers(0, 3)) == 0:
            goto = {"goto": f"s{draw(st.integers(n + 1, count - 1))}"} if n + 1 < count else {}
            step["reply"] = {
                "within": f"{draw(st.integers(1, 60))}h",
                "cases": [{"match": {"any": ["好"]}, "do": [{"say": "a"}], **goto},
                          {"match": {"any": ["不"]}, "then": "exit"}],
                "none": {"do": [{"tag": "沉默"}]},
            }  # fmt: skip
        if draw(st.integers(0, 4)) == 0:
            step["late"] = draw(st.sampled_from(["skip", "skip after 2h", "next window within 2d"]))
        steps.append(step)
    data: dict[str, object] = {"id": "x", "steps": steps, "exit": [{"on": "friend_removed"}]}
    if draw(st.booleans()):
        data["window"] = draw(st.sampled_from(["09:00-21:00", "20:00-02:00"]))
    return Sop.model_validate(data)


@dataclass
class Story:
    """What happened on a walk that was driven to its end, or to the end of time."""

    walk: Walk | None
    ended: State | None = None
    runs: list[tuple[int, Run, Walk]] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)


happenings = st.lists(
    st.tuples(
        st.integers(1, 40 * 24 * 60),
        st.sampled_from(["order", "yes", "no", "tagged", "limited", "human", "removed"]),
    ),
    max_size=8,
)


def drive(sop: Sop, events: list[tuple[int, str]], *, end: int = START + 60 * DAY) -> Story:
    """Let events and due times pass in order; every move is checked on the way."""
    first = begin(sop, id=1, now=START, facts=facts())
    story = Story(first.walk, first.ended, [], [first])
    pending = sorted((START + minute * MINUTE, what) for minute, what in events)
    while story.walk is not None:
        due = story.walk.due_at
        happens = pending[0][0] if pending else None
        if due is None and happens is None:
            break
        if happens is not None and (due is None or happens < due):
            _happen(sop, story, pending.pop(0))
        elif due is not None and due > end:
            break
        else:
            _due(sop, story, due if due is not None else end, events)
    return story


def _situation(now: int, events: list[tuple[int, str]]) -> Facts:
    """Facts that events turn on for good (tagged) or for a day (limited, human)."""
    past = [(START + m * MINUTE, what) for m, what in events if START + m * MINUTE <= now]
    human = [at for at, what in past if what == "human" and now - at < 2 * HOUR]
    return facts(
        holds={"if": any(what == "tagged" for _, what in past)},
        limited="满了" if any(w == "limited" and now - at < DAY for at, w in past) else "",
        paused="真人在聊" if human else "",
        paused_until=max(human) + 2 * HOUR if human else 0,
    )


def _due(sop: Sop, story: Story, now: int, events: list[tuple[int, str]]) -> None:
    assert story.walk is not None
    _take(story, advance(sop, story.walk, facts=_situation(now, events), now=now), now)


def _happen(sop: Sop, story: Story, happening: tuple[int, str]) -> None:
    now, what = happening
    assert story.walk is not None
    kinds: Mapping[str, EventKind] = {
        "order": EventKind.ORDER,
        "removed": EventKind.FRIEND_REMOVED,
    }
    if what in kinds:
        move = happened(sop, story.walk, kinds[what], facts=facts(), now=now)
        if move is not None:
            _take(story, move, now)
    elif what in ("yes", "no") and story.walk.phase is Phase.REPLY:
        step = sop.step(story.walk.step)
        assert step is not None and step.reply is not None
        case: Case = step.reply.cases[0 if what == "yes" else 1]
        _take(story, replied(sop, story.walk, case, ("好",), facts=facts(), now=now), now)


def _take(story: Story, move: Move, now: int) -> None:
    before = story.walk
    assert before is not None
    story.moves.append(move)
    story.runs += [(now, run, before) for run in move.runs]
    story.walk, story.ended = move.walk, move.ended
    assert (move.walk is None) == (move.ended is not None), "a walk stands somewhere or has ended"
    if move.walk is not None and move.walk.phase is Phase.STEP:
        assert move.walk.due_at is not None, "nobody is stranded before a step"
        assert move.walk.due_at >= now or move.walk.due_at == before.due_at


@many_runs
@given(sops(), happenings)
def test_no_step_is_done_twice(sop: Sop, events: list[tuple[int, str]]) -> None:
    done = Counter(run.step for _, run, _ in drive(sop, events).runs if run.outcome == "done")
    assert all(times == 1 for times in done.values())


@many_runs
@given(sops(), happenings)
def test_no_step_is_done_before_its_time_or_too_late(
    sop: Sop, events: list[tuple[int, str]]
) -> None:
    for now, run, walk in drive(sop, events).runs:
        if run.outcome != "done":
            continue
        step = sop.step(run.step)
        assert step is not None
        late = (step.late or sop.late).limit if (step.late or sop.late) else NEXT_WINDOW  # type: ignore[union-attr]
        assert walk.planned_at is not None
        assert walk.planned_at <= now <= walk.planned_at + late


@many_runs
@given(sops(), happenings)
def test_nothing_is_said_outside_the_window_or_in_quiet_hours(
    sop: Sop, events: list[tuple[int, str]]
) -> None:
    for now, run, walk in drive(sop, events).runs:
        step = sop.step(run.step)
        assert step is not None
        if run.outcome != "done" or not any("say" in type(a).model_fields for a in step.do):
            continue
        local = datetime.fromtimestamp(now / 1000, ZONE)
        minute = local.hour * 60 + local.minute
        assert minute not in QUIET
        assert sop.window is None or minute in sop.window
        assert walk.phase is Phase.STEP


@many_runs
@given(sops(), happenings)
def test_an_exit_is_final(sop: Sop, events: list[tuple[int, str]]) -> None:
    removals = [START + m * MINUTE for m, what in events if what == "removed"]
    story = drive(sop, events)
    if removals and story.ended is State.EXITED:
        assert all(now <= min(removals) for now, _, _ in story.runs)
    assert story.walk is None or story.ended is None


@many_runs
@given(sops(), happenings)
def test_everybody_arrives_somewhere(sop: Sop, events: list[tuple[int, str]]) -> None:
    story = drive(sop, events, end=START + 400 * DAY)
    assert story.ended is not None, "sixty days of steps are over after four hundred"


@many_runs
@given(sops(), happenings)
def test_the_same_input_gives_the_same_moves(sop: Sop, events: list[tuple[int, str]]) -> None:
    again = from_data(as_data(sop))
    assert digest(again) == digest(sop)
    assert drive(sop, events).moves == drive(again, events).moves


@many_runs
@given(sops(), happenings, st.integers(1, 20 * 24 * 60), st.integers(1, 5 * 24 * 60))
def test_a_pause_changes_only_what_late_says(
    sop: Sop, events: list[tuple[int, str]], at: int, length: int
) -> None:
    """While paused nothing moves; afterwards a step is done if `late` allows, else skipped."""
    walk = begin(sop, id=1, now=START, facts=facts()).walk
    if walk is None or walk.due_at is None or walk.phase is not Phase.STEP:
        return
    resumed = max(walk.due_at, START + at * MINUTE) + length * MINUTE
    move = advance(sop, walk, facts=_situation(resumed, events), now=resumed)
    step = sop.step(walk.step)
    assert step is not None and walk.planned_at is not None
    late = step.late or sop.late
    overdue = resumed - walk.planned_at > (late.limit if late else NEXT_WINDOW)
    if step.if_ is not None and not _situation(resumed, events).holds["if"]:
        assert move.runs[0].because == "条件 if 不满足"
    elif overdue:
        assert [run.outcome for run in move.runs][:1] == ["skipped"]
        assert "late" in move.runs[0].because
    else:
        assert not (move.runs and "晚了" in move.runs[0].because)


# --- single cases ----------------------------------------------------------------------------


def _sop(*steps: dict[str, object], **more: object) -> Sop:
    return Sop.model_validate({"id": "x", "steps": list(steps), **more})


def test_a_goal_ends_the_walk_only_in_its_time() -> None:
    sop = _sop({"id": "a", "after": "3d", "do": [{"say": "a"}]}, goal={"tag": "买", "within": "2d"})
    walk = begin(sop, id=1, now=START, facts=facts()).walk
    assert walk is not None
    bought = facts(holds={"goal": True})
    soon = happened(sop, walk, EventKind.TAG_ADDED, facts=bought, now=START + DAY)
    assert soon is not None and soon.ended is State.GOAL
    assert happened(sop, walk, EventKind.TAG_ADDED, facts=bought, now=START + 3 * DAY) is None


@pytest.mark.parametrize(("tagged", "branch"), [(True, 1), (False, 2)])
def test_choose_takes_the_first_branch_that_holds(tagged: bool, branch: int) -> None:
    sop = _sop(
        {
            "id": "a",
            "choose": [{"if": {"tag": "甲"}, "do": [{"tag": "一"}]}, {"do": [{"tag": "二"}]}],
        }
    )
    walk = begin(sop, id=1, now=START, facts=facts()).walk
    assert walk is not None
    move = advance(sop, walk, facts=facts(holds={"choose:0": tagged}), now=START)
    assert move.runs[0].because == f"到时间了，走第 {branch} 个分支"
    assert move.actions == sop.steps[0].choose[branch - 1].do


def test_a_missed_step_still_points_the_way() -> None:
    sop = _sop(
        {"id": "a", "do": [{"say": "a"}], "goto": "c"}, {"id": "b"}, {"id": "c", "after": "1h"}
    )
    walk = begin(sop, id=1, now=START, facts=facts()).walk
    assert walk is not None
    move = advance(sop, walk, facts=facts(), now=START + 10 * DAY)
    assert (move.runs[0].outcome, move.actions) == ("skipped", ())
    assert move.walk is not None and move.walk.step == "c"


def test_a_lost_friend_ends_the_walk_with_the_reason() -> None:
    sop = _sop({"id": "a", "do": [{"say": "a"}]})
    walk = begin(sop, id=1, now=START, facts=facts()).walk
    assert walk is not None
    move = advance(sop, walk, facts=facts(lost="对方不是好友"), now=START)
    assert (move.ended, move.because, move.actions) == (State.EXITED, "对方不是好友", ())


def test_a_full_day_puts_the_step_off_and_names_who_filled_it() -> None:
    sop = _sop({"id": "a", "do": [{"say": "a"}]})
    walk = begin(sop, id=1, now=START, facts=facts()).walk
    assert walk is not None
    full = facts(limited="今天满了（上一条来自 sop:b/x）")
    move = advance(sop, walk, facts=full, now=START)
    assert move.walk is not None and move.walk.waiting == "今天满了（上一条来自 sop:b/x）"
    assert move.walk.due_at == START + 15 * HOUR  # midnight in Shanghai
    late = advance(sop, walk, facts=full, now=START + NEXT_WINDOW - MINUTE)
    assert late.runs[0].outcome == "skipped" and "sop:b/x" in late.runs[0].because


def test_a_step_that_only_tags_is_done_at_night() -> None:
    night = START + 15 * HOUR
    sop = _sop({"id": "a", "do": [{"tag": "甲"}]})
    walk = begin(sop, id=1, now=night, facts=facts()).walk
    assert walk is not None
    assert advance(sop, walk, facts=facts(), now=night).runs[0].outcome == "done"


def test_past_steps_of_a_migrated_walk_are_skipped() -> None:
    sop = _sop({"id": "a", "do": [{"say": "a"}]}, {"id": "b", "do": [{"say": "b"}]}, {"id": "c"})
    walk = Walk(id=1, step="a", entered_at=START, since=START, planned_at=START, due_at=START,
                past=frozenset({"b"}))  # fmt: skip
    move = advance(sop, walk, facts=facts(), now=START)
    assert move.walk is not None and move.walk.step == "c"
    assert [(r.step, r.outcome) for r in move.runs] == [("a", "done"), ("b", "skipped")]
