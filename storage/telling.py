"""The story of one contact or group: everything that happened, was done, and was not, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from storage.holds import open_holds, why_queued
from storage.house import told_invitations
from storage.scored import told_points
from storage.search import Found
from storage.sql import fetch
from storage.story import event_name, iso
from storage.told_pushes import told_pushes
from storage.walked import Told, labels, told_walks
from storage.words import PURPOSES, said


def explain(
    connection: Connection,
    subject: Found,
    *,
    zone: ZoneInfo,
    now: int | None = None,
    sop: str | None = None,
) -> list[dict[str, Any]]:
    """The story of a contact or group in order: `at`, `what`, `outcome`, `because`, `refs`.

    With `now`, why messages wait that are due, and last what walks under way wait for; with `sop`,
    only what concerns that SOP.
    """
    named = labels(connection, subject.id)
    rows = [
        *(_by_step(row, named) for row in _told_events(connection, subject)),
        *_told_messages(connection, subject, now),
        *_told_traces(connection, subject),
        *told_points(connection, subject.id),
        *told_walks(connection, subject.id, zone=zone, now=now),
        *told_pushes(connection, subject.id),
        *told_invitations(connection, subject.id, zone=zone, now=now),
    ]
    rows = [row for row in rows if sop is None or _concerns(row[5], sop)]
    rows.sort(key=lambda row: row[:2])
    return [
        {"at": iso(at, zone), "what": what, "outcome": outcome, "because": because, "refs": refs}
        for at, _id, what, outcome, because, refs in rows
    ]


def _by_step(row: Told, named: Mapping[str, str]) -> Told:
    """A tag that a step gave says so in the words of the step."""
    at, id_, what, outcome, because, refs = row
    label = named.get(refs.get("source", ""))
    return at, id_, what, outcome, f"来自 {label}" if label else because, refs


def _concerns(refs: Mapping[str, Any], sop: str) -> bool:
    return refs.get("sop") == sop or str(refs.get("source", "")).startswith(f"sop:{sop}/")


def _told_events(connection: Connection, who: Found) -> list[Told]:
    column = "group_id" if who.is_group else "contact_id"
    rows = fetch(
        connection,
        "SELECT e.id, e.kind, e.at, e.type, e.text, e.from_self, e.data, room.name, e.group_id,"  # noqa: S608
        " contact.name, e.recorded_at FROM event e LEFT JOIN room ON room.id = e.group_id"
        f" LEFT JOIN contact ON contact.id = e.contact_id WHERE e.{column} = ?",
        who.id,
    )
    return [_told_event(row) for row in rows]


def _told_event(row: Any) -> Told:
    id_, kind, _at, type_, text, mine, data, room, group_id, name, recorded_at = row
    details = data if isinstance(data, dict) else json.loads(data) if data else {}
    where = f"在群「{room}」" if group_id is not None else "私聊"
    refs: dict[str, Any] = {"event": id_}
    if kind == "message":
        who = "我的账号" if mine else (name or "有人")
        return (
            recorded_at,
            id_,
            f"消息「{said(type_, text)}」",
            "happened",
            f"{who}{where}里说的",
            refs,
        )
    because = {
        "tag_added": f"来自 {details.get('source', '')}",
        "tag_removed": f"来自 {details.get('source', '')}",
    }.get(kind, f"{name or ''}{where if group_id is not None else ''}{event_name(kind)}")
    refs |= {key: details[key] for key in ("from_event", "source") if details.get(key)}
    what = f"{event_name(kind)}「{text}」" if text else event_name(kind)
    return recorded_at, id_, what, "happened", because, refs


def _told_messages(connection: Connection, who: Found, now: int | None) -> list[Told]:
    rows = fetch(
        connection,
        "SELECT id, created_at, purpose, kind, text, state, reason, because, event_id, source,"
        " due_at, account_id FROM outbox WHERE conversation_id = ?",
        who.id,
    )
    out: list[Told] = []
    held = open_holds(connection)
    for id_, at, purpose, _kind, text, state, own, because, event_id, source, due, account in rows:
        reason = why_queued(held, state, own, due, account, now)
        flat = " ".join(text.split())
        refs = {"outbox": id_, "event": event_id, "source": source}
        sentence = f"{because}；{reason}" if reason else because
        out.append((at, id_, f"{PURPOSES[purpose]}「{flat}」", state, sentence, refs))
    return out


def _told_traces(connection: Connection, who: Found) -> list[Told]:
    rows = fetch(
        connection,
        "SELECT id, at, what, outcome, because, refs, event_id FROM trace WHERE subject_id = ?",
        who.id,
    )
    out: list[Told] = []
    for id_, at, what, outcome, because, refs, event_id in rows:
        known = refs if isinstance(refs, dict) else json.loads(refs) if refs else {}
        out.append((at, id_, what, outcome, because, {**known, "event": event_id}))
    return out
