"""The hot path's way to write: statements built once per table and dialect, rows as plain tuples.

ORM objects cost nine times as much (FINDINGS §2); they stay on the cold paths.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError, StatementError
from sqlmodel import SQLModel

LONGEST = 512  # values in one list


def dialect_of(connection: Connection) -> str:
    """`sqlite` or `postgresql`."""
    return connection.dialect.name


@lru_cache(maxsize=4_096)
def statement(dialect: str, sql: str) -> str:
    """SQL written with `?` placeholders, as the driver of `dialect` wants it."""
    return sql if dialect == "sqlite" else sql.replace("%", "%%").replace("?", "%s")


def claiming(connection: Connection, *, of: str = "") -> str:
    """The end of a SELECT that claims rows: those another process has in hand are passed over.

    `of` names the table whose rows are meant where there are several. On SQLite one process writes
    at a time anyway.
    """
    if connection.dialect.name != "postgresql":
        return ""
    return f" FOR UPDATE{' OF ' + of if of else ''} SKIP LOCKED"


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
        try:
            _raw(connection).cursor().executemany(statement(connection.dialect.name, sql), rows)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, sql, error) from error


def fetch(connection: Connection, sql: str, *params: Any) -> Sequence[Any]:
    """All rows of a `?` query."""
    try:
        cursor = _raw(connection).execute(statement(connection.dialect.name, sql), params)
        return cursor.fetchall()  # type: ignore[no-any-return]
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told(connection, sql, error) from error


def _raw(connection: Connection) -> Any:
    """The driver's own connection: SQLAlchemy's results cost four times what SQLite does."""
    return connection.connection.dbapi_connection


def _told(connection: Connection, sql: str, error: Exception) -> StatementError:
    """A driver's error as SQLAlchemy's, without the row."""
    dialect = connection.dialect
    return DBAPIError.instance(
        sql, (), error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
    )


def fetch_in(
    connection: Connection, sql: str, values: Collection[Any], *params: Any
) -> Sequence[Any]:
    """All rows of a `?` query whose `{in}` stands for the list of `values` (after `params`)."""
    if not values:
        return ()
    items = list(values)
    if connection.dialect.name == "postgresql":  # one array: the driver takes its time per value
        return fetch(
            connection, _listed(sql.replace("IN {in}", "= ANY {in}"), "(?)"), *params, items
        )
    out: list[Any] = []
    for start in range(0, len(items), LONGEST):
        marks, chunk = in_list(items[start : start + LONGEST])
        out += fetch(connection, _listed(sql, marks), *params, *chunk)
    return out


def in_list(values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """`(?, ?, ...)` and the values for it, the last one repeated up to a power of two.

    Lists of few lengths make few statements, and these stay prepared.
    """
    length = 1 << (len(values) - 1).bit_length()
    return _marks(length), [*values, *[values[-1]] * (length - len(values))]


@cache
def _marks(count: int) -> str:
    return f"({', '.join('?' * count)})"


@lru_cache(maxsize=4_096)
def _listed(sql: str, marks: str) -> str:
    return sql.replace("{in}", marks)
