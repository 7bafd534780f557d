"""The queue: what of the outbox may leave next, and what the judge has to know of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sop.messages import BODY, Body, Text
from sop.sending import Waiting
from sop.times import parse_window
from storage.apply import NOTICE_PRIORITY
from storage.guarding import pointless_removals
from storage.invitations import pointless
from storage.questions import at_peace
from storage.sql import claiming, fetch, fetch_in, in_list
from storage.store import Tx

LOWEST, HIGHEST = -1_000, 10_000  # priorities lie between
UNDER_WAY = 800  # the priority of what follows a bubble that has left: below notices and replies
_DEEDS = {"invite", "remove", "accept", "moment"}

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
