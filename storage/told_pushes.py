"""What pushes meant for one contact or group and did not bring them, for `siyu explain`."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from storage.runs import OVER
from storage.sql import fetch
from storage.walked import Told
from storage.words import STATES


def told_pushes(connection: Connection, subject: int) -> list[Told]:
    """Pushes that were withheld from the subject, and those in which it waits for its turn."""
    rows = fetch(
        connection,
        "SELECT r.at, run.id, run.name, run.definition, r.state, r.reason, run.state, run.reason"
        " FROM recipient r JOIN run ON run.id = r.run_id WHERE r.subject_id = ?"
        " AND r.state IN ('waiting', 'withheld')",
        subject,
    )
    return [_told(row) for row in rows]


def _told(row: Any) -> Told:
    at, run, name, definition, state, reason, of_run, why = row
    if state == "waiting" and of_run in OVER:
        state, reason = "withheld", why
    data = json.loads(definition) if isinstance(definition, str) else definition or {}
    label = data.get("push", {}).get("title") or name
    refs = {"run": run, "source": f"push:{name}"}
    if state == "withheld":
        return at, run, f"群发「{label}」", "withheld", reason, refs
    because = "群发暂停了" if of_run == "paused" else "还没轮到"
    return at, run, f"群发「{label}」", "waiting", because, refs


def why_no_push(connection: Connection, subject: int, push: str) -> str:
    """Why the last run of a push did not reach somebody, in one sentence."""
    last = fetch(
        connection,
        "SELECT id, state, reason FROM run WHERE kind = 'push' AND name = ?"
        " AND (started_at IS NOT NULL OR state = 'skipped') ORDER BY planned_at DESC LIMIT 1",
        push,
    )
    if not last:
        return "还没有发过"
    run, of_run, why = last[0]
    if of_run == "skipped":
        return f"最近一次整个没有发：{why}"
    found = fetch(
        connection,
        "SELECT r.state, r.reason, o.state, COALESCE(o.reason, '') FROM recipient r"
        " LEFT JOIN outbox o ON o.id = r.outbox_id WHERE r.run_id = ? AND r.subject_id = ?",
        run,
        subject,
    )
    if not found:
        return "最近一次发的时候，不在要发的对象里"
    state, reason, box, waits = found[0]
    match state:
        case "waiting" if of_run in OVER:
            return str(why)
        case "withheld":
            return reason or "没有发"
        case "waiting":
            return "群发暂停了，还没轮到" if of_run == "paused" else "还没轮到"
        case _:
            return f"{STATES.get(box, '没有发')}{f'：{waits}' if waits else ''}"
