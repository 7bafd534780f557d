"""Talk of core people that operators are to be told about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.sql import fetch, insert_rows, run_rows
from storage.store import Tx
from storage.tables_guard import CoreTalk


@dataclass(frozen=True, slots=True)
class Talk:
    """A burst of messages whose time to be told has come."""

    contact_id: int
    conversation_id: int
    in_group: bool
    since: int  # the event that began it


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a burst."""

    event_id: int
    at: int
    text: str


def heard(
    tx: Tx,
    account: int,
    messages: Sequence[tuple[int, int, bool, int]],
    *,
    due: int,
    longest: int,
) -> None:
    """Note messages: (contact, conversation, in a group, event) each; to be told at `due`.

    Who was told about just now waits for the end of the rest, which is `longest` at most: a clock
    that was once wrong keeps nobody waiting.
    """
    insert_rows(
        tx.connection,
        CoreTalk,
        ("contact_id", "conversation_id", "account_id", "in_group", "since", "messages", "due_at"),
        [(contact, place, account, in_group, event, 1, due)
         for contact, place, in_group, event in messages],
        extra="ON CONFLICT (contact_id, conversation_id) DO UPDATE SET"
        " messages = coretalk.messages + 1, since = COALESCE(coretalk.since, excluded.since),"
        " due_at = COALESCE(coretalk.due_at, CASE WHEN coretalk.quiet_until > excluded.due_at"
        f" AND coretalk.quiet_until <= excluded.due_at + {int(longest)}"
        " THEN coretalk.quiet_until ELSE excluded.due_at END)",
    )  # fmt: skip


def due_talk(tx: Tx, account: int, *, now: int) -> list[Talk]:
    """The bursts to tell about now."""
    rows = fetch(
        tx.connection,
        "SELECT contact_id, conversation_id, in_group, since FROM coretalk"
        " WHERE due_at IS NOT NULL AND due_at <= ? AND account_id = ? ORDER BY due_at, contact_id",
        now,
        account,
    )
    return [Talk(row[0], row[1], bool(row[2]), row[3]) for row in rows]


def next_talk(tx: Tx, account: int) -> int | None:
    """When the next burst is to be told about, ms UTC."""
    sql = "SELECT MIN(due_at) FROM coretalk WHERE due_at IS NOT NULL AND account_id = ?"
    found = fetch(tx.connection, sql, account)[0][0]
    return None if found is None else int(found)


def told(tx: Tx, talk: Talk, *, quiet_until: int | None) -> None:
    """A burst is over; nobody is told again before `quiet_until`."""
    run_rows(
        tx.connection,
        "UPDATE coretalk SET since = NULL, messages = 0, due_at = NULL, quiet_until = ?"
        " WHERE contact_id = ? AND conversation_id = ?",
        [(quiet_until, talk.contact_id, talk.conversation_id)],
    )


def lines_of(tx: Tx, talk: Talk) -> list[Line]:
    """The messages of a burst, oldest first."""
    place = "group_id = ?" if talk.in_group else "contact_id = ? AND group_id IS NULL"
    rows = fetch(
        tx.connection,
        "SELECT id, at, text FROM event WHERE contact_id = ? AND id >= ? AND kind = 'message'"  # noqa: S608
        f" AND NOT from_self AND {place} ORDER BY id",
        talk.contact_id,
        talk.since,
        talk.conversation_id,
    )
    return [Line(*row) for row in rows]


def hand_at(tx: Tx, talk: Talk) -> int | None:
    """When the account's human last wrote in the conversation, ms UTC."""
    place = "group_id = ?" if talk.in_group else "contact_id = ? AND group_id IS NULL"
    rows = fetch(
        tx.connection,
        f"SELECT at FROM event WHERE {place} AND kind = 'message' AND from_self"  # noqa: S608
        " ORDER BY at DESC LIMIT 1",
        talk.conversation_id,
    )
    return int(rows[0][0]) if rows else None


def answers(tx: Tx, talk: Talk, events: Sequence[int]) -> list[tuple[str, str, str]]:
    """(text, state, reason) of what the bot answered, or meant to answer, to these events."""
    if not events:
        return []
    marks = ", ".join("?" for _ in events)
    rows = fetch(
        tx.connection,
        "SELECT text, state, reason FROM outbox WHERE conversation_id IN (?, ?)"  # noqa: S608
        f" AND id > ? AND purpose = 'reply' AND event_id IN ({marks}) ORDER BY id",
        talk.conversation_id,
        talk.contact_id,
        min(events),
        *events,
    )
    return [(row[0], row[1], row[2]) for row in rows]
