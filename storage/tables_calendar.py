"""The tables of pushes and Moments: one row each time one is due, and who a push is meant for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, Text, text
from sqlmodel import Field, SQLModel


def _id() -> Any:
    return Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))


def _number(*, null: bool = False) -> Any:
    return Field(default=None if null else 0, sa_column=Column(BigInteger, nullable=null))


def _text() -> Any:
    return Field(default="", sa_column=Column(Text, nullable=False))


_A_PLAN = "started_at IS NULL AND state IN ('planned', 'paused')"


class Run(SQLModel, table=True):
    """One time a push or a Moment is due. The row is the timer: `due_at` is when to look at it."""

    __table_args__ = (
        Index("run_time", "account_id", "kind", "name", "planned_at", unique=True),
        Index(
            "run_due",
            "account_id",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("run_plan", "account_id", sqlite_where=text(_A_PLAN), postgresql_where=text(_A_PLAN)),
    )
    id: int = _id()
    account_id: int = _number()
    kind: str  # push | moment
    name: str  # its id in the file
    planned_at: int = _number()
    schedule: str = _text()  # what `at` says, to notice edits; empty when begun by hand
    begun_by: str = _text()  # who began it by hand
    # planned | running | paused | done | cancelled | skipped, and of Moments: publishing | handed
    # (to an operator) | unknown | failed | unconfirmed
    state: str = "planned"
    reason: str = _text()
    due_at: int | None = _number(null=True)
    definition: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )  # what it was when it began: an edit counts for the next time
    started_at: int | None = _number(null=True)
    expires_at: int | None = _number(null=True)
    ended_at: int | None = _number(null=True)
    looked_at: int = _number()  # the last contact or group that was asked whether it is meant
    gathered: bool = False  # everybody was asked
    outbox_id: int | None = _number(null=True)  # the Moment's message


class Recipient(SQLModel, table=True):
    """One contact or group a run of a push is meant for, once."""

    __table_args__ = (
        Index("recipient_state", "run_id", "state", "subject_id"),
        Index("recipient_subject", "subject_id"),
    )
    run_id: int = _id()
    subject_id: int = _id()
    state: str = "waiting"  # waiting | handed (to the outbox) | settled | withheld
    reason: str = _text()  # why it is withheld
    at: int = _number()
    outbox_id: int | None = _number(null=True)
