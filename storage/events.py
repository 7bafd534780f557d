"""Events: recording them, recognising replays, and the facts that rules ask for in bulk."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sop.events import EventKind
from storage.sql import fetch, fetch_in, insert_rows, run_rows
from storage.store import Tx
from storage.tables import Event
from storage.words import said

_COLUMNS = (
    "id", "account_id", "kind", "at", "recorded_at", "contact_id", "group_id", "external_id",
    "type", "text", "from_self", "data", "amount",
)  # fmt: skip
_PAID = (EventKind.ORDER, EventKind.REFUND)
MOST_PAID = 10**15  # what a gateway reports beyond this is no price; sums stay in 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event about to be recorded, its people and group already known by id."""

    id: int
    kind: EventKind
    at: int
    contact_id: int | None
    group_id: int | None
    external_id: str | None
    type: str
    text: str
    from_self: bool
    data: dict[str, object]


def record(tx: Tx, account: int, events: Sequence[NewEvent], *, now: int) -> None:
    """Insert events, and move each writer's `last_message_at` forward."""
    insert_rows(
        tx.connection,
        Event,
        _COLUMNS,
        [
            (e.id, account, e.kind.value, e.at, now, e.contact_id, e.group_id, e.external_id,
             e.type, e.text, e.from_self,
             json.dumps(e.data, ensure_ascii=False) if e.data else None, amount_of(e.kind, e.data))
            for e in events
        ],
    )  # fmt: skip
    spoke = {e.contact_id: e.at for e in events if e.kind is EventKind.MESSAGE and not e.from_self}
    run_rows(
        tx.connection,
        "UPDATE contact SET last_message_at = ?"
        " WHERE id = ? AND (last_message_at IS NULL OR last_message_at < ?)",
        [(at, contact, at) for contact, at in spoke.items() if contact is not None],
    )


def amount_of(kind: EventKind, data: Mapping[str, object]) -> int | None:
    """What an order or refund came to, in cents, where its event says so: a refund is negative."""
    amount = data.get("amount")
    if kind not in _PAID or not isinstance(amount, int) or abs(amount) > MOST_PAID:
        return None
    return abs(amount) if kind is EventKind.ORDER else -abs(amount)


def replayed(tx: Tx, account: int, external_ids: Collection[str]) -> set[str]:
    """Which of these gateway ids were recorded before."""
    rows = fetch_in(
        tx.connection,
        "SELECT external_id FROM event WHERE account_id = ? AND external_id IN {in}",
        external_ids,
        account,
    )
    return {row[0] for row in rows}


def paused(tx: Tx, subjects: Collection[int], *, now: int) -> dict[int, str]:
    """The conversations that are paused now, and why."""
    rows = fetch_in(
        tx.connection,
        "SELECT subject_id, because FROM pause WHERE (until IS NULL OR until > ?)"
        " AND subject_id IN {in}",
        subjects,
        now,
    )
    return dict(tuple(row) for row in rows)


def resting(tx: Tx, subjects: Collection[int], *, now: int) -> dict[int, dict[str, int]]:
    """The rules that rest, by subject, and until when."""
    out: dict[int, dict[str, int]] = {}
    for rule, subject, until in fetch_in(
        tx.connection,
        "SELECT rule, subject_id, until FROM cooldown WHERE until > ? AND subject_id IN {in}",
        subjects,
        now,
    ):
        out.setdefault(subject, {})[rule] = until
    return out


@dataclass(frozen=True, slots=True)
class Portrait:
    """What a template may know of a contact."""

    id: int
    external_id: str
    name: str
    alias: str
    stage: str


def portraits(tx: Tx, contacts: Collection[int]) -> dict[int, Portrait]:
    """Names and stages of contacts."""
    rows = fetch_in(
        tx.connection,
        "SELECT id, external_id, name, alias, stage FROM contact WHERE id IN {in}",
        contacts,
    )
    return {row[0]: Portrait(*row) for row in rows}


def attributes_of(tx: Tx, subjects: Collection[int]) -> dict[int, dict[str, str]]:
    """Attributes of contacts."""
    out: dict[int, dict[str, str]] = {}
    for subject, key, value in fetch_in(
        tx.connection,
        "SELECT subject_id, key, value FROM attribute WHERE subject_id IN {in}",
        subjects,
    ):
        out.setdefault(subject, {})[key] = value
    return out


def attribute_values(tx: Tx, key: str) -> list[tuple[int, str]]:
    """Who has this attribute, and what it says."""
    rows = fetch(
        tx.connection, "SELECT subject_id, value FROM attribute WHERE key = ? ORDER BY 1", key
    )
    return [(row[0], row[1]) for row in rows]


@dataclass(frozen=True, slots=True)
class DueGathering:
    """A gathered answer whose time has come: all who joined (or left), in order."""

    rule: str
    group_id: int
    event_id: int
    contact_ids: tuple[int, ...]


