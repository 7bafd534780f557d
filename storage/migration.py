"""Moving those under way from older versions of an SOP to the current one, and back.

Nobody is moved but by an operator's command. A migration runs in batches, each a transaction of its
own, so that the bot goes on beside it; where everybody stood before is kept for undoing it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection

from sop.almanac import Birthday
from sop.birthdays import parse_birthday
from sop.decisions import Note
from sop.engine import Facts, Phase, State, Walk
from sop.moving import Moved, how_words, move_over
from sop.sequences import Sop
from sop.versions import as_data, digest
from storage import enrollments as rows
from storage.apply import write_notes
from storage.enrollments import Enrolled
from storage.progress import versions
from storage.sql import fetch, fetch_in, insert_rows, run_rows
from storage.store import Tx
from storage.tables import Migration

BATCH = 500  # enrollments a transaction
EVERYBODY = 1 << 30
OVER = "换到新版本以后，后面没有步骤了"


@dataclass(frozen=True, slots=True)
class Shift:
    """One enrollment, and what a change of versions makes of it."""

    enrolled: Enrolled
    moved: Moved


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of some that a migration had moved: how many, in each way."""

    looked_at: int = 0
    restored: int = 0  # they stand exactly where they stood
    relocated: int = 0  # they had gone on meanwhile
    left: int = 0  # their walk has ended otherwise

    def __add__(self, other: Undone) -> Undone:
        return Undone(
            self.looked_at + other.looked_at,
            self.restored + other.restored,
            self.relocated + other.relocated,
            self.left + other.left,
        )


# --- forth -----------------------------------------------------------------------------------


def plan(
    connection: Connection, sop: Sop, *, facts: Facts, now: int, limit: int = EVERYBODY
) -> list[Shift]:
    """Where those in older versions would stand in `sop`. `facts` are those of everybody."""
    found = rows.outdated(connection, sop.id, digest(sop), limit=limit)
    return _shifts(connection, found, sop, facts=facts, now=now)


def migrate(tx: Tx, sop: Sop, batch: int, *, facts: Facts, now: int) -> list[Shift]:
    """Move up to `BATCH` of those in older versions to `sop`; none are left when none moved."""
    shifts = plan(tx.connection, sop, facts=facts, now=now, limit=BATCH)
    if not shifts:
        return []
    target = digest(sop)
    rows.save_version(tx, digest=target, sop=sop.id, definition=as_data(sop), now=now)
    _write(tx, shifts, sop, now=now)
    insert_rows(
        tx.connection,
        Migration,
        ("batch", "enrollment_id", "at", "sop", "undone", "before", "after"),
        [
            (batch, s.enrolled.walk.id, now, sop.id, False,
             _dump(s.enrolled.digest, s.enrolled.priority, s.enrolled.walk),
             _dump(target, sop.priority, s.moved.walk))
            for s in shifts
        ],
    )  # fmt: skip
    return shifts


def _write(tx: Tx, shifts: Sequence[Shift], sop: Sop, *, now: int) -> None:
    target = digest(sop)
    stand = [shift.moved.walk for shift in shifts if shift.moved.walk is not None]
    rows.repin(tx, [(target, sop.priority, walk) for walk in stand])
    over = [s.enrolled.walk.id for s in shifts if s.moved.walk is None]
    rows.end(tx, [(id_, State.DONE, OVER) for id_ in over], now=now)
    runs = [(s.enrolled.walk.id, run) for s in shifts for run in s.moved.runs]
    rows.record_runs(tx, runs, now=now)
    write_notes(tx, [(_note(shift, sop, target), None) for shift in shifts], now=now)


def _note(shift: Shift, sop: Sop, target: str) -> Note:
    walk, to = shift.enrolled.walk, shift.moved.walk
    what = f"SOP {sop.title or sop.id} 换版本"
    words = how_words(shift.moved.how, walk.step, to.step if to else None)
    return Note(
        subject_id=shift.enrolled.subject_id,
        what=what,
        outcome="done",
        because=f"{what}：{words}",
        refs={"sop": sop.id, "from": shift.enrolled.digest, "to": target},
    )


# --- back ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """A version and where a walk stood in it."""

    digest: str
    priority: int
    walk: Walk


@dataclass(frozen=True, slots=True)
class _Record:
    """Where an enrollment stood before a migration and after it; None when it ended by it."""

    id: int
    before: _Place
    after: _Place | None


def last_migration(connection: Connection, sop: str) -> int | None:
    """The last migration of an SOP that is not undone."""
    found = fetch(
        connection, "SELECT MAX(batch) FROM migration WHERE sop = ? AND undone = ?", sop, False
    )
    return None if found[0][0] is None else int(found[0][0])


