"""Walking an SOP: pure moves from facts and times. The same input always gives the same move.

A walk stands at a step in one of three phases: `step` (it is to be done at `due_at`), `reply`
(done, and waiting for an answer until `due_at`) and `wait` (to be done when something happens,
until `deadline`). Every move ends with the walk standing somewhere or ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sop.actions import Action, Invite, Say
from sop.almanac import Almanac, Birthday
from sop.conditions import Condition, announced
from sop.events import EventKind
from sop.point_actions import ShowBoard
from sop.sending import SPREAD, day_start, jitter, opening
from sop.sequences import Branch, Case, ExitOn, Onward, Sop, Step, WaitUntil
from sop.times import DAY, HOUR, NEXT_WINDOW, Range, Window, show_duration
from sop.timing import planned_at

NEVER_OPEN = 36_500 * DAY  # later than any `late` allows
RECHECK = HOUR  # how often a waited-for condition is looked at when no event prompts it
SELDOM = DAY  # the same, where an event prompts every change


class Phase(StrEnum):
    """What a walk does at its step."""

    STEP = "step"
    REPLY = "reply"
    WAIT = "wait"


class State(StrEnum):
    """How a walk stands, or how it ended."""

    ACTIVE = "active"
    DONE = "done"
    GOAL = "goal"
    EXITED = "exited"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where one contact or group stands in one SOP. Times are ms UTC.

    `since` is the end of the step before, `planned_at` when the step was due before anything put
    it off, `deadline` when waiting ends. `past` are steps that never run again (after a migration).
    """

    id: int
    step: str
    phase: Phase = Phase.STEP
    entered_at: int
    since: int
    planned_at: int | None = None
    due_at: int | None = None
    deadline: int | None = None
    waiting: str = ""
    past: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a move depends on besides the definition and the walk.

    `holds` answers `questions`. `lost` says why nobody can be reached any more, `paused` why a
    human has the conversation and until when (0: open end), `limited` why no touch is left today.
    """

    zone: ZoneInfo
    almanac: Almanac
    quiet: Window | None
    holds: Mapping[str, bool] = field(default_factory=dict)
    birthday: Birthday | None = None
    lost: str = ""
    paused: str = ""
    paused_until: int = 0
    limited: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one step: `done`, `skipped`, `replied`, `timeout`."""

    step: str
    outcome: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a walk does: actions to do, what to record, and where it stands then.

    `walk` is None when it ended; then `ended` and `because` say how. `answer` tells that the
    actions answer a person, so that they are replies and no touches.
    """

    walk: Walk | None
    actions: tuple[Action, ...] = ()
    runs: tuple[Run, ...] = ()
    ended: State | None = None
    because: str = ""
    answer: bool = False


def begin(sop: Sop, *, id: int, now: int, facts: Facts) -> Move:
    """Enter the SOP at `now` and stand before its first step."""
    walk = Walk(id=id, step=sop.steps[0].id, entered_at=now, since=now)
    return arrive(sop, walk, sop.steps[0], now=now, facts=facts, runs=())


def questions(sop: Sop, walk: Walk) -> dict[str, Condition]:
    """The conditions whose answers `advance` needs at this place, by name."""
    out = {f"exit:{n}": rule for n, rule in enumerate(sop.exit) if not isinstance(rule, ExitOn)}
    goal = goal_condition(sop)
    if goal is not None:
        out["goal"] = goal
    step = sop.step(walk.step)
    if step is None or walk.phase is Phase.REPLY:
        return out
    if step.wait_until and step.wait_until.if_ and walk.phase is Phase.WAIT:
        out["wait"] = step.wait_until.if_
    if step.if_:
        out["if"] = step.if_
    for n, branch in enumerate(step.choose):
        if branch.if_:
            out[f"choose:{n}"] = branch.if_
    return out


def goal_condition(sop: Sop) -> Condition | None:
    """The goal as a condition, where it is one."""
    return None if sop.goal is None else sop.goal.condition


def advance(sop: Sop, walk: Walk, *, facts: Facts, now: int) -> Move:
    """What a walk that is due does at `now`."""
    over = ending(sop, walk, facts=facts, now=now)
    if over is not None:
        return over
    step = sop.step(walk.step)
    if step is None:
        return _end(State.DONE, f"步骤 {walk.step} 已经不在这个版本里")
    match walk.phase:
        case Phase.REPLY:
            return _no_reply(sop, walk, step, facts=facts, now=now)
        case Phase.WAIT:
            return _still_waiting(sop, walk, step, facts=facts, now=now)
        case Phase.STEP:
            return _try_step(sop, walk, step, facts=facts, now=now)


def ending(sop: Sop, walk: Walk, *, facts: Facts, now: int) -> Move | None:
    """The end of the walk, if its goal or one of its exits holds now, or nobody is there."""
    goal = sop.goal
    if facts.holds.get("goal") and goal is not None and _in_time(goal.within, walk, now):
        return _end(State.GOAL, "达到目标")
    for n, _rule in enumerate(sop.exit):
        if facts.holds.get(f"exit:{n}"):
            return _end(State.EXITED, f"满足退出条件 exit[{n}]")
    if facts.lost:
        return _end(State.EXITED, facts.lost)
    return None


def happened(sop: Sop, walk: Walk, kind: EventKind, *, facts: Facts, now: int) -> Move | None:
    """What an event of the walker leads to; None when it changes nothing.

    `facts.holds` answers `questions` as they stand after the event.
    """
    goal = sop.goal
    if goal is not None and goal.on is kind and _in_time(goal.within, walk, now):
        return _end(State.GOAL, "达到目标")
    if any(isinstance(rule, ExitOn) and rule.on is kind for rule in sop.exit):
        return _end(State.EXITED, f"发生了退出事件 {kind.value}")
    over = ending(sop, walk, facts=facts, now=now)
    if over is not None:
        return over
    step = sop.step(walk.step)
    if walk.phase is not Phase.WAIT or step is None:
        return None
    wait = step.wait_until
    awaited = step.on is kind or (wait is not None and wait.on is kind)
    if awaited or facts.holds.get("wait"):
        return Move(walk=_ready(walk, now))
    return None


def replied(
    sop: Sop, walk: Walk, case: Case, heard: tuple[str, ...], *, facts: Facts, now: int
) -> Move:
    """The walker's message matched `case`; `heard` is what matched."""
    because = f"回复里有「{'」「'.join(heard)}」" if heard else "收到回复"
    run = Run(walk.step, "replied", because)
    return _onward(sop, walk, case, facts=facts, now=now, runs=(run,), answer=True)


