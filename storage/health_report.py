"""What `siyu health` shows: today by kind, the last days, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from storage.sql import fetch


@dataclass(frozen=True, slots=True)
class Day:
    """What left an account on one day, and how much of it went wrong."""

    since: int
    left: int
    bad: int


def by_kind(
    connection: Connection, account: int, *, since: int, now: int
) -> dict[tuple[str, str], int]:
    """How many of each kind and purpose left the account since then."""
    rows = fetch(
        connection,
        "SELECT kind, purpose, COUNT(*) FROM outbox WHERE account_id = ? AND left_at >= ?"
        " AND left_at <= ? GROUP BY kind, purpose ORDER BY 3 DESC, 1, 2",
        account,
        since,
        now,
    )
    return {(row[0], row[1]): int(row[2]) for row in rows}


def days(connection: Connection, account: int, starts: Sequence[int], *, now: int) -> list[Day]:
    """What left the account on each day; `starts` are midnights, ms UTC, the earliest first."""
    ends = [*starts[1:], now + 1]
    out = []
    for start, end in zip(starts, ends, strict=True):
        left, bad = fetch(
            connection,
            "SELECT COUNT(*), COUNT(CASE WHEN state IN ('failed', 'unknown') THEN 1 END)"
            " FROM outbox WHERE account_id = ? AND left_at >= ? AND left_at < ?",
            account,
            start,
            end,
        )[0]
        out.append(Day(start, int(left), int(bad)))
    return out


def latest_signals(
    connection: Connection, account: int, *, most: int
) -> list[tuple[int, str, str]]:
    """What last happened to the account, newest first: (at, kind, because)."""
    rows = fetch(
        connection,
        "SELECT at, kind, because FROM accountsignal WHERE account_id = ?"
        " ORDER BY at DESC, id DESC LIMIT ?",
        account,
        most,
    )
    return [(row[0], row[1], row[2]) for row in rows]


def accounts(connection: Connection) -> list[tuple[int, str, str, int, int | None, str]]:
    """Every account: (id, name or gateway id, state, openings, circuit until, because)."""
    rows = fetch(
        connection,
        "SELECT id, CASE WHEN name <> '' THEN name ELSE external_id END, state, opened,"
        " circuit_until, circuit_because FROM account ORDER BY id",
    )
    return [tuple(row) for row in rows]
