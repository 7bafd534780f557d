"""Enrollments: rows that are timers. Entering, claiming what is due, moving on, ending."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sop.conditions import Condition
from sop.engine import Phase, Run, State, Walk
from storage.audiences import members
from storage.sql import claiming, fetch, fetch_in, insert_rows, run_rows, update_rows
from storage.store import Tx
from storage.tables import Enrollment, SopVersion, StepRun

_COLUMNS = (
    "id, account_id, sop, digest, subject_id, in_group, step, phase, priority, entered_at, since,"
    " planned_at, due_at, deadline, waiting, past, group_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """An active enrollment: who walks which version, and where.

    `group_id` is set on the walk of a member: the group they are a member of.
    """

    account_id: int
    sop: str
    digest: str
    subject_id: int
    in_group: bool
    priority: int
    walk: Walk
    group_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """An enrollment about to be written."""

    enrolled: Enrolled
    event_id: int | None
    because: str


def active_of(tx: Tx, subjects: Collection[int]) -> list[Enrolled]:
    """The active enrollments of these contacts and groups, oldest first."""
    rows = fetch_in(
        tx.connection,
        f"SELECT {_COLUMNS} FROM enrollment WHERE state = 'active' AND subject_id IN {{in}}",  # noqa: S608
        subjects,
    )
    return sorted((_enrolled(row) for row in rows), key=lambda e: e.walk.id)


def due(tx: Tx, account: int, *, now: int, limit: int) -> list[Enrolled]:
    """Active enrollments whose time has come, of SOPs that are not paused, earliest first."""
    rows = fetch(
        tx.connection,
        f"SELECT {_COLUMNS} FROM enrollment WHERE state = 'active' AND due_at <= ?"  # noqa: S608
        " AND account_id = ? AND sop NOT IN (SELECT sop FROM soppause)"
        f" ORDER BY due_at, id LIMIT ?{claiming(tx.connection)}",
        now,
        account,
        limit,
    )
    return [_enrolled(row) for row in rows]


def outdated(connection: Connection, sop: str, digest: str, *, limit: int) -> list[Enrolled]:
    """Active enrollments of other versions of an SOP, oldest first."""
    rows = fetch(
        connection,
        f"SELECT {_COLUMNS} FROM enrollment WHERE sop = ? AND state = 'active' AND digest <> ?"  # noqa: S608
        f" ORDER BY id LIMIT ?{_locked(connection)}",
        sop,
        digest,
        limit,
    )
    return [_enrolled(row) for row in rows]


def active(tx: Tx, ids: Collection[int]) -> dict[int, Enrolled]:
    """Those of these enrollments that have not ended, by id."""
    rows = fetch_in(
        tx.connection,
        f"SELECT {_COLUMNS} FROM enrollment WHERE state = 'active'"  # noqa: S608
        f" AND id IN {{in}}{_locked(tx.connection)}",
        ids,
    )
    return {row[0]: _enrolled(row) for row in rows}


def repin(tx: Tx, pins: Sequence[tuple[str, int, Walk]]) -> None:
    """Write walks that stand in another version now: (digest, priority, walk) each.

    One that had ended goes on.
    """
    run_rows(
        tx.connection,
        "UPDATE enrollment SET digest = ?, priority = ?, past = ?, state = 'active',"
        " ended_at = NULL, reason = '' WHERE id = ?",
        [(digest, priority, _past(walk.past), walk.id) for digest, priority, walk in pins],
    )
    stand(tx, [walk for _, _, walk in pins])


def begin(tx: Tx, beginnings: Sequence[Beginning]) -> None:
    """Write new enrollments."""
    insert_rows(
        tx.connection,
        Enrollment,
        ("id", "account_id", "sop", "digest", "subject_id", "in_group", "state", "step", "phase",
         "priority", "entered_at", "since", "planned_at", "due_at", "deadline", "waiting", "past",
         "event_id", "because", "reason", "group_id"),
        [
            (b.enrolled.walk.id, b.enrolled.account_id, b.enrolled.sop, b.enrolled.digest,
             b.enrolled.subject_id, b.enrolled.in_group, "active", b.enrolled.walk.step,
             b.enrolled.walk.phase.value, b.enrolled.priority, b.enrolled.walk.entered_at,
             b.enrolled.walk.since, b.enrolled.walk.planned_at, b.enrolled.walk.due_at,
             b.enrolled.walk.deadline, b.enrolled.walk.waiting, _past(b.enrolled.walk.past),
             b.event_id, b.because, "", b.enrolled.group_id)
            for b in beginnings
        ],
    )  # fmt: skip


def stand(tx: Tx, walks: Sequence[Walk]) -> None:
    """Write where walks stand now."""
    update_rows(
        tx.connection,
        Enrollment,
        ("step", "phase", "since", "planned_at", "due_at", "deadline", "waiting"),
        [
            (w.step, w.phase.value, w.since, w.planned_at, w.due_at, w.deadline, w.waiting, w.id)
            for w in walks
        ],
    )


def end(tx: Tx, ends: Sequence[tuple[int, State, str]], *, now: int) -> None:
    """End enrollments: (id, how, why) each."""
    run_rows(
        tx.connection,
        "UPDATE enrollment SET state = ?, reason = ?, ended_at = ?, due_at = NULL, waiting = ''"
        " WHERE id = ? AND state = 'active'",
        [(state.value, because, now, id_) for id_, state, because in ends],
    )


def record_runs(tx: Tx, runs: Iterable[tuple[int, Run]], *, now: int) -> None:
    """Record what came of steps: (enrollment id, run) each."""
    insert_rows(
        tx.connection,
        StepRun,
        ("id", "enrollment_id", "step", "outcome", "because", "at"),
        [(tx.new_id(), id_, run.step, run.outcome, run.because, now) for id_, run in runs],
    )


def drop_queued(tx: Tx, enrollments: Collection[tuple[str, int]], reason: str) -> None:
    """Drop what an ended walk still had in the outbox: (sop, subject id) each."""
    run_rows(
        tx.connection,
        "UPDATE outbox SET state = 'dropped', reason = ? WHERE state = 'queued'"
        " AND purpose = 'touch' AND conversation_id = ? AND source LIKE ?",
        [(reason, subject, f"sop:{sop}/%") for sop, subject in enrollments],
    )


@dataclass(frozen=True, slots=True)
class Past:
    """How a subject's earlier walks through an SOP ended: when the last did, and if by hand."""

    ended_at: int
    removed: bool


