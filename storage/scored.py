"""Points in words: their part of somebody's story and portrait."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection

from storage.sql import fetch
from storage.walked import Told


def told_points(connection: Connection, contact: int) -> list[Told]:
    """The story of somebody's points: every entry with its reason, and days that brought none."""
    rows = fetch(
        connection,
        "SELECT recorded_at, id, amount, reason, because, source, kind, event_id FROM ledger"
        " WHERE contact_id = ? AND amount <> 0 ORDER BY id",
        contact,
    )
    out: list[Told] = []
    balance = 0
    for at, id_, amount, reason, because, source, kind, event in rows:
        balance += amount
        refs = {"event": event, "source": source, "points": amount, "kind": kind}
        what = f"积分 {amount:+d}「{reason}」，现在 {balance}"
        out.append((at, id_, what, "scored", because, refs))
    return out + _told_days(connection, contact)


def _told_days(connection: Connection, contact: int) -> list[Told]:
    """Check-ins without points of their own; the others are among the entries."""
    rows = fetch(
        connection,
        "SELECT c.recorded_at, c.day, c.made_up FROM checkin c WHERE c.contact_id = ?"
        " AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.contact_id = c.contact_id"
        " AND l.key IN ('check_in:' || CAST(c.day AS TEXT), 'catch_up:' || CAST(c.day AS TEXT)))"
        " ORDER BY c.recorded_at",
        contact,
    )
    return [
        (at, 0, "补签" if made_up else "签到", "scored", day_words(day), {"day": day_words(day)})
        for at, day, made_up in rows
    ]


def score_lines(connection: Connection, contact: int, *, now: int) -> list[str]:
    """Where somebody stands, for a portrait; nothing when they never had a point."""
    rows = fetch(
        connection,
        "SELECT balance, earned, streak, streak_until, days, invited FROM score WHERE id = ?",
        contact,
    )
    if not rows:
        return []
    balance, earned, streak, until, days, invited = rows[0]
    parts = [f"积分 {balance}（累计 {earned}）"]
    if days:
        parts.append(f"签到 {days} 天，连续 {streak if until > now else 0} 天")
    if invited:
        parts.append(f"邀请 {invited} 人")
    return ["，".join(parts)]


def day_words(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()