def relocate(old: Sop, new: Sop, walk: Walk, *, past: frozenset[str]) -> str | None:
    """Where a walk stands after a change of versions: its step, or the next that still exists.

    None when nothing of what lay before it is left.
    """
    ids = [step.id for step in old.steps]
    ahead = ids[ids.index(walk.step) :] if walk.step in ids else []
    kept = next((id_ for id_ in ahead if new.step(id_) is not None), None)
    if kept is not None or walk.step in ids:
        return kept
    return next((step.id for step in new.steps if step.id not in past), None)


# --- at a step -------------------------------------------------------------------------------


def _try_step(sop: Sop, walk: Walk, step: Step, *, facts: Facts, now: int) -> Move:
    if step.if_ is not None and not facts.holds.get("if"):
        return _skip(sop, walk, step, "条件 if 不满足", facts=facts, now=now)
    planned = walk.planned_at if walk.planned_at is not None else now
    late = step.late or sop.late
    limit = late.limit if late else NEXT_WINDOW
    if now - planned > limit:
        reason = f"晚了 {show_duration(now - planned)}，过了 late 允许的时间"
        return _miss(sop, walk, step, reason, facts=facts, now=now)
    held = _held(sop, walk, step, facts=facts, now=now)
    if held is None:
        return _do(sop, walk, step, facts=facts, now=now)
    until, reason = held
    if until - planned > limit:
        reason = f"{reason}，等到能发时已经过了 late 允许的时间"
        return _miss(sop, walk, step, reason, facts=facts, now=now)
    return Move(walk=replace(walk, due_at=until, waiting=reason))


