"""Removing somebody from a group: a row of the outbox like everything that leaves the account."""

from __future__ import annotations

from sop.messages import Remove
from sop.times import DAY
from storage.apply import Message
from storage.guarding import Act
from storage.store import Tx


def removal(tx: Tx, act: Act, *, because: str, now: int) -> Message:
    """The removal of an act's person. Its row's id is known before it is written."""
    return Message(
        bodies=(Remove(contact_id=act.external_id, name=act.name),),
        conversation_id=act.group_id,
        in_group=True,
        purpose="notice",
        source=f"guard:{act.id}",
        because=because,
        expires_at=now + DAY,
        ids=(tx.new_id(),),
    )