def undo(tx: Tx, batch: int, *, facts: Facts, now: int) -> Undone:
    """Bring back up to `BATCH` of those a migration moved; none are left when none is looked at."""
    records = _records(tx, batch)
    standing = rows.active(tx, [record.id for record in records])
    ended = _ended_by_it(tx, records)
    restored = [r for r in records if r.id in ended or _unmoved(r, standing.get(r.id))]
    back = {record.id for record in restored}
    moved = [
        (here, r.before.digest)
        for r in records
        if r.id not in back and (here := standing.get(r.id)) and r.after
        and here.digest == r.after.digest
    ]  # fmt: skip
    rows.repin(tx, [(r.before.digest, r.before.priority, r.before.walk) for r in restored])
    _relocate(tx, moved, facts=facts, now=now)
    run_rows(
        tx.connection,
        "UPDATE migration SET undone = ? WHERE batch = ? AND enrollment_id = ?",
        [(True, batch, record.id) for record in records],
    )
    left = len(records) - len(restored) - len(moved)
    return Undone(len(records), len(restored), len(moved), left)


def _records(tx: Tx, batch: int) -> list[_Record]:
    found = fetch(
        tx.connection,
        "SELECT enrollment_id, before, after FROM migration"
        " WHERE batch = ? AND undone = ? ORDER BY enrollment_id LIMIT ?",
        batch,
        False,
        BATCH,
    )
    return [
        _Record(row[0], before, _load(row[2]))
        for row in found
        if (before := _load(row[1])) is not None
    ]


def _unmoved(record: _Record, here: Enrolled | None) -> bool:
    """Whether nothing happened to the walk since: what only put its step off is nothing."""
    if here is None or record.after is None or here.digest != record.after.digest:
        return False
    then, now = record.after.walk, here.walk
    return (then.step, then.phase, then.since, then.past) == (
        now.step, now.phase, now.since, now.past,
    )  # fmt: skip


def _ended_by_it(tx: Tx, records: Sequence[_Record]) -> set[int]:
    """Which walks the migration ended, and whose walkers have not entered again since."""
    over = [record.id for record in records if record.after is None]
    found = fetch_in(
        tx.connection,
        "SELECT id FROM enrollment e WHERE state = 'done' AND reason = ? AND NOT EXISTS"
        " (SELECT 1 FROM enrollment o WHERE o.subject_id = e.subject_id AND o.sop = e.sop"
        " AND o.state = 'active') AND id IN {in}",
        over,
        OVER,
    )
    return {row[0] for row in found}


def _relocate(tx: Tx, moved: Sequence[tuple[Enrolled, str]], *, facts: Facts, now: int) -> None:
    """Move walks that went on since by the rules of any change of versions."""
    by_version: dict[str, list[Enrolled]] = defaultdict(list)
    for enrolled, digest_ in moved:
        by_version[digest_].append(enrolled)
    for digest_, walkers in by_version.items():
        sop = versions(tx.connection, walkers[0].sop)[digest_].sop
        shifts = _shifts(tx.connection, walkers, sop, facts=facts, now=now)
        _write(tx, shifts, sop, now=now)


# --- what moves depend on ----------------------------------------------------------------------


def _shifts(
    connection: Connection, walkers: Sequence[Enrolled], sop: Sop, *, facts: Facts, now: int
) -> list[Shift]:
    known = versions(connection, sop.id) if walkers else {}
    ran = _ran(connection, [walker.walk.id for walker in walkers])
    born = _born(connection, sop, [walker.subject_id for walker in walkers])
    return [
        Shift(
            walker,
            move_over(
                known[walker.digest].sop,
                sop,
                walker.walk,
                ran=frozenset(ran[walker.walk.id]),
                facts=replace(facts, birthday=born.get(walker.subject_id)),
                now=now,
            ),
        )
        for walker in walkers
    ]


def _ran(connection: Connection, ids: Collection[int]) -> dict[int, set[str]]:
    """The steps that something came of already, by enrollment."""
    out: dict[int, set[str]] = defaultdict(set)
    for id_, step in fetch_in(
        connection, "SELECT enrollment_id, step FROM steprun WHERE enrollment_id IN {in}", ids
    ):
        out[id_].add(step)
    return out


def _born(connection: Connection, sop: Sop, subjects: Collection[int]) -> dict[int, Birthday]:
    attribute = next((step.birthday for step in sop.steps if step.birthday), None)
    if attribute is None:
        return {}
    found = fetch_in(
        connection,
        "SELECT subject_id, value FROM attribute WHERE key = ? AND subject_id IN {in}",
        subjects,
        attribute,
    )
    return {row[0]: born for row in found if (born := parse_birthday(row[1])) is not None}


def _dump(digest_: str, priority: int, walk: Walk | None) -> str | None:
    if walk is None:
        return None
    place = {**asdict(walk), "past": sorted(walk.past), "digest": digest_, "priority": priority}
    return json.dumps(place, ensure_ascii=False)


def _load(text: Any) -> _Place | None:
    if text is None:
        return None
    data = dict(text if isinstance(text, dict) else json.loads(text))
    digest_, priority = data.pop("digest"), data.pop("priority")
    data |= {"phase": Phase(data["phase"]), "past": frozenset(data["past"])}
    return _Place(digest_, priority, Walk(**data))