def _held(sop: Sop, walk: Walk, step: Step, *, facts: Facts, now: int) -> tuple[int, str] | None:
    """Until when something keeps a step that talks from being done, and what."""
    if not talks(step):
        return None
    window = step.window or sop.window
    opens = opening(now, window=window, quiet=facts.quiet, zone=facts.zone)
    if opens is None:
        return now + NEVER_OPEN, "发送时段全在免打扰里"
    if opens > now:
        reason = f"不在发送时段 {window}" if window and not facts.quiet else "免打扰或不在发送时段"
        return opens + jitter(Range(0, SPREAD), walk.id), reason
    if facts.paused:
        return facts.paused_until or now + RECHECK, facts.paused
    if facts.limited:
        return day_start(now, facts.zone, days=1), facts.limited
    return None


def talks(step: Step) -> bool:
    """Whether the step may say something to the walker."""
    ways: tuple[Onward, ...] = (step, *step.choose)
    return any(isinstance(action, Say | Invite | ShowBoard) for way in ways for action in way.do)


def _do(sop: Sop, walk: Walk, step: Step, *, facts: Facts, now: int) -> Move:
    way = _way(step, facts)
    if way is None:
        return _skip(sop, walk, step, "choose 里没有一个分支符合", facts=facts, now=now)
    branch = f"，走第 {step.choose.index(way) + 1} 个分支" if isinstance(way, Branch) else ""
    run = Run(step.id, "done", f"到时间了{branch}")
    if step.reply is not None:
        until = now + step.reply.within
        waiting = replace(
            walk, phase=Phase.REPLY, due_at=until, deadline=until, since=now, waiting=""
        )
        return Move(walk=waiting, actions=way.do, runs=(run,))
    return _onward(sop, walk, way, facts=facts, now=now, runs=(run,))


def _way(step: Step, facts: Facts) -> Onward | None:
    """The step itself, or its first branch whose condition holds."""
    if not step.choose:
        return step
    for n, branch in enumerate(step.choose):
        if branch.if_ is None or facts.holds.get(f"choose:{n}"):
            return branch
    return None


def _miss(sop: Sop, walk: Walk, step: Step, reason: str, *, facts: Facts, now: int) -> Move:
    """Too late to do it: nothing is said, but the walk goes the way the step points to."""
    way = None if step.reply else _way(step, facts)
    if way is None:
        return _skip(sop, walk, step, reason, facts=facts, now=now)
    onward = Onward(then=way.then, goto=way.goto)
    run = Run(step.id, "skipped", reason)
    return _onward(sop, walk, onward, facts=facts, now=now, runs=(run,))


def _skip(sop: Sop, walk: Walk, step: Step, reason: str, *, facts: Facts, now: int) -> Move:
    run = Run(step.id, "skipped", reason)
    return _after(sop, walk, step.id, facts=facts, now=now, runs=(run,))


def _no_reply(sop: Sop, walk: Walk, step: Step, *, facts: Facts, now: int) -> Move:
    way = step.reply.none if step.reply else Onward()
    run = Run(step.id, "timeout", "等到时间也没有等到说好的回复")
    return _onward(sop, walk, way, facts=facts, now=now, runs=(run,))


