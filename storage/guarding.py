"""What the guard remembers: acts and strikes, the blacklist, and what it asks about a sender."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from storage.sql import fetch, fetch_in, insert_rows, run_rows
from storage.store import Tx
from storage.tables_guard import Blacklisted, GuardAct

_COLUMNS = (
    "id", "account_id", "at", "group_id", "contact_id", "event_id", "sentence", "state", "shadow",
    "points", "reasons", "said", "strikes", "strike_until", "outbox_id", "told_at", "settled_at",
    "settled",
)  # fmt: skip
_OPEN = "state IN ('asked', 'removing')"  # word for word, or the partial index is not used
LATEST = 20  # earlier messages of a sender that a new one is compared with
LEFT = "TA 已经不在群里了"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One row of `guardact`, with the names of whom it is about."""

    id: int
    account_id: int
    at: int
    group_id: int
    contact_id: int
    event_id: int | None
    sentence: str
    state: str
    shadow: bool
    points: int
    reasons: tuple[str, ...]
    said: str
    strikes: int
    strike_until: int | None
    outbox_id: int | None
    told_at: int | None
    settled_at: int | None
    settled: str
    name: str = ""
    group: str = ""
    external_id: str = ""
    group_external_id: str = ""


def add_act(tx: Tx, act: Act) -> None:
    """Record an act."""
    values = {name: getattr(act, name) for name in _COLUMNS}
    values["reasons"] = json.dumps(act.reasons, ensure_ascii=False)
    insert_rows(tx.connection, GuardAct, _COLUMNS, [tuple(values.values())])


_SELECT = (
    f"SELECT {', '.join(f'a.{name}' for name in _COLUMNS)}, contact.name, room.name,"  # noqa: S608
    " contact.external_id, room.external_id FROM guardact a"
    " JOIN contact ON contact.id = a.contact_id JOIN room ON room.id = a.group_id"
)


def _act(row: Sequence[Any]) -> Act:
    known = dict(zip(_COLUMNS, row, strict=False))
    reasons = known["reasons"]
    known["reasons"] = tuple(json.loads(reasons) if isinstance(reasons, str) else reasons or ())
    known["shadow"] = bool(known["shadow"])
    name, group, external_id, group_external_id = row[len(_COLUMNS) :]
    return Act(
        **known, name=name, group=group, external_id=external_id,
        group_external_id=group_external_id,
    )  # fmt: skip


def act_of(connection: Connection, id_: int) -> Act | None:
    """The act with this number."""
    rows = fetch(connection, f"{_SELECT} WHERE a.id = ?", id_)
    return _act(rows[0]) if rows else None


def acts(connection: Connection, *, limit: int) -> list[Act]:
    """The latest acts, newest first."""
    rows = fetch(connection, f"{_SELECT} ORDER BY a.at DESC, a.id DESC LIMIT ?", limit)
    return [_act(row) for row in rows]


