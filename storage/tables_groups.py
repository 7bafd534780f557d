"""Tables of what belongs to groups: the invitations into them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel


class Invitation(SQLModel, table=True):
    """A place in a group that is kept for somebody. Its id is that of the outbox row.

    How it stands follows from that row, from `joined_at` and from the time, so that nothing has to
    be moved when an invitation is refused or runs out.
    """

    __table_args__ = (
        Index(
            "invitation_open",
            "group_id",
            sqlite_where=text("joined_at IS NULL"),
            postgresql_where=text("joined_at IS NULL"),
        ),
        Index("invitation_contact", "contact_id"),
    )
    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    group_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    contact_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    joined_at: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    by_hand: bool = False  # an operator was asked to invite them