def _still_waiting(sop: Sop, walk: Walk, step: Step, *, facts: Facts, now: int) -> Move:
    if facts.holds.get("wait"):
        return Move(walk=_ready(walk, now))
    if walk.deadline is None or now < walk.deadline:
        return Move(walk=replace(walk, due_at=_recheck(step.wait_until, walk.deadline, now)))
    way = step.wait_until.none if step.wait_until else Onward()
    run = Run(step.id, "timeout", "等的事情到时间也没有发生")
    return _onward(sop, walk, way, facts=facts, now=now, runs=(run,))


def _ready(walk: Walk, now: int) -> Walk:
    return replace(walk, phase=Phase.STEP, planned_at=now, due_at=now, deadline=None, waiting="")


# --- going on --------------------------------------------------------------------------------


def _onward(
    sop: Sop,
    walk: Walk,
    way: Onward,
    *,
    facts: Facts,
    now: int,
    runs: tuple[Run, ...],
    answer: bool = False,
) -> Move:
    if way.then == "exit":
        move = _end(State.DONE, f"步骤 {walk.step} 写了 then: exit", runs=runs)
    elif way.goto is not None:
        target = sop.step(way.goto)
        if target is None:
            move = _end(State.DONE, f"步骤 {way.goto} 已经不在这个版本里", runs=runs)
        else:
            move = arrive(sop, walk, target, now=now, facts=facts, runs=runs)
    else:
        move = _after(sop, walk, walk.step, facts=facts, now=now, runs=runs)
    return Move(
        walk=move.walk,
        actions=(*way.do, *move.actions),
        runs=move.runs,
        ended=move.ended,
        because=move.because,
        answer=answer,
    )


def _after(
    sop: Sop, walk: Walk, step: str, *, facts: Facts, now: int, runs: tuple[Run, ...]
) -> Move:
    following = sop.following(step)
    if following is None:
        return _end(State.DONE, "走完了全部步骤", runs=runs)
    return arrive(sop, walk, following, now=now, facts=facts, runs=runs)


def arrive(
    sop: Sop, walk: Walk, step: Step, *, now: int, facts: Facts, runs: tuple[Run, ...]
) -> Move:
    """Stand before `step`: when it is due, or what it waits for."""
    if step.id in walk.past:
        run = Run(step.id, "skipped", "换版本之前已经走过这一步")
        return _after(sop, walk, step.id, facts=facts, now=now, runs=(*runs, run))
    if step.on is not None or step.wait_until is not None:
        deadline = now + step.wait_until.within if step.wait_until else None
        # What is waited for may hold already: then the walk goes on at once.
        due = now if step.wait_until and step.wait_until.if_ else deadline
        waiting = _before(walk, step, now, phase=Phase.WAIT, deadline=deadline, due_at=due)
        return Move(walk=waiting, runs=runs)
    planned = planned_at(
        step, entered_at=walk.entered_at, since=now, zone=facts.zone, almanac=facts.almanac,
        birthday=facts.birthday,
    )  # fmt: skip
    if planned is None:
        run = Run(step.id, "skipped", f"没有「{step.birthday}」，算不出生日")
        return _after(sop, walk, step.id, facts=facts, now=now, runs=(*runs, run))
    standing = _before(walk, step, now, planned_at=planned, due_at=max(planned, now))
    return Move(walk=standing, runs=runs)


def _before(walk: Walk, step: Step, now: int, **more: Any) -> Walk:
    return Walk(
        id=walk.id, step=step.id, entered_at=walk.entered_at, since=now, past=walk.past, **more
    )


def _recheck(wait: WaitUntil | None, deadline: int | None, now: int) -> int | None:
    if wait is None or wait.if_ is None:
        return deadline
    look = now + (SELDOM if announced(wait.if_) else RECHECK)
    return look if deadline is None else min(deadline, look)


def _end(state: State, because: str, *, runs: tuple[Run, ...] = ()) -> Move:
    return Move(walk=None, ended=state, because=because, runs=runs)


def _in_time(within: int | None, walk: Walk, now: int) -> bool:
    return within is None or now - walk.entered_at <= within
