"""Reading it all back: lists for people and machines, and the story of one contact or group.

Times come out as ISO 8601 in the zone asked for; ids and external ids as they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from sop.events import Person
from sop.rules import EVENT_NAMES
from storage.events import last_lines
from storage.holds import open_holds, why_queued
from storage.scored import score_lines
from storage.search import Found
from storage.sql import fetch, fetch_in
from storage.words import STATES, said


def iso(ms: int | None, zone: ZoneInfo) -> str | None:
    """ms UTC as ISO 8601 in `zone`; None stays None."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, zone).isoformat(timespec="milliseconds")


def contacts(
    connection: Connection, *, zone: ZoneInfo, now: int, ids: Collection[int] | None = None
) -> list[dict[str, Any]]:
    """Contacts with their live tags, oldest first; all of them, or those with `ids`."""
    columns = "id, external_id, name, alias, stage, friend, first_seen_at, last_message_at"
    base = f"SELECT {columns} FROM contact"  # noqa: S608
    if ids is None:
        rows = fetch(connection, f"{base} ORDER BY id")
    else:
        rows = fetch_in(connection, base + " WHERE id IN {in}", ids)
    tags = _tags(connection, None if ids is None else [r[0] for r in rows], zone, now)
    pauses = _pauses(connection, zone, now)
    return [
        {
            "id": r[0],
            "external_id": r[1],
            "name": r[2],
            "alias": r[3],
            "stage": r[4],
            "friend": None if r[5] is None else bool(r[5]),
            "first_seen_at": iso(r[6], zone),
            "last_message_at": iso(r[7], zone),
            "tags": tags.get(r[0], []),
            "paused": pauses.get(r[0]),
        }
        for r in rows
    ]


def outbox(
    connection: Connection,
    *,
    zone: ZoneInfo,
    now: int,
    states: Sequence[str] = (),
    limit: int = 0,
) -> list[dict[str, Any]]:
    """Outbox rows, oldest first; the last `limit` of them when it is not 0."""
    where = f"o.state IN ({', '.join('?' for _ in states)})" if states else "1 = 1"
    rows = fetch(
        connection,
        "SELECT o.id, o.in_group, contact.name, contact.external_id, room.name,"  # noqa: S608
        " room.external_id, o.kind, o.purpose, o.state, o.reason, o.because, o.text, o.source,"
        " o.created_at, o.due_at, o.sent_at, o.attempts, o.conversation_id, o.event_id,"
        " o.account_id FROM outbox o"
        " LEFT JOIN contact ON contact.id = o.conversation_id"
        " LEFT JOIN room ON room.id = o.conversation_id"
        f" WHERE {where} ORDER BY o.id DESC {'LIMIT ?' if limit else ''}",
        *states,
        *([limit] if limit else []),
    )
    held = open_holds(connection)
    return [
        _outbox_row(r, zone, why_queued(held, r[8], r[9], r[14], r[19], now))
        for r in reversed(rows)
    ]


def detail(connection: Connection, who: Found, *, zone: ZoneInfo, now: int) -> dict[str, Any]:
    """One contact as `contacts` shows it, or a group with its kind, tags and members."""
    if not who.is_group:
        return contacts(connection, zone=zone, now=now, ids=[who.id])[0]
    kind, gone = fetch(connection, "SELECT kind, gone FROM room WHERE id = ?", who.id)[0]
    members = fetch(
        connection,
        "SELECT contact.id, contact.name, member.joined_at, member.messages FROM member"
        " JOIN contact ON contact.id = member.contact_id"
        " WHERE member.group_id = ? AND member.left_at IS NULL ORDER BY contact.id",
        who.id,
    )
    return {
        "id": who.id,
        "external_id": who.external_id,
        "name": who.name,
        "kind": kind,
        "gone": bool(gone),
        "tags": _tags(connection, [who.id], zone, now).get(who.id, []),
        "members": [
            {"id": m[0], "name": m[1], "joined_at": iso(m[2], zone), "messages": m[3]}
            for m in members
        ],
    }


