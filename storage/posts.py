"""SQL of Moments: who may see one, and what became of the message that carries it."""

from __future__ import annotations

import json

from sop.conditions import All, HasTag, IsFriend
from sop.messages import BODY, Moment
from storage.conditions import CONTACT, clause_of
from storage.sql import fetch
from storage.store import Tx


def people_with(tx: Tx, account: int, tags: tuple[str, ...], *, now: int) -> list[str]:
    """The gateway ids of the friends who carry one of the tags."""
    clause = clause_of(tx.connection, All(all=(IsFriend(friend=True), HasTag(tag=tags))))
    rows = fetch(
        tx.connection,
        f"SELECT external_id FROM {CONTACT.name} WHERE account_id = ? AND {clause.sql} ORDER BY id",  # noqa: S608
        account,
        *clause.params(now),
    )
    return [row[0] for row in rows]


def state_of(tx: Tx, outbox_id: int | None) -> tuple[str, Moment | None, str]:
    """The state of the message, the Moment it carries, and why it is in this state."""
    rows = fetch(tx.connection, "SELECT state, payload, reason FROM outbox WHERE id = ?", outbox_id)
    if not rows:
        return "", None, ""
    state, payload, reason = rows[0]
    body = BODY.validate_python(json.loads(payload) if isinstance(payload, str) else payload)
    return state, body if isinstance(body, Moment) else None, reason
