"""What events do by themselves, before any rule: who is a friend, who is in a group, who talks.

The hand of the account's human makes the bot step back; an operator's command is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.bringing import Bringing
from bot.commands import Commands
from bot.desk import Desk
from bot.doors import Doors
from bot.happening import Happening, Me
from bot.workspace import Workspace
from sop.decisions import Decision, Note, StepBack
from sop.events import EventKind, MessageType
from sop.rules import RuleBook
from sop.times import show_duration
from storage import events as facts
from storage import people
from storage.apply import apply, write_notes
from storage.guarding import gone_by_hand
from storage.invitations import joined
from storage.outbox import echo
from storage.store import Tx
from storage.tags import TagChange

CHAIN = 8  # rules on tags may set each other off this many times, then the chain is cut
Decided = list[tuple[Decision, Happening]]


class Effects:
    """The effects of events in one version of a workspace."""

    def __init__(self, workspace: Workspace, book: RuleBook, doors: Doors, desk: Desk) -> None:
        self._settings = workspace.settings
        self._book = book
        self._bringing = Bringing(workspace)
        self._commands = Commands(workspace, doors, desk)

    def of(
        self, tx: Tx, me: Me, wave: Sequence[Happening], *, now: int
    ) -> tuple[list[Happening], Decided, list[TagChange]]:
        """Let events take effect.

        Returns those that rules and SOPs have a say in, what is decided already, and the tags that
        operators' commands changed.
        """
        decided: Decided = []
        changes: list[TagChange] = []
        spoken = any(h.event.kind is EventKind.MESSAGE for h in wave)
        ours = facts.other_accounts(tx) if spoken else set[str]()
        alive = [h for h in wave if self._effect(tx, me, h, now, ours, decided, changes)]
        return alive, decided, changes

    def _effect(
        self,
        tx: Tx,
        me: Me,
        h: Happening,
        now: int,
        ours: set[str],
        decided: Decided,
        changes: list[TagChange],
    ) -> bool:
        """What one event does by itself; False when rules have no say in it."""
        match h.event.kind:
            case EventKind.MESSAGE if h.event.from_self:
                decided += self._own_message(h, now)
                return False
            case EventKind.MESSAGE:
                return self._message(tx, me, h, now, ours, changes)
            case EventKind.FRIEND_ADDED if h.contact_id is not None:
                return self._befriended(tx, h.contact_id, now)
            case EventKind.FRIEND_REMOVED if h.contact_id is not None:
                people.set_friend(tx, [h.contact_id], friend=False, now=now)
            case EventKind.GROUP_JOINED if h.group_id and h.contact_id:
                decided += self._bringing.joined(tx, me, h, now=now)
                people.join_members(
                    tx, h.group_id, [h.contact_id], joined_at=h.event.at, inviter=h.by_id
                )
                joined(tx, h.group_id, [h.contact_id], now=now)
            case EventKind.GROUP_LEFT if h.group_id:
                self._left(tx, me, h)
                decided += self._bringing.left(tx, me, h, now=now)
            case _:
                pass
        if h.depth == CHAIN + 1:
            self._cut(tx, h, now)
        return h.depth <= CHAIN

    def _cut(self, tx: Tx, h: Happening, now: int) -> None:
        if self._book.listens(h.event.kind) and h.conversation is not None:
            note = Note(
                subject_id=h.conversation, what="标签规则", outcome="withheld",
                because=f"标签规则一直在互相触发（这次是「{h.event.text}」），到此为止",
            )  # fmt: skip
            write_notes(tx, [(note, h.id)], now=now)

    def _message(
        self,
        tx: Tx,
        me: Me,
        h: Happening,
        now: int,
        ours: set[str],
        changes: list[TagChange],
    ) -> bool:
        if h.group_id and h.contact_id:
            people.count_group_messages(tx, [(h.group_id, h.contact_id, h.event.at)])
        sender = h.event.contact
        if sender is None or h.contact_id is None or sender.external_id in ours:
            return False
        if h.group_id is None and sender.external_id in self._settings.operators:
            commanded = self._commands.handle(tx, me, h, now=now)
            if commanded is not None:
                changes += apply(tx, me.id, commanded, now=now)
                return False
        return True

    def _befriended(self, tx: Tx, contact: int, now: int) -> bool:
        already = facts.friend_since(tx, contact) is not None
        if not already:
            people.set_friend(tx, [contact], friend=True, now=now)
        return not already

    def _left(self, tx: Tx, me: Me, h: Happening) -> None:
        if h.group_id is None:
            return
        if h.contact_id is not None:
            people.leave_members(tx, h.group_id, [h.contact_id], at=h.event.at)
            gone_by_hand(tx, h.group_id, [h.contact_id], now=h.event.at)
        elif h.event.contact and h.event.contact.external_id == me.external_id:
            people.set_group_gone(tx, h.group_id)

    def _own_message(self, h: Happening, now: int) -> Decided:
        """The account's human wrote, so the bot steps back."""
        event, conversation = h.event, h.conversation
        if conversation is None or event.type is MessageType.RECALLED:
            return []
        if event.data.get("by_plugin"):
            return []
        pause = StepBack(
            conversation_id=conversation, until=now + self._settings.takeover,
            because="人工接管：主人在手机上亲自回复了",
        )  # fmt: skip
        span = show_duration(self._settings.takeover)
        note = Note(
            subject_id=conversation, what="自动回复", outcome="paused",
            because=f"主人亲自回复了，机器人退后 {span}",
        )  # fmt: skip
        return [(pause, h), (note, h)]


def is_echo(tx: Tx, h: Happening, *, now: int) -> bool:
    """Whether this is the gateway's report of what the outbox sent; settles its row if so."""
    event = h.event
    return (
        event.from_self
        and h.conversation is not None
        and echo(
            tx,
            h.conversation,
            external_id=event.external_id,
            type=event.type,
            text=event.text,
            at=event.at,
            now=now,
        )
    )
