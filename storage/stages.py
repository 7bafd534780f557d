"""Lifecycle stages: who belongs to which one now, decided in SQL for everyone at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import case, select

from sop.conditions import Condition
from storage.conditions import CONTACT, compiled
from storage.sql import run_rows
from storage.store import Tx

FIRST_STAGE = "引入期"


@dataclass(frozen=True, slots=True)
class StageMove:
    """A contact that moved from one stage to another."""

    contact_id: int
    before: str
    after: str


def move_stages(
    tx: Tx,
    account: int,
    stages: Mapping[str, Condition],
    *,
    now: int,
    contacts: Collection[int] | None = None,
    limit: int = 500,
) -> list[StageMove]:
    """Move contacts to the first stage whose condition holds, else to 引入期.

    Looks at `contacts`, or at everybody; moves at most `limit` and returns them.
    """
    if not stages or (contacts is not None and not contacts):
        return []
    ways = [(compiled(condition, now=now), name) for name, condition in stages.items()]
    now_in = case(*ways, else_=FIRST_STAGE)
    query = select(CONTACT.c.id, CONTACT.c.stage, now_in).where(
        CONTACT.c.account_id == account, CONTACT.c.stage != now_in
    )
    if contacts is not None:
        query = query.where(CONTACT.c.id.in_(list(contacts)))
    rows = tx.connection.execute(query.order_by(CONTACT.c.id).limit(limit)).all()
    run_rows(
        tx.connection, "UPDATE contact SET stage = ? WHERE id = ?", [(r[2], r[0]) for r in rows]
    )
    return [StageMove(*row) for row in rows]
