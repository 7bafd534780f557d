"""Walks through SOPs: loads facts in bulk, asks `sop.engine` for moves, writes where they lead.

What a step says and tags is decided like the actions of rules and comes back to the heart, which
words and writes it in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bot.happening import Happening, Me
from bot.sops import Sops, Version
from bot.walk_facts import WalkFacts
from bot.workspace import Workspace
from sop.acting import Scene, act
from sop.decisions import Decision
from sop.engine import Facts, Move, Phase, State, advance, happened, replied
from sop.events import Event, EventKind
from sop.stirring import may_move
from sop.times import NEXT_WINDOW
from storage import enrollments as rows
from storage import membership
from storage.enrollments import Enrolled
from storage.store import Tx

Decided = list[tuple[Decision, Happening]]
_COMING_AND_GOING = {EventKind.GROUP_JOINED, EventKind.GROUP_LEFT}
_CUT_SHORT = {State.GOAL, State.EXITED, State.REMOVED}


class Walker:
    """Moves the enrollments of one version of a workspace."""

    def __init__(self, workspace: Workspace, sops: Sops, facts: WalkFacts) -> None:
        self.sops = sops
        self._workspace = workspace
        self._settings = workspace.settings
        self._facts = facts

    # --- what is due --------------------------------------------------------------------------

    def due(self, tx: Tx, me: Me, *, now: int, limit: int) -> list[Enrolled]:
        """Enrollments to move now: one of a contact, the higher priority first."""
        found = rows.due(tx, me.id, now=now, limit=limit)
        found.sort(key=lambda e: (-e.priority, e.walk.due_at or 0, e.walk.id))
        out: dict[int, Enrolled] = {}
        for enrolled in found:
            out.setdefault(enrolled.subject_id, enrolled)
        return list(out.values())

    def move(self, tx: Tx, walkers: Sequence[Enrolled], *, now: int) -> Decided:
        """Move walkers whose time has come."""
        facts = self._facts.due(tx, walkers, now=now)
        moves = [
            (
                walker,
                advance(
                    self._version(tx, walker).sop, walker.walk, facts=facts[walker.walk.id], now=now
                ),
            )
            for walker in walkers
        ]
        return self._write(tx, moves, now)

    # --- what happened ------------------------------------------------------------------------

    def hear(
        self, tx: Tx, happenings: Sequence[Happening], *, urgent: Collection[int], now: int
    ) -> tuple[Decided, dict[int, str]]:
        """What events mean for those who are on their way.

        A message that a rule hands to a human (`urgent`, event ids) is no answer to a step, and one
        message answers one step, that of the highest priority. Returns the decisions, and for each
        event that a walk has answered why rules keep silent.
        """
        by_subject: dict[int, Happening] = {}
        for h in happenings:
            for subject in (h.contact_id, h.group_id):
                if subject is not None:
                    by_subject.setdefault(subject, h)
        kinds = {subject: h.event.kind for subject, h in by_subject.items()}
        walkers = [
            walker
            for walker in rows.active_of(tx, by_subject)
            if may_move(self._version(tx, walker).sop, walker.walk, kinds[walker.subject_id])
        ]
        if not walkers:
            return [], {}
        facts = self._facts.stirred(tx, walkers, kinds, now=now)
        answered: dict[int, str] = {}
        moves: list[tuple[Enrolled, Move]] = []
        for walker in sorted(walkers, key=lambda w: -w.priority):
            h = by_subject[walker.subject_id]
            if not _concerns(walker, h):
                continue
            taken = h.id in urgent or h.id in answered
            move = self._heard(tx, walker, h, facts[walker.walk.id], now, taken=taken)
            if move is not None:
                moves.append((walker, move))
                if move.answer:
                    answered[h.id] = f"这句话已经由 SOP {walker.sop} 的步骤 {walker.walk.step} 接住"
        return self._write(tx, moves, now), answered

    def _heard(
        self, tx: Tx, walker: Enrolled, h: Happening, facts: Facts, now: int, *, taken: bool
    ) -> Move | None:
        version = self._version(tx, walker)
        move = happened(version.sop, walker.walk, h.event.kind, facts=facts, now=now)
        if move is not None or walker.walk.phase is not Phase.REPLY:
            return move
        if taken or h.event.kind is not EventKind.MESSAGE or not _to_us(walker, h):
            return None
        found = version.case(walker.walk.step, h.event.text)
        if found is None:
            return None
        return replied(version.sop, walker.walk, *found, facts=facts, now=now)

    # --- inside -------------------------------------------------------------------------------

    def _version(self, tx: Tx, walker: Enrolled) -> Version:
        return self.sops.version(tx, walker.digest)

    def _write(self, tx: Tx, moves: Sequence[tuple[Enrolled, Move]], now: int) -> Decided:
        rows.stand(tx, [move.walk for _, move in moves if move.walk is not None])
        ends = [(w, m) for w, m in moves if m.ended is not None]
        rows.end(
            tx, [(w.walk.id, m.ended, m.because) for w, m in ends if m.ended is not None], now=now
        )
        rows.drop_queued(
            tx,
            [(w.sop, w.subject_id) for w, m in ends if m.ended in _CUT_SHORT],
            "已经离开 SOP",
        )
        membership.drop_mentions(
            tx,
            [(w.group_id, w.walk.id) for w, m in ends if w.group_id and m.ended in _CUT_SHORT],
            "已经离开 SOP",
        )
        rows.record_runs(tx, [(w.walk.id, run) for w, m in moves for run in m.runs], now=now)
        members = {w.subject_id for w, m in moves if w.group_id is not None and m.actions}
        friends = membership.friends(tx, members) if members else set()
        step, answer = (
            Event(kind=kind, at=now, external_id="")
            for kind in (EventKind.SOP_STEP, EventKind.MESSAGE)
        )
        return [
            (decision, _stage_of(walker, answer if move.answer else step))
            for walker, move in moves
            for decision in self._acted(tx, walker, move, friends, now)
        ]

    def _acted(
        self, tx: Tx, walker: Enrolled, move: Move, friends: Collection[int], now: int
    ) -> list[Decision]:
        sop, step = self._version(tx, walker).sop, walker.walk.step
        at = sop.step(step)
        late = (at.late if at else None) or sop.late
        because = move.runs[0].because if move.runs else "到时间了"
        scene = Scene(
            contact_id=None if walker.in_group else walker.subject_id,
            group_id=walker.subject_id if walker.in_group else walker.group_id,
            friend=None if walker.group_id is None else walker.subject_id in friends,
            source=f"sop:{walker.sop}/{step}",
            label=f"SOP {sop.title or sop.id} 的步骤 {step}",
            because=f"SOP {sop.title or sop.id} 的步骤 {step}：{because}",
            purpose="reply" if move.answer else "touch",
            expires_at=None if move.answer else now + (late.limit if late else NEXT_WINDOW),
            priority=0 if move.answer else sop.priority,
            window=None if move.answer else (at.window if at else None) or sop.window,
        )
        return act(
            move.actions,
            scene,
            definitions=self._workspace.definitions,
            takeover=self._settings.takeover,
            now=now,
        )


def _concerns(walker: Enrolled, h: Happening) -> bool:
    """Whether an event is about the walker: a group walks on what happens in it.

    That they come or go is about a member only where it is the group of their walk.
    """
    if walker.group_id is not None and h.event.kind in _COMING_AND_GOING:
        return walker.group_id == h.group_id
    return walker.in_group == (walker.subject_id == h.group_id)


def _to_us(walker: Enrolled, h: Happening) -> bool:
    """Whether a message may answer a step: a member's also in the group, when it mentions us."""
    if h.group_id is None:
        return True
    return h.group_id == walker.group_id and h.event.mentions_self


def _stage_of(walker: Enrolled, event: Event) -> Happening:
    """A step as something the wording can speak about; its id is the enrollment's."""
    return Happening(
        event=event,
        id=walker.walk.id,
        contact_id=None if walker.in_group else walker.subject_id,
        group_id=walker.subject_id if walker.in_group else walker.group_id,
    )
