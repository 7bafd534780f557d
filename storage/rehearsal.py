"""SQL of rehearsals: what was put off, logged by the scratch database itself, and what came of all.

Only ever used on a scratch database, which is SQLite.
"""

from __future__ import annotations

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


def watch_holds(tx: Tx) -> None:
    """Keep a log of everything that is put off, which the engine itself only remembers once."""
    for statement in _WATCH:
        tx.connection.exec_driver_sql(statement)
