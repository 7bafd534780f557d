"""Tests reach nobody and nothing outside of this machine, and share their databases."""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import settings
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError

from storage.store import Store
from tests.gateway.gateway import Gateway, missing
from tests.support import Perform, Play, ReachedOut, on_stage, workspace

POSTGRES = "SIYU_TEST_POSTGRES"
settings.register_profile("siyu", deadline=None, derandomize=True)  # no test depends on wall time
settings.load_profile("siyu")
_LOOPBACK = ("127.", "::1", "localhost")
_connect, _connect_ex = socket.socket.connect, socket.socket.connect_ex


def _guard(address: Any) -> None:
    if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
        raise ReachedOut(f"tests may not connect to {address[0]}")


def _guarded_connect(self: socket.socket, address: Any) -> None:
    _guard(address)
    _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> int:
    _guard(address)
    return _connect_ex(self, address)


def pytest_configure() -> None:
    """Set the ban before any test module is imported."""
    socket.socket.connect = _guarded_connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _guarded_connect_ex  # type: ignore[method-assign]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was skipped and why: a header would not be shown with -q."""
    reasons = Counter(
        str(report.longrepr[2]).removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", ())
    )
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} skipped: {reason}")


@pytest.fixture(scope="session")
def shared_gateway() -> Iterator[Gateway]:
    """One gateway for all tests of a worker that do not kill it. Start costs a second or two."""
    yield from _gateway()


@pytest.fixture(scope="session")
def mortal_gateway() -> Iterator[Gateway]:
    """A second gateway per worker, for the tests that kill theirs; `reset()` raises it again."""
    yield from _gateway()


@pytest.fixture(scope="session")
def tls_gateway() -> Iterator[Gateway]:
    """A third, with TLS, to be killed as well."""
    yield from _gateway(tls=True)


def _gateway(**options: bool) -> Iterator[Gateway]:
    if why := missing():
        pytest.skip(why)
    with Gateway(**options) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def postgres_schema() -> Iterator[str]:
    """The URL of an empty schema of this worker's own."""
    base = os.environ.get(POSTGRES)
    if not base:
        pytest.skip(f"{POSTGRES} is not set")
    name = f"siyu_test_{uuid.uuid4().hex[:12]}"
    # Not flushing to disk costs nothing here and saves half the time.
    options = quote(f"-csearch_path={name} -csynchronous_commit=off", safe="")
    engine = create_engine(make_url(base), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE SCHEMA "{name}"')
    except OperationalError as error:
        pytest.fail(f"{POSTGRES} is set but cannot be reached: {error.orig}")
    url = f"{base}?options={options}"
    yield url
    _janitor(url).dispose()
    with engine.connect() as connection:
        connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
    engine.dispose()


@cache
def _janitor(url: str) -> Engine:
    """A connection kept open for what happens between tests."""
    return create_engine(url, isolation_level="AUTOCOMMIT")


def _tables(connection: Connection) -> list[str]:
    found = connection.exec_driver_sql(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    )
    return [f'"{name}"' for name in found.scalars()]


def empty(url: str) -> None:
    """Drop every table of a schema."""
    with _janitor(url).connect() as connection:
        if tables := _tables(connection):
            connection.exec_driver_sql(f"DROP TABLE {', '.join(tables)} CASCADE")


def clear(url: str) -> None:
    """Delete every row of a migrated schema, so that it need not be migrated again."""
    with _janitor(url).connect() as connection:
        tables = [name for name in _tables(connection) if name != '"alembic_version"']
        if tables:
            # DELETE beats TRUNCATE on tables of a few rows.
            connection.exec_driver_sql(";".join(f"DELETE FROM {name}" for name in tables))  # noqa: S608


@pytest.fixture
def postgres_url(postgres_schema: str) -> str:
    """A database without rows on PostgreSQL."""
    clear(postgres_schema)
    return postgres_schema


@pytest.fixture
def bare_postgres(postgres_schema: str) -> Iterator[str]:
    """A database without tables on PostgreSQL; what a test made of it is no other's."""
    empty(postgres_schema)
    yield postgres_schema
    empty(postgres_schema)


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)],
)
def url(request: pytest.FixtureRequest) -> str:
    """A database of each kind, without rows."""
    kind = "postgres_url" if request.param == "postgres" else "sqlite_url"
    return str(request.getfixturevalue(kind))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite without rows: to migrate one took most of the time of a small test."""
    file = tmp_path_factory.mktemp("migrated") / "siyu.db"
    Store(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated: Path) -> str:
    """A database file of SQLite, for what does not depend on the kind."""
    shutil.copyfile(migrated, tmp_path / "siyu.db")
    return f"sqlite:///{tmp_path / 'siyu.db'}"


def _performer(stack: AsyncExitStack, root: Path, url: str) -> Perform:
    async def perform(rules: str = "", **options: Any) -> Play:
        stage = {name: options.pop(name) for name in ("start", "people") if name in options}
        space = workspace(root / "workspace", rules, **options)
        return await stack.enter_async_context(on_stage(space, url, **stage))

    return perform


@pytest.fixture
async def perform(tmp_path: Path, url: str) -> AsyncIterator[Perform]:
    """`await perform(rules)`: a bot with these rules on a stage, over a database of each kind."""
    async with AsyncExitStack() as stack:
        yield _performer(stack, tmp_path, url)


@pytest.fixture
async def rehearse(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Perform]:
    """`perform` on SQLite alone, for what has nothing to do with SQL."""
    async with AsyncExitStack() as stack:
        yield _performer(stack, tmp_path, sqlite_url)
