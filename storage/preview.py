"""What a dry run of a push asks of the database; nothing is written."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from sop.pinned import Target
from storage.recipients import meant
from storage.sql import fetch, fetch_in


def groups_meant(connection: Connection, account: int, target: Target, *, now: int) -> list[str]:
    """The names of the groups that are meant now."""
    where, params = meant(connection, target, now=now)
    rows = fetch(
        connection,
        f"SELECT name, external_id FROM room WHERE account_id = ? AND {where} ORDER BY id",  # noqa: S608
        account,
        *params,
    )
    return [row[0] or row[1] for row in rows]


def waiting(connection: Connection, account: int, *, now: int) -> int:
    """How many messages are due already and leave first."""
    row = fetch(
        connection,
        "SELECT COUNT(*) FROM outbox WHERE account_id = ? AND state = 'queued' AND due_at <= ?",
        account,
        now,
    )[0]
    return int(row[0])


def account_of(connection: Connection, channel: str, *, host: str, folder: str) -> int | None:
    """The account of this channel that was here last.

    Where several workspaces share the database: in this `folder` of this `host`, if any was.
    """
    rows = fetch(
        connection,
        "SELECT account.id FROM account LEFT JOIN lease ON lease.account_id = account.id"
        " AND lease.host = ? AND lease.folder = ? WHERE channel = ?"
        " ORDER BY COALESCE(lease.taken_at, 0) DESC, state_at DESC LIMIT 1",
        host,
        folder,
        channel,
    )
    return int(rows[0][0]) if rows else None


def own_names(connection: Connection) -> set[str]:
    """The gateway ids of the workspace's own accounts."""
    return {row[0] for row in fetch(connection, "SELECT external_id FROM account")}


def contacts_of(connection: Connection, names: Collection[str]) -> set[int]:
    """The contacts with these gateway ids."""
    rows = fetch_in(connection, "SELECT id FROM contact WHERE external_id IN {in}", names)
    return {row[0] for row in rows}
