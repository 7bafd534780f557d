"""SIGKILL while an old database becomes a new one: it is either, whole, with all its rows.

A kill is proven to fall inside the upgrade: the process is frozen first, and only then is it looked
whether somebody holds a writing transaction on a database that is still of the old version. Nobody
else writes to it, and the frozen one cannot commit any more.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import MetaData, create_engine, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from storage.migrate import upgrade
from storage.store import Store, _make_engine
from tests.conftest import empty
from tests.crash.shop import SEED, MortalShop, share, until
from tests.e2e.siyu import Running
from tests.gateway.gateway import Gateway, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

ROWS = 20_000
OLDEST = "0001"
# A lock that only a transaction holds which changes the schema's tables or rows, none that reads.
WRITES = """
    SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND l.granted AND l.mode <> 'AccessShareLock')
"""
BLANK = {"INTEGER": 0, "BIGINT": 0, "BOOLEAN": False}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A folder, and a storage without tables."""
    if request.param == "postgres":
        return tmp_path / "shop", str(request.getfixturevalue("bare_postgres"))
    return tmp_path / "shop", f"sqlite:///{tmp_path / 'siyu.db'}"


def _empty(url: str) -> None:
    if url.startswith("postgresql"):
        empty(url)
        return
    for end in ("", "-wal", "-shm"):
        Path(str(make_url(url).database) + end).unlink(missing_ok=True)


def _fill(url: str) -> None:
    """An account of the oldest version: contacts, and a message waiting for each."""
    engine = _make_engine(make_url(url))
    upgrade(engine, to=OLDEST)
    with engine.begin() as connection:
        meta = MetaData()
        meta.reflect(connection)
        people = [{"id": n, "account_id": 1, "external_id": f"p{n}", "name": f"人{n}"}
                  for n in range(2, ROWS)]  # fmt: skip
        box = [{"id": ROWS + n, "conversation_id": n, "account_id": 1, "text": f"说{n}",
                "state": "queued", "kind": "text", "purpose": "reply"}
               for n in range(2, ROWS)]  # fmt: skip
        account = [{"id": 1, "channel": "wechaty", "external_id": "bot", "state": "login"}]
        for name, rows in (("account", account), ("contact", people), ("outbox", box)):
            table = meta.tables[name]
            blank = {c.name: BLANK.get(str(c.type), "") for c in table.columns if not c.nullable}
            connection.execute(table.insert(), [blank | row for row in rows])
        connection.execute(meta.tables["counter"].insert(), [{"name": "id", "next": 2 * ROWS}])
    engine.dispose()


def _version(url: str) -> str:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        return str(found.scalar_one())


def _upgrading(url: str) -> bool:
    """Whether somebody holds a writing transaction on a database of the oldest version."""
    try:
        return _written(url) and _version(url) == OLDEST
    except OperationalError as error:  # SQLite lets nobody in while a file is opened or closed
        assert "locked" in str(error)
        return False


def _begun(url: str) -> bool:
    """Whether the upgrade is under way, or over already: it may be shorter than a look."""
    return _upgrading(url) or _version(url) != OLDEST


def _written(url: str) -> bool:
    if url.startswith("postgresql"):
        with create_engine(url, poolclass=NullPool).connect() as connection:
            return bool(connection.exec_driver_sql(WRITES).scalar_one())
    with closing(sqlite3.connect(str(make_url(url).database), timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            assert "locked" in str(error)
            return True
        connection.rollback()
        return False


async def _upgrade_once(shop: MortalShop, url: str) -> float:
    """How long an upgrade holds its transaction that nobody disturbs, in seconds."""
    _fill(url)
    with Running(shop) as running:
        await until(lambda: _begun(url))
        began = time.monotonic()
        await until(lambda: _version(url) != OLDEST)
        took = time.monotonic() - began
        running.kill()
    return took


async def test_killed_while_it_upgrades(place: tuple[Path, str]) -> None:
    root, url = place
    chance = random.Random(f"{SEED}/upgrade")  # noqa: S311 - to be repeated
    nowhere = Gateway()
    shop = MortalShop(root, nowhere, url, endpoint=f"127.0.0.1:{free_port()}")
    found: Counter[str] = Counter()
    took = await _upgrade_once(shop, url)
    newest = _version(url)
    for n in range(share(0.1)):
        _empty(url)
        _fill(url)
        with Running(shop) as running:
            await until(lambda: _begun(url))
            await asyncio.sleep(chance.uniform(0, took) if n else 0)
            running.freeze()
            inside = _upgrading(url)
            running.kill()
        version = _version(url)
        assert version in (OLDEST, newest), "left half done"
        # A commit may have been on its way already: only what was then undone was inside.
        found["after" if version == newest else "inside" if inside else "beside"] += 1
        Store(url).close()
        assert _version(url) == newest
        _kept(shop)
    assert found["inside"], "no kill fell inside an upgrade"
    where = ", ".join(f"{count} {what}" for what, count in sorted(found.items()))
    print(f"upgrade on {url.partition(':')[0]} ({took:.2f} s): {found.total()} kills, {where} it")  # noqa: T201


def _kept(shop: MortalShop) -> None:
    people = shop.rows("SELECT id, external_id, name FROM contact ORDER BY id")
    assert people == [(n, f"p{n}", f"人{n}") for n in range(2, ROWS)]
    box = shop.rows("SELECT conversation_id, text, state FROM outbox ORDER BY id")
    assert box == [(n, f"说{n}", "queued") for n in range(2, ROWS)]
