"""Tables of points, check-ins and invitations. What people own is never forgotten by age.

`ledger` is the truth; `score` is its sum, kept in the same transaction, for conditions to ask.
"""

from __future__ import annotations

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from storage.tables import _id, _number, _text


class Ledger(SQLModel, table=True):
    """Points that came or went, once for each `key` of a contact."""

    __table_args__ = (
        Index("ledger_key", "key", "contact_id", unique=True),
        Index("ledger_contact", "contact_id", "at"),
        Index("ledger_month", "account_id", "at"),
    )
    id: int = _id()
    account_id: int = _number()
    contact_id: int = _number()
    at: int = _number()  # when it counts, as the gateway says
    day: int = 0  # the calendar day it counts for, an ordinal
    recorded_at: int = _number()
    kind: str  # sop.point_decisions.EntryKind
    amount: int = 0
    reason: str = _text()
    source: str = ""  # rule:ID, sop:ID/STEP, points:check_in, operator:NAME, ...
    because: str = _text()
    key: str
    event_id: int | None = _number(null=True)


class Score(SQLModel, table=True):
    """Where a contact stands: sums of the ledger, days in a row, people invited."""

    id: int = _id()  # the contact's
    account_id: int = _number()
    balance: int = _number(default=0)
    earned: int = _number(default=0)  # without what was spent: levels go by it
    streak: int = 0  # days in a row that end with `last_day`
    streak_until: int = _number(default=0)  # when they are broken, ms UTC
    last_day: int | None = Field(default=None)
    days: int = 0  # checked in, in all
    invited: int = 0  # who still count


class CheckedIn(SQLModel, table=True):
    """A day on which a contact checked in."""

    __tablename__ = "checkin"
    contact_id: int = _id()
    day: int = Field(primary_key=True)
    at: int = _number()
    recorded_at: int = _number()
    made_up: bool = False  # afterwards, by `check_in: missed`
    group_id: int | None = _number(null=True)


class Brought(SQLModel, table=True):
    """Who brought whom. Once for each of the invited in a `scope`: 0, or the group's id."""

    __table_args__ = (
        Index("brought_once", "invitee_id", "scope", unique=True),
        Index("brought_inviter", "inviter_id"),
    )
    id: int = _id()
    account_id: int = _number()
    inviter_id: int = _number()
    invitee_id: int = _number()
    group_id: int = _number()
    scope: int = _number()
    at: int = _number()
    until: int = _number()  # who leaves before this does not count
    state: str = "counted"  # counted | left
    left_at: int | None = _number(null=True)


class Rewarded(SQLModel, table=True):
    """A threshold of invitations whose reward a contact had."""

    __tablename__ = "rewarded"
    contact_id: int = _id()
    at_least: int = Field(primary_key=True)
    at: int = _number()
