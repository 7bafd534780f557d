"""The one writer: ids, transactions, errors in plain words."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from sop.errors import StorageError
from sop.events import Person
from storage.counters import read_counter, set_counter
from storage.ids import BLOCK
from storage.people import account_id, upsert_contacts
from storage.sql import fetch, fetch_in
from storage.store import Store, Tx
from storage.trouble import trouble_of


def test_ids_are_unique_across_two_stores_on_one_database(url: str) -> None:
    one, two = Store(url), Store(url)

    def some(tx: Tx) -> list[int]:
        return [tx.new_id() for _ in range(BLOCK - 300)]

    ids = [id_ for _ in range(3) for store in (one, two) for id_ in store.write(some)]
    assert len(set(ids)) == len(ids)
    one.close()
    two.close()


def test_ids_of_a_transaction_that_failed_collide_with_none(url: str) -> None:
    store = Store(url)
    kept = [store.write(lambda tx: tx.new_id())]

    def fail(tx: Tx) -> None:
        for _ in range(BLOCK + 5):
            tx.new_id()
        raise RuntimeError

    for _ in range(3):
        with pytest.raises(RuntimeError):
            store.write(fail)
        kept.append(store.write(lambda tx: tx.new_id()))
    assert len(set(kept)) == len(kept)
    store.close()


def test_what_failed_leaves_nothing(url: str) -> None:
    store = Store(url)

    def fail(tx: Tx) -> None:
        account = account_id(tx, channel="c", external_id="me", name="", now=1)
        upsert_contacts(tx, account, [Person(external_id="amy")], now=1)
        set_counter(tx, "x", 5)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.write(fail)
    with store.read() as connection:
        assert fetch(connection, "SELECT * FROM account") == []
        assert fetch(connection, "SELECT * FROM contact") == []
    assert store.write(lambda tx: read_counter(tx, "x")) is None
    store.close()


async def test_every_write_runs_on_the_one_thread_in_order(url: str) -> None:
    store = Store(url)
    seen: list[tuple[int, str]] = []

    def note(n: int, tx: Tx) -> None:
        seen.append((n, threading.current_thread().name))

    await asyncio.gather(*(store.run(partial(note, n)) for n in range(50)))
    assert [n for n, _ in seen] == list(range(50))
    assert {name for _, name in seen} == {"siyu-writer_0"}
    store.close()


def test_readers_see_only_what_is_committed(url: str) -> None:
    store = Store(url)
    sql = "SELECT * FROM counter WHERE name = 'x'"

    def look_meanwhile(tx: Tx) -> int:
        set_counter(tx, "x", 1)
        with store.read() as connection:
            return len(fetch(connection, sql))

    assert store.write(look_meanwhile) == 0
    with store.read() as connection:
        assert len(fetch(connection, sql)) == 1
    store.close()


def test_lists_of_any_length_can_be_asked_for(url: str) -> None:
    store = Store(url)
    wanted = list(range(1_234))
    sql = "SELECT name FROM counter WHERE name <> ? AND next IN {in}"
    store.write(lambda tx: [set_counter(tx, f"n{n}", n) for n in range(0, 2_000, 3)])
    rows = store.write(lambda tx: fetch_in(tx.connection, sql, wanted, "id"))
    assert len(rows) == len(range(0, 1_234, 3))
    assert store.write(lambda tx: fetch_in(tx.connection, sql, [], "id")) == ()
    store.close()


@pytest.mark.parametrize(
    "words", ["%", "100% ?", "'; DROP TABLE counter; --", "𠮷👨‍👩‍👧", "\n\t"], ids=range(5)
)
def test_text_is_bound_and_never_pasted(url: str, words: str) -> None:
    store = Store(url)
    store.write(lambda tx: set_counter(tx, words, 7))
    assert store.write(lambda tx: read_counter(tx, words)) == 7
    store.close()


def test_the_file_is_written_ahead(sqlite_url: str) -> None:
    store = Store(sqlite_url)

    def pragma(name: str) -> object:
        return store.write(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar())

    assert pragma("journal_mode") == "wal"
    assert pragma("busy_timeout") == 10_000
    store.close()


def test_a_second_writer_is_told_that_the_database_is_locked(
    sqlite_url: str, tmp_path: Path
) -> None:
    store = Store(sqlite_url)
    store.write(lambda tx: tx.connection.exec_driver_sql("PRAGMA busy_timeout = 0"))
    other = sqlite3.connect(tmp_path / "siyu.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError) as caught:
        store.write(lambda tx: tx.new_id())
    trouble = trouble_of(caught.value)
    assert trouble is not None and "占着" in str(trouble)
    other.execute("ROLLBACK")
    other.close()
    assert store.write(lambda tx: tx.new_id()) > 0
    store.close()


def test_a_mistake_of_ours_is_not_blamed_on_the_database(url: str) -> None:
    store = Store(url)
    with pytest.raises(DBAPIError, match="no_such") as caught:
        store.write(lambda tx: tx.connection.exec_driver_sql("SELECT no_such FROM contact"))
    assert trouble_of(caught.value) is None
    assert trouble_of(ValueError("x")) is None
    store.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sqlite:///{path}/text.db", "不是 SQLite 数据库文件"),
        ("sqlite:///{path}/folder", "打不开"),
        ("sqlite:///{path}/text.db/x.db", "建不了数据文件夹"),
        ("nonsense", "写得不对"),
        ("postgresql+psycopg://nobody:secret@127.0.0.1:1/x", "打不开"),
    ],
)
def test_what_cannot_be_opened_is_told_in_plain_words(
    tmp_path: Path, address: str, words: str
) -> None:
    (tmp_path / "text.db").write_text("this is no database, just a text " * 100)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=words) as caught:
        Store(address.format(path=tmp_path))
    assert "secret" not in str(caught.value)


def test_a_relative_path_is_taken_from_the_workspace(tmp_path: Path) -> None:
    store = Store("sqlite:///data/deep/siyu.db", root=tmp_path)
    assert (tmp_path / "data/deep/siyu.db").exists()
    store.close()


def test_errors_do_not_show_what_contacts_wrote(url: str) -> None:
    store = Store(url)
    sql = text("INSERT INTO counter (name, next) VALUES (:name, :next)")
    rows = [{"name": "x", "next": 1}, {"name": "x", "next": 987_654}]
    with pytest.raises(IntegrityError) as caught:
        store.write(lambda tx: tx.connection.execute(sql, rows))
    assert "987654" not in str(caught.value)
    store.close()
