"""The database, and the only place that opens a transaction.

One writer thread, one transaction a batch: `Store.run` sends a function to that thread, where it
runs inside BEGIN IMMEDIATE (SQLite) and commits when it returns. Whatever it raises rolls all back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from sop.errors import StorageError, refusal
from storage.ids import Ids
from storage.migrate import upgrade
from storage.sql import fetch

T = TypeVar("T")
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",
    "PRAGMA wal_autocheckpoint = 10000",
)


@dataclass(frozen=True, slots=True)
class Tx:
    """A writing transaction under way."""

    connection: Connection
    ids: Ids

    def new_id(self) -> int:
        """The next id of the one sequence."""
        return self.ids.take(self.connection)


class Store:
    """A database, opened and brought to the newest schema.

    `url` is SQLAlchemy's; a relative SQLite path is taken from `root`. Raises `StorageError` with
    what to do when it cannot be opened. `scratch` is for a database nobody will miss: it is not
    flushed to the disk, and its only user waits for it anyway.
    """

    def __init__(self, url: str, *, root: Path = Path(), scratch: bool = False) -> None:
        self._scratch = scratch
        self._engine = _make_engine(_resolve(url, root))
        if scratch:
            event.listen(self._engine, "connect", _hurry)
        self._ids = Ids()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="siyu-writer")
        self._connection: Connection | None = None
        try:
            upgrade(self._engine)
        except BaseException as error:
            self._engine.dispose()
            if isinstance(error, DBAPIError):
                raise StorageError(_why_not(error, self._engine.url)) from error
            raise

    async def run(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction on the writer thread and return what it returns."""
        if self._scratch:
            return self._write(work)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, work)

    def write(self, work: Callable[[Tx], T]) -> T:
        """`run` for callers without an event loop: waits for the writer thread."""
        if self._scratch:
            return self._write(work)
        return self._thread.submit(self._write, work).result()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read from, beside the writer; sees committed data only."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Finish the queued writes and close the database."""
        self._thread.submit(self._hang_up).result()
        self._thread.shutdown()
        self._engine.dispose()

    def _write(self, work: Callable[[Tx], T]) -> T:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(siyu_writes=True)
        try:
            with self._connection.begin():
                return work(Tx(self._connection, self._ids))
        except BaseException:
            self._ids.reset()
            raise

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _resolve(url: str, root: Path) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError(f"storage 写得不对：{url!r}，应如 sqlite:///data/siyu.db") from error
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return parsed
    path = root / str(parsed.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"建不了数据文件夹 {path.parent}：{refusal(error)}") from error
    return parsed.set(database=str(path))


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, hide_parameters=True, pool_size=2)
    engine = create_engine(
        url, hide_parameters=True, poolclass=NullPool, connect_args={"check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # pysqlite must not begin by itself: `_begin` does
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _hurry(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def _begin(connection: Connection) -> None:
    # A deferred read-then-write meets SQLITE_BUSY in spite of the timeout (FINDINGS §2).
    writes = connection.get_execution_options().get("siyu_writes")
    fetch(connection, "BEGIN IMMEDIATE" if writes else "BEGIN")


def _why_not(error: DBAPIError, url: URL) -> str:
    where = url.render_as_string(hide_password=True)
    text = str(error.orig)
    if "not a database" in text or "malformed" in text:
        return f"{where} 不是 SQLite 数据库文件。若文件已损坏，请换回备份。"
    if "readonly" in text or "unable to open" in text:
        return f"{where} 打不开或不可写，请检查文件和所在文件夹的权限。"
    if "locked" in text:
        return f"{where} 正被另一个程序占用，请先关掉它再试。"
    return f"{where} 打不开：{text.splitlines()[0] if text else type(error).__name__}"
