"""Tables of what was asked: questions that no rule answered, calls of the model, peace after a
complaint. `storage.tables` says what times and ids are.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, text
from sqlmodel import SQLModel

from storage.tables import _id, _json, _number, _text


class Question(SQLModel, table=True):
    """A question that no rule answered, and what became of it.

    `guesses` are the likely entries with the number an operator sends one by: [n, entry, score].
    """

    __table_args__ = (
        Index("question_open", "account_id", "state",
              sqlite_where=text("state IN ('pending', 'asking', 'handed')"),
              postgresql_where=text("state IN ('pending', 'asking', 'handed')")),
        Index("question_conversation", "conversation_id", "id"),
        Index("question_at", "at"),
    )  # fmt: skip
    id: int = _id()
    account_id: int = _number()
    conversation_id: int = _number()
    contact_id: int = _number()
    in_group: bool = False
    event_id: int = _number()
    at: int = _number()
    text: str = _text()
    state: str = "handed"  # pending | asking | answered | handed | closed | dropped
    who: str = ""  # entry | model | operator | hand: who answered; reading: no question
    entry: str = _text()  # the entry that answered
    guesses: list[Any] | None = _json()
    attempts: int = 0  # times it was put to the model
    because: str = _text()


class ModelCall(SQLModel, table=True):
    """One call of the model: who it was for, what it read and cost, what became of it."""

    __table_args__ = (Index("modelcall_at", "account_id", "at"),)
    id: int = _id()
    account_id: int = _number()
    contact_id: int = _number()
    question_id: int = _number()
    at: int = _number()
    model: str = ""
    sources: list[str] | None = _json()
    outcome: str = (
        "asked"  # asked | answered | unknown | refused | read | trouble | late | interrupted
    )
    because: str = _text()
    tokens_in: int = 0
    tokens_out: int = 0
    took: int = 0  # ms


class Peace(SQLModel, table=True):
    """Somebody who complained and is sent no touches until `until`."""

    contact_id: int = _id()
    at: int = _number()
    until: int = _number()
    event_id: int | None = _number(null=True)
    because: str = _text()
