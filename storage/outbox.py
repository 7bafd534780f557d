"""The outbox: every message the bot means to send, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sop.events import MessageType
from sop.sending import Drop, Wait
from storage.queue import UNDER_WAY, Queued
from storage.sql import fetch, run_rows
from storage.store import Tx

ECHO_MEMORY = 10 * 60_000  # an echo without an id comes this soon after its sending, if at all
_ECHO_TYPES = {
    "image": MessageType.IMAGE, "file": MessageType.FILE, "voice": MessageType.VOICE,
    "video": MessageType.VIDEO, "link": MessageType.LINK, "card": MessageType.CONTACT,
    "mini_program": MessageType.MINI_PROGRAM,
    "invite": MessageType.LINK,  # above forty members WeChat sends a card to tap on
}  # fmt: skip
_FILES = {"image", "voice", "video"}

BROKEN_OFF = "前一条没有发出去"

# Found by the conversation's index: the outbox is long, a conversation is not.
_REST_OF_BUNDLE = "WHERE conversation_id = ? AND id >= ? AND bundle_id = ? AND state = 'queued'"


def mark_sending(tx: Tx, leaving: Sequence[tuple[Queued, int]]) -> None:
    """Record that rows are about to be handed to the gateway, and when (ms UTC).

    Commit before doing it: not even a power cut may take the mark back once they have left.

    The bubbles that follow a touch's first belong to it and keep the pace of talk.
    """
    tx.must_last |= bool(leaving)
    run_rows(
        tx.connection,
        "UPDATE outbox SET state = 'sending', left_at = ?, attempts = attempts + 1, reason = ''"
        " WHERE id = ?",
        [(at, row.id) for row, at in leaving],
    )
    run_rows(
        tx.connection,
        f"UPDATE outbox SET priority = ? {_REST_OF_BUNDLE} AND priority < ?",  # noqa: S608
        [
            (UNDER_WAY, *_bundle(row), UNDER_WAY)
            for row in {row.bundle_id: row for row, _ in leaving if row.purpose == "touch"}.values()
        ],
    )


def hold(tx: Tx, rows: Sequence[tuple[Queued, Wait]]) -> None:
    """Move rows, and the parts that follow them, to later."""
    run_rows(
        tx.connection,
        f"UPDATE outbox SET due_at = ?, reason = ? {_REST_OF_BUNDLE}",  # noqa: S608
        [(wait.until, wait.reason, *_bundle(row)) for row, wait in rows],
    )


def drop(tx: Tx, rows: Sequence[tuple[Queued, Drop]]) -> None:
    """Give rows up, and the parts that follow them."""
    run_rows(
        tx.connection,
        f"UPDATE outbox SET state = 'dropped', reason = ? {_REST_OF_BUNDLE}",  # noqa: S608
        [(verdict.reason, *_bundle(row)) for row, verdict in rows],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the gateway said about one row: `sent`, `failed`, `unknown`, or `queued` to retry."""

    row: Queued
    state: str
    reason: str = ""
    external_id: str | None = None
    due_at: int = 0
    blames_account: bool = False  # counts towards opening the circuit


def settle(tx: Tx, outcomes: Sequence[Outcome], *, now: int) -> None:
    """Record outcomes. An echo that came first has already settled its row, and stays right."""
    run_rows(
        tx.connection,
        "UPDATE outbox SET state = ?, reason = ?, external_id = COALESCE(?, external_id),"
        " sent_at = CASE WHEN ? = 'sent' THEN ? ELSE sent_at END,"
        " due_at = CASE WHEN ? = 'queued' THEN ? ELSE due_at END,"
        " left_at = CASE WHEN ? = 'queued' THEN NULL ELSE left_at END"
        " WHERE id = ? AND state = 'sending'",
        [
            (o.state, o.reason, o.external_id, o.state, now, o.state, o.due_at, o.state, o.row.id)
            for o in outcomes
        ],
    )
    run_rows(  # what is tried again keeps its place before the parts that follow it
        tx.connection,
        f"UPDATE outbox SET due_at = ? {_REST_OF_BUNDLE}",  # noqa: S608
        [(o.due_at, *_bundle(o.row)) for o in outcomes if o.state == "queued"],
    )
    run_rows(
        tx.connection,
        f"UPDATE outbox SET state = 'dropped', reason = ? {_REST_OF_BUNDLE}",  # noqa: S608
        [(BROKEN_OFF, *_bundle(o.row)) for o in outcomes if o.state == "failed"],
    )


