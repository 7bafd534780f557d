"""The outbox: every message the bot means to send, and what became of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sop.events import MessageType
from sop.messages import BODY, Body, Text
from sop.sending import Drop, Wait, Waiting
from sop.times import parse_window
from storage.apply import NOTICE_PRIORITY
from storage.guarding import pointless_removals
from storage.invitations import pointless
from storage.questions import at_peace
from storage.sql import claiming, fetch, fetch_in, in_list, run_rows
from storage.store import Tx

ECHO_MEMORY = 10 * 60_000  # an echo without an id comes this soon after its sending, if at all
_ECHO_TYPES = {
    "image": MessageType.IMAGE, "file": MessageType.FILE, "voice": MessageType.VOICE,
    "video": MessageType.VIDEO, "link": MessageType.LINK, "card": MessageType.CONTACT,
    "mini_program": MessageType.MINI_PROGRAM,
    "invite": MessageType.LINK,  # above forty members WeChat sends a card to tap on
}  # fmt: skip
_FILES = {"image", "voice", "video"}
LOWEST, HIGHEST = -1_000, 10_000  # priorities lie between
UNDER_WAY = 800  # the priority of what follows a bubble that has left: below notices and replies

BROKEN_OFF = "前一条没有发出去"
_DEEDS = {"invite", "remove", "accept", "moment"}

# Found by the conversation's index: the outbox is long, a conversation is not.
_REST_OF_BUNDLE = "WHERE conversation_id = ? AND id >= ? AND bundle_id = ? AND state = 'queued'"

# A bundle has the id of its first part: what the operator was told last year is not searched.
_FIRST_OF_BUNDLE = (
    "(o.part = 0 OR NOT EXISTS (SELECT 1 FROM outbox p WHERE p.conversation_id ="
    " o.conversation_id AND p.id >= o.bundle_id AND p.id < o.id AND p.bundle_id = o.bundle_id"
    " AND p.state = 'queued'))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A queued row whose time has come, with where it goes."""

    id: int
    bundle_id: int
    part: int
    conversation_id: int
    in_group: bool
    purpose: Any
    kind: str
    text: str
    payload: str | dict[str, Any] | None
    expires_at: int | None
    event_id: int | None
    attempts: int
    hours: str
    external_id: str  # of the conversation; empty for what goes to nobody, a Moment
    lost: bool  # no longer a friend, or out of the group
    pause_event: int | None
    paused_until: int | None
    paused: str

    @property
    def body(self) -> Body:
        """What to send."""
        if self.payload is None:
            return Text(text=self.text)
        return BODY.validate_python(
            json.loads(self.payload) if isinstance(self.payload, str) else self.payload
        )


_QUEUED = tuple(Queued.__dataclass_fields__)


def due(
    tx: Tx,
    account: int,
    *,
    now: int,
    purposes: Collection[str],
    busy: Collection[int],
    limit: int,
    ahead: bool = False,
) -> list[Queued]:
    """Queued rows whose time has come, best first, one a conversation, none of a busy one.

    `ahead`: a conversation may have several, but no second touch, which would need a look at what
    the first one leaves of the day's limit.
    """
    taken = set(busy)
    closed = set(busy)
    out: list[Queued] = []
    least = LOWEST if "touch" in purposes else UNDER_WAY if "reply" in purposes else NOTICE_PRIORITY
    for priority in _priorities(tx, account, least=least):
        for row in _block(
            tx, account, priority, busy=closed if ahead else taken, limit=limit * 4, now=now
        ):
            over = closed if ahead and row.purpose != "touch" else taken
            if row.conversation_id not in over and len(out) < limit:
                taken.add(row.conversation_id)
                out.append(row)
        if len(out) == limit:
            break
    return out


def _priorities(tx: Tx, account: int, *, least: int) -> Iterator[int]:
    """The priorities of what is queued, from the highest.

    Within one an index has the order of the queue: of thousands that wait only the first are read.
    """
    above: int | None = HIGHEST
    while above is not None:
        above = fetch(
            tx.connection,
            "SELECT MAX(priority) FROM outbox WHERE state = 'queued' AND account_id = ?"
            " AND priority < ? AND priority >= ?",
            account,
            above,
            least,
        )[0][0]
        if above is not None:
            yield above


