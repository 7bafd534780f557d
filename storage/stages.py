"""Lifecycle stages: who belongs to which one now, decided in SQL for everyone at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sop.conditions import Condition
from storage.conditions import clause_of
from storage.sql import fetch, in_list, run_rows
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

    Looks at `contacts` of the account, or at everybody; moves at most `limit` and returns them.
    """
    if not stages or (contacts is not None and not contacts):
        return []
    sql, params = _stage_sql(tx, stages, now)
    where, asked = "account_id = ?", list[object]([account])
    if contacts is not None:  # with the account beside them, SQLite reads all of its contacts
        marks, held = in_list(list(contacts))
        where, asked = f"id IN {marks}", [*held]
    rows = fetch(
        tx.connection,
        f"WITH seen AS MATERIALIZED (SELECT id, stage, {sql} AS now_in FROM contact WHERE {where})"  # noqa: S608
        " SELECT id, stage, now_in FROM seen WHERE stage <> now_in ORDER BY id LIMIT ?",
        *params,
        *asked,
        limit,
    )
    run_rows(
        tx.connection, "UPDATE contact SET stage = ? WHERE id = ?", [(r[2], r[0]) for r in rows]
    )
    return [StageMove(*row) for row in rows]


def _stage_sql(tx: Tx, stages: Mapping[str, Condition], now: int) -> tuple[str, list[object]]:
    """A CASE of all stages' conditions: the first that holds decides."""
    arms, params = list[str](), list[object]()
    for name, condition in stages.items():
        clause = clause_of(tx.connection, condition)
        arms.append(f"WHEN {clause.sql} THEN ?")
        params += [*clause.params(now), name]
    return f"CAST(CASE {' '.join(arms)} ELSE ? END AS TEXT)", [*params, FIRST_STAGE]
