"""Audiences over a large shop, started from the rarest part, beside the same SQL freely planned.

Five tags and ten events a contact. `SIYU_BENCH_CONTACTS=1000000 python -m bench audiences` for
another size; the query plans go to the error stream. Both ways find the same people, or it fails.
Times are of the CPU, so that other work on the machine counts less.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection

from bench import Row
from sop.conditions import Condition
from sop.times import DAY
from storage.audiences import members, plan_of
from storage.conditions import clause_of
from storage.sql import fetch, insert_rows
from storage.store import Store, Tx
from storage.tables import Contact, Event, Tag, Tagging

CONTACTS = int(os.environ.get("SIYU_BENCH_CONTACTS", "200000"))
NOW = 1_000 * DAY
CHUNK = 20_000
ROUNDS = 3
SHARES = {"大": 0.5, "中": 0.1, "小": 0.01, "微": 0.0005, "购": 0.3}  # of the contacts
FIRST_TAG, FIRST_EVENT = 1, 1_000_000_000
LATELY: list[Any] = [
    {"not": {"tag": "购"}},
    {"last_message": {"within": "30d"}},
    {"count": {"of": "message", "within": "30d", "at_least": 3}},
]
AUDIENCES: dict[str, Any] = {
    "large tag (50 %), not another, lately, 3 messages": {"all": [{"tag": "大"}, *LATELY]},
    "middle tag (10 %), the same": {"all": [{"tag": "中"}, *LATELY]},
    "small tag (1 %), the same": {"all": [{"tag": "小"}, *LATELY]},
    "rare tag (0.05 %) beside a large one": {"all": [{"tag": "大"}, {"tag": "微"}, *LATELY]},
    "small tag, spent 100 in 90 days": {
        "all": [{"tag": "小"}, {"spent": {"at_least": 100, "within": "90d"}}]
    },
    "no tag at all: silent for 60 days": {"last_message": {"before": "60d"}},
}
ASK: TypeAdapter[Any] = TypeAdapter(Condition)


def _taggings(dice: random.Random) -> Iterator[tuple[int, int, str, int]]:
    named = list(SHARES.values())
    for contact in range(1, CONTACTS + 1):
        mine = {FIRST_TAG + n for n, share in enumerate(named) if dice.random() < share}
        while len(mine) < 5:
            mine.add(FIRST_TAG + len(named) + dice.randrange(50))
        yield from ((contact, tag, "", 0) for tag in mine)


def _events(dice: random.Random) -> Iterator[tuple[Any, ...]]:
    for n in range(CONTACTS * 10):
        at = NOW - int(dice.random() ** 2 * 180 * DAY)
        order = dice.random() < 0.05
        yield (
            FIRST_EVENT + n, 1, "order" if order else "message", at, at,
            1 + dice.randrange(CONTACTS), "", "", False, 5_000 if order else None,
        )  # fmt: skip


def _chunks(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    chunk: list[tuple[Any, ...]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    yield chunk


def _fill(store: Store) -> None:
    dice = random.Random(7)  # noqa: S311 - a fixed seed for comparable runs
    contacts = (
        (n, 1, f"wxid_{n}", f"人{n}", "", True, "成长期", 0, None) for n in range(1, CONTACTS + 1)
    )
    tags = [*SHARES, *(f"闲{n}" for n in range(50))]
    kinds: list[tuple[Any, tuple[str, ...], Iterator[tuple[Any, ...]]]] = [
        (Tag, ("id", "name"), ((FIRST_TAG + n, name) for n, name in enumerate(tags))),
        (Contact, ("id", "account_id", "external_id", "name", "alias", "friend", "stage",
                   "first_seen_at", "last_message_at"), contacts),
        (Tagging, ("subject_id", "tag_id", "source", "at"), _taggings(dice)),
        (Event, ("id", "account_id", "kind", "at", "recorded_at", "contact_id", "type", "text",
                 "from_self", "amount"), _events(dice)),
    ]  # fmt: skip
    for model, columns, rows in kinds:
        for chunk in _chunks(rows):

            def insert(
                tx: Tx, chunk: Any = chunk, model: Any = model, names: Any = columns
            ) -> None:
                insert_rows(tx.connection, model, names, chunk)

            store.write(insert)
    store.write(
        lambda tx: fetch(
            tx.connection,
            "UPDATE contact SET last_message_at = (SELECT MAX(at) FROM event"
            " WHERE contact_id = contact.id AND kind = 'message')",
        )
    )
    store.write(lambda tx: fetch(tx.connection, "ANALYZE"))  # the plain way gets its best chance


def _plain(connection: Connection, condition: Any) -> list[int]:
    clause = clause_of(connection, condition)
    sql = f"SELECT id FROM contact WHERE account_id = ? AND friend AND {clause.sql} ORDER BY id"  # noqa: S608
    return [row[0] for row in fetch(connection, sql, 1, *clause.params(NOW))]


def _best(work: Any) -> tuple[float, Any]:
    best, found = float("inf"), None
    for _ in range(ROUNDS):
        start = process_time()
        found = work()
        best = min(best, process_time() - start)
    return best * 1000, found


def _row(connection: Connection, name: str, condition: Any) -> Row:
    ours, found = _best(lambda: members(connection, condition, account=1, now=NOW))
    plain, expected = _best(lambda: _plain(connection, condition))
    assert found == expected
    plan = plan_of(connection, condition, account=1, now=NOW)
    sql = f"EXPLAIN QUERY PLAN SELECT contact.id FROM {plan.source} WHERE {plan.where}"  # noqa: S608
    print(f"  {name}", file=sys.stderr)
    for step in fetch(connection, sql, *plan.params):
        print(f"    {step[3]}", file=sys.stderr)
    remark = f"{len(found):,} people; freely planned {plain:,.0f} ms, {plain / ours:.1f} x"
    return (name, f"{ours:,.0f} ms", remark)


def main() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="siyu-bench-") as folder:
        store = Store("sqlite:///shop.db", root=Path(folder), scratch=True)
        try:
            _fill(store)
            with store.read() as connection:
                return [
                    _row(connection, f"{CONTACTS:,}: {name}", ASK.validate_python(written))
                    for name, written in AUDIENCES.items()
                ]
        finally:
            store.close()
