"""Runs: each time a push or a Moment is due is one row, and the row is the timer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from storage.sql import claiming, fetch, insert_rows, run_rows
from storage.store import Tx
from storage.tables_calendar import Run

PUSH, MOMENT = "push", "moment"
OVER = ("done", "cancelled")  # who still waits in such a run gets nothing, for its reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as it stands."""

    id: int
    account_id: int
    kind: str
    name: str
    planned_at: int
    schedule: str
    begun_by: str
    state: str
    reason: str
    due_at: int | None
    definition: Any
    started_at: int | None
    expires_at: int | None
    ended_at: int | None
    looked_at: int
    gathered: bool
    outbox_id: int | None

    @property
    def by_hand(self) -> bool:
        """Whether an operator began it, and not the calendar."""
        return bool(self.begun_by)

    @property
    def is_plan(self) -> bool:
        """Whether it is the calendar's next time and has not begun; it may be paused."""
        return self.started_at is None and not self.by_hand and self.state in ("planned", "paused")


_COLUMNS = tuple(RunRow.__dataclass_fields__)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM run"  # noqa: S608


def _rows(connection: Connection, where: str, *params: Any) -> list[RunRow]:
    out = []
    for row in fetch(connection, f"{_SELECT} WHERE {where}", *params):
        facts = dict(zip(_COLUMNS, row, strict=True))
        if isinstance(facts["definition"], str):
            facts["definition"] = json.loads(facts["definition"])
        out.append(RunRow(**{**facts, "gathered": bool(facts["gathered"])}))
    return out


# --- reading ---------------------------------------------------------------------------------


def plans(connection: Connection, account: int) -> list[RunRow]:
    """The calendar's next time of each push and Moment, not begun."""
    return _rows(
        connection,
        "account_id = ? AND state IN ('planned', 'paused') AND started_at IS NULL"
        " AND begun_by = '' ORDER BY planned_at, id",
        account,
    )


def due(tx: Tx, account: int, *, now: int) -> list[RunRow]:
    """Runs whose time has come, the earliest first."""
    return _rows(
        tx.connection,
        "account_id = ? AND due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, id"
        + claiming(tx.connection),
        account,
        now,
    )


def runs_of(
    connection: Connection, kind: str, name: str | None = None, *, limit: int = 100
) -> list[RunRow]:
    """The last runs of one push or Moment, or of all of a kind, the newest first."""
    where, params = "kind = ?", [kind]
    if name is not None:
        where, params = "kind = ? AND name = ?", [kind, name]
    return _rows(connection, f"{where} ORDER BY planned_at DESC, id DESC LIMIT ?", *params, limit)


def begun(connection: Connection, account: int, kind: str, name: str) -> list[RunRow]:
    """Runs of a push that are under way: they began and are not over, paused ones too."""
    return _rows(
        connection,
        "account_id = ? AND kind = ? AND name = ? AND started_at IS NOT NULL"
        " AND state IN ('running', 'paused') ORDER BY id",
        account,
        kind,
        name,
    )


def in_state(connection: Connection, account: int, kind: str, state: str) -> list[RunRow]:
    """Runs of a kind in one state, the oldest first."""
    return _rows(
        connection,
        "account_id = ? AND kind = ? AND state = ? ORDER BY planned_at, id",
        account,
        kind,
        state,
    )


def taken(tx: Tx, account: int, kind: str, name: str, planned_at: int) -> bool:
    """Whether there was a run for this very time already: no time is kept twice."""
    return bool(
        fetch(
            tx.connection,
            "SELECT 1 FROM run WHERE account_id = ? AND kind = ? AND name = ? AND planned_at = ?",
            account,
            kind,
            name,
            planned_at,
        )
    )


# --- writing ---------------------------------------------------------------------------------


