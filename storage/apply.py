"""Writing what was decided: all that follows from a decision, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from sop.decisions import (
    EnterSop,
    Gather,
    GiveTag,
    LeaveSop,
    Note,
    Purpose,
    Rest,
    StepBack,
    TakeTag,
)
from sop.messages import Body, Text, summary
from sop.times import Window
from storage.points import CheckInDay, Entry, write_days, write_entries
from storage.sql import fetch, insert_rows, run_rows
from storage.store import Tx
from storage.tables import Attribute, Cooldown, Gathering, Outbox, Pause, Trace
from storage.tags import TagChange, change_tags

NOTICE_PRIORITY = 1_100  # few, and for people who have to act
REPLY_PRIORITY = 1_000  # far above what an SOP may ask for its touches
TOUCH_PRIORITY = 0
_PRIORITY: dict[Purpose, int] = {
    "reply": REPLY_PRIORITY,
    "notice": NOTICE_PRIORITY,
    "touch": TOUCH_PRIORITY,
}
_OUTBOX = (
    "id", "bundle_id", "part", "account_id", "conversation_id", "in_group", "event_id", "source",
    "purpose", "priority", "kind", "text", "payload", "because", "created_at", "due_at",
    "expires_at", "state", "reason", "attempts", "hours",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The bodies of one `say`, to be sent one after the other to one conversation."""

    bodies: tuple[Body, ...]
    conversation_id: int
    in_group: bool
    purpose: Purpose
    source: str
    because: str
    expires_at: int | None
    priority: int = 0
    window: Window | None = None
    ids: tuple[int, ...] = ()  # of its rows, where something else refers to them already


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An attribute with its text filled in; None clears it."""

    subject_id: int
    key: str
    value: str | None
    source: str


Change = (
    Message
    | Value
    | GiveTag
    | TakeTag
    | StepBack
    | Rest
    | Gather
    | Note
    | EnterSop
    | LeaveSop
    | Entry
    | CheckInDay
)


@dataclass(slots=True)
class Changes:
    """What one round of decisions changes, each with the event that led to it."""

    rows: list[tuple[Change, int | None]] = field(default_factory=list)

    def add(self, change: Change, event_id: int | None) -> None:
        """Append one change."""
        self.rows.append((change, event_id))


def apply(tx: Tx, account: int, changes: Changes, *, now: int) -> list[TagChange]:
    """Write all of `changes`; returns the tag changes, whose events are the next round."""
    messages: list[tuple[Message, int | None]] = []
    wishes: list[tuple[GiveTag | TakeTag, int | None]] = []
    notes: list[tuple[Note, int | None]] = []
    entries: list[tuple[Entry, int | None]] = []
    days: list[CheckInDay] = []
    rests: list[Rest] = []
    for change, event_id in changes.rows:
        match change:
            case Message():
                messages.append((change, event_id))
            case GiveTag() | TakeTag():
                wishes.append((change, event_id))
            case Note():
                notes.append((change, event_id))
            case Entry():
                entries.append((change, event_id))
            case CheckInDay():
                days.append(change)
            case Value():
                _set_value(tx, change, now)
            case StepBack():
                step_back(tx, change, event_id, now=now)
            case Rest():
                rests.append(change)
            case Gather():
                _gather(tx, change, event_id, now)
    _enqueue(tx, account, messages, now)
    _rest(tx, rests)
    write_days(tx, account, days, now=now)
    write_entries(tx, account, entries, now=now)
    write_notes(tx, notes, now=now)
    return change_tags(tx, wishes, now=now)


def write_notes(tx: Tx, notes: Sequence[tuple[Note, int | None]], *, now: int) -> None:
    """Record traces."""
    insert_rows(
        tx.connection,
        Trace,
        ("id", "at", "subject_id", "event_id", "what", "outcome", "because", "refs"),
        [
            (tx.new_id(), now, n.subject_id, event_id, n.what, n.outcome, n.because, _json(n.refs))
            for n, event_id in notes
        ],
    )


def step_back(tx: Tx, change: StepBack, event_id: int | None, *, now: int) -> None:
    """Pause a conversation; a pause never ends earlier than the one before it.

    While one lasts, the event that began it stays the one whose own words may still go out.
    """
    insert_rows(
        tx.connection,
        Pause,
        ("subject_id", "at", "until", "event_id", "because"),
        [(change.conversation_id, now, change.until, event_id, change.because)],
        extra="ON CONFLICT (subject_id) DO UPDATE SET at = excluded.at,"
        " event_id = CASE WHEN pause.until IS NULL OR pause.until > excluded.at"
        " THEN pause.event_id ELSE excluded.event_id END,"
        " because = CASE WHEN pause.until IS NULL THEN pause.because ELSE excluded.because END,"
        " until = CASE WHEN pause.until IS NULL OR excluded.until IS NULL THEN NULL"
        " WHEN pause.until > excluded.until THEN pause.until ELSE excluded.until END",
    )


def resume(tx: Tx, conversation: int) -> bool:
    """End a pause; False when there was none."""
    before = fetch(tx.connection, "SELECT 1 FROM pause WHERE subject_id = ?", conversation)
    run_rows(tx.connection, "DELETE FROM pause WHERE subject_id = ?", [(conversation,)])
    return bool(before)


def _enqueue(
    tx: Tx, account: int, messages: Sequence[tuple[Message, int | None]], now: int
) -> None:
    rows = []
    for message, event_id in messages:
        bundle = None
        priority = _PRIORITY[message.purpose] + message.priority
        for part, body in enumerate(message.bodies):
            new = message.ids[part] if message.ids else tx.new_id()
            bundle = bundle or new
            plain = isinstance(body, Text) and not body.mentions
            payload = None if plain else body.model_dump_json()
            rows.append(
                (new, bundle, part, account, message.conversation_id, message.in_group, event_id,
                 message.source, message.purpose, priority, body.kind,
                 summary(body), payload, message.because, now, now, message.expires_at, "queued",
                 "", 0, str(message.window or ""))
            )  # fmt: skip
    insert_rows(tx.connection, Outbox, _OUTBOX, rows)


def _set_value(tx: Tx, change: Value, now: int) -> None:
    if change.value is None:
        sql = "DELETE FROM attribute WHERE subject_id = ? AND key = ?"
        run_rows(tx.connection, sql, [(change.subject_id, change.key)])
        return
    insert_rows(
        tx.connection,
        Attribute,
        ("subject_id", "key", "value", "source", "at"),
        [(change.subject_id, change.key, change.value, change.source, now)],
        extra="ON CONFLICT (subject_id, key) DO UPDATE SET value = excluded.value,"
        " source = excluded.source, at = excluded.at",
    )


def _rest(tx: Tx, rests: Sequence[Rest]) -> None:
    insert_rows(
        tx.connection,
        Cooldown,
        ("rule", "subject_id", "until"),
        [(rest.rule, rest.subject_id, rest.until) for rest in rests],
        extra="ON CONFLICT (rule, subject_id) DO UPDATE SET until = excluded.until",
    )


def _gather(tx: Tx, change: Gather, event_id: int | None, now: int) -> None:
    waiting = fetch(
        tx.connection,
        "SELECT MIN(due_at) FROM gathering WHERE rule = ? AND group_id = ?",
        change.rule,
        change.group_id,
    )[0][0]
    insert_rows(
        tx.connection,
        Gathering,
        ("rule", "group_id", "event_id", "contact_id", "due_at"),
        [(change.rule, change.group_id, event_id, change.contact_id, waiting or now + change.span)],
    )


def _json(value: object) -> str | None:
    return json.dumps(value, ensure_ascii=False) if value else None