def status(connection: Connection, *, zone: ZoneInfo, now: int) -> dict[str, Any]:
    """How the bot stands: accounts, counts, the outbox by state, pauses."""
    accounts = fetch(
        connection,
        "SELECT channel, external_id, name, state, state_at, circuit_until, circuit_because"
        " FROM account ORDER BY id",
    )
    states = fetch(connection, "SELECT state, COUNT(*) FROM outbox GROUP BY state ORDER BY state")
    return {
        "accounts": [
            {
                "channel": a[0],
                "external_id": a[1],
                "name": a[2],
                "state": a[3],
                "since": iso(a[4], zone),
                "circuit_until": iso(a[5], zone),
                "circuit_because": a[6],
            }
            for a in accounts
        ],
        "contacts": fetch(connection, "SELECT COUNT(*) FROM contact")[0][0],
        "friends": fetch(connection, "SELECT COUNT(*) FROM contact WHERE friend = ?", True)[0][0],
        "groups": fetch(connection, "SELECT COUNT(*) FROM room WHERE gone = ?", False)[0][0],
        "outbox": {row[0]: row[1] for row in states},
        "paused": len(_pauses(connection, zone, now)),
    }


def status_lines(connection: Connection, *, now: int) -> list[str]:
    """`status` for a person to read."""
    found = status(connection, zone=ZoneInfo("UTC"), now=now)
    lines = []
    for account in found["accounts"]:
        state = {"login": "在线", "logout": "已退出登录", "offline": "连不上网关"}[account["state"]]
        lines.append(f"账号 {account['name'] or account['external_id']}：{state}")
        if account["circuit_until"]:
            lines.append(f"发送已暂停保护：{account['circuit_because']}")
    lines.append(
        f"好友 {found['friends']} 位，联系人 {found['contacts']} 位，群 {found['groups']} 个"
    )
    box = [f"{STATES[state]} {count}" for state, count in found["outbox"].items()]
    lines.append(f"发件箱：{'，'.join(box) if box else '空'}")
    if found["paused"]:
        lines.append(f"有 {found['paused']} 个会话由人工接管")
    return lines


def portrait(connection: Connection, who: Found, *, zone: ZoneInfo, now: int) -> str:
    """A few lines about a contact or group, for an operator's `/看`."""
    lines = [who.label]
    if not who.is_group:
        row = contacts(connection, zone=zone, now=now, ids=[who.id])[0]
        friend = {True: "好友", False: "不是好友", None: ""}[row["friend"]]
        lines.append("，".join(x for x in (friend, row["stage"]) if x))
        if row["paused"]:
            lines.append(f"人工接管中：{row['paused']['because']}")
        lines += score_lines(connection, who.id, now=now)
    tags = [tag["name"] for tag in _tags(connection, [who.id], zone, now).get(who.id, [])]
    lines.append(f"标签：{'、'.join(tags) if tags else '还没有'}")
    for at, speaker, text in last_lines(connection, who.id, in_group=who.is_group, count=5):
        moment = datetime.fromtimestamp(at / 1000, zone)
        lines.append(f"{moment:%m-%d %H:%M} {speaker}：{text[:60]}")
    return "\n".join(lines)


def _outbox_row(r: Any, zone: ZoneInfo, reason: str) -> dict[str, Any]:
    who = {
        "id": r[17],
        "name": (r[4] if r[1] else r[2]) or "",
        "external_id": r[5] if r[1] else r[3],
    }
    return {
        "id": r[0],
        "group" if r[1] else "contact": who,
        "kind": r[6],
        "purpose": r[7],
        "state": r[8],
        "reason": reason,
        "because": r[10],
        "text": r[11],
        "source": r[12],
        "created_at": iso(r[13], zone),
        "due_at": iso(r[14], zone),
        "sent_at": iso(r[15], zone),
        "attempts": r[16],
        "event": r[18],
    }


def _tags(
    connection: Connection, subjects: Collection[int] | None, zone: ZoneInfo, now: int
) -> dict[int, list[dict[str, Any]]]:
    base = (
        "SELECT tagging.subject_id, tag.name, tagging.source, tagging.event_id, event.kind,"
        " event.type, event.text, tagging.at, tagging.expires_at"
        " FROM tagging JOIN tag ON tag.id = tagging.tag_id"
        " LEFT JOIN event ON event.id = tagging.event_id"
        " WHERE (tagging.expires_at IS NULL OR tagging.expires_at > ?)"
    )
    if subjects is None:
        rows: Sequence[Any] = fetch(connection, f"{base} ORDER BY tagging.at, tag.id", now)
    else:
        rows = fetch_in(connection, base + " AND tagging.subject_id IN {in}", subjects, now)
        rows = sorted(rows, key=lambda row: row[7])
    out: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        out.setdefault(row[0], []).append(
            {
                "name": row[1],
                "source": row[2],
                "evidence": _evidence(row[3], row[4], row[5], row[6]),
                "at": iso(row[7], zone),
                "expires_at": iso(row[8], zone),
            }
        )
    return out


