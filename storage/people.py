"""Accounts, contacts, groups and members, as the gateway describes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sop.events import Person, Room
from storage.sql import fetch, fetch_in, insert_rows, run_rows
from storage.store import Tx
from storage.tables import Account, Contact, Group, Member

_NAME_CAP = 128  # WeChat's own limit is 32 characters; gateways do not enforce it
# Control, zero-width and direction characters; the joiner U+200D stays, family emoji need it.
_CONTROL = dict.fromkeys(
    c
    for low, high in (
        (0, 0x1F), (0x7F, 0x9F), (0x200B, 0x200C), (0x200E, 0x200F), (0x202A, 0x202E),
        (0x2060, 0x2060), (0x2066, 0x2069), (0xFEFF, 0xFEFF),
    )
    for c in range(low, high + 1)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KnownContact:
    """A contact's row, as far as the hot path needs it."""

    id: int
    external_id: str
    name: str
    alias: str
    friend: bool | None
    friend_at: int | None


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """A group's row, as far as the hot path needs it."""

    id: int
    external_id: str
    name: str
    kind: str


def clean_name(name: str) -> str:
    """A name without control, zero-width and direction characters, bounded in length."""
    return name.translate(_CONTROL).strip()[:_NAME_CAP]


def account_id(tx: Tx, *, channel: str, external_id: str, name: str, now: int) -> int:
    """The id of an account, created at its first login."""
    rows = fetch(
        tx.connection,
        "SELECT id FROM account WHERE channel = ? AND external_id = ?",
        channel,
        external_id,
    )
    if rows:
        run_rows(
            tx.connection,
            "UPDATE account SET name = ?, state = 'login', state_at = ?,"
            " first_login_at = COALESCE(first_login_at, ?) WHERE id = ?",
            [(clean_name(name), now, now, rows[0][0])],
        )
        return int(rows[0][0])
    new = tx.new_id()
    columns = (
        "id",
        "channel",
        "external_id",
        "name",
        "state",
        "state_at",
        "failures",
        "opened",
        "circuit_because",
        "first_login_at",
        "care_because",
    )
    insert_rows(
        tx.connection,
        Account,
        columns,
        [(new, channel, external_id, clean_name(name), "login", now, 0, 0, "", now, "")],
    )
    return new


def account_external_id(tx: Tx, account: int) -> str:
    """The gateway's id of an account."""
    rows = fetch(tx.connection, "SELECT external_id FROM account WHERE id = ?", account)
    return str(rows[0][0])


def last_account(tx: Tx, channel: str) -> tuple[int, str] | None:
    """Id and external id of the account of this channel that was here last."""
    rows = fetch(
        tx.connection,
        "SELECT id, external_id FROM account WHERE channel = ?"
        " ORDER BY state_at DESC, CASE WHEN state = 'login' THEN 0 ELSE 1 END LIMIT 1",
        channel,
    )
    return (rows[0][0], rows[0][1]) if rows else None


def account_ids(connection: Connection) -> list[int]:
    """Every account that ever logged in here."""
    return [row[0] for row in fetch(connection, "SELECT id FROM account ORDER BY id")]


def set_account_state(tx: Tx, account: int, state: str, *, now: int) -> str:
    """Record that an account is `login`, `logout` or `offline` since `now`; what it was before."""
    before = fetch(tx.connection, "SELECT state FROM account WHERE id = ?", account)[0][0]
    run_rows(
        tx.connection,
        "UPDATE account SET state = ?, state_at = ? WHERE id = ?",
        [(state, now, account)],
    )
    return str(before)


