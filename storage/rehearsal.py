"""SQL of rehearsals: what was put off, logged by the scratch database itself, and what came of all.

Only ever used on a scratch database, which is SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from storage.holds import Stretch, stretches
from storage.sql import fetch, run_rows
from storage.store import Tx

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


def grow_up(tx: Tx, account: int) -> None:
    """Let the account be no new one; only `since` makes it young in a rehearsal."""
    run_rows(tx.connection, "UPDATE account SET first_login_at = 0 WHERE id = ?", [(account,)])


def watch_holds(tx: Tx) -> None:
    """Keep a log of everything that is put off, which the engine itself only remembers once."""
    for statement in _WATCH:
        tx.connection.exec_driver_sql(statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A message the bot meant to send: the first bubble of a bundle has `part` 0."""

    id: int
    bundle_id: int
    part: int
    subject_id: int
    in_group: bool
    event_id: int | None
    source: str
    purpose: str
    kind: str
    text: str
    state: str
    reason: str
    created_at: int
    due_at: int
    left_at: int | None

    @property
    def sop(self) -> str:
        """The SOP it comes from, or an empty string."""
        return self.source[4:].partition("/")[0] if self.source.startswith("sop:") else ""

    @property
    def step(self) -> str:
        """The step of the SOP it comes from, or an empty string."""
        return self.source[4:].partition("/")[2] if self.source.startswith("sop:") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkRow:
    """One walk through an SOP as it stands at the end."""

    id: int
    sop: str
    digest: str
    subject_id: int
    state: str
    step: str
    waiting: str
    entered_at: int
    ended_at: int | None
    because: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """What came of a step: `done`, `skipped`, `replied`, `timeout`."""

    walk_id: int
    step: str
    outcome: str
    because: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """How often a message (`box_id`) or step was put off for one reason, and when first."""

    box_id: int | None
    walk_id: int | None
    step: str
    reason: str
    times: int
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRow:
    """Something that was not done, and why."""

    subject_id: int
    event_id: int | None
    what: str
    outcome: str
    because: str
    refs: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A fact that happened to a contact or group."""

    id: int
    kind: str
    contact_id: int | None
    group_id: int | None
    text: str
    source: str
    at: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that came of a rehearsal, each list in the order it happened.

    `standstills` are when the account itself held back whatever was due.
    """

    names: dict[int, str]
    boxes: list[Box]
    walks: list[WalkRow]
    runs: list[RunRow]
    holds: list[HoldRow]
    standstills: list[Stretch]
    traces: list[TraceRow]
    events: list[EventRow]


def read_ledger(connection: Connection, *, start: int) -> Ledger:
    """What was recorded from `start` on, ms UTC; and the walks that were under way by then."""
    names = fetch(connection, "SELECT id, name FROM contact UNION ALL SELECT id, name FROM room")
    return Ledger(
        names=dict(names),
        boxes=[Box(**dict(zip(_BOX, r, strict=True))) for r in fetch(connection, _BOXES, start)],
        walks=[
            WalkRow(**dict(zip(_WALK, r, strict=True)))
            for r in fetch(connection, _WALKS, start, start)
        ],
        runs=[RunRow(**dict(zip(_RUN, r, strict=True))) for r in fetch(connection, _RUNS, start)],
        holds=[HoldRow(**dict(zip(_HOLD, r, strict=True))) for r in fetch(connection, _HOLDS)],
        standstills=stretches(connection),
        traces=[
            TraceRow(**dict(zip(_TRACE, r, strict=True))) for r in fetch(connection, _TRACES, start)
        ],
        events=[
            EventRow(**dict(zip(_EVENT, r, strict=True))) for r in fetch(connection, _EVENTS, start)
        ],
    )


_BOX, _WALK, _RUN, _HOLD, _TRACE, _EVENT = (
    tuple(row.__dataclass_fields__) for row in (Box, WalkRow, RunRow, HoldRow, TraceRow, EventRow)
)
_BOXES = (
    "SELECT id, bundle_id, part, conversation_id, in_group, event_id, source, purpose, kind, text,"
    " state, reason, created_at, due_at, left_at FROM outbox WHERE created_at >= ? ORDER BY id"
)
_WALKS = (
    "SELECT id, sop, digest, subject_id, state, step, waiting, entered_at, ended_at, because,"
    " reason FROM enrollment WHERE entered_at >= ? OR ended_at IS NULL OR ended_at >= ? ORDER BY id"
)
_RUNS = (
    "SELECT enrollment_id, step, outcome, because, at FROM steprun WHERE at >= ? ORDER BY at, id"
)
_HOLDS = (
    "SELECT outbox_id, enrollment_id, COALESCE(step, ''), reason, COUNT(*), MIN(since) FROM hold"
    " GROUP BY outbox_id, enrollment_id, step, reason ORDER BY MIN(n)"
)
_TRACES = (
    "SELECT subject_id, event_id, what, outcome, because, COALESCE(refs, ''), at FROM trace"
    " WHERE at >= ? AND outcome IN ('withheld', 'failed') ORDER BY at, id"
)
_EVENTS = (
    "SELECT id, kind, contact_id, group_id, text,"
    " COALESCE(json_extract(data, '$.source'), json_extract(data, '$.from'), ''), recorded_at"
    " FROM event WHERE recorded_at >= ? ORDER BY recorded_at, id"
)
