"""Which events can change the answer to a condition: only these make it worth asking again."""

from __future__ import annotations

from sop.conditions import (
    All,
    Any_,
    Condition,
    Counted,
    HasTag,
    InStage,
    IsFriend,
    LastMessage,
    Not,
)
from sop.engine import Phase, Walk, questions
from sop.events import EventKind
from sop.sequences import ExitOn, Sop

_LOSING = (EventKind.FRIEND_REMOVED, EventKind.GROUP_LEFT)  # after which nobody may be there
_AT_ANY_TIME = ("exit:", "goal", "wait")  # questions that do not belong to a step being done


def stirs(condition: Condition, kind: EventKind) -> bool:
    """Whether an event of `kind` can change whether the condition holds.

    What time alone changes is looked at again before every step. In doubt the answer is yes.
    """
    match condition:
        case HasTag():
            return kind in (EventKind.TAG_ADDED, EventKind.TAG_REMOVED)
        case InStage():
            return kind is EventKind.STAGE_CHANGED
        case LastMessage():
            return kind is EventKind.MESSAGE
        case IsFriend():
            return kind in (EventKind.FRIEND_ADDED, EventKind.FRIEND_REMOVED)
        case Counted():
            return kind is condition.count.of
        case Not():
            return stirs(condition.not_, kind)
        case All():
            return any(stirs(inner, kind) for inner in condition.all)
        case Any_():
            return any(stirs(inner, kind) for inner in condition.any)
        case _:
            return True


def stirred(sop: Sop, walk: Walk, kind: EventKind) -> dict[str, Condition]:
    """The conditions whose answers `happened` needs, and which an event of `kind` can change."""
    asked = questions(sop, walk).items()
    return {
        name: condition
        for name, condition in asked
        if name.startswith(_AT_ANY_TIME) and stirs(condition, kind)
    }


def may_move(sop: Sop, walk: Walk, kind: EventKind) -> bool:
    """Whether an event of `kind` can lead anywhere; where it cannot, nothing need be looked up."""
    if kind in _LOSING or (walk.phase is Phase.REPLY and kind is EventKind.MESSAGE):
        return True
    if sop.goal is not None and sop.goal.on is kind:
        return True
    if any(isinstance(rule, ExitOn) and rule.on is kind for rule in sop.exit):
        return True
    return _awaited(sop, walk) is kind or bool(stirred(sop, walk, kind))


def _awaited(sop: Sop, walk: Walk) -> EventKind | None:
    step = sop.step(walk.step)
    if step is None or walk.phase is not Phase.WAIT:
        return None
    return step.wait_until.on if step.wait_until is not None else step.on
