"""Stretches of time in which nothing left an account, and why.

Thousands may wait in the outbox while the account holds back: the reason stands here once, and a
reader puts it beside what is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from storage.sql import fetch, insert_rows, run_rows
from storage.store import Tx
from storage.tables import AccountHold


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Nothing left the account from `at` to `until` (ms UTC; None: to this day)."""

    at: int
    until: int | None
    because: str


def hold_back(tx: Tx, account: int, because: str, *, now: int) -> None:
    """Record that nothing leaves the account from now on, unless that is known already."""
    if open_holds(tx.connection).get(account) == because:
        return
    go_on(tx, account, now=now)
    insert_rows(
        tx.connection,
        AccountHold,
        ("id", "account_id", "at", "because"),
        [(tx.new_id(), account, now, because)],
    )


def go_on(tx: Tx, account: int, *, now: int) -> None:
    """Record that messages leave the account again."""
    run_rows(
        tx.connection,
        "UPDATE accounthold SET until = ? WHERE account_id = ? AND until IS NULL",
        [(now, account)],
    )


def open_holds(connection: Connection) -> dict[int, str]:
    """Why nothing leaves accounts just now, by account."""
    rows = fetch(connection, "SELECT account_id, because FROM accounthold WHERE until IS NULL")
    return {row[0]: row[1] for row in rows}


def why_queued(
    held: Mapping[int, str], state: str, reason: str, due_at: int, account: int, now: int | None
) -> str:
    """Why a message is in its state: if it waits though it is due, the account's reason counts.

    `held` is `open_holds`.
    """
    if state != "queued" or now is None or due_at > now:
        return reason
    return held.get(account) or reason


def stretches(connection: Connection) -> list[Stretch]:
    """Every stretch of every account, in order."""
    rows = fetch(connection, "SELECT at, until, because FROM accounthold ORDER BY at, id")
    return [Stretch(at=row[0], until=row[1], because=row[2]) for row in rows]