def asked(connection: Connection, account: int) -> list[Act]:
    """What waits for an operator's word, oldest first."""
    rows = fetch(
        connection,
        f"{_SELECT} WHERE a.{_OPEN} AND a.state = 'asked' AND a.account_id = ? ORDER BY a.id",
        account,
    )
    return [_act(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Pending:
    """What is still to be done about acts: removals under way, the oldest question, news."""

    removing: bool
    asked_at: int | None
    untold: bool


def pending(tx: Tx, account: int) -> Pending:
    """Whether anything is to be done about the acts of an account."""
    removing, asked_at, untold = fetch(
        tx.connection,
        f"SELECT (SELECT COUNT(*) FROM guardact WHERE {_OPEN} AND state = 'removing'"  # noqa: S608
        f" AND account_id = ?), (SELECT MIN(at) FROM guardact WHERE {_OPEN} AND state = 'asked'"
        " AND account_id = ?), (SELECT COUNT(*) FROM guardact WHERE told_at IS NULL"
        " AND account_id = ? AND state <> 'removing')",
        account,
        account,
        account,
    )[0]
    return Pending(bool(removing), asked_at, bool(untold))


def untold(tx: Tx, account: int) -> list[Act]:
    """What operators have not been told, oldest first."""
    rows = fetch(
        tx.connection,
        f"{_SELECT} WHERE a.told_at IS NULL AND a.account_id = ? AND a.state <> 'removing'"
        " ORDER BY a.id",
        account,
    )
    return [_act(row) for row in rows]


def mark_told(tx: Tx, acts: Iterable[Act], *, now: int) -> None:
    """Record that operators were told."""
    run_rows(
        tx.connection, "UPDATE guardact SET told_at = ? WHERE id = ?", [(now, a.id) for a in acts]
    )


def settle(tx: Tx, act: int, state: str, by: str, *, now: int, tell: bool = False) -> None:
    """What became of an act; with `tell`, operators are to be told about it (again)."""
    run_rows(
        tx.connection,
        "UPDATE guardact SET state = ?, settled_at = ?, settled = ?,"
        " told_at = CASE WHEN ? THEN NULL ELSE told_at END WHERE id = ?",
        [(state, now, by, tell, act)],
    )


def removing(tx: Tx, act: int, outbox: int, by: str, *, now: int) -> None:
    """The act's person is to leave: the outbox row that does it."""
    run_rows(
        tx.connection,
        "UPDATE guardact SET state = 'removing', outbox_id = ?, settled = ?, settled_at = ?"
        " WHERE id = ?",
        [(outbox, by, now, act)],
    )


def landed_removals(tx: Tx, account: int) -> list[tuple[Act, str, str]]:
    """Removals of which the outbox knows what became: (act, state, reason) each."""
    rows = fetch(
        tx.connection,
        _SELECT.replace(" FROM guardact a", ", o.state, o.reason FROM guardact a")
        + f" JOIN outbox o ON o.id = a.outbox_id WHERE a.{_OPEN} AND a.state = 'removing'"
        " AND a.account_id = ? AND o.state IN ('sent', 'failed', 'unknown', 'dropped')"
        " ORDER BY a.id",
        account,
    )
    return [(_act(row[:-2]), row[-2], row[-1]) for row in rows]


def expire_asked(tx: Tx, account: int, *, before: int, now: int) -> None:
    """Questions that nobody answered since `before` are no longer asked."""
    run_rows(
        tx.connection,
        "UPDATE guardact SET state = 'expired', settled_at = ?, settled = '一直没有人答'"  # noqa: S608
        f" WHERE {_OPEN} AND state = 'asked' AND account_id = ? AND at <= ?",
        [(now, account, before)],
    )


def gone_by_hand(tx: Tx, group: int, contacts: Collection[int], *, now: int) -> None:
    """Who has left a group need not be removed from it any more."""
    run_rows(
        tx.connection,
        "UPDATE guardact SET state = 'removed', settled_at = ?, settled = '已经不在群里'"
        " WHERE group_id = ? AND contact_id = ? AND state IN ('asked', 'failed')",
        [(now, group, contact) for contact in contacts],
    )


# --- strikes -------------------------------------------------------------------------------------


def strikes(connection: Connection, contacts: Collection[int], *, now: int) -> dict[int, int]:
    """How many strikes count against each contact now."""
    rows = fetch_in(
        connection,
        "SELECT contact_id, COUNT(*) FROM guardact WHERE strike_until > ? AND contact_id IN {in}"
        " GROUP BY contact_id",
        contacts,
        now,
    )
    return {row[0]: int(row[1]) for row in rows}


def struck(connection: Connection, *, now: int) -> list[tuple[int, str, int, int]]:
    """(contact id, name, strikes, when the last of them lapses) of everybody who has some."""
    rows = fetch(
        connection,
        "SELECT a.contact_id, contact.name, COUNT(*), MAX(a.strike_until) FROM guardact a"
        " JOIN contact ON contact.id = a.contact_id WHERE a.strike_until > ?"
        " GROUP BY a.contact_id, contact.name ORDER BY 3 DESC, 1",
        now,
    )
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in rows]


def take_back(tx: Tx, act: int) -> None:
    """An act's strike counts no longer."""
    run_rows(tx.connection, "UPDATE guardact SET strike_until = NULL WHERE id = ?", [(act,)])


def removed_since(tx: Tx, account: int, since: int) -> int:
    """How many people the guard removed, or was about to, unasked since then."""
    sql = (
        "SELECT COUNT(*) FROM guardact WHERE account_id = ? AND at >= ? AND sentence = 'remove'"
        " AND outbox_id IS NOT NULL"
    )
    return int(fetch(tx.connection, sql, account, since)[0][0])


# --- the blacklist -------------------------------------------------------------------------------


def blacklist(
    tx: Tx, contact: int, external_id: str, because: str, *, act: int | None, now: int
) -> bool:
    """Put a person onto the blacklist; False when they were on it."""
    before = blacklisted(tx.connection, [external_id])
    insert_rows(
        tx.connection,
        Blacklisted,
        ("contact_id", "external_id", "at", "act_id", "because"),
        [(contact, external_id, now, act, because)],
        extra="ON CONFLICT (contact_id) DO NOTHING",
    )
    return external_id not in before


def pardon(tx: Tx, external_id: str) -> bool:
    """Take a person off the blacklist, as whichever account knows them; False: was not on it."""
    before = blacklisted(tx.connection, [external_id])
    run_rows(tx.connection, "DELETE FROM blacklisted WHERE external_id = ?", [(external_id,)])
    return external_id in before


def blacklisted(connection: Connection, external_ids: Collection[str]) -> dict[str, str]:
    """Who of these is blacklisted, and why. A person keeps the gateway's id over accounts."""
    rows = fetch_in(
        connection,
        "SELECT external_id, because FROM blacklisted WHERE external_id IN {in}",
        external_ids,
    )
    return {row[0]: row[1] for row in rows}


def all_blacklisted(connection: Connection) -> list[tuple[int, str, int, str]]:
    """(contact id, name, since when, why) of everybody on the blacklist."""
    rows = fetch(
        connection,
        "SELECT b.contact_id, contact.name, b.at, b.because FROM blacklisted b"
        " JOIN contact ON contact.id = b.contact_id ORDER BY b.at, b.contact_id",
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


# --- about senders -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How a member stands in a group: how much they wrote, and since when they are there."""

    messages: int
    joined_at: int | None


def standings(tx: Tx, pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], Standing]:
    """The standing of (group, contact) pairs."""
    rows = fetch_in(
        tx.connection,
        "SELECT group_id, contact_id, messages, joined_at FROM member WHERE contact_id IN {in}",
        {contact for _, contact in pairs},
    )
    return {(r[0], r[1]): Standing(r[2], r[3]) for r in rows if (r[0], r[1]) in pairs}


def owners(tx: Tx, groups: Collection[int]) -> dict[int, str]:
    """Gateway ids of the owners of groups, where known."""
    rows = fetch_in(
        tx.connection, "SELECT id, owner_external_id FROM room WHERE id IN {in}", groups
    )
    return {row[0]: row[1] for row in rows if row[1]}


def foreign(tx: Tx, groups: Collection[int]) -> set[int]:
    """The groups among these that operators said are not ours, or were not yet asked about."""
    rows = fetch_in(
        tx.connection,
        "SELECT id FROM room WHERE binding IN ('asked', 'left') AND id IN {in}",
        groups,
    )
    return {row[0] for row in rows}


def said_before(
    tx: Tx, contacts: Collection[int], *, since: int, but: Collection[int]
) -> dict[int, list[tuple[int, str]]]:
    """(group, text) of what each contact said in groups since then, without the events `but`."""
    rows = fetch_in(
        tx.connection,
        "SELECT contact_id, group_id, text, id FROM (SELECT contact_id, group_id, text, id,"  # noqa: S608
        " ROW_NUMBER() OVER (PARTITION BY contact_id ORDER BY at DESC, id DESC) AS n FROM event"
        " WHERE at >= ? AND kind = 'message' AND group_id IS NOT NULL AND NOT from_self"
        " AND contact_id IN {in}) said WHERE n <= " + str(LATEST + 1),
        contacts,
        since,
    )
    out: dict[int, list[tuple[int, str]]] = {}
    for contact, group, text, id_ in rows:
        if id_ not in but:
            out.setdefault(contact, []).append((group, text))
    return out


def other_groups(connection: Connection, contact: int, group: int) -> list[str]:
    """The names of other groups of ours that a person is in."""
    rows = fetch(
        connection,
        "SELECT room.name FROM member JOIN room ON room.id = member.group_id"
        " WHERE member.contact_id = ? AND member.left_at IS NULL AND room.id <> ? ORDER BY room.id",
        contact,
        group,
    )
    return [row[0] for row in rows]


def pointless_removals(tx: Tx, rows: Collection[int]) -> dict[int, str]:
    """Outbox rows that would remove who has left already, or who may stay after all."""
    found = fetch_in(
        tx.connection,
        "SELECT a.outbox_id, a.state, member.left_at FROM guardact a LEFT JOIN member"
        " ON member.group_id = a.group_id AND member.contact_id = a.contact_id"
        " WHERE a.state <> 'noted' AND a.outbox_id IN {in}",
        rows,
    )
    out = {row[0]: LEFT for row in found if row[2] is not None}
    return out | {row[0]: "运营撤销了" for row in found if row[1] != "removing"}
