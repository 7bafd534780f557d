"""SQL of rehearsals: what was put off, logged by the scratch database itself, and what came of all.

Only ever used on a scratch database, which is SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sop.decisions import GiveTag, TakeTag
from storage.sql import fetch, insert_rows
from storage.store import Tx
from storage.tables import Attribute, Contact, Event
from storage.tags import change_tags

_WATCH = (
    "CREATE TABLE hold (n INTEGER PRIMARY KEY, outbox_id INTEGER, enrollment_id INTEGER,"
    " step TEXT, reason TEXT NOT NULL, since INTEGER, until INTEGER)",
    "CREATE TRIGGER outbox_held AFTER UPDATE OF reason ON outbox"
    " WHEN NEW.state = 'queued' AND NEW.reason <> ''"
    " AND (NEW.reason <> OLD.reason OR NEW.due_at <> OLD.due_at) BEGIN"
    " INSERT INTO hold (outbox_id, reason, since, until)"
    " VALUES (NEW.id, NEW.reason, OLD.due_at, NEW.due_at); END",
    "CREATE TRIGGER step_held AFTER UPDATE OF waiting ON enrollment WHEN NEW.waiting <> ''"
    " AND (NEW.waiting <> OLD.waiting OR NEW.due_at <> OLD.due_at) BEGIN"
    " INSERT INTO hold (enrollment_id, step, reason, since, until)"
    " VALUES (NEW.id, NEW.step, NEW.waiting, OLD.due_at, NEW.due_at); END",
)


def watch_holds(tx: Tx) -> None:
    """Keep a log of everything that is put off, which the engine itself only remembers once."""
    for statement in _WATCH:
        tx.connection.exec_driver_sql(statement)


@dataclass(frozen=True, slots=True)
class Sent:
    """One bubble that left, or may have (unknown). `at` is ms UTC."""

    at: int
    subject_id: int
    in_group: bool
    purpose: str
    source: str
    part: int


def sent(connection: Connection) -> list[Sent]:
    """Everything that left, in order."""
    rows = fetch(
        connection,
        "SELECT left_at, conversation_id, in_group, purpose, source, part FROM outbox"
        " WHERE state IN ('sent', 'unknown') AND kind <> 'accept' ORDER BY left_at, id",
    )
    return [Sent(r[0], r[1], bool(r[2]), r[3], r[4], r[5]) for r in rows]


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that was put off: what it belongs to, why, and from when to when (ms UTC)."""

    source: str
    reason: str
    since: int
    until: int


def holds(connection: Connection) -> list[Hold]:
    """Every time something was put off, in order."""
    rows = fetch(
        connection,
        "SELECT COALESCE('sop:' || e.sop || '/' || h.step, o.source, ''), h.reason, h.since,"
        " h.until"
        " FROM hold h LEFT JOIN enrollment e ON e.id = h.enrollment_id"
        " LEFT JOIN outbox o ON o.id = h.outbox_id ORDER BY h.n",
    )
    return [Hold(r[0], r[1], r[2] or 0, r[3] or 0) for r in rows]


def walks(connection: Connection) -> dict[str, dict[str, int]]:
    """How many walks of each SOP stand how: sop → state → count."""
    out: dict[str, dict[str, int]] = {}
    for sop, state, count in fetch(
        connection, "SELECT sop, state, COUNT(*) FROM enrollment GROUP BY sop, state ORDER BY 1, 2"
    ):
        out.setdefault(sop, {})[state] = count
    return out


@dataclass(frozen=True, slots=True)
class StepRuns:
    """How often a step came out one way, for one reason."""

    outcome: str
    because: str
    count: int


def runs(connection: Connection) -> dict[tuple[str, str], list[StepRuns]]:
    """What came of each step: (sop, step) → counts."""
    out: dict[tuple[str, str], list[StepRuns]] = {}
    for sop, step, outcome, because, count in fetch(
        connection,
        "SELECT e.sop, r.step, r.outcome, r.because, COUNT(*) FROM steprun r"
        " JOIN enrollment e ON e.id = r.enrollment_id GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
    ):
        out.setdefault((sop, step), []).append(StepRuns(outcome, because, count))
    return out


def standing(connection: Connection) -> dict[tuple[str, str], int]:
    """How many still stand before each step, or wait for it: (sop, step) → count."""
    rows = fetch(
        connection,
        "SELECT sop, step, COUNT(*) FROM enrollment WHERE state = 'active' AND phase <> 'reply'"
        " GROUP BY sop, step ORDER BY sop, step",
    )
    return {(r[0], r[1]): r[2] for r in rows}


