"""How far people are in the SOPs: counts by SOP, by version and by step. And pausing one."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import Connection

from sop.engine import Phase, State
from sop.sequences import Sop
from sop.versions import from_data
from storage.sql import fetch, insert_rows, run_rows
from storage.store import Tx
from storage.tables import SopPause

Standing = dict[str, dict[Phase, int]]  # step → phase → how many


@dataclass(slots=True)
class Progress:
    """How many walks of one SOP there are in each state, and the active ones by version."""

    states: dict[State, int] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)
    paused_since: int | None = None

    @property
    def active(self) -> int:
        """How many are under way."""
        return self.states.get(State.ACTIVE, 0)

    def older(self, digest: str) -> int:
        """How many are under way in another version than `digest`."""
        return self.active - self.digests.get(digest, 0)


@dataclass(frozen=True, slots=True)
class Kept:
    """A version that somebody walked once, and since when it is known."""

    sop: Sop
    at: int


def progress(connection: Connection) -> dict[str, Progress]:
    """Every SOP that anybody walked or that is paused, by id."""
    out: dict[str, Progress] = defaultdict(Progress)
    for sop, state, digest, count in fetch(
        connection,
        "SELECT sop, state, digest, COUNT(*) FROM enrollment GROUP BY sop, state, digest",
    ):
        found = out[sop]
        found.states[State(state)] = found.states.get(State(state), 0) + count
        if state == State.ACTIVE:
            found.digests[digest] = count
    for sop, at in fetch(connection, "SELECT sop, at FROM soppause"):
        out[sop].paused_since = at
    return dict(out)


def standing(connection: Connection, sop: str) -> dict[str, Standing]:
    """How many stand at each step of each version of an SOP, by digest."""
    out: dict[str, Standing] = {}
    for digest, step, phase, count in fetch(
        connection,
        "SELECT digest, step, phase, COUNT(*) FROM enrollment WHERE sop = ? AND state = 'active'"
        " GROUP BY digest, step, phase",
        sop,
    ):
        out.setdefault(digest, {}).setdefault(step, {})[Phase(phase)] = count
    return out


def versions(connection: Connection, sop: str) -> dict[str, Kept]:
    """The versions of an SOP that somebody walked, oldest first, by digest."""
    rows = fetch(
        connection,
        "SELECT digest, definition, at FROM sopversion WHERE sop = ? ORDER BY at, digest",
        sop,
    )
    return {
        row[0]: Kept(from_data(json.loads(row[1]) if isinstance(row[1], str) else row[1]), row[2])
        for row in rows
    }


def pause_sop(tx: Tx, sop: str, *, now: int) -> bool:
    """Let an SOP stand still; False when it does already."""
    before = _paused(tx, sop)
    if not before:
        insert_rows(tx.connection, SopPause, ("sop", "at"), [(sop, now)])
    return not before


def resume_sop(tx: Tx, sop: str) -> bool:
    """Let an SOP go on; False when it was not paused."""
    before = _paused(tx, sop)
    run_rows(tx.connection, "DELETE FROM soppause WHERE sop = ?", [(sop,)])
    return before


def overdue(tx: Tx, sop: str, *, now: int) -> int:
    """How many walks of an SOP are past their time."""
    rows = fetch(
        tx.connection,
        "SELECT COUNT(*) FROM enrollment WHERE sop = ? AND state = 'active' AND due_at <= ?",
        sop,
        now,
    )
    return int(rows[0][0])


def _paused(tx: Tx, sop: str) -> bool:
    return bool(fetch(tx.connection, "SELECT 1 FROM soppause WHERE sop = ?", sop))
