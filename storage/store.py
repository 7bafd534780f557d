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
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from sop.errors import StorageError, refusal
from storage.ids import Ids
from storage.migrate import is_current, upgrade
from storage.presence import Presence
from storage.sql import fetch
from storage.wires import Wires

T = TypeVar("T")
PATIENCE = 10.0  # seconds
STATEMENTS = 1_000  # kept prepared; a turn runs some 300 different ones, and the default is 128
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",
    "PRAGMA wal_autocheckpoint = 10000",
)
# SQLite's NORMAL flushes at checkpoints only; see `Presence.flush`. A server that is as lazy is
# told to flush this once; one that does more than flushing is left alone.
_LASTING = (
    "SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
# A PostgreSQL that went away without a word is noticed within 10 s.
_PATIENCE = {"connect_timeout": 2, "keepalives_idle": 5, "tcp_user_timeout": 10_000}


@dataclass(slots=True)
class Tx:
    """A writing transaction under way.

    `must_last`: it has to survive a power cut, because what follows it cannot be taken back. Others
    survive the end of the process, which is enough for them.
    """

    connection: Connection
    ids: Ids
    must_last: bool = False

    def new_id(self) -> int:
        """The next id of the one sequence."""
        return self.ids.take(self.connection)


class Store:
    """A database, opened and brought to the newest schema.

    `url` is SQLAlchemy's; a relative SQLite path is taken from `root`. Raises `StorageError` with
    what to do when it cannot be opened. `scratch` is for a database nobody will miss: it is not
    flushed to the disk, it commits only when somebody reads, and its only user waits for it anyway.
    `patience`: seconds to wait for another program that writes, before the database is in trouble.
    """

    def __init__(
        self, url: str, *, root: Path = Path(), scratch: bool = False, patience: float = PATIENCE
    ) -> None:
        self._scratch = scratch
        self._engine = _make_engine(_resolve(url, root), patience=patience)
        if scratch:
            event.listen(self._engine, "connect", _hurry)
        self._wires = Wires(self._engine) if self.shared else None
        self._ids = Ids()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="siyu-writer")
        self._connection: Connection | None = None
        self._presence: Presence | None = None
        self._guard: Callable[[Connection], None] = lambda _connection: None
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

    @property
    def shared(self) -> bool:
        """Whether processes of other hosts may use the database, too."""
        return self._engine.dialect.name == "postgresql"

    def guard(self, check: Callable[[Connection], None]) -> None:
        """From here on begin every transaction with `check`; what it raises rolls it back."""
        self._guard = check

    def aside(self, work: Callable[[Connection], T]) -> T:
        """A short transaction beside the writer thread, where storage is shared. Waits for it."""
        with self._engine.begin() as connection:
            return work(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read from, beside the writer; sees committed data only."""
        if self._scratch and self._connection is not None:
            self._connection.commit()
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @property
    def given_up(self) -> bool:
        """Whether nothing reaches the database any more."""
        return self._wires is not None and self._wires.are_cut

    def give_up(self) -> None:
        """From here on let nobody wait for a server that does not answer. Call from any thread."""
        if self._wires is not None:
            self._wires.cut()

    def close(self) -> None:
        """Finish the queued writes and close the database."""
        self._thread.submit(self._hang_up).result()
        self._thread.shutdown()
        self._engine.dispose()

    def _write(self, work: Callable[[Tx], T]) -> T:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(siyu_writes=True)
            if self._engine.url.get_backend_name() == "sqlite" and not self._scratch:
                self._presence = Presence(Path(str(self._engine.url.database)))
        try:
            if self._scratch:
                return self._scribble(work, self._connection)
            if self._presence is not None:
                self._presence.check()
            with self._connection.begin():
                self._guard(self._connection)
                tx = Tx(self._connection, self._ids)
                done = work(tx)
                if tx.must_last and self.shared:
                    fetch(self._connection, _LASTING)
            if self._presence is not None:
                if tx.must_last:
                    self._presence.flush()
                self._presence.note()
            return done
        except BaseException:
            self._ids.reset()
            raise

    def _scribble(self, work: Callable[[Tx], T], connection: Connection) -> T:
        """One long transaction with a mark before each piece of work, to go back to."""
        if not connection.in_transaction():
            connection.begin()
        fetch(connection, "SAVEPOINT work")
        try:
            done = work(Tx(connection, self._ids))
        except BaseException:
            fetch(connection, "ROLLBACK TO work")
            raise
        finally:
            fetch(connection, "RELEASE work")
        return done

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()  # a scratch database is thrown away with what is not committed


@contextmanager
def reading(url: str, *, root: Path = Path()) -> Iterator[Connection]:
    """A database as it stands, which is neither changed nor brought to the newest schema.

    Raises `StorageError` where there is none, or it is of another version of Siyu.
    """
    resolved = _resolve(url, root, make=False)
    if resolved.get_backend_name() == "sqlite" and not Path(str(resolved.database)).exists():
        raise StorageError(f"还没有数据库 {resolved.database}。先跑过 siyu run，才有真实的好友。")
    engine = _make_engine(resolved, reads=True)
    try:
        with engine.connect() as connection, connection.begin():
            if not is_current(connection):
                raise StorageError(
                    "数据库和这个 Siyu 的版本不一样，这里只读不改。先用 siyu doctor 看一看，再来。"
                )
            yield connection
    except DBAPIError as error:
        raise StorageError(_why_not(error, engine.url)) from error
    finally:
        engine.dispose()


def file_of(url: str, *, root: Path = Path()) -> Path | None:
    """The SQLite file behind a database's address; None where it is no file."""
    found = _resolve(url, root)
    in_file = found.get_backend_name() == "sqlite" and found.database not in (None, "", ":memory:")
    return Path(str(found.database)) if in_file else None


def password_of(url: str) -> str:
    """The password in a database's address, or an empty string."""
    return str(make_url(url).password or "")


def _resolve(url: str, root: Path, *, make: bool = True) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError("storage 写得不对，应如 sqlite:///data/siyu.db") from error
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return parsed
    path = root / str(parsed.database)
    try:
        if make:
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"建不了数据文件夹 {path.parent}：{refusal(error)}") from error
    return parsed.set(database=str(path))


def _make_engine(url: URL, *, reads: bool = False, patience: float = PATIENCE) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, hide_parameters=True, pool_size=3, connect_args=_PATIENCE)
    engine = create_engine(
        url,
        hide_parameters=True,
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "cached_statements": STATEMENTS},
    )
    event.listen(engine, "connect", _prepare_to_read if reads else partial(_prepare, patience))
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(patience: float, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # pysqlite must not begin by itself: `_begin` does
    connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _prepare_to_read(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only = ON")


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
