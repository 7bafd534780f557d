"""What is exported of people, in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from storage.sql import fetch, fetch_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A person as a row of a table."""

    id: int
    external_id: str
    name: str
    alias: str
    friend: bool | None
    stage: str
    first_seen_at: int
    friend_at: int | None
    last_message_at: int | None
    tags: tuple[str, ...]
    values: dict[str, str]
    orders: int
    cents: int


def everybody(connection: Connection, account: int) -> list[int]:
    """Every contact of the account."""
    rows = fetch(connection, "SELECT id FROM contact WHERE account_id = ? ORDER BY id", account)
    return [row[0] for row in rows]


def attribute_keys(connection: Connection) -> list[str]:
    """The names of all values that anybody has."""
    return [row[0] for row in fetch(connection, "SELECT DISTINCT key FROM attribute ORDER BY key")]


def exported(connection: Connection, ids: Sequence[int], *, now: int) -> list[Exported]:
    """These people, in their order."""
    tags, values = defaultdict[int, list[str]](list), defaultdict[int, dict[str, str]](dict)
    for subject, tag in fetch_in(
        connection,
        "SELECT tagging.subject_id, tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id"
        " WHERE (tagging.expires_at IS NULL OR tagging.expires_at > ?)"
        " AND tagging.subject_id IN {in} ORDER BY tag.name",
        ids,
        now,
    ):
        tags[subject].append(tag)
    for subject, key, value in fetch_in(
        connection, "SELECT subject_id, key, value FROM attribute WHERE subject_id IN {in}", ids
    ):
        values[subject][key] = value
    paid = {
        row[0]: (int(row[1]), int(row[2]))
        for row in fetch_in(
            connection,
            "SELECT contact_id, COUNT(CASE WHEN kind = 'order' THEN 1 END),"
            " COALESCE(SUM(amount), 0) FROM event WHERE kind IN ('order', 'refund')"
            " AND contact_id IN {in} GROUP BY contact_id",
            ids,
        )
    }
    rows = {
        row[0]: row
        for row in fetch_in(
            connection,
            "SELECT id, external_id, name, alias, friend, stage, first_seen_at, friend_at,"
            " last_message_at FROM contact WHERE id IN {in}",
            ids,
        )
    }
    return [
        Exported(
            id=r[0], external_id=r[1], name=r[2], alias=r[3],
            friend=None if r[4] is None else bool(r[4]), stage=r[5], first_seen_at=r[6],
            friend_at=r[7], last_message_at=r[8], tags=tuple(tags[r[0]]), values=values[r[0]],
            orders=paid.get(r[0], (0, 0))[0], cents=paid.get(r[0], (0, 0))[1],
        )
        for r in (rows[id_] for id_ in ids)
    ]  # fmt: skip
