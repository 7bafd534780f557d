"""Groups as members of the house: which are ours, which are asked about, and moving house."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from storage.sql import fetch, fetch_in, run_rows
from storage.store import Tx

BOUND, ASKED, LEFT = "bound", "asked", "left"


@dataclass(frozen=True, slots=True)
class Housed:
    """A group, and how the house stands to it.

    `binding` is `bound`, `asked` (its name is another's; an operator is to say), `left` (not ours)
    or empty; `entry` is the `match` of the entry of `groups:` that it is bound to; `missing_at`
    since when rosters do not list it, ms UTC.
    """

    id: int
    account_id: int
    external_id: str
    name: str
    kind: str
    binding: str
    entry: str
    gone: bool
    missing_at: int | None
    online: bool  # whether the account that knows it is logged in

    @property
    def here(self) -> bool:
        """Whether the bot is surely in it."""
        return self.online and not self.gone and self.missing_at is None


_FIELDS = tuple(Housed.__dataclass_fields__)
_HOUSED = (
    "SELECT room.id, account_id, room.external_id, room.name, kind, binding, entry, gone,"
    " missing_at, account.state = 'login' FROM room JOIN account ON account.id = account_id"
)


def _housed(row: Any) -> Housed:
    facts = dict(zip(_FIELDS, row, strict=True))
    truths = {name: bool(facts[name]) for name in ("gone", "online")}
    return Housed(**(facts | truths))


def housed(connection: Connection, ids: Collection[int]) -> dict[int, Housed]:
    """The groups among these ids."""
    rows = fetch_in(connection, f"{_HOUSED} WHERE room.id IN {{in}}", ids)
    return {row[0]: _housed(row) for row in sorted(rows, key=lambda row: int(row[0]))}


def all_housed(connection: Connection, account: int | None = None) -> list[Housed]:
    """Every group of an account, or of all, in the order they became known."""
    rows = fetch(connection, f"{_HOUSED} ORDER BY room.id")
    return [group for row in rows if (group := _housed(row)).account_id == account or not account]


def set_binding(tx: Tx, group: int, binding: str, *, entry: str = "") -> None:
    """Record how the house stands to a group."""
    run_rows(
        tx.connection,
        "UPDATE room SET binding = ?, entry = ? WHERE id = ?",
        [(binding, entry, group)],
    )


def forget_kind(tx: Tx, group: int) -> None:
    """Take its kind from a group."""
    run_rows(tx.connection, "UPDATE room SET kind = '' WHERE id = ?", [(group,)])


def given_by_name(connection: Connection, group: int) -> list[str]:
    """The tags a group carries because of its name."""
    rows = fetch(
        connection,
        "SELECT tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id"
        " WHERE tagging.subject_id = ? AND tagging.source LIKE 'groups:%'",
        group,
    )
    return [row[0] for row in rows]


def mark_missing(tx: Tx, account: int, listed: Collection[str], *, now: int) -> None:
    """Note which groups a roster does not list; one without any groups tells nothing."""
    known = fetch(
        tx.connection,
        "SELECT id, external_id FROM room WHERE account_id = ? AND gone = ? AND missing_at IS NULL",
        account,
        False,
    )
    missing = [row[0] for row in known if listed and row[1] not in listed]
    run_rows(
        tx.connection,
        "UPDATE room SET missing_at = ? WHERE id = ?",
        [(now, id_) for id_ in missing],
    )


# --- moving house --------------------------------------------------------------------------------

_MOVED = (
    "UPDATE event SET group_id = ? WHERE group_id = ?",
    "UPDATE trace SET subject_id = ? WHERE subject_id = ?",
    "UPDATE outbox SET conversation_id = ? WHERE conversation_id = ?",
    "UPDATE invitation SET group_id = ? WHERE group_id = ?",
    "UPDATE gathering SET group_id = ? WHERE group_id = ?",
    "UPDATE checkin SET group_id = ? WHERE group_id = ?",
    "UPDATE brought SET group_id = ? WHERE group_id = ?",
    # Who was brought into both counts once; the row of the new one stays with a scope of its own.
    "UPDATE brought SET scope = ? WHERE scope = ? AND NOT EXISTS (SELECT 1 FROM brought b"
    " WHERE b.invitee_id = brought.invitee_id AND b.scope = brought.group_id)",
    "UPDATE enrollment SET group_id = ? WHERE group_id = ?",
    "UPDATE enrollment SET subject_id = ? WHERE state <> 'active' AND subject_id = ?",
    "INSERT INTO tagging (subject_id, tag_id, source, event_id, at, expires_at)"
    " SELECT ?, tag_id, source, event_id, at, expires_at FROM tagging WHERE subject_id = ?"
    " ON CONFLICT (subject_id, tag_id) DO NOTHING",
    "INSERT INTO pause (subject_id, at, until, event_id, because)"
    " SELECT ?, at, until, event_id, because FROM pause WHERE subject_id = ?"
    " ON CONFLICT (subject_id) DO NOTHING",
    "INSERT INTO member (group_id, contact_id, joined_at, inviter_id, left_at, messages,"
    " last_seen_at) SELECT ?, contact_id, joined_at, inviter_id, left_at, messages, last_seen_at"
    " FROM member WHERE group_id = ?"
    " ON CONFLICT (group_id, contact_id) DO UPDATE SET left_at = excluded.left_at,"
    " messages = member.messages + excluded.messages,"
    " joined_at = COALESCE(member.joined_at, excluded.joined_at),"
    " inviter_id = COALESCE(member.inviter_id, excluded.inviter_id),"
    " last_seen_at = COALESCE(excluded.last_seen_at, member.last_seen_at)",
)
_CHANGED_HANDS = (  # some gateways give the account itself another id at every login
    "UPDATE enrollment SET account_id = ? WHERE state = 'active' AND subject_id = ?",
    "UPDATE outbox SET account_id = ? WHERE state = 'queued' AND conversation_id = ?",
)
_LEFT_BEHIND = (
    "DELETE FROM member WHERE group_id = ?",
    "DELETE FROM tagging WHERE subject_id = ?",
    "DELETE FROM pause WHERE subject_id = ?",
    "DELETE FROM cooldown WHERE subject_id = ?",
    "DELETE FROM room WHERE id = ?",
)


def move_house(tx: Tx, *, old: Housed, new: Housed, now: int) -> None:
    """Let the group `old` go on under the gateway's id of `new`, with what happened there since.

    Everything known of the old one keeps its place: tags, kind, members, walks, history. Members
    that the new one does not list have left.
    """
    _end_walks(tx, new.id, now)
    _leave_unlisted(tx, old.id, new.id, now)
    for sql in _MOVED:
        run_rows(tx.connection, sql, [(old.id, new.id)])
    for sql in _LEFT_BEHIND:
        run_rows(tx.connection, sql, [(new.id,)])
    run_rows(
        tx.connection,
        "UPDATE room SET account_id = ?, external_id = ?, name = ?, gone = ?, missing_at = NULL"
        " WHERE id = ?",
        [(new.account_id, new.external_id, new.name, False, old.id)],
    )
    for sql in _CHANGED_HANDS:
        run_rows(tx.connection, sql, [(new.account_id, old.id)])
    _readdress(tx, old.id, new.external_id)


def _end_walks(tx: Tx, group: int, now: int) -> None:
    run_rows(
        tx.connection,
        "UPDATE enrollment SET state = 'removed', ended_at = ?, due_at = NULL, waiting = '',"
        " reason = '和原来的群合并了' WHERE state = 'active' AND subject_id = ?",
        [(now, group)],
    )


def _leave_unlisted(tx: Tx, old: int, new: int, now: int) -> None:
    if fetch(tx.connection, "SELECT 1 FROM member WHERE group_id = ? LIMIT 1", new):
        run_rows(
            tx.connection,
            "UPDATE member SET left_at = ? WHERE group_id = ? AND left_at IS NULL"
            " AND contact_id NOT IN (SELECT contact_id FROM member WHERE group_id = ?)",
            [(now, old, new)],
        )


def _readdress(tx: Tx, group: int, external_id: str) -> None:
    """Invitations that have not left yet would go to a group that is no more."""
    rows = fetch(
        tx.connection,
        "SELECT o.id, CAST(o.payload AS TEXT) FROM invitation i JOIN outbox o ON o.id = i.id"
        " WHERE i.group_id = ? AND o.state = 'queued'",
        group,
    )
    run_rows(
        tx.connection,
        "UPDATE outbox SET payload = ? WHERE id = ?",
        [
            (
                json.dumps({**json.loads(row[1]), "group_id": external_id}, ensure_ascii=False),
                row[0],
            )
            for row in rows
        ],
    )
