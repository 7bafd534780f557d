"""Invitations into groups: places kept for who has not come yet, and what became of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sop.inviting import VALID
from storage.sql import fetch, fetch_in, insert_rows, run_rows
from storage.store import Tx
from storage.tables import Cooldown
from storage.tables_groups import Invitation

# A place is kept while the invitation may still be accepted, until the contact is seen inside.
_KEPT = (
    " FROM invitation i LEFT JOIN outbox o ON o.id = i.id"
    " WHERE i.joined_at IS NULL AND i.expires_at > ?"
    " AND (i.by_hand = ? OR o.state IS NULL OR o.state NOT IN ('failed', 'dropped'))"
    " AND NOT EXISTS (SELECT 1 FROM member m WHERE m.group_id = i.group_id"
    " AND m.contact_id = i.contact_id AND m.left_at IS NULL)"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A group that an invitation may mean, in the order groups are filled."""

    id: int
    external_id: str
    name: str
    entry: str


def candidates(
    tx: Tx, account: int, *, tags: Sequence[str], name: str, now: int
) -> list[Candidate]:
    """The groups of the account that carry one of the tags, or have this name.

    None that the bot is not in, that no roster lists, or of which nobody knows whether it is ours.
    With PostgreSQL they are locked: two processes cannot give the last place away twice.
    """
    lock = " FOR UPDATE" if tx.connection.dialect.name == "postgresql" else ""
    rows = fetch(
        tx.connection,
        "SELECT id, external_id, name, entry FROM room WHERE account_id = ? AND gone = ?"  # noqa: S608
        f" AND missing_at IS NULL AND binding NOT IN ('asked', 'left') ORDER BY id{lock}",
        account,
        False,
    )
    found = [Candidate(*row) for row in rows]
    if name:
        return [group for group in found if group.name == name]
    carry = _carriers(tx, [group.id for group in found], tags, now)
    return [group for group in found if group.id in carry]


def _carriers(tx: Tx, groups: Collection[int], tags: Sequence[str], now: int) -> set[int]:
    rows = fetch_in(
        tx.connection,
        "SELECT tagging.subject_id, tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id"
        " WHERE (tagging.expires_at IS NULL OR tagging.expires_at > ?)"
        " AND tagging.subject_id IN {in}",
        groups,
        now,
    )
    return {row[0] for row in rows if row[1] in tags or row[1].split("/")[0] in tags}


def members(connection: Connection, groups: Collection[int]) -> dict[int, int]:
    """How many members groups have, the bot not among them."""
    rows = fetch_in(
        connection,
        "SELECT group_id, COUNT(*) FROM member WHERE left_at IS NULL AND group_id IN {in}"
        " GROUP BY group_id",
        groups,
    )
    return {row[0]: int(row[1]) for row in rows}


def kept(connection: Connection, groups: Collection[int], *, now: int) -> dict[int, int]:
    """How many places of groups are kept for invitations that may still be accepted."""
    rows = fetch_in(
        connection,
        f"SELECT i.group_id, COUNT(DISTINCT i.contact_id){_KEPT} AND i.group_id IN {{in}}"
        " GROUP BY i.group_id",
        groups,
        now,
        True,
    )
    return {row[0]: int(row[1]) for row in rows}


def concerns(
    tx: Tx, contact: int, groups: Collection[int], *, now: int
) -> tuple[set[int], set[int]]:
    """Of these groups, those the contact is in, and those an open invitation asks them into."""
    inside = fetch_in(
        tx.connection,
        "SELECT group_id FROM member WHERE contact_id = ? AND left_at IS NULL AND group_id IN {in}",
        groups,
        contact,
    )
    invited = fetch_in(
        tx.connection,
        f"SELECT i.group_id{_KEPT} AND i.contact_id = ? AND i.group_id IN {{in}}",
        groups,
        now,
        True,
        contact,
    )
    return {row[0] for row in inside}, {row[0] for row in invited}


def keep_place(tx: Tx, *, id: int, group: int, contact: int, now: int) -> None:
    """Keep a place; `id` is what the outbox row of the invitation will have."""
    insert_rows(
        tx.connection,
        Invitation,
        ("id", "group_id", "contact_id", "at", "expires_at", "by_hand"),
        [(id, group, contact, now, now + VALID, False)],
    )