def said_by_step(connection: Connection) -> dict[str, int]:
    """How many messages (not bubbles) of each SOP step left: source → count."""
    rows = fetch(
        connection,
        "SELECT source, COUNT(*) FROM outbox WHERE source LIKE 'sop:%' AND part = 0"
        " AND purpose <> 'notice' AND state IN ('sent', 'unknown') GROUP BY source ORDER BY source",
    )
    return {r[0]: r[1] for r in rows}


def withheld(connection: Connection) -> list[tuple[str, str, int]]:
    """(what, reason, count) of all that was put off, dropped, skipped or not done."""
    return [
        *((r[0], r[1], r[2]) for r in fetch(
            connection,
            "SELECT 'held', reason, COUNT(*) FROM hold GROUP BY reason ORDER BY reason",
        )),
        *((r[0], r[1], r[2]) for r in fetch(
            connection,
            "SELECT state, reason, COUNT(*) FROM outbox WHERE state IN ('dropped', 'failed')"
            " AND part = 0 GROUP BY state, reason ORDER BY state, reason",
        )),
        *((r[0], r[1], r[2]) for r in fetch(
            connection,
            "SELECT outcome, because, COUNT(*) FROM steprun WHERE outcome = 'skipped'"
            " GROUP BY outcome, because ORDER BY because",
        )),
        *((r[0], r[1], r[2]) for r in fetch(
            connection,
            "SELECT outcome, because, COUNT(*) FROM trace WHERE outcome = 'withheld'"
            " GROUP BY outcome, because ORDER BY because",
        )),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lively:
    """The person with the most to tell."""

    id: int
    name: str
    external_id: str
    account_id: int


def liveliest(connection: Connection) -> Lively | None:
    """Who heard most touches and answered most; the first of equals."""
    rows = fetch(
        connection,
        "SELECT c.id, c.name, c.external_id, c.account_id FROM contact c"
        " JOIN (SELECT conversation_id, COUNT(*) AS n FROM outbox WHERE purpose = 'touch'"
        " AND state = 'sent' AND in_group = 0 GROUP BY conversation_id) o"
        " ON o.conversation_id = c.id ORDER BY o.n + (SELECT COUNT(*) FROM event"
        " WHERE event.contact_id = c.id AND event.kind = 'message') DESC, c.id LIMIT 1",
    )
    return Lively(*rows[0]) if rows else None


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


def copy_people(source: Connection, tx: Tx, account: int, *, now: int) -> None:
    """Copy friends with tags, values and the messages they wrote into the scratch database."""
    ids: dict[int, int] = {}
    for row in real_people(source):
        ids[row[0]] = tx.new_id()
        insert_rows(
            tx.connection,
            Contact,
            ("id", "account_id", "external_id", "name", "alias", "friend", "friend_at", "stage",
             "first_seen_at", "last_message_at"),
            [(ids[row[0]], account, row[1], row[2], row[3], True, row[6], row[4], row[6] or now,
              row[5])],
        )  # fmt: skip
    wishes: list[tuple[GiveTag | TakeTag, int | None]] = [
        (GiveTag(subject_id=ids[subject], tag=tag, source=origin, expires_at=expires), None)
        for subject, tag, origin, expires in fetch(
            source,
            "SELECT g.subject_id, tag.name, g.source, g.expires_at FROM tagging g"
            " JOIN tag ON tag.id = g.tag_id ORDER BY g.at, g.tag_id",
        )
        if subject in ids
    ]
    change_tags(tx, wishes, now=now)
    insert_rows(
        tx.connection,
        Attribute,
        ("subject_id", "key", "value", "source", "at"),
        [
            (ids[r[0]], r[1], r[2], r[3], r[4])
            for r in fetch(source, "SELECT subject_id, key, value, source, at FROM attribute")
            if r[0] in ids
        ],
    )
    insert_rows(
        tx.connection,
        Event,
        ("id", "account_id", "kind", "at", "recorded_at", "contact_id", "type", "text",
         "from_self"),
        [
            (tx.new_id(), account, r[1], r[2], r[2], ids[r[0]], r[3], "", False)
            for r in fetch(
                source,
                "SELECT contact_id, kind, at, type FROM event"
                " WHERE kind IN ('message', 'order') AND from_self = ? ORDER BY id",
                False,
            )
            if r[0] in ids
        ],
    )  # fmt: skip
