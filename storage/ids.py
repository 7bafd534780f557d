"""Client-side integer ids from one sequence for all tables, reserved in blocks.

Small, ordered, and known before the insert: no round trip per row, rows of one transaction can
name each other, and several processes may share a database. On PostgreSQL the blocks come from a
sequence: a counter's row would be kept by whoever reserved last until that transaction is over, and
every other process would wait for it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from storage.sql import dialect_of, fetch, statement

BLOCK = 1_000  # the sequence of PostgreSQL goes in steps of this (migration 0011)


class Ids:
    """Hands out ids. `reset` after a rollback: the reservation was rolled back with the rest."""

    def __init__(self) -> None:
        self._next = 0
        self._end = 0

    def take(self, connection: Connection) -> int:
        """The next id; reserves a block in the caller's transaction when the last is used up."""
        if self._next == self._end:
            self._reserve(connection)
        self._next += 1
        return self._next - 1

    def reset(self) -> None:
        """Forget the block in hand."""
        self._next = self._end = 0

    def _reserve(self, connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            self._next = int(fetch(connection, "SELECT nextval('siyu_ids')")[0][0])
            self._end = self._next + BLOCK
        else:
            self._end = add_to_counter(connection, "id", BLOCK, start=1)
            self._next = self._end - BLOCK


def add_to_counter(connection: Connection, name: str, amount: int, *, start: int = 0) -> int:
    """Add to a named counter (begun at `start`) and return what it holds then."""
    sql = statement(
        dialect_of(connection),
        "INSERT INTO counter (name, next) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET next = counter.next + ? RETURNING next",
    )
    return int(connection.exec_driver_sql(sql, (name, start + amount, amount)).scalar_one())
