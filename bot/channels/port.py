"""The narrow door between Siyu and a WeChat account.

A channel turns whatever its gateway says into `Event`s and `Status`es, hands them to a `Sink`, and
turns a `Body` into the gateway's call. It keeps no decisions and no history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sop.errors import SiyuError
from sop.events import Event, Person, Room
from sop.messages import Body


class Capability(StrEnum):
    """What a channel can do beyond text, so that callers can say so instead of failing."""

    MEDIA = "media"
    LINK = "link"
    MINI_PROGRAM = "mini_program"
    CARD = "card"
    MENTION = "mention"
    ACCEPT_FRIEND = "accept_friend"
    ALIAS = "alias"
    TOPIC = "topic"
    ANNOUNCE = "announce"
    ADD_MEMBER = "add_member"
    REMOVE_MEMBER = "remove_member"
    MOMENT = "moment"


class StatusKind(StrEnum):
    """What can happen to the account or the connection."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"  # detail says why; the channel goes on trying
    SCAN = "scan"  # detail is the text of the QR code to scan, or a word for other scan states
    LOGIN = "login"  # account is who logged in
    LOGOUT = "logout"
    ERROR = "error"  # the gateway reported an error of its own; nothing ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A change of the account or the connection. `at` is in ms UTC."""

    kind: StatusKind
    at: int
    account: Person | None = None
    detail: str = ""


class Sink(Protocol):
    """Where a channel delivers. Both calls may wait: that is the backpressure."""

    async def event(self, event: Event) -> None:
        """Take one event; returns when it is safe to deliver the next of the same conversation."""

    async def status(self, status: Status) -> None:
        """Take one status change."""

    async def roster(self, people: Sequence[Person], rooms: Sequence[Room]) -> None:
        """Take contacts and groups as the gateway knows them now (after a login or reconnect)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a message goes: a contact's private chat or a group, by the gateway's id."""

    external_id: str
    group: bool = False


class NotSent(SiyuError):
    """网关明确表示没有发出。"""

    def __init__(
        self, message: str | None = None, *, retry: bool = True, ours: bool = False
    ) -> None:
        super().__init__(message)
        self.retry = retry  # False when trying again cannot help (not a friend, no such group)
        self.ours = ours  # the trouble came before the gateway, and says nothing of the account


class Channel(Protocol):
    """One account's way in and out."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this channel can do, as known now."""

    async def run(self, sink: Sink) -> None:
        """Deliver to `sink` until `close()` or cancellation, reconnecting by itself.

        Raises `sop.errors.ChannelError` only for what time cannot heal (a wrong token).
        """

    async def close(self) -> None:
        """End `run` and release the connection without logging the account out."""

    async def send(self, to: Address, body: Body) -> str | None:
        """Send one message and return the gateway's id for it, or None when it gives none.

        Raises `NotSent` when the gateway said that nothing was sent. Any other exception, time-out
        included, means that nobody knows.
        """

    async def set_alias(self, contact_id: str, alias: str) -> None:
        """Set the remark (备注) of a contact."""

    async def set_topic(self, group_id: str, topic: str) -> None:
        """Rename a group."""

    async def announce(self, group_id: str, text: str) -> None:
        """Set a group's announcement (群公告)."""

    async def add_member(self, group_id: str, contact_id: str) -> None:
        """Invite a contact into a group."""

    async def remove_member(self, group_id: str, contact_id: str) -> None:
        """Remove a member from a group."""