def _block(
    tx: Tx,
    account: int,
    priority: int,
    *,
    busy: Collection[int],
    limit: int,
    now: int,
) -> list[Queued]:
    # What follows a bubble waits until that one has left; in a touch it is then UNDER_WAY.
    first = _FIRST_OF_BUNDLE if priority >= UNDER_WAY else "o.part = 0"
    marks, held = in_list(list(busy)) if busy else ("", ())
    free = f" AND o.conversation_id NOT IN {marks}" if busy else ""
    rows = fetch(
        tx.connection,
        "SELECT o.id, o.bundle_id, o.part, o.conversation_id, o.in_group, o.purpose, o.kind,"  # noqa: S608
        " o.text, o.payload, o.expires_at, o.event_id, o.attempts, o.hours,"
        " COALESCE(contact.external_id, room.external_id, ''),"
        " COALESCE(NOT contact.friend, room.gone),"
        " pause.event_id, pause.until, COALESCE(pause.because, '')"
        " FROM outbox o LEFT JOIN contact ON contact.id = o.conversation_id"
        " LEFT JOIN room ON room.id = o.conversation_id LEFT JOIN pause"
        " ON pause.subject_id = o.conversation_id AND (pause.until IS NULL OR pause.until > ?)"
        " WHERE o.state = 'queued' AND o.account_id = ? AND o.priority = ? AND o.due_at <= ?"
        f" AND {first}{free} ORDER BY o.due_at, o.id LIMIT ?{claiming(tx.connection, of='o')}",
        now,
        account,
        priority,
        now,
        *held,
        limit,
    )
    return [Queued(**dict(zip(_QUEUED, row, strict=True))) for row in rows]


def next_due(tx: Tx, account: int) -> tuple[int | None, int | None]:
    """When the earliest queued row is due, and the earliest that is no touch; ms UTC."""
    row = fetch(
        tx.connection,
        "SELECT MIN(due_at), (SELECT MIN(due_at) FROM outbox WHERE state = 'queued'"
        " AND account_id = ? AND priority >= ?)"
        " FROM outbox WHERE state = 'queued' AND account_id = ?",
        account,
        UNDER_WAY,
        account,
    )[0]
    return row[0], row[1]


def facts(tx: Tx, rows: Sequence[Queued], *, now: int, today: int, week: int) -> dict[int, Waiting]:
    """What `sop.sending.judge` wants to know of each row; `today` and `week` are ms UTC."""
    no_use = pointless(tx, [row.id for row in rows if row.kind == "invite"])
    no_use |= pointless_removals(tx, [row.id for row in rows if row.kind == "remove"])
    proactive = {r.conversation_id for r in rows if r.purpose == "touch" and not r.in_group}
    touched = _touched(tx, proactive, today=today, week=week, now=now)
    peace = at_peace(tx, proactive, now=now)
    out = {}
    for row in rows:
        waiting = _waiting(row, *touched.get(row.conversation_id, (0, 0)))
        why = no_use.get(row.id)
        if row.conversation_id in peace:
            until, because = peace[row.conversation_id]
            waiting = replace(waiting, peace=because, peace_until=until)
        out[row.id] = replace(waiting, unreachable=why) if why else waiting
    return out


def _waiting(row: Queued, today: int, week: int) -> Waiting:
    # The words that announce a hand-over belong to the pause itself.
    paused = row.paused if row.event_id is None or row.event_id != row.pause_event else ""
    gone = "机器人已经不在这个群里" if row.in_group else "对方已经不是好友"
    return Waiting(
        id=row.id,
        purpose=row.purpose,
        part=row.part,
        expires_at=row.expires_at,
        unreachable=gone if row.lost and row.kind != "accept" else "",
        paused=paused,
        paused_until=row.paused_until if paused else None,
        touched_today=today,
        touched_week=week,
        window=parse_window(row.hours) if row.hours else None,
    )


def with_the_rest(tx: Tx, rows: Sequence[Queued]) -> list[Queued]:
    """The rows, each with the bubbles that follow it, up to one that is more than words.

    These may leave when the first may: they go to the same person, for the same reason. What
    follows a notice is not looked for: it may have to be found among thousands.
    """
    found = fetch_in(
        tx.connection,
        "SELECT f.id, o.id, o.part, o.kind, o.text, o.payload, o.attempts FROM outbox f"
        " JOIN outbox o ON o.conversation_id = f.conversation_id AND o.id > f.id"
        " AND o.bundle_id = f.bundle_id AND o.state = 'queued' WHERE f.id IN {in} ORDER BY o.id",
        [row.id for row in rows if row.purpose != "notice"],
    )
    after: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for first, *rest in found:
        after[first].append(tuple(rest))
    out: list[Queued] = []
    for row in rows:
        out.append(row)
        for id_, part, kind, text, payload, attempts in after[row.id]:
            if kind in _DEEDS:
                break
            out.append(
                replace(
                    row, id=id_, part=part, kind=kind, text=text, payload=payload, attempts=attempts
                )
            )
    return out


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


def _touched(
    tx: Tx, conversations: set[int], *, today: int, week: int, now: int
) -> dict[int, tuple[int, int]]:
    rows = fetch_in(
        tx.connection,
        "SELECT conversation_id, SUM(CASE WHEN left_at >= ? THEN 1 ELSE 0 END), COUNT(*)"
        " FROM outbox WHERE left_at >= ? AND left_at <= ? AND purpose = 'touch' AND part = 0"
        " AND state IN ('sent', 'unknown', 'sending') AND conversation_id IN {in}"
        " GROUP BY conversation_id",
        conversations,
        today,
        week,
        now,
    )
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}
