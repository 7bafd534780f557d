"""Taking the real friends along into a rehearsal: what of them is copied into its scratch database.

The real database is only read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlmodel import SQLModel

from sop.decisions import GiveTag, TakeTag
from sop.times import DAY
from storage.carried import carry_points
from storage.sql import fetch, fetch_in, insert_rows
from storage.store import Tx
from storage.tables import Attribute, Contact, Enrollment, Event, Outbox, Pause, SopVersion
from storage.tags import change_tags

_REMEMBERED = 8 * DAY  # touches count towards limits for seven days
Ids = Mapping[int, int]  # ids there → ids here


def real_people(connection: Connection) -> list[tuple[Any, ...]]:
    """Friends: id, external id, name, remark, stage, last wrote, friend since."""
    return [
        tuple(row)
        for row in fetch(
            connection,
            "SELECT id, external_id, name, alias, stage, last_message_at, friend_at FROM contact"
            " WHERE friend = ? ORDER BY id",
            True,
        )
    ]


def copy_people(
    source: Connection, tx: Tx, account: int, *, sops: Collection[str], now: int
) -> None:
    """Copy friends into the scratch database: tags, values, what they wrote and bought, their walks
    through `sops`, what was sent to them lately, and who is in a human's hands.
    """
    ids = {row[0]: tx.new_id() for row in real_people(source)}
    insert_rows(
        tx.connection,
        Contact,
        ("id", "account_id", "external_id", "name", "alias", "friend", "friend_at", "stage",
         "first_seen_at", "last_message_at"),
        [
            (ids[r[0]], account, r[1], r[2], r[3], True, r[6], r[4], r[6] or now, r[5])
            for r in real_people(source)
        ],
    )  # fmt: skip
    _copy_tags(source, tx, ids, now=now)
    _copy_values(source, tx, ids)
    _copy_words(source, tx, account, ids)
    _copy_walks(source, tx, account, ids, sops)
    _copy_messages(source, tx, account, ids, since=now - _REMEMBERED)
    _copy_rows(source, tx, Pause, "subject_id", ids, "")
    carry_points(source, tx, account, ids)


def _copy_tags(source: Connection, tx: Tx, ids: dict[int, int], *, now: int) -> None:
    rows = fetch(
        source,
        "SELECT g.subject_id, tag.name, g.source, g.expires_at FROM tagging g"
        " JOIN tag ON tag.id = g.tag_id ORDER BY g.at, g.tag_id",
    )
    wishes: list[tuple[GiveTag | TakeTag, int | None]] = [
        (GiveTag(subject_id=ids[subject], tag=tag, source=origin, expires_at=expires), None)
        for subject, tag, origin, expires in rows
        if subject in ids
    ]
    change_tags(tx, wishes, now=now)


def _copy_values(source: Connection, tx: Tx, ids: dict[int, int]) -> None:
    rows = fetch(source, "SELECT subject_id, key, value, source, at FROM attribute")
    insert_rows(
        tx.connection,
        Attribute,
        ("subject_id", "key", "value", "source", "at"),
        [(ids[r[0]], *r[1:]) for r in rows if r[0] in ids],
    )


def _copy_words(source: Connection, tx: Tx, account: int, ids: dict[int, int]) -> None:
    rows = fetch(
        source,
        "SELECT contact_id, kind, at, type FROM event"
        " WHERE kind IN ('message', 'order') AND from_self = ? ORDER BY id",
        False,
    )
    insert_rows(
        tx.connection,
        Event,
        ("id", "account_id", "kind", "at", "recorded_at", "contact_id", "type", "text",
         "from_self"),
        [
            (tx.new_id(), account, r[1], r[2], r[2], ids[r[0]], r[3], "", False)
            for r in rows
            if r[0] in ids
        ],
    )  # fmt: skip


def _copy_walks(source: Connection, tx: Tx, account: int, ids: Ids, sops: Collection[str]) -> None:
    rows = fetch_in(
        source, "SELECT digest, sop, definition, at FROM sopversion WHERE sop IN {in}", sops
    )
    for digest, sop, definition, at in rows:
        version = {"digest": digest, "sop": sop, "definition": definition, "at": at}
        _insert(tx, SopVersion, version)
    known = {row[0] for row in rows}
    for walk in _rows(source, Enrollment, ids, "subject_id", "AND group_id IS NULL"):
        if walk["digest"] in known:
            own = {"id": tx.new_id(), "account_id": account, "event_id": None}
            _insert(tx, Enrollment, walk | own)


def _copy_messages(source: Connection, tx: Tx, account: int, ids: Ids, *, since: int) -> None:
    """What left lately, which limits count, and what still waits."""
    where = f"AND (state = 'queued' OR (state IN ('sent', 'unknown') AND left_at >= {since:d}))"
    bundles: dict[int, int] = {}
    for row in _rows(source, Outbox, ids, "conversation_id", where):
        id_ = tx.new_id()
        bundle = bundles.setdefault(row["bundle_id"], id_)
        own = {"id": id_, "bundle_id": bundle, "account_id": account, "event_id": None}
        _insert(tx, Outbox, row | own | {"external_id": None})


def _copy_rows(
    source: Connection, tx: Tx, model: type[SQLModel], subject: str, ids: Ids, where: str
) -> None:
    for row in _rows(source, model, ids, subject, where):
        _insert(tx, model, row | {"event_id": None})


def _rows(
    source: Connection, model: type[SQLModel], ids: Ids, subject: str, where: str
) -> list[dict[str, Any]]:
    """The rows of a table about the friends, with their ids here."""
    names = list(model.model_fields)
    table = model.__tablename__
    columns = ", ".join(f'"{name}"' for name in names)
    rows = fetch_in(
        source,
        f"SELECT {columns} FROM {table} WHERE {subject} IN {{in}} {where} ORDER BY {subject}",  # noqa: S608
        ids,
    )
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [row | {subject: ids[row[subject]]} for row in found]


def _insert(tx: Tx, model: type[SQLModel], row: Mapping[str, Any]) -> None:
    values = [json.dumps(v) if isinstance(v, dict | list) else v for v in row.values()]
    insert_rows(tx.connection, model, tuple(row), [tuple(values)])
