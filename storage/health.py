"""The ledger of what leaves an account, and the signs that something is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from sop.health import RISK, Care, Ledger, Signals
from sop.times import DAY
from storage.sql import fetch, insert_rows, run_rows
from storage.store import Tx
from storage.tables import AccountSignal

_WEIGHT = (
    "CASE kind "
    + " ".join(f"WHEN '{kind}' THEN {risk}" for kind, risk in sorted(RISK.items()))
    + " ELSE 1 END"
)


def ledger(connection: Connection, account: int, *, day: int, hour: int, now: int) -> Ledger:
    """What left the account from `day` on, and after `hour` (ms UTC), weighted.

    What left "later than now" left before the clock was set back, nobody knows how long ago; were
    it counted, a clock once wrong by a year would stop the account for a year.
    """
    row = fetch(
        connection,
        f"SELECT COALESCE(SUM(CASE WHEN left_at >= ? THEN {_WEIGHT} END), 0),"  # noqa: S608
        f" COALESCE(SUM(CASE WHEN left_at > ? THEN {_WEIGHT} END), 0),"
        " MIN(CASE WHEN left_at > ? THEN left_at END), (SELECT MAX(left_at) FROM outbox"
        " WHERE account_id = ? AND left_at <= ?)"
        " FROM outbox WHERE account_id = ? AND left_at >= ? AND left_at <= ?",
        day,
        hour,
        hour,
        account,
        now,
        account,
        min(day, hour),
        now,
    )[0]
    return Ledger(int(row[0]), int(row[1]), row[2], row[3])


@dataclass(frozen=True, slots=True)
class Condition:
    """How an account is: since when it is known, and whether it has to go slow."""

    first_login_at: int | None
    care_until: int | None
    care_because: str

    def slow(self, now: int) -> bool:
        """Whether it goes slow at `now`; a clock set back does not make it last longer."""
        return self.care_until is not None and now < self.care_until <= now + DAY


def condition_of(connection: Connection, account: int) -> Condition:
    """How an account is."""
    row = fetch(
        connection,
        "SELECT first_login_at, care_until, care_because FROM account WHERE id = ?",
        account,
    )[0]
    return Condition(*row)


def signals_of(connection: Connection, account: int, *, now: int) -> Signals:
    """What went wrong in the last 24 hours, or since an operator said that all is well."""
    resumed = fetch(
        connection,
        "SELECT MAX(at) FROM accountsignal WHERE account_id = ? AND kind = 'resumed' AND at <= ?",
        account,
        now,
    )[0][0]
    since = max(now - DAY, resumed or 0)
    left, bad = fetch(
        connection,
        "SELECT COUNT(*), COUNT(CASE WHEN state IN ('failed', 'unknown') THEN 1 END)"
        " FROM outbox WHERE account_id = ? AND left_at > ? AND left_at <= ?",
        account,
        since,
        now,
    )[0]
    logouts = fetch(
        connection,
        "SELECT COUNT(*) FROM accountsignal WHERE account_id = ? AND kind = 'logout'"
        " AND at > ? AND at <= ?",
        account,
        since,
        now,
    )[0][0]
    return Signals(int(left), int(bad), int(logouts))


def note_signal(tx: Tx, account: int, kind: str, because: str, *, now: int) -> None:
    """Remember what happened to an account: `logout`, `slow`, `stopped`, `resumed`."""
    insert_rows(
        tx.connection,
        AccountSignal,
        ("id", "account_id", "at", "kind", "because"),
        [(tx.new_id(), account, now, kind, because)],
    )


def take_care(tx: Tx, account: int, care: Care) -> None:
    """Let an account go slow."""
    run_rows(
        tx.connection,
        "UPDATE account SET care_until = ?, care_because = ? WHERE id = ?",
        [(care.until, care.because, account)],
    )


def forget_care(tx: Tx, account: int, *, now: int) -> None:
    """An operator says that all is well: what went wrong so far no longer counts."""
    note_signal(tx, account, "resumed", "运营确认没事", now=now)
    run_rows(
        tx.connection,
        "UPDATE account SET care_until = NULL, care_because = '' WHERE id = ?",
        [(account,)],
    )
