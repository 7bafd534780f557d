"""Imported rows against what is stored: who is meant, and what would change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from sop.importing import Who
from storage.people import clean_name
from storage.search import Found
from storage.sql import fetch, fetch_in
from storage.staging import Order, PersonRow

SHOWN = 3
ORDER_ID = "import:"  # before an order's number, so that no gateway's id is taken for one
_COLUMN = {"number": "id", "gateway_id": "external_id", "alias": "alias", "name": "name"}
_CALLED = {
    "number": "编号是「{}」的",
    "gateway_id": "微信号是「{}」的",
    "alias": "备注是「{}」的",
    "name": "叫「{}」的",
    "value": "「{by}」是「{}」的",
}


@dataclass(frozen=True, slots=True)
class Identified:
    """Who somebody is, or why nobody knows; `fresh`: not known, and may be created."""

    who: Who
    contact: int | None = None
    external: str = ""
    trouble: str = ""
    fresh: bool = False


def identify(
    connection: Connection, account: int, asked: Sequence[Who], *, by: str, create: bool
) -> list[Identified]:
    """Who each of them is: exactly one contact of the account, never a guess between two."""
    if not asked:
        return []
    how = asked[0].how
    found = _candidates(connection, account, how, asked, by)
    return [_identified(one, found.get(_key(one), []), by, create) for one in asked]


def _key(who: Who) -> str:
    return clean_name(who.what) if who.how in ("alias", "name") else who.what


def _candidates(
    connection: Connection, account: int, how: str, asked: Sequence[Who], by: str
) -> Mapping[str, list[Found]]:
    wanted: list[object] = [_key(one) for one in asked]
    if how == "number":
        wanted = [int(text) for text in map(str, wanted) if text.isdecimal() and len(text) <= 18]
    if how == "value":
        sql = (
            "SELECT a.value, c.id, c.name, c.alias, c.external_id FROM attribute a"
            " JOIN contact c ON c.id = a.subject_id WHERE c.account_id = ? AND a.key = ?"
            " AND a.value IN {in} ORDER BY c.id"
        )
        rows = fetch_in(connection, sql, wanted, account, by)
    else:
        sql = (
            f"SELECT {_COLUMN[how]}, id, name, alias, external_id FROM contact"  # noqa: S608
            f" WHERE account_id = ? AND {_COLUMN[how]} IN {{in}} ORDER BY id"
        )
        rows = fetch_in(connection, sql, wanted, account)
    out: dict[str, list[Found]] = defaultdict(list)
    for key, id_, name, alias, external in rows:
        out[str(key)].append(Found(id_, name, alias, external, False, account))
    return out


def _identified(who: Who, found: Sequence[Found], by: str, create: bool) -> Identified:
    called = _CALLED[who.how].format(who.what[:40], by=by)
    if len(found) == 1:
        return Identified(who, found[0].id, found[0].external_id)
    if found:
        shown = "、".join(one.label for one in found[:SHOWN])
        more = f"等 {len(found)} 个" if len(found) > SHOWN else ""
        return Identified(who, trouble=f"{called}不止一个：{shown}{more}")
    if create and who.how == "gateway_id":
        return Identified(who, external=who.what, fresh=True)
    return Identified(who, trouble=f"没有{called}联系人")


@dataclass(frozen=True, slots=True)
class Difference:
    """What a row about a person would change."""

    row: PersonRow
    tags: tuple[str, ...]
    values: tuple[tuple[str, str], ...]


def differences(connection: Connection, rows: Sequence[PersonRow], *, now: int) -> list[Difference]:
    """Of each row the tags and values that the person does not have yet."""
    ids = [row.contact for row in rows if row.contact is not None]
    tags: set[tuple[int, str]] = {
        (row[0], row[1])
        for row in fetch_in(
            connection,
            "SELECT tagging.subject_id, tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id"
            " WHERE (tagging.expires_at IS NULL OR tagging.expires_at > ?)"
            " AND tagging.subject_id IN {in}",
            ids,
            now,
        )
    }
    values: set[tuple[int, str, str]] = {
        (row[0], row[1], row[2])
        for row in fetch_in(
            connection, "SELECT subject_id, key, value FROM attribute WHERE subject_id IN {in}", ids
        )
    }
    return [
        Difference(
            row,
            tuple(tag for tag in row.tags if (row.contact, tag) not in tags),
            tuple((k, v) for k, v in row.values if (row.contact, k, v) not in values),
        )
        for row in rows
    ]


def known_orders(
    connection: Connection, account: int, orders: Sequence[Order]
) -> dict[str, int | None]:
    """What the orders came to that were imported before, by their keys."""
    rows = fetch_in(
        connection,
        "SELECT external_id, amount FROM event WHERE account_id = ? AND external_id IN {in}",
        [ORDER_ID + order.key for order in orders],
        account,
    )
    return {row[0].removeprefix(ORDER_ID): row[1] for row in rows}


def whose(connection: Connection, account: int, external_ids: Sequence[str]) -> dict[str, int]:
    """The contacts with these gateway ids."""
    rows = fetch_in(
        connection,
        "SELECT external_id, id FROM contact WHERE account_id = ? AND external_id IN {in}",
        external_ids,
        account,
    )
    return {row[0]: row[1] for row in rows}


def accounts_here(connection: Connection, channel: str) -> list[tuple[int, str]]:
    """The accounts of a channel, who was here last first: (id, gateway id)."""
    rows = fetch(
        connection,
        "SELECT id, external_id FROM account WHERE channel = ? ORDER BY state_at DESC, id",
        channel,
    )
    return [(row[0], row[1]) for row in rows]
