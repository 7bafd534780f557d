"""Who a run of a push is meant for, and what became of each: everything that is SQL about it.

Everybody is asked in windows of ids, in one statement each: a turn looks at a bounded number of
contacts however rare the audience is, and the primary key lets nobody in twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sop.pinned import Target
from storage.conditions import CONTACT, ROOM, clause_of
from storage.runs import RunRow
from storage.sql import fetch, fetch_in, run_rows
from storage.store import Tx

NO_FRIEND = "不是好友，私聊发不到"
OURS = "自己人（运营或自己的号），不群发"
_MINE = "account_id + 0 = ?"  # by id: an index of the account would be read from its beginning
_OPEN = "('queued', 'sending')"


def gather(
    tx: Tx,
    run: RunRow,
    target: Target,
    *,
    ours: Collection[str],
    window: int,
    now: int,
) -> bool:
    """Ask the next `window` contacts (or groups) whether they are meant, and write down who is.

    `ours` are the gateway ids of people that no push is for. Returns whether everybody was asked.
    """
    subject = ROOM if target.groups else CONTACT
    last = fetch(
        tx.connection,
        f"SELECT MAX(id), COUNT(*) FROM (SELECT id FROM {subject.name} WHERE {_MINE}"  # noqa: S608
        " AND id > ? ORDER BY id LIMIT ?) AS page",
        run.account_id,
        run.looked_at,
        window,
    )[0]
    upto = run.looked_at if last[0] is None else int(last[0])
    if last[1]:
        _write(tx, run, target, ours=ours, upto=upto, now=now)
    done = bool(last[1] < window)
    run_rows(
        tx.connection,
        "UPDATE run SET looked_at = ?, gathered = ? WHERE id = ?",
        [(upto, done, run.id)],
    )
    return done


def _write(
    tx: Tx,
    run: RunRow,
    target: Target,
    *,
    ours: Collection[str],
    upto: int,
    now: int,
) -> None:
    state, reason, marks = "'waiting'", "''", list[Any]()
    if not target.groups:
        mine = f"external_id IN ({', '.join('?' for _ in ours)})" if ours else "1 = 0"
        state = f"CASE WHEN {mine} OR friend IS NOT TRUE THEN 'withheld' ELSE 'waiting' END"
        reason = (
            f"CASE WHEN {mine} THEN '{OURS}' WHEN friend IS NOT TRUE THEN '{NO_FRIEND}' ELSE '' END"
        )
        marks = [*ours, *ours]
    where, params = meant(tx.connection, target, now=now)
    subject = ROOM if target.groups else CONTACT
    run_rows(
        tx.connection,
        "INSERT INTO recipient (run_id, subject_id, state, reason, at)"  # noqa: S608
        f" SELECT ?, id, {state}, {reason}, ? FROM {subject.name}"
        f" WHERE {_MINE} AND id > ? AND id <= ? AND {where}"
        " ON CONFLICT (run_id, subject_id) DO NOTHING",
        [(run.id, *marks, now, run.account_id, run.looked_at, upto, *params)],
    )


def meant(connection: Connection, target: Target, *, now: int) -> tuple[str, list[Any]]:
    """The WHERE that says who is meant, and its values."""
    where, params = ("gone IS NOT TRUE" if target.groups else "1 = 1"), list[Any]()
    if target.kind:
        where, params = f"{where} AND kind = ?", [target.kind]
    if target.condition is not None:
        subject = ROOM if target.groups else CONTACT
        clause = clause_of(connection, target.condition, subject=subject)
        where, params = f"{where} AND {clause.sql}", [*params, *clause.params(now)]
    return where, params


def settle(tx: Tx, run: RunRow) -> None:
    """Note who has been dealt with: their message has left, failed, or was dropped."""
    run_rows(
        tx.connection,
        "UPDATE recipient SET state = 'settled' WHERE run_id = ? AND state = 'handed'"  # noqa: S608
        " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.id = recipient.outbox_id"
        f" AND o.state IN {_OPEN})",
        [(run.id,)],
    )


@dataclass(frozen=True, slots=True)
class Open:
    """Messages of a run that are on their way: all, those due now, when the first is due."""

    all: int
    due: int
    first: int | None


def open_messages(tx: Tx, run: RunRow, *, now: int) -> Open:
    """What of the run is in the outbox and has not left."""
    row = fetch(
        tx.connection,
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN o.due_at <= ? THEN 1 ELSE 0 END), 0),"  # noqa: S608
        " MIN(o.due_at) FROM recipient r JOIN outbox o ON o.id = r.outbox_id"
        f" WHERE r.run_id = ? AND r.state = 'handed' AND o.state IN {_OPEN}",
        now,
        run.id,
    )[0]
    return Open(int(row[0]), int(row[1]), row[2])


def next_waiting(tx: Tx, run: RunRow, *, limit: int) -> list[int]:
    """Who comes next."""
    rows = fetch(
        tx.connection,
        "SELECT subject_id FROM recipient WHERE run_id = ? AND state = 'waiting'"
        " ORDER BY subject_id LIMIT ?",
        run.id,
        limit,
    )
    return [row[0] for row in rows]


def hand_over(tx: Tx, run: RunRow, subjects: Sequence[int], *, now: int) -> set[int]:
    """Note the messages that were just written for these; returns who has none."""
    found = dict(
        tuple(row)
        for row in fetch_in(
            tx.connection,
            "SELECT conversation_id, MAX(id) FROM outbox WHERE event_id = ? AND part = 0"
            " AND state = 'queued' AND conversation_id IN {in} GROUP BY conversation_id",
            subjects,
            run.id,
        )
    )
    run_rows(
        tx.connection,
        "UPDATE recipient SET state = 'handed', outbox_id = ?, at = ? WHERE run_id = ?"
        " AND subject_id = ?",
        [(box, now, run.id, subject) for subject, box in found.items()],
    )
    return {subject for subject in subjects if subject not in found}


def withhold(tx: Tx, run: RunRow, reasons: Sequence[tuple[int, str]], *, now: int) -> None:
    """Note who gets nothing, and why."""
    run_rows(
        tx.connection,
        "UPDATE recipient SET state = 'withheld', reason = ?, at = ? WHERE run_id = ?"
        " AND subject_id = ?",
        [(reason, now, run.id, subject) for subject, reason in reasons],
    )


def withdraw(tx: Tx, run: RunRow, reason: str) -> None:
    """Take back what has not left; whoever it was for waits again.

    A message of several bubbles of which the first has left is not torn apart.
    """
    rows = fetch(
        tx.connection,
        "SELECT r.subject_id, r.outbox_id FROM recipient r JOIN outbox o ON o.id = r.outbox_id"
        " WHERE r.run_id = ? AND r.state = 'handed' AND o.state = 'queued'",
        run.id,
    )
    run_rows(
        tx.connection,
        "UPDATE outbox SET state = 'dropped', reason = ? WHERE conversation_id = ? AND id >= ?"
        " AND bundle_id = ? AND state = 'queued'",
        [(reason, subject, box, box) for subject, box in rows],
    )
    run_rows(
        tx.connection,
        "UPDATE recipient SET state = 'waiting', outbox_id = NULL WHERE run_id = ?"
        " AND subject_id = ?",
        [(run.id, subject) for subject, _ in rows],
    )


def still_meant(
    tx: Tx, run: RunRow, target: Target, subjects: Collection[int], *, now: int
) -> dict[int, bool]:
    """Of these, who can still be written to, and whether they are still meant."""
    table, there = ("room", "gone IS NOT TRUE") if target.groups else ("contact", "friend IS TRUE")
    where, params = meant(tx.connection, target, now=now)
    rows = fetch_in(
        tx.connection,
        f"SELECT id, CASE WHEN {where} THEN 1 ELSE 0 END FROM {table}"  # noqa: S608
        f" WHERE account_id = ? AND {there} AND id IN {{in}}",
        subjects,
        *params,
        run.account_id,
    )
    return {row[0]: bool(row[1]) for row in rows}
