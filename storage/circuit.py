"""The sending circuit of an account: after repeated failures it opens, and closes by itself.

While it is half open (its time is over, nothing has gone out yet) one message at a time is tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sop.times import HOUR, MINUTE
from storage.health import condition_of, forget_care
from storage.sql import fetch, run_rows
from storage.store import Tx

OPENS_AFTER = 5
FIRST_REST = 10 * MINUTE
LONGEST_REST = 2 * HOUR


@dataclass(frozen=True, slots=True)
class Circuit:
    """`until` is set while it is open or half open; `opened` counts openings in a row."""

    failures: int
    opened: int
    until: int | None
    because: str = field(default="", compare=False)

    @property
    def on_trial(self) -> bool:
        """Whether it opened and has not proved itself since."""
        return self.opened > 0

    def holds(self, now: int) -> bool:
        """Whether nothing may be sent at `now`; a clock set back does not make it last longer."""
        return self.until is not None and now < self.until <= now + LONGEST_REST


def circuit_of(tx: Tx, account: int) -> Circuit:
    """The circuit of an account."""
    row = fetch(
        tx.connection,
        "SELECT failures, opened, circuit_until, circuit_because FROM account WHERE id = ?",
        account,
    )[0]
    return Circuit(*row)


def count_results(
    tx: Tx, account: int, *, succeeded: bool, failures: int, because: str, now: int
) -> int | None:
    """Count the results of a round; returns until when the circuit opened, if it did just now."""
    before = circuit_of(tx, account)
    failed = failures if succeeded else before.failures + failures
    if failures and (failed >= OPENS_AFTER or (before.on_trial and not succeeded)):
        rest: int = min(FIRST_REST * 2**before.opened, LONGEST_REST)
        _write(tx, account, 0, before.opened + 1, now + rest, because)
        return now + rest
    if succeeded and before == Circuit(failed, 0, None):
        return None
    if succeeded:
        _write(tx, account, failed, 0, None, "")
    elif failures:
        _write(tx, account, failed, before.opened, before.until, because)
    return None


def open_circuit(tx: Tx, account: int, because: str, *, rest: int, now: int) -> int:
    """Let nothing leave an account for a while; returns until when, ms UTC."""
    before = circuit_of(tx, account)
    _write(tx, account, 0, before.opened + 1, now + rest, because)
    return now + rest


def close_circuit(tx: Tx, account: int, *, now: int) -> bool:
    """Let an account send again at once and at full speed; False when nothing held it."""
    held = circuit_of(tx, account).until is not None
    held = condition_of(tx.connection, account).slow(now) or held
    _write(tx, account, 0, 0, None, "")
    forget_care(tx, account, now=now)
    return held


def close_all_circuits(tx: Tx, *, now: int) -> bool:
    """Let every account send again at once; False when nothing held any."""
    accounts = [row[0] for row in fetch(tx.connection, "SELECT id FROM account ORDER BY id")]
    return sum(close_circuit(tx, account, now=now) for account in accounts) > 0


def _write(
    tx: Tx, account: int, failures: int, opened: int, until: int | None, because: str
) -> None:
    run_rows(
        tx.connection,
        "UPDATE account SET failures = ?, opened = ?, circuit_until = ?, circuit_because = ?"
        " WHERE id = ?",
        [(failures, opened, until, because, account)],
    )