def upsert_contacts(
    tx: Tx, account: int, people: Iterable[Person], *, now: int, trust_friend: bool = True
) -> dict[str, KnownContact]:
    """Create or refresh contacts; returns them by external id.

    An empty name or alias, and a friend of None, mean that the gateway did not say: what is known
    stays. With `trust_friend` False the friend flag of known contacts stays too.
    """
    latest = {person.external_id: person for person in people}
    known = contacts_by_external(tx, account, latest)
    fresh: list[KnownContact] = []
    changed: list[KnownContact] = []
    for external_id, person in latest.items():
        old = known.get(external_id)
        if old is None:
            row = KnownContact(
                tx.new_id(),
                external_id,
                clean_name(person.name),
                clean_name(person.alias),
                person.friend,
                None,
            )
            fresh.append(row)
        else:
            row = _refreshed(old, person, trust_friend)
            if row != old:
                changed.append(row)
        known[external_id] = row
    _write_contacts(tx, account, fresh, changed, now)
    return known


def contacts_by_external(
    tx: Tx, account: int, external_ids: Iterable[str]
) -> dict[str, KnownContact]:
    """Known contacts of the account among these external ids."""
    rows = fetch_in(
        tx.connection,
        "SELECT id, external_id, name, alias, friend, friend_at FROM contact"
        " WHERE account_id = ? AND external_id IN {in}",
        list(external_ids),
        account,
    )
    return {
        row[1]: KnownContact(
            row[0], row[1], row[2], row[3], None if row[4] is None else bool(row[4]), row[5]
        )
        for row in rows
    }


def set_friend(tx: Tx, contacts: Sequence[int], *, friend: bool, now: int) -> None:
    """Record that contacts became friends, or no longer are."""
    run_rows(
        tx.connection,
        "UPDATE contact SET friend = ?, friend_at = ? WHERE id = ?",
        [(friend, now if friend else None, contact) for contact in contacts],
    )


def upsert_groups(
    tx: Tx, account: int, rooms: Iterable[Room], *, now: int
) -> tuple[dict[str, KnownGroup], list[KnownGroup]]:
    """Create or refresh groups; returns them by external id, and those that are new or renamed."""
    latest = {room.external_id: room for room in rooms}
    rows = fetch_in(
        tx.connection,
        "SELECT id, external_id, name, kind, gone OR missing_at IS NOT NULL, owner_external_id"
        " FROM room"
        " WHERE account_id = ? AND external_id IN {in}",
        list(latest),
        account,
    )
    known = {row[1]: KnownGroup(row[0], row[1], row[2], row[3]) for row in rows}
    gone = {row[1] for row in rows if row[4]}
    owners = {row[1]: row[5] for row in rows}
    named: list[KnownGroup] = []
    for external_id, room in latest.items():
        old, topic = known.get(external_id), clean_name(room.topic)
        if old is None:
            group = KnownGroup(tx.new_id(), external_id, topic, "")
            _write_group(tx, account, group, owner=room.owner_id, now=now)
        elif (topic and topic != old.name) or external_id in gone:
            group = KnownGroup(old.id, external_id, topic or old.name, old.kind)
            run_rows(
                tx.connection,
                "UPDATE room SET name = ?, gone = ?, missing_at = NULL WHERE id = ?",
                [(group.name, False, group.id)],
            )
        else:
            continue
        known[external_id] = group
        named.append(group)
    # An event tells a group's name alone; only what the gateway says of its owner is believed.
    handed = [
        (room.owner_id, known[room.external_id].id)
        for room in latest.values()
        if room.owner_id and room.owner_id != owners.get(room.external_id, room.owner_id)
    ]
    run_rows(tx.connection, "UPDATE room SET owner_external_id = ? WHERE id = ?", handed)
    return known, named


def _write_group(tx: Tx, account: int, group: KnownGroup, *, owner: str, now: int) -> None:
    columns = ("id", "account_id", "external_id", "name", "kind", "owner_external_id", "gone",
               "first_seen_at")  # fmt: skip
    row = (group.id, account, group.external_id, group.name, "", owner, False, now)
    insert_rows(tx.connection, Group, columns, [row])


