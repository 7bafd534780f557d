"""Named numbers that outlive the process: the id sequence, when a daily sweep is due."""

from __future__ import annotations

from storage.sql import fetch, insert_rows
from storage.store import Tx
from storage.tables import Counter


def read_counter(tx: Tx, name: str) -> int | None:
    """What a counter holds; None before it was ever set."""
    rows = fetch(tx.connection, "SELECT next FROM counter WHERE name = ?", name)
    return int(rows[0][0]) if rows else None


def set_counter(tx: Tx, name: str, value: int) -> None:
    """Set a counter."""
    insert_rows(
        tx.connection,
        Counter,
        ("name", "next"),
        [(name, value)],
        extra="ON CONFLICT (name) DO UPDATE SET next = excluded.next",
    )