def joined(tx: Tx, group: int, contacts: Collection[int] | None, *, now: int) -> None:
    """Settle invitations of those who came: all members of the group where `contacts` is None.

    Who is inside was surely invited: an invitation of which nobody knew is settled by it.
    """
    rows = fetch(
        tx.connection,
        "SELECT i.id, i.contact_id FROM invitation i JOIN member m ON m.group_id = i.group_id"
        " AND m.contact_id = i.contact_id AND m.left_at IS NULL"
        " WHERE i.group_id = ? AND i.joined_at IS NULL",
        group,
    )
    came = [row[0] for row in rows if contacts is None or row[1] in contacts]
    run_rows(
        tx.connection, "UPDATE invitation SET joined_at = ? WHERE id = ?", [(now, i) for i in came]
    )
    run_rows(
        tx.connection,
        "UPDATE outbox SET state = 'sent', reason = '', sent_at = COALESCE(sent_at, ?)"
        " WHERE id = ? AND state IN ('sending', 'unknown')",
        [(now, i) for i in came],
    )


def by_hand(tx: Tx, ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Leave invitations to an operator; returns (contact's name, group's name) of each."""
    rows = fetch_in(
        tx.connection,
        "SELECT i.id, COALESCE(NULLIF(contact.alias, ''), contact.name), room.name"
        " FROM invitation i JOIN contact ON contact.id = i.contact_id"
        " JOIN room ON room.id = i.group_id WHERE i.id IN {in}",
        ids,
    )
    run_rows(
        tx.connection,
        "UPDATE invitation SET by_hand = ? WHERE id = ?",
        [(True, row[0]) for row in rows],
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def pointless(tx: Tx, ids: Collection[int]) -> dict[int, str]:
    """Invitations that are not to be sent any more, and why."""
    rows = fetch_in(
        tx.connection,
        "SELECT i.id, i.contact_id, room.gone, m.group_id FROM invitation i"
        " JOIN room ON room.id = i.group_id"
        " LEFT JOIN member m ON m.group_id = i.group_id AND m.contact_id = i.contact_id"
        " AND m.left_at IS NULL WHERE i.id IN {in}",
        ids,
    )
    out = {}
    for id_, contact, gone, inside in rows:
        if gone:
            out[id_] = "机器人已经不在这个群里"
        elif inside is not None:
            out[id_] = "TA 自己已经进群了"
        elif why := barred(tx, contact):
            out[id_] = why
    return out


def barred(tx: Tx, contact: int) -> str:
    """Why somebody is on the blacklist; empty when they are not."""
    rows = fetch(
        tx.connection,
        "SELECT b.because FROM blacklisted b JOIN contact ON contact.external_id = b.external_id"
        " WHERE contact.id = ?",
        contact,
    )
    return f"TA 在黑名单里：{rows[0][0]}" if rows else ""


def say_once(tx: Tx, what: str, subject: int, *, span: int, now: int) -> bool:
    """Whether something is to be said about the subject; then not again for `span` ms."""
    told = fetch(
        tx.connection,
        "SELECT 1 FROM cooldown WHERE rule = ? AND subject_id = ? AND until > ? AND until <= ?",
        what,
        subject,
        now,
        now + span,
    )
    if not told:
        insert_rows(
            tx.connection,
            Cooldown,
            ("rule", "subject_id", "until"),
            [(what, subject, now + span)],
            extra="ON CONFLICT (rule, subject_id) DO UPDATE SET until = excluded.until",
        )
    return not told


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation, for telling what became of it."""

    id: int
    group_id: int
    group: str
    contact_id: int
    contact: str
    at: int
    expires_at: int
    joined_at: int | None
    by_hand: bool
    state: str  # of the outbox row

    @property
    def open(self) -> bool:
        """Whether it may still be, or might have been, accepted."""
        return self.joined_at is None and (self.by_hand or self.state not in ("failed", "dropped"))


def invitations_of(connection: Connection, subject: int) -> list[Invited]:
    """Every invitation of a contact, or into a group, oldest first."""
    rows = fetch(
        connection,
        "SELECT i.id, i.group_id, room.name, i.contact_id, contact.name, i.at, i.expires_at,"
        " i.joined_at, i.by_hand, COALESCE(o.state, '') FROM invitation i"
        " JOIN room ON room.id = i.group_id JOIN contact ON contact.id = i.contact_id"
        " LEFT JOIN outbox o ON o.id = i.id WHERE i.contact_id = ? OR i.group_id = ?"
        " ORDER BY i.id",
        subject,
        subject,
    )
    fields = tuple(Invited.__dataclass_fields__)
    return [Invited(**dict(zip(fields, row, strict=True))) for row in rows]
