"""Who brought whom: counted as people join, taken back when they leave too soon.

Looked at before the join itself is recorded, since an old member who comes again is no news.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bot.happening import Happening, Me
from bot.workspace import Workspace
from sop.acting import Scene, act
from sop.actions import Action
from sop.decisions import Decision, Note
from sop.events import Event, EventKind
from sop.point_decisions import GivePoints
from sop.points import Invites
from sop.rules import group_fits
from sop.scores import shown_name
from sop.times import DAY, show_duration
from storage import brought as stored
from storage import events as facts
from storage import points as books
from storage.brought import COMMUNITY, Invited
from storage.store import Tx
from storage.tags import tags_of

BATCH = 500
LOOKED_AT = 7 * DAY  # how long after the time to stay the morning still looks for who was missed
Decided = list[tuple[Decision, Happening]]


class Bringing:
    """Invitations as one version of a workspace counts them."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._operators = workspace.settings.operators
        self._rules = workspace.definitions.points.invites

    def joined(self, tx: Tx, me: Me, h: Happening, *, now: int) -> Decided:
        """Somebody joins a group: count it for who brought them, if it counts."""
        rules, inviter = self._rules, h.by_id
        if rules is None or inviter is None or not h.group_id or not h.contact_id:
            return []
        if h.event.by is None or h.event.by.external_id in self._operators:
            return []  # operators bring people because it is their work
        if h.group_id not in self._counting(tx, rules, [h.group_id], now):
            return []
        scope = COMMUNITY if rules.per == "community" else h.group_id
        why_not = self._why_not(tx, h, rules, scope, now)
        name = _name(tx, h.contact_id)
        if why_not:
            return [(_noted(inviter, name, "withheld", why_not), replace(h, contact_id=inviter))]
        invited = Invited(
            tx.new_id(), inviter, h.contact_id, h.group_id, scope, h.event.at,
            h.event.at + rules.stay,
        )  # fmt: skip
        stored.record_invitation(tx, me.id, invited)
        count = books.count_invited(tx, me.id, inviter, 1)
        return self._counted(tx, h, rules, invited, name, count, now=now)

    def left(self, tx: Tx, me: Me, h: Happening, *, now: int) -> Decided:
        """Somebody has left a group: take back what bringing them brought, if it was too soon."""
        if h.contact_id is None or h.group_id is None:
            return []
        out: Decided = []
        for invited in stored.open_invitations(tx, h.contact_id, at=h.event.at):
            out += self._lost(tx, me, invited, h, h.event.at, now)
        return out

    def unnoticed(self, tx: Tx, me: Me, *, now: int) -> Decided:
        """Those of whom only a roster told that they are gone."""
        out: Decided = []
        for invited, at in stored.unnoticed(tx, me.id, since=now - LOOKED_AT, limit=BATCH):
            h = Happening(
                event=Event(kind=EventKind.GROUP_LEFT, at=now, external_id=""),
                id=tx.new_id(),
                contact_id=invited.invitee_id,
                group_id=invited.group_id,
            )
            out += self._lost(tx, me, invited, h, at, now)
        return out

    # --- counting ---------------------------------------------------------------------------------

    def _counting(self, tx: Tx, rules: Invites, groups: Collection[int], now: int) -> set[int]:
        """Which of these groups count."""
        if rules.where is None:
            return set(groups)
        tags = tags_of(tx, groups, now=now)
        return {
            group.id
            for group in facts.groups_of(tx, groups).values()
            if group_fits(rules.where, tags.get(group.id, ()), group.kind)
        }

    def _why_not(self, tx: Tx, h: Happening, rules: Invites, scope: int, now: int) -> str:
        contact = h.contact_id or 0
        if contact == h.by_id:
            return "自己邀请自己，不算"
        if stored.was_invited(tx, contact, scope):
            return "以前就被邀请过，一个人只算一次"
        known = stored.memberships(tx, contact)
        groups = set(known) if scope == COMMUNITY else set(known) & {scope}
        return "以前就在群里，不算新人" if self._counting(tx, rules, groups, now) else ""

    def _counted(
        self, tx: Tx, h: Happening, rules: Invites, invited: Invited, name: str, count: int,
        *, now: int,
    ) -> Decided:  # fmt: skip
        inviter = invited.inviter_id
        theirs = replace(h, contact_id=inviter, matched={})
        group = facts.groups_of(tx, [invited.group_id]).get(invited.group_id)
        because = f"邀请{name}进了群「{group.name if group else ''}」，算第 {count} 位"
        out: Decided = [(_noted(inviter, name, "done", because), theirs)]
        if rules.points:
            gift = GivePoints(
                contact_id=inviter, amount=rules.points, reason=f"邀请{name}",
                source="points:邀请", because=because, at=invited.at, kind="invite",
                key=f"invite:{invited.id}",
            )  # fmt: skip
            out.append((gift, theirs))
        for reward in rules.rewards:
            if reward.at_least <= count and stored.newly_rewarded(
                tx, inviter, reward.at_least, now=now
            ):
                out += self._reward(reward.at_least, reward.do, theirs, now)
        return out

    def _reward(self, at_least: int, do: tuple[Action, ...], h: Happening, now: int) -> Decided:
        scene = Scene(
            contact_id=h.contact_id,
            group_id=h.group_id,
            source=f"invites:{at_least}",
            label=f"邀请满 {at_least} 人",
            because=f"邀请满 {at_least} 人",
            purpose="touch",
            at=h.event.at,
        )
        note = Note(
            subject_id=h.contact_id or 0, what=f"邀请满 {at_least} 人", outcome="done",
            because=f"邀请满 {at_least} 人，按约定做一次",
        )  # fmt: skip
        settings, definitions = self._workspace.settings, self._workspace.definitions
        acted = act(do, scene, definitions=definitions, takeover=settings.takeover, now=now)
        return [(note, h), *((decision, h) for decision in acted)]

    # --- taking back ------------------------------------------------------------------------------

    def _lost(self, tx: Tx, me: Me, invited: Invited, h: Happening, at: int, now: int) -> Decided:
        """What is taken back, unless the invited is still in one of the groups that count."""
        rules = self._rules or Invites()
        staying = {g for g, left in stored.memberships(tx, invited.invitee_id).items() if not left}
        if invited.scope != COMMUNITY:
            staying &= {invited.scope}
        if at >= invited.until or self._counting(tx, rules, staying, now):
            return []
        stored.take_back(tx, invited.id, at=at)
        count = books.count_invited(tx, me.id, invited.inviter_id, -1)
        name = _name(tx, invited.invitee_id)
        stayed = show_duration(max(at - invited.at, 0))
        wanted = show_duration(invited.until - invited.at)
        because = f"进群 {stayed}就退了（要留满 {wanted}），这一位不算，还有 {count} 位"
        theirs = replace(h, contact_id=invited.inviter_id, matched={})
        out: Decided = [(_noted(invited.inviter_id, name, "taken", because), theirs)]
        given = books.booked_amount(tx, invited.inviter_id, f"invite:{invited.id}")
        if given:
            back = GivePoints(
                contact_id=invited.inviter_id, amount=-given, reason=f"邀请的{name}退群",
                source="points:邀请", because=because, at=at, kind="back",
                key=f"invite:{invited.id}:back",
            )  # fmt: skip
            out.append((back, theirs))
        return out


def _name(tx: Tx, contact: int) -> str:
    found = facts.portraits(tx, [contact]).get(contact)
    return shown_name(found.name if found else "")


def _noted(subject: int, name: str, outcome: str, because: str) -> Note:
    return Note(subject_id=subject, what=f"邀请{name}", outcome=outcome, because=because)
