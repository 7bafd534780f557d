"""Taking the books along into a rehearsal: entries, days and sums of those who take part."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection
from sqlmodel import SQLModel

from storage.sql import fetch, insert_rows
from storage.store import Tx
from storage.tables_points import Brought, CheckedIn, Ledger, Rewarded, Score

_LEDGER = (
    "contact_id", "at", "day", "recorded_at", "kind", "amount", "reason", "source", "because",
    "key",
)  # fmt: skip
_SCORE = ("id", "balance", "earned", "streak", "streak_until", "last_day", "days", "invited")


def carry_points(source: Connection, tx: Tx, account: int, ids: Mapping[int, int]) -> None:
    """Copy the books of contacts; `ids` are their ids here and there."""
    rows = fetch(source, f"SELECT {', '.join(_LEDGER)} FROM ledger ORDER BY id")  # noqa: S608
    insert_rows(
        tx.connection,
        Ledger,
        ("id", "account_id", *_LEDGER),
        [(tx.new_id(), account, ids[r[0]], *r[1:]) for r in rows if r[0] in ids],
    )
    rows = fetch(source, f"SELECT {', '.join(_SCORE)} FROM score")  # noqa: S608
    insert_rows(
        tx.connection,
        Score,
        ("account_id", *_SCORE),
        [(account, ids[r[0]], *r[1:]) for r in rows if r[0] in ids],
    )
    _carry(source, tx, CheckedIn, ("contact_id", "day", "at", "recorded_at", "made_up"), ids)
    _carry(source, tx, Rewarded, ("contact_id", "at_least", "at"), ids)
    _carry_brought(source, tx, account, ids)


def _carry(
    source: Connection,
    tx: Tx,
    model: type[SQLModel],
    columns: tuple[str, ...],
    ids: Mapping[int, int],
) -> None:
    rows = fetch(source, f"SELECT {', '.join(columns)} FROM {model.__tablename__}")  # noqa: S608
    copied = [(ids[r[0]], *r[1:]) for r in rows if r[0] in ids]
    insert_rows(tx.connection, model, columns, copied)


def _carry_brought(source: Connection, tx: Tx, account: int, ids: Mapping[int, int]) -> None:
    """Who was brought counts as brought; the groups of a rehearsal are others."""
    rows = fetch(
        source,
        "SELECT inviter_id, invitee_id, at, until, state, left_at FROM brought WHERE scope = 0",
    )
    insert_rows(
        tx.connection,
        Brought,
        ("id", "account_id", "inviter_id", "invitee_id", "group_id", "scope", "at", "until",
         "state", "left_at"),
        [
            (tx.new_id(), account, ids[r[0]], ids[r[1]], 0, 0, *r[2:])
            for r in rows
            if r[0] in ids and r[1] in ids
        ],
    )  # fmt: skip
