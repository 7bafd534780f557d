"""PostgreSQL learns of fast growth from us."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from storage.sql import fetch
from storage.statistics import LEAST, keep_up
from storage.store import Store

pytestmark = pytest.mark.postgres
GROW = (
    "INSERT INTO tag (id, name) SELECT g, CAST(g AS TEXT)"
    " FROM generate_series(CAST(? AS INT), ?) g RETURNING 1"
)


def grown(store: Store, first: int, last: int) -> list[str]:
    """What is looked at once so many rows came."""

    def grow(connection: Connection) -> None:
        fetch(connection, GROW, first, last)
        fetch(connection, "SELECT pg_stat_force_next_flush()")  # else it counts a second later

    store.aside(grow)
    return store.aside(keep_up)


def test_a_table_that_outgrew_its_statistics_is_looked_at(bare_postgres: str) -> None:
    store = Store(bare_postgres)
    assert grown(store, 1, 10 * LEAST) == ["tag"]
    with store.read() as connection:
        known = fetch(
            connection,
            "SELECT reltuples FROM pg_class WHERE relname = 'tag'"
            " AND relnamespace = CAST(current_schema() AS regnamespace)",
        )
    assert known[0][0] == 10 * LEAST
    assert grown(store, 10 * LEAST + 1, 10 * LEAST + 10) == []
    store.close()
