"""A heart for what happened long ago and is only told now: it remembers, and begins nothing.

Rules still tag and note, walks still reach their goals and end. But no rule speaks or calls
anybody, and nobody comes into an SOP: thousands of imported orders must not set off thousands of
messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.doors import Doors, Entry
from bot.happening import Happening, Me
from bot.heart import Heart
from bot.walk_facts import WalkFacts
from bot.workspace import Workspace
from sop.decisions import (
    AcceptRequest,
    Decision,
    EnterSop,
    Gather,
    Note,
    Rest,
    Speak,
    StepBack,
    Tell,
)
from storage.store import Tx
from storage.tags import TagChange

WHY = "是导入的旧订单，只补记，不说话，也不开始 SOP"
_BEGINS = (Speak, Tell, AcceptRequest, StepBack, Gather, Rest, EnterSop)


class PastHeart(Heart):
    """The heart of a workspace for what is over."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.doors = _ClosedDoors(self.sops, WalkFacts(self.settings, self.sops, self.almanac))

    def _carry_out(
        self,
        tx: Tx,
        me: Me,
        decided: Sequence[tuple[Decision, Happening]],
        now: int,
        members: Sequence[int] = (),
    ) -> list[TagChange]:
        kept = [(_over(decision), h) for decision, h in decided]
        return super()._carry_out(
            tx, me, [(decision, h) for decision, h in kept if decision is not None], now, members
        )


class _ClosedDoors(Doors):
    """Whoever comes is told why not."""

    def enter(
        self, tx: Tx, me: Me, entries: Sequence[Entry], *, now: int, quietly: bool = False
    ) -> list[tuple[Note, int]]:
        if quietly:
            return []
        return [
            (
                Note(
                    subject_id=entry.subject_id,
                    what=f"进入 SOP {entry.version.sop.title or entry.version.sop.id}",
                    outcome="withheld",
                    because=WHY,
                    refs={"sop": entry.version.sop.id},
                ),
                entry.event_id or 0,
            )
            for entry in entries
        ]


def _over(decision: Decision) -> Decision | None:
    """What is left of a decision about something that is over; walks under way go on."""
    if not isinstance(decision, _BEGINS):
        return decision
    # What says nothing about its source (a rest, a pause) comes from a rule.
    if not str(getattr(decision, "source", "rule:")).startswith("rule:"):
        return decision
    match decision:
        case Speak():
            return Note(
                subject_id=decision.conversation_id,
                what=f"规则 {decision.source.removeprefix('rule:')} 的回复 {decision.say}",
                outcome="withheld",
                because=WHY,
                refs={"source": decision.source, "template": decision.say},
            )
        case EnterSop():
            return decision  # the door says why not
        case _:
            return None