def all_groups(tx: Tx, account: int) -> list[KnownGroup]:
    """Every group the account is in."""
    rows = fetch(
        tx.connection,
        "SELECT id, external_id, name, kind FROM room WHERE account_id = ? AND gone = ?"
        " ORDER BY id",
        account,
        False,
    )
    return [KnownGroup(*row) for row in rows]


def set_group_kind(tx: Tx, group: int, kind: str) -> None:
    """Record what a group is for (线索, 转化, 服务)."""
    run_rows(tx.connection, "UPDATE room SET kind = ? WHERE id = ?", [(kind, group)])


def set_group_gone(tx: Tx, group: int) -> None:
    """Record that the bot is no longer in a group."""
    run_rows(tx.connection, "UPDATE room SET gone = ? WHERE id = ?", [(True, group)])


def join_members(
    tx: Tx, group: int, contacts: Sequence[int], *, joined_at: int | None, inviter: int | None
) -> None:
    """Record members of a group; `joined_at` None when they were there before the bot looked."""
    insert_rows(
        tx.connection,
        Member,
        ("group_id", "contact_id", "joined_at", "inviter_id", "messages"),
        [(group, contact, joined_at, inviter, 0) for contact in contacts],
        extra="ON CONFLICT (group_id, contact_id) DO UPDATE SET left_at = NULL,"
        " joined_at = COALESCE(excluded.joined_at, member.joined_at),"
        " inviter_id = COALESCE(excluded.inviter_id, member.inviter_id)",
    )


def leave_members(tx: Tx, group: int, contacts: Sequence[int], *, at: int) -> None:
    """Record that members left a group."""
    run_rows(
        tx.connection,
        "UPDATE member SET left_at = ? WHERE group_id = ? AND contact_id = ?",
        [(at, group, contact) for contact in contacts],
    )


def sync_members(tx: Tx, group: int, contacts: Sequence[int], *, now: int) -> None:
    """Make a group's members just these: who is missing has left while the bot was away."""
    before = {
        row[0]
        for row in fetch(
            tx.connection,
            "SELECT contact_id FROM member WHERE group_id = ? AND left_at IS NULL",
            group,
        )
    }
    join_members(tx, group, [c for c in contacts if c not in before], joined_at=None, inviter=None)
    leave_members(tx, group, sorted(before - set(contacts)), at=now)


def count_group_messages(tx: Tx, seen: Iterable[tuple[int, int, int]]) -> None:
    """Count messages of members: (group id, contact id, at) each."""
    insert_rows(
        tx.connection,
        Member,
        ("group_id", "contact_id", "messages", "last_seen_at"),
        [(group, contact, 1, at) for group, contact, at in seen],
        extra="ON CONFLICT (group_id, contact_id) DO UPDATE SET messages = member.messages + 1,"
        " last_seen_at = excluded.last_seen_at, left_at = NULL",
    )


def _refreshed(old: KnownContact, person: Person, trust_friend: bool) -> KnownContact:
    friend = person.friend if trust_friend and person.friend is not None else old.friend
    return KnownContact(
        old.id,
        old.external_id,
        clean_name(person.name) or old.name,
        clean_name(person.alias) or old.alias,
        friend,
        old.friend_at if friend else None,
    )


def _write_contacts(
    tx: Tx, account: int, fresh: list[KnownContact], changed: list[KnownContact], now: int
) -> None:
    columns = (
        "id",
        "account_id",
        "external_id",
        "name",
        "alias",
        "friend",
        "stage",
        "first_seen_at",
    )
    insert_rows(
        tx.connection,
        Contact,
        columns,
        [(c.id, account, c.external_id, c.name, c.alias, c.friend, "引入期", now) for c in fresh],
    )
    run_rows(
        tx.connection,
        "UPDATE contact SET name = ?, alias = ?, friend = ?, friend_at = ? WHERE id = ?",
        [(c.name, c.alias, c.friend, c.friend_at, c.id) for c in changed],
    )
