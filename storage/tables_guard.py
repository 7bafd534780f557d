"""Tables of the guard of groups and of core people."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Text, text
from sqlmodel import Field, SQLModel


def _id() -> Any:
    return Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


def _number(*, null: bool = False) -> Any:
    return Field(default=None, sa_column=Column(BigInteger, nullable=null))


def _text() -> Any:
    return Field(default="", sa_column=Column(Text, nullable=False))


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class GuardAct(SQLModel, table=True):
    """What the guard made of one message (or of somebody blacklisted who came in), and why.

    A strike counts while `strike_until` is in the future. `told_at` is None until the operators
    were told.
    """

    __table_args__ = (
        Index("guardact_contact", "contact_id", "at"),
        Index("guardact_open", "state", **_where("state IN ('asked', 'removing')")),
        Index("guardact_untold", "account_id", **_where("told_at IS NULL")),
    )
    id: int = _id()
    account_id: int = _number()
    at: int = _number()
    group_id: int = _number()
    contact_id: int = _number()
    event_id: int | None = _number(null=True)
    sentence: str  # alert | warn | ask | remove
    state: str  # noted | asked | removing | removed | failed | spared | undone | expired
    shadow: bool = False
    points: int = 0
    reasons: list[str] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    said: str = _text()  # the beginning of the message
    strikes: int = 0  # how many there are with this one
    strike_until: int | None = _number(null=True)
    outbox_id: int | None = _number(null=True)  # the removal
    told_at: int | None = _number(null=True)
    settled_at: int | None = _number(null=True)
    settled: str = _text()  # by whom, or what came of it


class Blacklisted(SQLModel, table=True):
    """A person whom no guarded group is to have."""

    __table_args__ = (Index("blacklisted_external", "external_id"),)
    contact_id: int = _id()
    external_id: str
    at: int = _number()
    act_id: int | None = _number(null=True)
    because: str = _text()


class CoreTalk(SQLModel, table=True):
    """A core person's talk in one conversation that operators are, or were just, told about.

    `due_at` is when to tell, None when nothing is to be told; `since` is the event that began the
    burst. Before `quiet_until` nobody is told again.
    """

    __table_args__ = (Index("coretalk_due", "due_at", **_where("due_at IS NOT NULL")),)
    contact_id: int = _id()
    conversation_id: int = _id()
    account_id: int = _number()
    in_group: bool = False
    since: int | None = _number(null=True)
    messages: int = 0
    due_at: int | None = _number(null=True)
    quiet_until: int | None = _number(null=True)
