"""Facts that happened, as channels report them and rules receive them.

Times are milliseconds since the Unix epoch, UTC. External ids are the gateway's; they are opaque.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """Every kind of event a rule or an SOP can name after `on:`."""

    MESSAGE = "message"
    FRIEND_REQUEST = "friend_request"
    FRIEND_ADDED = "friend_added"
    FRIEND_REMOVED = "friend_removed"
    GROUP_JOINED = "group_joined"
    GROUP_LEFT = "group_left"
    GROUP_RENAMED = "group_renamed"
    GROUP_ENTERED = "group_entered"  # the bot's own account came into a group
    TAG_ADDED = "tag_added"
    TAG_REMOVED = "tag_removed"
    STAGE_CHANGED = "stage_changed"
    SILENT = "silent"  # no message for the span a rule names; raised by the daily sweep
    LINK_CLICKED = "link_clicked"
    ORDER = "order"
    REFUND = "refund"
    SOP_STEP = "sop_step"  # a step of an SOP that is due
    PUSH = "push"  # a push that has come to somebody


INTERNAL = frozenset({EventKind.SOP_STEP, EventKind.PUSH})
"""Kinds that the bot records about itself and that no file may name."""


class MessageType(StrEnum):
    """What kind of message a person sent; the wire numbers 0-16 of Wechaty, by name."""

    TEXT = "text"
    IMAGE = "image"
    VOICE = "voice"
    VIDEO = "video"
    FILE = "file"
    CONTACT = "contact"
    EMOTICON = "emoticon"
    CHAT_HISTORY = "chat_history"
    LOCATION = "location"
    MINI_PROGRAM = "mini_program"
    LINK = "link"
    GROUP_NOTE = "group_note"
    TRANSFER = "transfer"
    RED_ENVELOPE = "red_envelope"
    RECALLED = "recalled"
    POST = "post"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person as the gateway describes them now. `friend` is None when the gateway did not say."""

    external_id: str
    name: str = ""
    alias: str = ""  # 备注
    friend: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A group as the gateway describes it now. `members` is empty when not fetched."""

    external_id: str
    topic: str = ""
    owner_id: str = ""
    members: tuple[Person, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact.

    `external_id` is what makes a replay recognisable: the gateway's message or request id, or for
    events without one a string the channel derives from their content. `contact` is who it is
    about (the sender, the joiner, the new friend) or None when the gateway did not say; in a
    private chat that is always the other side, also when `from_self` (the account's own human or
    the bot's echo). `group` is set for anything that happened in a group.
    """

    kind: EventKind
    at: int
    external_id: str
    contact: Person | None = None
    group: Room | None = None
    text: str = ""
    type: MessageType = MessageType.TEXT
    from_self: bool = False
    mentions_self: bool = False
    mentions_all: bool = False
    others: tuple[Person, ...] = ()  # further people of one join or leave
    by: Person | None = None  # inviter or remover
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def conversation(self) -> str:
        """The external id of the group it happened in, else of the contact; may be empty."""
        if self.group is not None:
            return self.group.external_id
        return self.contact.external_id if self.contact is not None else ""
