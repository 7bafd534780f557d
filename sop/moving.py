"""Moving a walk from one version of its SOP to another, without doing anything twice.

A walk keeps its step, its due time and its phase where the new version still has them. Steps that
have run never run again, but for those that both versions mean to repeat (a `goto` leads back).
Where a time has to be worked out anew, it is as though the new version had held all along; what
that would have made late is due at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from sop.engine import Facts, Phase, Run, Walk, arrive, relocate
from sop.sequences import TIMINGS, Onward, Sop, Step

_TIMING = (*TIMINGS, "workday", "days", "at")


class How(StrEnum):
    """What a change of versions does to a walk."""

    STAYS = "stays"
    RETIMED = "retimed"
    HEARD_OUT = "heard_out"  # it waited for a reply that the step no longer asks for
    STEP_GONE = "step_gone"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a walk stands in the other version; None when nothing is left to walk."""

    walk: Walk | None
    how: How
    runs: tuple[Run, ...] = ()


def how_words(how: How, step: str, to: str | None) -> str:
    """What becomes of somebody at `step`, who stands at `to` then."""
    match how:
        case How.STAYS:
            return f"留在 {step}，时间不变"
        case How.RETIMED:
            return f"留在 {step}，时间按新版本重新算"
        case How.HEARD_OUT:
            return f"{step} 不再等回复，接着走 {to}"
        case How.STEP_GONE:
            return f"{step} 没有了，接着走 {to}"
        case How.OVER:
            return "后面没有步骤了，到此结束"
        case _:
            assert_never(how)


def move_over(
    old: Sop, new: Sop, walk: Walk, *, ran: frozenset[str], facts: Facts, now: int
) -> Moved:
    """The walk in the version `new`. `ran` are the steps it has done, skipped or waited at."""
    past = (walk.past | ran) - (_rounds(old) & _rounds(new))
    if relocate(old, new, walk, past=past) != walk.step:
        return _go(new, walk, _next(old, new, walk, past), past, How.STEP_GONE, facts, now)
    before, step = old.step(walk.step), new.step(walk.step)
    assert step is not None  # noqa: S101  # `relocate` found it
    if walk.phase is Phase.REPLY:
        if step.reply is None:
            following = _free(new, new.following(step.id), past)
            return _go(new, walk, following, past, How.HEARD_OUT, facts, now)
        return _listen_on(before, step, replace(walk, past=past))
    past -= {step.id}
    if before is not None and _timing(before) == _timing(step):
        return Moved(replace(walk, past=past), How.STAYS)
    return _go(new, walk, step, past, How.RETIMED, facts, now)


def _listen_on(before: Step | None, step: Step, walk: Walk) -> Moved:
    span = step.reply.within if step.reply else 0
    if before is not None and before.reply is not None and before.reply.within == span:
        return Moved(walk, How.STAYS)
    until = walk.since + span
    return Moved(replace(walk, due_at=until, deadline=until), How.RETIMED)


def _next(old: Sop, new: Sop, walk: Walk, past: frozenset[str]) -> Step | None:
    """The next step ahead that still exists, else the new ones after the last step behind."""
    kept = relocate(old, new, walk, past=past)
    if kept is not None:
        return _free(new, new.step(kept), past)
    ids = [step.id for step in old.steps]
    behind = ids[: ids.index(walk.step)] if walk.step in ids else []
    last = next((id_ for id_ in reversed(behind) if new.step(id_) is not None), None)
    return _free(new, new.steps[0] if last is None else new.following(last), past)


def _free(sop: Sop, step: Step | None, past: frozenset[str]) -> Step | None:
    while step is not None and step.id in past:
        step = sop.following(step.id)
    return step


def _go(
    sop: Sop,
    walk: Walk,
    step: Step | None,
    past: frozenset[str],
    how: How,
    facts: Facts,
    now: int,
) -> Moved:
    if step is None:
        return Moved(None, How.OVER)
    waited = walk.phase is Phase.WAIT and step.id == walk.step
    moment = _moment(step, walk.since, now, waited=waited)
    move = arrive(sop, replace(walk, past=past), step, now=moment, facts=facts, runs=())
    if move.walk is None:
        return Moved(None, How.OVER, move.runs)
    due = move.walk.due_at
    if move.walk.phase is Phase.STEP and due is not None:
        due = max(due, now)
    return Moved(replace(move.walk, due_at=due), how, move.runs)


def _moment(step: Step, since: int, now: int, *, waited: bool) -> int:
    """From when the time of a step counts: the end of the step before, but so that it is not late.

    `day` and `date` name one moment: when that is over, it is for `late` to say.
    """
    if step.on is not None or step.wait_until is not None:
        return since if waited else now
    if step.at is None:
        return max(since, now - (step.after or 0))
    return since if step.day is not None or step.date is not None else now


def _timing(step: Step) -> tuple[object, ...]:
    return tuple(getattr(step, name) for name in _TIMING)


def _rounds(sop: Sop) -> frozenset[str]:
    """The steps that a walk may come back to by `goto`."""
    ahead = {step.id: set(_leads_to(sop, step)) for step in sop.steps}
    for _ in sop.steps:
        for id_, found in ahead.items():
            ahead[id_] = found.union(*(ahead[other] for other in found))
    return frozenset(id_ for id_, found in ahead.items() if id_ in found)


def _leads_to(sop: Sop, step: Step) -> Iterator[str]:
    following = sop.following(step.id)
    if following is not None:
        yield following.id  # every step may be skipped
    ways: list[Onward] = [step, *step.choose]
    if step.reply is not None:
        ways += [*step.reply.cases, step.reply.none]
    if step.wait_until is not None:
        ways.append(step.wait_until.none)
    for way in ways:
        if way.goto is not None and sop.step(way.goto) is not None:
            yield way.goto