def _evidence(event_id: int | None, kind: str | None, type_: str, text: str) -> str:
    if event_id is None or kind is None:
        return ""
    if kind == "message":
        return f"消息 #{event_id}「{said(type_, text)[:80]}」"
    return f"{event_name(kind)} #{event_id}"


def _pauses(connection: Connection, zone: ZoneInfo, now: int) -> dict[int, dict[str, Any]]:
    rows = fetch(
        connection,
        "SELECT subject_id, until, because FROM pause WHERE until IS NULL OR until > ?",
        now,
    )
    return {row[0]: {"until": iso(row[1], zone), "because": row[2]} for row in rows}


def paused_because(connection: Connection, subject: int, *, now: int) -> str:
    """Why a conversation is paused, or an empty string."""
    rows = fetch(
        connection,
        "SELECT because FROM pause WHERE subject_id = ? AND (until IS NULL OR until > ?)",
        subject,
        now,
    )
    return str(rows[0][0]) if rows else ""


def event_name(kind: str) -> str:
    """An event as a screen calls it."""
    return {str(k): name for k, name in EVENT_NAMES.items()}[kind]


def since(connection: Connection, after: int) -> list[dict[str, Any]]:
    """What came of things recorded after the row with id `after`, for a running transcript.

    Tags that came or went, what was withheld or failed, pauses, and messages that are not (yet)
    sent; each with the `id` to go on from, the `name` of whom it is about, and why.
    """
    names = "COALESCE(contact.name, room.name, '')"
    tags = fetch(
        connection,
        f"SELECT e.id, e.kind, {names}, e.text, e.data FROM event e"  # noqa: S608
        " LEFT JOIN contact ON contact.id = e.contact_id LEFT JOIN room ON room.id = e.group_id"
        " WHERE e.id > ? AND e.kind IN ('tag_added', 'tag_removed')",
        after,
    )
    traces = fetch(
        connection,
        f"SELECT t.id, t.outcome, {names}, t.what, t.because FROM trace t"  # noqa: S608
        " LEFT JOIN contact ON contact.id = t.subject_id LEFT JOIN room ON room.id = t.subject_id"
        " WHERE t.id > ? AND t.outcome <> 'done'",
        after,
    )
    rows = [
        {"id": r[0], "outcome": r[1], "name": r[2], "what": r[3], "because": _tag_source(r[4])}
        for r in tags
    ]
    rows += [
        {"id": r[0], "outcome": r[1], "name": r[2], "what": r[3], "because": r[4]} for r in traces
    ]
    return sorted(rows, key=lambda row: int(row["id"]))


def unsettled(connection: Connection, *, now: int) -> dict[int, tuple[str, str, str, str]]:
    """Messages that are not sent: id → (state, name, text, reason)."""
    rows = fetch(
        connection,
        "SELECT o.id, o.state, COALESCE(contact.name, room.name, ''), o.text, o.reason, o.due_at,"
        " o.account_id"
        " FROM outbox o LEFT JOIN contact ON contact.id = o.conversation_id"
        " LEFT JOIN room ON room.id = o.conversation_id"
        " WHERE o.state IN ('queued', 'failed', 'unknown', 'dropped')",
    )
    held = open_holds(connection)
    return {r[0]: (r[1], r[2], r[3], why_queued(held, r[1], r[4], r[5], r[6], now)) for r in rows}


def _tag_source(data: Any) -> str:
    return str((data if isinstance(data, dict) else json.loads(data or "{}")).get("source", ""))


def people_of(connection: Connection) -> list[Person]:
    """Every contact, as a channel would describe it."""
    rows = fetch(connection, "SELECT external_id, name, alias, friend FROM contact ORDER BY id")
    return [
        Person(external_id=r[0], name=r[1], alias=r[2], friend=None if r[3] is None else bool(r[3]))
        for r in rows
    ]


def rooms_of(connection: Connection) -> list[tuple[str, str, list[str]]]:
    """Every group the bot is in: external id, name, members' external ids."""
    rooms = fetch(
        connection, "SELECT id, external_id, name FROM room WHERE gone = ? ORDER BY id", False
    )
    members: dict[int, list[str]] = {}
    for group, external_id in fetch(
        connection,
        "SELECT member.group_id, contact.external_id FROM member JOIN contact"
        " ON contact.id = member.contact_id WHERE member.left_at IS NULL ORDER BY contact.id",
    ):
        members.setdefault(group, []).append(external_id)
    return [(r[1], r[2], members.get(r[0], [])) for r in rooms]


def latest(connection: Connection) -> int:
    """When the last event was recorded, ms UTC; 0 in an empty database."""
    return int(fetch(connection, "SELECT COALESCE(MAX(recorded_at), 0) FROM event")[0][0])