def take_gatherings(tx: Tx, account: int, *, now: int) -> list[DueGathering]:
    """Take out the gatherings of an account that are due."""
    rows = fetch(
        tx.connection,
        "SELECT rule, group_id, event_id, contact_id FROM gathering"
        " JOIN room ON room.id = gathering.group_id WHERE account_id = ? AND due_at <= ?"
        " ORDER BY rule, group_id, event_id",
        account,
        now,
    )
    run_rows(
        tx.connection,
        "DELETE FROM gathering WHERE rule = ? AND group_id = ? AND event_id = ?",
        [tuple(row)[:3] for row in rows],
    )
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for rule, group, event_id, contact in rows:
        found.setdefault((rule, group), []).append((event_id, contact))
    return [
        DueGathering(rule, group, who[0][0], tuple(dict.fromkeys(c for _, c in who)))
        for (rule, group), who in found.items()
    ]


def fallen_silent(
    tx: Tx, account: int, *, rule: str, span: int, now: int, limit: int
) -> list[tuple[int, int]]:
    """Friends silent for `span` ms whom this rule has not yet noticed since they last spoke.

    Returns (contact id, last spoke or became a friend at) pairs.
    """
    rows = fetch(
        tx.connection,
        "SELECT id, COALESCE(last_message_at, friend_at, first_seen_at) AS last FROM contact"
        " WHERE account_id = ? AND friend = ? AND COALESCE(last_message_at, friend_at,"
        " first_seen_at) <= ? AND NOT EXISTS (SELECT 1 FROM event WHERE event.contact_id ="
        " contact.id AND event.kind = 'silent' AND event.text = ? AND event.at >"
        " COALESCE(contact.last_message_at, contact.friend_at, contact.first_seen_at))"
        " ORDER BY id LIMIT ?",
        account,
        True,
        now - span,
        rule,
        limit,
    )
    return [(row[0], row[1]) for row in rows]


def last_lines(
    connection: Connection, conversation: int, *, in_group: bool, count: int
) -> list[tuple[int, str, str]]:
    """The last lines of a conversation, oldest first, as (at, who, text); "我" is the account.

    What the bot sent stands in the outbox, everything else among the events.
    """
    where = "event.group_id = ?" if in_group else "event.contact_id = ? AND event.group_id IS NULL"
    heard = fetch(
        connection,
        "SELECT event.at, event.id, event.from_self, contact.name, event.text, event.type"  # noqa: S608
        " FROM event LEFT JOIN contact ON contact.id = event.contact_id"
        f" WHERE {where} AND event.kind = 'message' ORDER BY event.at DESC, event.id DESC LIMIT ?",
        conversation,
        count,
    )
    sent = fetch(
        connection,
        "SELECT left_at, id, text FROM outbox WHERE conversation_id = ?"
        " AND kind NOT IN ('accept', 'remove') AND state IN ('sent', 'unknown')"
        " ORDER BY id DESC LIMIT ?",
        conversation,
        count,
    )
    lines = [
        (at, id_, "我" if mine else name or "有人", said(type_, text))
        for at, id_, mine, name, text, type_ in heard
    ]
    lines += [(at, id_, "我", " ".join(text.split())) for at, id_, text in sent]
    return [(at, who, text) for at, _, who, text in sorted(lines)[-count:]]


def other_accounts(tx: Tx) -> set[str]:
    """External ids of the workspace's own accounts, which the bot never answers."""
    return {row[0] for row in fetch(tx.connection, "SELECT external_id FROM account")}


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What rules and templates may know of a group."""

    id: int
    name: str
    kind: str


def groups_of(tx: Tx, ids: Collection[int]) -> dict[int, GroupFacts]:
    """The groups among these ids."""
    rows = fetch_in(tx.connection, "SELECT id, name, kind FROM room WHERE id IN {in}", ids)
    return {row[0]: GroupFacts(*row) for row in rows}


def friend_since(tx: Tx, contact: int) -> int | None:
    """Since when a contact is a friend, ms UTC; None when it is not known to be one."""
    rows = fetch(
        tx.connection, "SELECT friend_at FROM contact WHERE id = ? AND friend = ?", contact, True
    )
    return rows[0][0] if rows else None


def first_roster(tx: Tx, account: int, *, now: int) -> bool:
    """Record that the roster came; True when it never came before."""
    before = fetch(tx.connection, "SELECT synced_at FROM account WHERE id = ?", account)
    run_rows(tx.connection, "UPDATE account SET synced_at = ? WHERE id = ?", [(now, account)])
    return not before or before[0][0] is None


def named_tags(tx: Tx, groups: Collection[int]) -> set[tuple[int, str]]:
    """Tags that groups were ever given because of their name: (group id, tag) each."""
    rows = fetch_in(
        tx.connection,
        "SELECT group_id, text, data FROM event WHERE kind = 'tag_added' AND group_id IN {in}",
        groups,
    )
    out = set()
    for group, tag, data in rows:
        known = data if isinstance(data, dict) else json.loads(data or "{}")
        if str(known.get("source", "")).startswith("groups:"):
            out.add((group, tag))
    return out
