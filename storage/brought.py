"""Who brought whom, counted from joins, and who of them left too soon."""

from __future__ import annotations

from dataclasses import dataclass

from storage.sql import fetch, insert_rows, run_rows
from storage.store import Tx
from storage.tables_points import Brought, Rewarded

COMMUNITY = 0  # as a scope: all groups that count together


@dataclass(frozen=True, slots=True)
class Invited:
    """One invitation that counts."""

    id: int
    inviter_id: int
    invitee_id: int
    group_id: int
    scope: int
    at: int
    until: int


def was_invited(tx: Tx, invitee: int, scope: int) -> bool:
    """Whether somebody's invitation was recorded in this scope, whatever became of it."""
    return bool(
        fetch(
            tx.connection,
            "SELECT 1 FROM brought WHERE invitee_id = ? AND scope = ?",
            invitee,
            scope,
        )
    )


def record_invitation(tx: Tx, account: int, invited: Invited) -> None:
    """Record an invitation that counts."""
    insert_rows(
        tx.connection,
        Brought,
        ("id", "account_id", "inviter_id", "invitee_id", "group_id", "scope", "at", "until",
         "state"),
        [(invited.id, account, invited.inviter_id, invited.invitee_id, invited.group_id,
          invited.scope, invited.at, invited.until, "counted")],
    )  # fmt: skip


def open_invitations(tx: Tx, invitee: int, *, at: int) -> list[Invited]:
    """The invitations of somebody that would be lost by leaving at `at`."""
    rows = fetch(
        tx.connection,
        "SELECT id, inviter_id, invitee_id, group_id, scope, at, until FROM brought"
        " WHERE invitee_id = ? AND state = 'counted' AND until > ? ORDER BY id",
        invitee,
        at,
    )
    return [Invited(*row) for row in rows]


def unnoticed(tx: Tx, account: int, *, since: int, limit: int) -> list[tuple[Invited, int]]:
    """Invited people who have left too soon without anybody saying so, and when they were missed.

    Rosters tell who is gone, but not that they went. Those whose time ended before `since` (ms UTC)
    were looked at often enough.
    """
    rows = fetch(
        tx.connection,
        "SELECT i.id, i.inviter_id, i.invitee_id, i.group_id, i.scope, i.at, i.until, m.left_at"
        " FROM brought i JOIN member m ON m.group_id = i.group_id"
        " AND m.contact_id = i.invitee_id WHERE i.account_id = ? AND i.state = 'counted'"
        " AND i.until > ? AND m.left_at >= i.at AND m.left_at < i.until"
        " ORDER BY i.id LIMIT ?",
        account,
        since,
        limit,
    )
    return [(Invited(*row[:7]), row[7]) for row in rows]


def take_back(tx: Tx, invitation: int, *, at: int) -> None:
    """Record that the invited left too soon; the row stays, so that nobody counts twice."""
    run_rows(
        tx.connection,
        "UPDATE brought SET state = 'left', left_at = ? WHERE id = ?",
        [(at, invitation)],
    )


def memberships(tx: Tx, contact: int) -> dict[int, int | None]:
    """The groups a contact is or was in, and when they left; None while they are in it."""
    rows = fetch(
        tx.connection,
        "SELECT group_id, left_at FROM member WHERE contact_id = ?",
        contact,
    )
    return {row[0]: row[1] for row in rows}


def newly_rewarded(tx: Tx, contact: int, at_least: int, *, now: int) -> bool:
    """Record the reward of a threshold; False when the contact had it before."""
    sql = "SELECT 1 FROM rewarded WHERE contact_id = ? AND at_least = ?"
    if fetch(tx.connection, sql, contact, at_least):
        return False
    insert_rows(
        tx.connection, Rewarded, ("contact_id", "at_least", "at"), [(contact, at_least, now)]
    )
    return True
