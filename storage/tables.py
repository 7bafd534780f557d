"""Every table. Times are ms since the epoch, UTC; ids come from one sequence (`storage.ids`).

A *conversation* id is a contact's id (its private chat) or a group's id: both come from the same
sequence, so one number says which. For the same reason a *subject* of a tag, a pause, an attribute
or a trace is a contact or a group.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Text, text
from sqlmodel import Field, SQLModel


def _id() -> Any:
    return Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


def _number(*, default: int | None = None, null: bool = False) -> Any:
    return Field(default=default, sa_column=Column(BigInteger, nullable=null))


def _text(default: str = "") -> Any:
    return Field(default=default, sa_column=Column(Text, nullable=False))


def _json() -> Any:
    return Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=True))


class Counter(SQLModel, table=True):
    """Named numbers: the next free block of ids, when a daily sweep is due."""

    name: str = Field(primary_key=True)
    next: int = _number(default=1)


class Account(SQLModel, table=True):
    """One logged-in account, and its sending circuit."""

    __table_args__ = (Index("account_external", "channel", "external_id", unique=True),)
    id: int = _id()
    channel: str
    external_id: str
    name: str = _text()
    state: str = "login"  # login | logout | offline
    state_at: int = _number(default=0)
    synced_at: int | None = _number(null=True)  # last roster; None before the first
    failures: int = 0  # sends in a row that failed or are unknown
    opened: int = 0  # times in a row the circuit opened
    circuit_until: int | None = _number(null=True)
    circuit_because: str = _text()
    first_login_at: int | None = _number(null=True)
    care_until: int | None = _number(null=True)  # goes slow until then
    care_because: str = _text()


class Lease(SQLModel, table=True):
    """Which process acts for an account, and until when by PostgreSQL's clock (`storage.lease`)."""

    account_id: int = _id()
    holder: str = _text()  # the process's own word; empty when nobody holds it
    host: str = _text()
    pid: int = 0
    folder: str = _text()
    place: str = _text()  # the workspace on its host, where one process runs at a time
    endpoint: str = _text()  # the gateway
    taken_at: int = _number()
    expires_at: int = _number()


class AccountSignal(SQLModel, table=True):
    """Something that went wrong with an account, or what was done about it."""

    __table_args__ = (Index("accountsignal_at", "account_id", "at"),)
    id: int = _id()
    account_id: int = _number()
    at: int = _number()
    kind: str  # logout | slow | stopped | resumed
    because: str = _text()


class Contact(SQLModel, table=True):
    """A person as one account knows them."""

    __table_args__ = (Index("contact_external", "account_id", "external_id", unique=True),)
    id: int = _id()
    account_id: int = _number()
    external_id: str
    name: str = _text()
    alias: str = _text()  # 备注
    friend: bool | None = None
    friend_at: int | None = _number(null=True)  # since when; None when never confirmed
    stage: str = "引入期"
    first_seen_at: int = _number()
    last_message_at: int | None = _number(null=True)


class Group(SQLModel, table=True):
    """A chat room, bound to the gateway's id."""

    __tablename__ = "room"  # GROUP is a word of SQL
    __table_args__ = (Index("room_external", "account_id", "external_id", unique=True),)
    id: int = _id()
    account_id: int = _number()
    external_id: str
    name: str = _text()
    kind: str = ""  # 线索 | 转化 | 服务
    owner_external_id: str = ""
    gone: bool = False  # the bot is no longer in it
    first_seen_at: int = _number()
    binding: str = ""  # bound | asked | left; empty where `groups:` has no entry for it
    entry: str = _text()  # the `match` of the entry it is bound to
    missing_at: int | None = _number(null=True)  # since when rosters do not list it


class Member(SQLModel, table=True):
    """A contact's membership of a group; `left_at` None while it lasts."""

    __table_args__ = (Index("member_contact", "contact_id"),)
    group_id: int = _id()
    contact_id: int = _id()
    joined_at: int | None = _number(null=True)  # None: was there before the bot looked
    inviter_id: int | None = _number(null=True)
    left_at: int | None = _number(null=True)
    messages: int = 0
    last_seen_at: int | None = _number(null=True)


