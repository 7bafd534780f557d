"""Reading points back as lists: one person's entries, where they stand, who brought whom."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from storage.scored import day_words
from storage.sql import fetch
from storage.story import iso


def entries(
    connection: Connection, contact: int, *, zone: ZoneInfo, limit: int = 0
) -> list[dict[str, Any]]:
    """Somebody's entries, oldest first; the last `limit` of them when it is not 0."""
    rows = fetch(
        connection,
        "SELECT id, at, kind, amount, reason, source, because, event_id FROM ledger"  # noqa: S608
        f" WHERE contact_id = ? ORDER BY id DESC {'LIMIT ?' if limit else ''}",
        contact,
        *([limit] if limit else []),
    )
    return [
        {
            "id": r[0], "at": iso(r[1], zone), "kind": r[2], "amount": r[3], "reason": r[4],
            "source": r[5], "because": r[6], "event": r[7],
        }
        for r in reversed(rows)
    ]  # fmt: skip


def invitations(
    connection: Connection, *, zone: ZoneInfo, inviter: int | None = None
) -> list[dict[str, Any]]:
    """Who brought whom, oldest first; all of it, or what one inviter brought."""
    rows = fetch(
        connection,
        "SELECT i.id, i.at, i.state, i.until, i.left_at, i.inviter_id, a.name, i.invitee_id,"  # noqa: S608
        " b.name, i.group_id, room.name FROM brought i"
        " JOIN contact a ON a.id = i.inviter_id JOIN contact b ON b.id = i.invitee_id"
        " LEFT JOIN room ON room.id = i.group_id"
        f" {'WHERE i.inviter_id = ?' if inviter is not None else ''} ORDER BY i.id",
        *([inviter] if inviter is not None else []),
    )
    return [
        {
            "id": r[0],
            "at": iso(r[1], zone),
            "state": r[2],
            "stays_until": iso(r[3], zone),
            "left_at": iso(r[4], zone),
            "inviter": {"id": r[5], "name": r[6]},
            "invitee": {"id": r[7], "name": r[8]},
            "group": {"id": r[9], "name": r[10] or ""},
        }
        for r in rows
    ]


def standing(connection: Connection, contact: int, *, now: int) -> dict[str, Any]:
    """Where somebody stands, for programs."""
    rows = fetch(
        connection,
        "SELECT balance, earned, streak, streak_until, last_day, days, invited FROM score"
        " WHERE id = ?",
        contact,
    )
    balance, earned, streak, until, last, days, invited = rows[0] if rows else (0,) * 7
    return {
        "points": balance,
        "earned": earned,
        "streak": streak if until > now else 0,
        "last_check_in": day_words(last) if last else None,
        "check_ins": days,
        "invited": invited,
    }