def history(tx: Tx, sop: str, subjects: Collection[int]) -> dict[int, Past]:
    """Earlier walks through the SOP, by subject."""
    rows = fetch_in(
        tx.connection,
        "SELECT subject_id, MAX(ended_at), MAX(CASE WHEN state = 'removed' THEN 1 ELSE 0 END)"
        " FROM enrollment WHERE sop = ? AND state <> 'active' AND subject_id IN {in}"
        " GROUP BY subject_id",
        subjects,
        sop,
    )
    return {row[0]: Past(int(row[1] or 0), bool(row[2])) for row in rows}


def walked_elsewhere(tx: Tx, sop: str, subjects: Collection[int]) -> set[int]:
    """Who walks the SOP on another account of the workspace just now."""
    rows = fetch_in(
        tx.connection,
        "SELECT mine.id FROM contact mine WHERE EXISTS (SELECT 1 FROM account"
        " WHERE account.id <> mine.account_id AND EXISTS (SELECT 1 FROM contact other"
        " JOIN enrollment e ON e.subject_id = other.id AND e.state = 'active' AND e.sop = ?"
        " WHERE other.account_id = account.id AND other.external_id = mine.external_id))"
        " AND mine.id IN {in}",
        subjects,
        sop,
    )
    return {row[0] for row in rows}


def paused_sops(tx: Tx) -> set[str]:
    """SOPs that stand still."""
    return {row[0] for row in fetch(tx.connection, "SELECT sop FROM soppause")}


def save_version(tx: Tx, *, digest: str, sop: str, definition: Mapping[str, Any], now: int) -> None:
    """Keep a version that someone is about to walk."""
    insert_rows(
        tx.connection,
        SopVersion,
        ("digest", "sop", "definition", "at"),
        [(digest, sop, json.dumps(definition, ensure_ascii=False), now)],
        extra="ON CONFLICT (digest) DO NOTHING",
    )


def load_version(tx: Tx, digest: str) -> Mapping[str, Any]:
    """The definition behind a digest."""
    value = fetch(tx.connection, "SELECT definition FROM sopversion WHERE digest = ?", digest)[0][0]
    return json.loads(value) if isinstance(value, str) else value  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Touches:
    """Touches of a conversation since the day began and in seven days; the source of the last."""

    today: int
    week: int
    last: str