class Tag(SQLModel, table=True):
    """A tag's name, once."""

    id: int = _id()
    name: str = Field(unique=True)


class Tagging(SQLModel, table=True):
    """A tag on a contact or group, with where it came from."""

    __table_args__ = (
        Index("tagging_tag", "tag_id", "subject_id"),
        Index(
            "tagging_expiry",
            "expires_at",
            sqlite_where=text("expires_at IS NOT NULL"),
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
    )
    subject_id: int = _id()
    tag_id: int = _id()
    source: str  # rule:ID | operator:NAME | groups:PATTERN
    event_id: int | None = _number(null=True)  # the evidence
    at: int = _number()
    expires_at: int | None = _number(null=True)


class Attribute(SQLModel, table=True):
    """A named value an operator's rule or command set on a contact."""

    __table_args__ = (Index("attribute_value", "key", "value"),)
    subject_id: int = _id()
    key: str = Field(primary_key=True)
    value: str = _text()
    source: str = ""
    at: int = _number()


class Event(SQLModel, table=True):
    """A fact that happened. `external_id` is unique in an account where the gateway gave one."""

    __table_args__ = (
        Index(
            "event_external",
            "account_id",
            "external_id",
            unique=True,
            sqlite_where=text("external_id IS NOT NULL"),
            postgresql_where=text("external_id IS NOT NULL"),
        ),
        Index("event_contact", "contact_id", "kind", "at"),
        Index(
            "event_group",
            "group_id",
            "at",
            sqlite_where=text("group_id IS NOT NULL"),
            postgresql_where=text("group_id IS NOT NULL"),
        ),
    )
    id: int = _id()
    account_id: int = _number()
    kind: str
    at: int = _number()  # when it happened, as the gateway says
    recorded_at: int = _number()
    contact_id: int | None = _number(null=True)
    group_id: int | None = _number(null=True)
    external_id: str | None = None
    type: str = ""
    text: str = _text()
    from_self: bool = False
    data: dict[str, Any] | None = _json()
    amount: int | None = _number(null=True)  # of an order, in cents; less than 0 of a refund


class Outbox(SQLModel, table=True):
    """One message the bot means to send, and what became of it.

    The rows of one `say` share `bundle_id` (the first row's id) and are ordered by `part`; limits
    count the rows with part 0. `text` is what a reader sees; `payload` is the body where it is more
    than plain text.
    """

    __table_args__ = (
        Index(
            "outbox_due",
            "account_id",
            "due_at",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "outbox_turn",
            "account_id",
            "priority",
            "due_at",
            "id",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "outbox_open",
            "account_id",
            "state",
            sqlite_where=text("state IN ('sending', 'unknown')"),
            postgresql_where=text("state IN ('sending', 'unknown')"),
        ),
        Index("outbox_conversation", "conversation_id", "id"),
        Index(
            "outbox_left",
            "account_id",
            "left_at",
            "kind",
            sqlite_where=text("left_at IS NOT NULL"),
            postgresql_where=text("left_at IS NOT NULL"),
        ),
    )
    id: int = _id()
    bundle_id: int = _number()
    part: int = 0
    account_id: int = _number()
    conversation_id: int = _number()
    in_group: bool = False
    event_id: int | None = _number(null=True)
    source: str = ""  # rule:ID, sop:ID/STEP, operator, ...
    purpose: str = "reply"  # reply | touch | notice
    priority: int = 0
    kind: str = "text"
    text: str = _text()
    payload: dict[str, Any] | None = _json()
    because: str = _text()  # why it was meant to be sent
    created_at: int = _number()
    due_at: int = _number()
    expires_at: int | None = _number(null=True)
    state: str = "queued"  # queued | sending | sent | failed | unknown | dropped
    reason: str = _text()  # why it is in this state, or waits
    attempts: int = 0
    left_at: int | None = _number(null=True)  # when it was handed to the gateway
    sent_at: int | None = _number(null=True)
    external_id: str | None = None
    hours: str = _text()  # the window a touch keeps to, as `09:00-21:00`


class AccountHold(SQLModel, table=True):
    """A stretch of time in which nothing left an account; `until` None while it lasts."""

    __table_args__ = (
        Index(
            "accounthold_open",
            "account_id",
            unique=True,
            sqlite_where=text("until IS NULL"),
            postgresql_where=text("until IS NULL"),
        ),
    )
    id: int = _id()
    account_id: int = _number()
    at: int = _number()
    until: int | None = _number(null=True)
    because: str = _text()


class Cooldown(SQLModel, table=True):
    """Until when a rule rests for a contact or group."""

    rule: str = Field(primary_key=True)
    subject_id: int = _id()
    until: int = _number()


class Gathering(SQLModel, table=True):
    """One joiner (or leaver) waiting for a gathered answer; all of a group share `due_at`."""

    __table_args__ = (Index("gathering_due", "due_at"),)
    rule: str = Field(primary_key=True)
    group_id: int = _id()
    event_id: int = _id()
    contact_id: int = _number()
    due_at: int = _number()


class Pause(SQLModel, table=True):
    """A conversation the bot stepped back from."""

    subject_id: int = _id()
    at: int = _number()
    until: int | None = _number(null=True)  # None: until an operator resumes
    event_id: int | None = _number(null=True)  # what led to it; its own messages still go out
    because: str = _text()


class Trace(SQLModel, table=True):
    """Why something was, or was not, done."""

    __table_args__ = (Index("trace_subject", "subject_id", "at"), Index("trace_at", "at"))
    id: int = _id()
    at: int = _number()
    subject_id: int = _number()
    event_id: int | None = _number(null=True)
    what: str  # what was at stake: rule ask-price, message #12
    outcome: str  # done | withheld | failed | paused | resumed
    because: str = _text()
    refs: dict[str, Any] | None = _json()


class SopVersion(SQLModel, table=True):
    """A version of an SOP that someone walked: enrollments are pinned to its digest."""

    digest: str = Field(primary_key=True)
    sop: str
    definition: dict[str, Any] | None = _json()
    at: int = _number()


class SopPause(SQLModel, table=True):
    """An SOP whose entries and steps stand still."""

    sop: str = Field(primary_key=True)
    at: int = _number()


class Enrollment(SQLModel, table=True):
    """One walk of one contact or group through one SOP. The row is the timer: `due_at`."""

    __table_args__ = (
        Index("enrollment_due", "due_at", sqlite_where=text("state = 'active'"),
              postgresql_where=text("state = 'active'"), postgresql_with={"fillfactor": 80}),
        Index("enrollment_active", "subject_id", "sop", unique=True,
              sqlite_where=text("state = 'active'"), postgresql_where=text("state = 'active'")),
        Index("enrollment_subject", "subject_id"),
        Index("enrollment_sop", "sop", "state"),
    )  # fmt: skip
    id: int = _id()
    account_id: int = _number()
    sop: str
    digest: str
    subject_id: int = _number()
    in_group: bool = False
    group_id: int | None = _number(null=True)  # of a member's walk: the group they are a member of
    state: str = "active"  # active | done | goal | exited | removed
    step: str
    phase: str = "step"  # step | reply | wait
    priority: int = 0
    entered_at: int = _number()
    since: int = _number()
    planned_at: int | None = _number(null=True)
    due_at: int | None = _number(null=True)
    deadline: int | None = _number(null=True)
    waiting: str = _text()  # what puts the step off
    past: list[str] | None = _json()  # steps that never run again
    event_id: int | None = _number(null=True)
    because: str = _text()  # why it began
    ended_at: int | None = _number(null=True)
    reason: str = _text()  # why it ended


class StepRun(SQLModel, table=True):
    """What came of one step of one enrollment."""

    __table_args__ = (Index("steprun_enrollment", "enrollment_id"),)
    id: int = _id()
    enrollment_id: int = _number()
    step: str
    outcome: str  # done | skipped | replied | timeout
    because: str = _text()
    at: int = _number()


class Migration(SQLModel, table=True):
    """Where one enrollment stood before a migration to another version, for undoing it."""

    batch: int = _id()
    enrollment_id: int = _id()
    at: int = _number()
    sop: str
    undone: bool = False
    before: dict[str, Any] | None = _json()
    after: dict[str, Any] | None = _json()
