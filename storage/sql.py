"""The hot path's way to write: statements built once per table and dialect, rows as plain tuples.

ORM objects cost nine times as much (FINDINGS §2); they stay on the cold paths.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel


def dialect_of(connection: Connection) -> str:
    """`sqlite` or `postgresql`."""
    return connection.dialect.name


@lru_cache(maxsize=4_096)
def statement(dialect: str, sql: str) -> str:
    """SQL written with `?` placeholders, as the driver of `dialect` wants it."""
    return sql if dialect == "sqlite" else sql.replace("%", "%%").replace("?", "%s")


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy table behind a model."""
    return model.__table__  # type: ignore[attr-defined,no-any-return]


@cache
def _insert_sql(model: type[SQLModel], columns: tuple[str, ...], extra: str) -> str:
    table = table_of(model)
    names = ", ".join(f'"{table.c[name].name}"' for name in columns)
    marks = ", ".join("?" for _ in columns)
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}) {extra}'  # noqa: S608


def insert_rows(
    connection: Connection,
    model: type[SQLModel],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    extra: str = "",
) -> None:
    """Insert tuples in the order of `columns`; `extra` is an ON CONFLICT clause."""
    if rows:
        run_rows(connection, _insert_sql(model, columns, extra), rows)


def run_rows(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run one `?` statement for every tuple."""
    if rows:
        with _cursor(connection, sql) as cursor:
            cursor.executemany(statement(dialect_of(connection), sql), rows)


def fetch(connection: Connection, sql: str, *params: Any) -> Sequence[Any]:
    """All rows of a `?` query."""
    with _cursor(connection, sql) as cursor:
        cursor.execute(statement(dialect_of(connection), sql), params)
        return cursor.fetchall()  # type: ignore[no-any-return]


class _cursor:  # a context manager that reads like a function, without a generator's cost
    """The driver's own cursor: SQLAlchemy's results cost four times what SQLite takes to answer."""

    __slots__ = ("_connection", "_cursor", "_sql")

    def __init__(self, connection: Connection, sql: str) -> None:
        self._connection = connection
        self._sql = sql

    def __enter__(self) -> Any:
        self._cursor = self._connection.connection.cursor()
        return self._cursor

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._cursor.close()
        dialect = self._connection.dialect
        if isinstance(error, dialect.loaded_dbapi.Error):
            raise DBAPIError.instance(
                self._sql, (), error, dialect.loaded_dbapi.Error, hide_parameters=True,
                dialect=dialect,
            ) from error  # fmt: skip


def fetch_in(
    connection: Connection, sql: str, values: Collection[Any], *params: Any
) -> Sequence[Any]:
    """All rows of a `?` query whose `{in}` stands for the list of `values` (after `params`)."""
    if not values:
        return ()
    items = list(values)
    out: list[Any] = []
    for start in range(0, len(items), 500):
        chunk = items[start : start + 500]
        marks = ", ".join("?" for _ in chunk)
        out += fetch(connection, sql.replace("{in}", f"({marks})"), *params, *chunk)
    return out