def touches(tx: Tx, subjects: Collection[int], *, today: int, week: int) -> dict[int, Touches]:
    """Touches that left or wait to leave, by conversation."""
    rows = fetch_in(
        tx.connection,
        "SELECT t.conversation_id, t.today, t.week, last.source FROM (SELECT conversation_id,"
        " SUM(CASE WHEN due_at >= ? THEN 1 ELSE 0 END) AS today, COUNT(*) AS week, MAX(id) AS last"
        " FROM outbox WHERE due_at >= ? AND purpose = 'touch' AND part = 0"
        " AND state IN ('queued', 'sending', 'sent', 'unknown') AND conversation_id IN {in}"
        " GROUP BY conversation_id) t JOIN outbox last ON last.id = t.last",
        subjects,
        today,
        week,
    )
    return {row[0]: Touches(int(row[1]), int(row[2]), row[3]) for row in rows}


def everybody(tx: Tx, account: int, *, groups: bool) -> list[int]:
    """All friends of the account, or all groups it is in."""
    if groups:
        rows = fetch(
            tx.connection,
            "SELECT id FROM room WHERE account_id = ? AND gone = ? ORDER BY id",
            account,
            False,
        )
    else:
        rows = fetch(
            tx.connection,
            "SELECT id FROM contact WHERE account_id = ? AND friend = ? ORDER BY id",
            account,
            True,
        )
    return [row[0] for row in rows]


def audience(tx: Tx, account: int, condition: Condition, *, now: int) -> list[int]:
    """The friends of the account for whom the condition holds."""
    return members(tx.connection, condition, account=account, now=now)


def with_external_ids(tx: Tx, subjects: Collection[int], external_ids: Collection[str]) -> set[int]:
    """Which of the contacts have one of these gateway ids."""
    if not external_ids:
        return set()
    rows = fetch_in(tx.connection, "SELECT id, external_id FROM contact WHERE id IN {in}", subjects)
    return {row[0] for row in rows if row[1] in external_ids}


def unreachable(tx: Tx, subjects: Collection[int]) -> dict[int, str]:
    """Contacts and groups that nothing can be said to any more, and why."""
    rows = fetch_in(
        tx.connection,
        "SELECT id, group_id FROM (SELECT id, 0 AS group_id, friend = ? AS lost FROM contact"
        " UNION ALL SELECT id, id, gone FROM room) subject WHERE lost AND id IN {in}",
        subjects,
        False,
    )
    return {r[0]: "机器人已经不在这个群里" if r[1] else "对方不是好友，私聊发不到" for r in rows}


def pauses(tx: Tx, subjects: Collection[int], *, now: int) -> dict[int, tuple[str, int]]:
    """Conversations a human has: why, and until when (ms UTC; 0: open end)."""
    rows = fetch_in(
        tx.connection,
        "SELECT subject_id, because, until FROM pause WHERE (until IS NULL OR until > ?)"
        " AND subject_id IN {in}",
        subjects,
        now,
    )
    return {row[0]: (row[1], int(row[2] or 0)) for row in rows}


def _locked(connection: Connection) -> str:
    """For rows that the running bot might move meanwhile; a reader locks nothing."""
    writes = connection.get_execution_options().get("siyu_writes")
    return " FOR UPDATE" if writes and connection.dialect.name == "postgresql" else ""


_PHASES = {phase.value: phase for phase in Phase}
_NO_PAST: frozenset[str] = frozenset()


def _enrolled(row: Any) -> Enrolled:
    past = json.loads(row[15]) if isinstance(row[15], str) else row[15]
    return Enrolled(
        account_id=row[1],
        sop=row[2],
        digest=row[3],
        subject_id=row[4],
        in_group=bool(row[5]),
        priority=row[8],
        walk=Walk(
            id=row[0],
            step=row[6],
            phase=_PHASES[row[7]],
            entered_at=row[9],
            since=row[10],
            planned_at=row[11],
            due_at=row[12],
            deadline=row[13],
            waiting=row[14],
            past=frozenset(past) if past else _NO_PAST,
        ),
        group_id=row[16],
    )


def _past(past: frozenset[str]) -> str | None:
    return json.dumps(sorted(past), ensure_ascii=False) if past else None