def plan(
    tx: Tx,
    account: int,
    kind: str,
    name: str,
    *,
    planned_at: int,
    schedule: str = "",
    begun_by: str = "",
    state: str = "planned",
    reason: str = "",
) -> int:
    """Write down a time to come (or, in another state, one that will not). Returns the run's id."""
    new = tx.new_id()
    due_at = planned_at if state == "planned" else None
    insert_rows(
        tx.connection,
        Run,
        ("id", "account_id", "kind", "name", "planned_at", "schedule", "begun_by", "state",
         "reason", "due_at", "looked_at", "gathered"),
        [(new, account, kind, name, planned_at, schedule, begun_by, state, reason, due_at, 0,
          False)],
        extra="ON CONFLICT (account_id, kind, name, planned_at) DO NOTHING",
    )  # fmt: skip
    return new


def replan(tx: Tx, run: RunRow, *, planned_at: int, schedule: str) -> None:
    """Move a time to come; a paused one stays paused."""
    run_rows(
        tx.connection,
        "UPDATE run SET planned_at = ?, schedule = ?,"
        " due_at = CASE WHEN state = 'planned' THEN ? END WHERE id = ?",
        [(planned_at, schedule, planned_at, run.id)],
    )


def unplan(tx: Tx, runs: Sequence[RunRow]) -> None:
    """Forget times that will not come: nothing was begun."""
    run_rows(tx.connection, "DELETE FROM run WHERE id = ?", [(run.id,) for run in runs])


def start(
    tx: Tx, run: RunRow, *, state: str, definition: object, expires_at: int, due_at: int, now: int
) -> None:
    """Begin a run with what the files say now."""
    run_rows(
        tx.connection,
        "UPDATE run SET state = ?, definition = ?, started_at = ?, expires_at = ?, due_at = ?"
        " WHERE id = ?",
        [(state, json.dumps(definition, ensure_ascii=False), now, expires_at, due_at, run.id)],
    )


def wait(tx: Tx, run: RunRow, until: int | None, *, state: str | None = None) -> None:
    """Look at a run again at `until` (None: not by itself), in another state if one is given."""
    run_rows(
        tx.connection,
        "UPDATE run SET due_at = ?, state = ? WHERE id = ?",
        [(until, state or run.state, run.id)],
    )


def looked(tx: Tx, run: RunRow, *, upto: int, gathered: bool) -> None:
    """Remember how far everybody was asked."""
    run_rows(
        tx.connection,
        "UPDATE run SET looked_at = ?, gathered = ? WHERE id = ?",
        [(upto, gathered, run.id)],
    )


def end(tx: Tx, run: RunRow, state: str, *, reason: str = "", now: int) -> None:
    """A run is over."""
    run_rows(
        tx.connection,
        "UPDATE run SET state = ?, reason = ?, ended_at = ?, due_at = NULL WHERE id = ?",
        [(state, reason, now, run.id)],
    )


def message_of(tx: Tx, run: RunRow) -> int:
    """The id of the last message that was queued on behalf of a run."""
    row = fetch(
        tx.connection,
        "SELECT MAX(id) FROM outbox WHERE conversation_id = ? AND event_id = ?",
        run.account_id,
        run.id,
    )[0]
    return int(row[0])


def carried(tx: Tx, run: RunRow, outbox_id: int) -> None:
    """The message that carries a Moment."""
    run_rows(tx.connection, "UPDATE run SET outbox_id = ? WHERE id = ?", [(outbox_id, run.id)])


def forget(tx: Tx, before: int, *, limit: int) -> int:
    """Delete what was planned before `before` and is over, up to `limit` rows; returns how many."""
    gone = 0
    for (run,) in fetch(
        tx.connection,
        "SELECT id FROM run WHERE planned_at < ? AND due_at IS NULL AND state NOT IN"
        " ('planned', 'running', 'paused', 'publishing', 'handed', 'unknown') ORDER BY id LIMIT ?",
        before,
        limit,
    ):
        some = fetch(
            tx.connection,
            "SELECT subject_id FROM recipient WHERE run_id = ? ORDER BY subject_id LIMIT ?",
            run,
            limit - gone,
        )
        run_rows(
            tx.connection,
            "DELETE FROM recipient WHERE run_id = ? AND subject_id = ?",
            [(run, row[0]) for row in some],
        )
        gone += len(some)
        if gone >= limit:
            return limit
        run_rows(tx.connection, "DELETE FROM run WHERE id = ?", [(run,)])
    return gone
