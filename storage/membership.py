"""Members on their walks: who still is one, who is a friend, what was to be said to them."""

from __future__ import annotations

from collections.abc import Collection

from storage.sql import fetch, fetch_in, run_rows
from storage.store import Tx


def drop_mentions(tx: Tx, walks: Collection[tuple[int, int]], reason: str) -> None:
    """Drop what members' walks still had to say in their groups: (group id, walk id) each."""
    run_rows(
        tx.connection,
        "UPDATE outbox SET state = 'dropped', reason = ? WHERE state = 'queued'"
        " AND purpose = 'touch' AND conversation_id = ? AND event_id = ?",
        [(reason, group, walk) for group, walk in walks],
    )


def friends(tx: Tx, contacts: Collection[int]) -> set[int]:
    """Which of the contacts are surely friends."""
    sql = "SELECT id FROM contact WHERE friend = ? AND id IN {in}"
    return {row[0] for row in fetch_in(tx.connection, sql, contacts, True)}


def absent(tx: Tx, members: Collection[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """Of these (contact id, group id) pairs, those that are no members any more, and why."""
    groups = {group for _, group in members}
    names = {
        row[0]: row[1:]
        for row in fetch_in(
            tx.connection, "SELECT id, name, gone FROM room WHERE id IN {in}", groups
        )
    }
    here = {
        (row[0], row[1])
        for group in groups
        for row in fetch_in(
            tx.connection,
            "SELECT contact_id, group_id FROM member WHERE left_at IS NULL AND group_id = ?"
            " AND contact_id IN {in}",
            {contact for contact, of in members if of == group},
            group,
        )
    }
    out = {}
    for contact, group in members:
        name, gone = names.get(group, ("", True))
        if gone:
            out[contact, group] = "机器人已经不在这个群里"
        elif (contact, group) not in here:
            out[contact, group] = f"TA 已经不在群「{name}」里"
    return out


def groups_with(tx: Tx, contact: int) -> list[int]:
    """The groups a contact is in, and the bot as well."""
    rows = fetch(
        tx.connection,
        "SELECT member.group_id FROM member JOIN room ON room.id = member.group_id"
        " WHERE member.contact_id = ? AND member.left_at IS NULL AND room.gone = ? ORDER BY 1",
        contact,
        False,
    )
    return [row[0] for row in rows]