def strand(tx: Tx, account: int) -> int:
    """At start: what was in flight when the process died is unknown. Returns how many."""
    rows = fetch(
        tx.connection,
        "SELECT id FROM outbox WHERE account_id = ? AND state = 'sending'",
        account,
    )
    run_rows(
        tx.connection,
        "UPDATE outbox SET state = 'unknown',"
        " reason = '发送途中程序中断，不知道对方收到没有' WHERE id = ?",
        [tuple(row) for row in rows],
    )
    return len(rows)


def take_back(tx: Tx, account: int, *, handed: Collection[int]) -> int:
    """Queue again what is marked as `sending` and was never handed to the gateway.

    A commit whose answer was lost may have marked it. Returns how many rows.
    """
    marked = fetch(
        tx.connection, "SELECT id FROM outbox WHERE account_id = ? AND state = 'sending'", account
    )
    rows = [(id_,) for (id_,) in marked if id_ not in handed]
    run_rows(
        tx.connection,
        "UPDATE outbox SET state = 'queued', left_at = NULL, attempts = attempts - 1 WHERE id = ?",
        rows,
    )
    return len(rows)


def echo(
    tx: Tx, conversation: int, *, external_id: str, type: MessageType, text: str, at: int, now: int
) -> bool:
    """Whether a message that left the account is one of ours; settles its row as sent if so.

    An echo may lack an id, or come before the answer that brings the id: then its text decides, and
    what is on its way right now comes before what was said with the same words earlier.
    """
    recent = "left_at > ? AND state IN ('sending', 'unknown', 'sent')"
    rows = fetch(
        tx.connection,
        "SELECT id, external_id, kind, text, payload IS NOT NULL, state FROM outbox"  # noqa: S608
        f" WHERE conversation_id = ? AND (external_id = ? OR {recent})"
        " ORDER BY CASE WHEN state = 'sending' THEN 0 ELSE 1 END, id",
        conversation,
        external_id,
        min(at, now) - ECHO_MEMORY,
    )
    named = [row for row in rows if external_id and row[1] == external_id]
    # A row that got its id is known by it; only an echo without one may still be its own.
    open_ = [row for row in rows if row[1] is None or not external_id]
    alike = [r for r in open_ if _same(r[2], r[3], type, text, mentions=bool(r[4]))]
    for row in (named or alike)[:1]:
        if named and row[5] == "sent":
            break  # nothing new
        run_rows(
            tx.connection,
            "UPDATE outbox SET state = 'sent', reason = '', sent_at = COALESCE(sent_at, ?),"
            " external_id = COALESCE(?, external_id) WHERE id = ?",
            [(now, external_id or None, row[0])],
        )
    return bool(named or alike)


def settle_by_hand(tx: Tx, row: int, how: str, *, now: int) -> str | None:
    """An operator's word on an unknown row: `sent`, `failed` or `resend`.

    Returns the state it was in; only an unknown row is changed. None when there is no such row.
    """
    rows = fetch(tx.connection, "SELECT state FROM outbox WHERE id = ?", row)
    if rows and rows[0][0] == "unknown":
        state = "queued" if how == "resend" else how
        sent_at = now if how == "sent" else None
        run_rows(
            tx.connection,
            "UPDATE outbox SET state = ?, reason = '运营确认', sent_at = ?, due_at = ?,"
            " expires_at = NULL WHERE id = ?",
            [(state, sent_at, now, row)],
        )
    return str(rows[0][0]) if rows else None


def _bundle(row: Queued) -> tuple[int, int, int]:
    return row.conversation_id, row.bundle_id, row.bundle_id


def _same(kind: str, sent: str, type: MessageType, text: str, *, mentions: bool) -> bool:
    if kind != "text":
        # To some puppets every file is just a file, also one that was sent as a picture.
        return type is _ECHO_TYPES.get(kind) or (kind in _FILES and type is MessageType.FILE)
    ours, theirs = sent.strip(), text.strip()
    # A channel writes the names it mentions before the words, as WeChat itself does.
    named = mentions and theirs.startswith("@") and theirs.endswith(ours)
    return type is MessageType.TEXT and (ours == theirs or named)
