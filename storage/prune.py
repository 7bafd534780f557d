"""Forgetting: rows that only tell the past are deleted by age, a few at a time.

What still decides something stays: runs and messages of walks under way, messages that are not
settled, events that a condition counts or a tag names as its evidence, orders, and what tells
that somebody's silence has been noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from sop.events import EventKind
from sop.memory import counted
from sop.versions import from_data
from storage.runs import forget as forget_runs
from storage.sql import fetch, run_rows
from storage.store import Tx

_FOR_GOOD = (EventKind.ORDER, EventKind.REFUND, EventKind.SILENT)
# What a name once gave its group is not given again (`named_tags`); these are few.
_NOT_BY_NAME = (
    "(v.kind <> 'tag_added' OR v.group_id IS NULL"
    """ OR CAST(v.data AS TEXT) NOT LIKE '%"source": "groups:%')"""
)
_ACTIVE = "(SELECT 1 FROM enrollment e WHERE e.id = {id} AND e.state = 'active')"


def prune(tx: Tx, definitions: Iterable[BaseModel], *, keep: int, now: int, limit: int) -> bool:
    """Delete up to `limit` rows of each kind that are older than `keep` ms.

    `definitions` say which events conditions still count. Returns whether there may be more.
    """
    before = now - keep
    needed = counted([*definitions, *_walked(tx)], keep=keep)
    found = [
        _delete(tx, "trace", _aged(tx, "trace", "at < ?", before, limit)),
        _delete(tx, "steprun", _aged(tx, "steprun", _OF_NOBODY_UNDER_WAY, before, limit)),
        _delete(tx, "outbox", _aged(tx, "outbox", _SETTLED, before, limit)),
        _delete(tx, "event", _events(tx, needed, before, limit)),
        forget_runs(tx, before, limit=limit),
        _delete(
            tx, "guardact", _aged(tx, "guardact", _WITHOUT_STRIKE.format(now=now), before, limit)
        ),
        _delete(tx, "question", _aged(tx, "question", "at < ?", before, limit)),
        _delete(tx, "modelcall", _aged(tx, "modelcall", "at < ?", before, limit)),
    ]
    run_rows(tx.connection, "DELETE FROM migration WHERE at < ?", [(before,)])
    run_rows(tx.connection, "DELETE FROM invitation WHERE expires_at < ?", [(before,)])
    run_rows(tx.connection, "DELETE FROM peace WHERE until < ?", [(before,)])
    return max(found) == limit


_WITHOUT_STRIKE = (
    "at < ? AND state NOT IN ('asked', 'removing') AND COALESCE(strike_until, 0) <= {now:d}"
)
_OF_A_RUN = "(SELECT 1 FROM run WHERE run.id = outbox.event_id)"  # its report needs them
_OF_NOBODY_UNDER_WAY = f"at < ? AND NOT EXISTS {_ACTIVE.format(id='steprun.enrollment_id')}"
_SETTLED = (
    "created_at < ? AND state IN ('sent', 'failed', 'dropped')"
    f" AND NOT EXISTS {_ACTIVE.format(id='outbox.event_id')} AND NOT EXISTS {_OF_A_RUN}"
)


def _aged(tx: Tx, table: str, where: str, before: int, limit: int) -> list[int]:
    rows = fetch(
        tx.connection,
        f"SELECT id FROM {table} WHERE {where} ORDER BY id LIMIT ?",  # noqa: S608
        before,
        limit,
    )
    return [row[0] for row in rows]


def _events(tx: Tx, needed: Mapping[EventKind, int], before: int, limit: int) -> list[int]:
    kept, params = [f"v.kind NOT IN ({', '.join('?' for _ in _FOR_GOOD)})"], list[Any](_FOR_GOOD)
    for kind, newest in needed.items():
        kept.append(f"(v.kind <> ? OR ({_newer('contact_id')} AND {_newer('group_id')}))")
        params += [kind, newest - 1, newest - 1]
    kept.append(_NOT_BY_NAME)
    rows = fetch(
        tx.connection,
        "SELECT v.id FROM event v WHERE v.recorded_at < ? AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM tagging WHERE tagging.subject_id IN (v.contact_id, v.group_id)"
        f" AND tagging.event_id = v.id) AND {' AND '.join(kept)} ORDER BY v.id LIMIT ?",
        before,
        *(str(param) if isinstance(param, EventKind) else param for param in params),
        limit,
    )
    return [row[0] for row in rows]


def _newer(subject: str) -> str:
    """Whether enough newer events of the kind are there, about the same contact or group."""
    return (
        f"(v.from_self OR v.{subject} IS NULL OR EXISTS (SELECT 1 FROM event n"  # noqa: S608
        f" WHERE n.{subject} = v.{subject} AND n.kind = v.kind AND NOT n.from_self"
        " AND (n.at > v.at OR (n.at = v.at AND n.id > v.id)) LIMIT 1 OFFSET ?))"
    )


def _delete(tx: Tx, table: str, ids: Sequence[int]) -> int:
    run_rows(tx.connection, f"DELETE FROM {table} WHERE id = ?", [(id_,) for id_ in ids])  # noqa: S608
    return len(ids)


def _walked(tx: Tx) -> list[BaseModel]:
    """The versions of SOPs that somebody is under way in."""
    rows = fetch(
        tx.connection,
        "SELECT definition FROM sopversion WHERE digest IN"
        " (SELECT DISTINCT digest FROM enrollment WHERE state = 'active')",
    )
    return [from_data(json.loads(r[0]) if isinstance(r[0], str) else r[0]) for r in rows]
