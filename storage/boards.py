"""Leaderboards: who is ahead, computed from the books at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sop.point_actions import BoardKind
from sop.scores import places
from storage.sql import fetch


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which board: of an account (None: of all), of a group's members, in which month (ms UTC).

    `without` are external ids of those who do not compete: the operators.
    """

    account_id: int | None
    month: tuple[int, int]
    now: int
    group_id: int | None = None
    without: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """Somebody on a board; equals share a place."""

    place: int
    contact_id: int
    name: str
    value: int


def board(connection: Connection, kind: BoardKind, asked: Asked, *, top: int) -> list[Placed]:
    """The first `top` of a board, and who shares the last of their places is cut by who is older.

    Nobody without a point is on it.
    """
    sql, params = _standing(kind, asked)
    rows = fetch(
        connection,
        f"SELECT contact.id, contact.name, s.value FROM ({sql}) s"  # noqa: S608
        f" JOIN contact ON contact.id = s.id WHERE {_competing(asked, params)}"
        " ORDER BY s.value DESC, contact.id LIMIT ?",
        *params,
        top,
    )
    ranks = places([row[2] for row in rows])
    return [Placed(n, r[0], r[1], int(r[2])) for n, r in zip(ranks, rows, strict=True)]


def month_of_one(
    connection: Connection, asked: Asked, contact: int, *, pending: int = 0
) -> tuple[int, int]:
    """Somebody's points of the month and their place among all; 0 for no place.

    `pending` are points of theirs that are not in the books yet.
    """
    sql, params = _standing("month", asked)
    rows = fetch(connection, f"SELECT value FROM ({sql}) s WHERE id = ?", *params, contact)  # noqa: S608
    value = pending + (int(rows[0][0]) if rows else 0)
    if value <= 0:
        return value, 0
    sql, params = _standing("month", asked)
    ahead = fetch(
        connection,
        f"SELECT COUNT(*) FROM ({sql}) s JOIN contact ON contact.id = s.id"  # noqa: S608
        f" WHERE {_competing(asked, params)} AND s.value > ? AND s.id <> ?",
        *params,
        value,
        contact,
    )
    return value, int(ahead[0][0]) + 1


def _standing(kind: BoardKind, asked: Asked) -> tuple[str, list[Any]]:
    mine = "1 = 1" if asked.account_id is None else "account_id = ?"
    account = [] if asked.account_id is None else [asked.account_id]
    match kind:
        case "month":
            return (
                f"SELECT contact_id AS id, SUM(amount) AS value FROM ledger WHERE {mine}"  # noqa: S608
                " AND at >= ? AND at < ? AND kind <> 'spend' GROUP BY contact_id",
                [*account, *asked.month],
            )
        case "total":
            return f"SELECT id, earned AS value FROM score WHERE {mine}", account  # noqa: S608
        case "invites":
            return f"SELECT id, invited AS value FROM score WHERE {mine}", account  # noqa: S608
        case "streak":
            sql = f"SELECT id, streak AS value FROM score WHERE {mine} AND streak_until > ?"  # noqa: S608
            return sql, [*account, asked.now]


def _competing(asked: Asked, params: list[Any]) -> str:
    """Who may be on the board; adds to the values of its `?`."""
    where = ["s.value > 0"]
    if asked.without:
        where.append(f"contact.external_id NOT IN ({', '.join('?' for _ in asked.without)})")
        params += asked.without
    if asked.group_id is not None:
        where.append(
            "contact.id IN (SELECT contact_id FROM member WHERE group_id = ? AND left_at IS NULL)"
        )
        params.append(asked.group_id)
    return " AND ".join(where)
