"""The hot path's way to write: statements built once per table and dialect, rows as plain tuples.

ORM objects cost nine times as much (FINDINGS §2); they stay on the cold paths.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, StatementError
from sqlmodel import SQLModel

LONGEST = 512  # values in one list
MANY = 8  # rows that PostgreSQL takes all at once: a statement for each costs ten times as much


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
    marks = ", ".join("?" for _ in columns)
    table = f'"{table_of(model).name}" ({_quoted(columns)})'
    return f"INSERT INTO {table} VALUES ({marks}) {extra}"  # noqa: S608


@cache
def _copy_sql(model: type[SQLModel], columns: tuple[str, ...]) -> str:
    return f'COPY "{table_of(model).name}" ({_quoted(columns)}) FROM STDIN'


@cache
def _update_sql(model: type[SQLModel], columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}" = ?' for name in columns)
    return f'UPDATE "{table_of(model).name}" SET {names} WHERE id = ?'  # noqa: S608


@lru_cache(maxsize=256)
def _update_all_sql(
    model: type[SQLModel], same: tuple[str, ...], differing: tuple[str, ...]
) -> str:
    """For PostgreSQL: a value for each of `same`, then lists of `differing` and of ids."""
    table, dialect = table_of(model), postgresql.dialect()  # type: ignore[no-untyped-call]
    types = {name: table.c[name].type.compile(dialect) for name in (*same, *differing, "id")}
    names = [f'"{name}" = CAST(? AS {types[name]})' for name in same]
    names += [f'"{name}" = new."{name}"' for name in differing]
    lists = ", ".join(f"CAST(? AS {types[name]}[])" for name in (*differing, "id"))
    return (
        f'UPDATE "{table.name}" old SET {", ".join(names)}'  # noqa: S608
        f" FROM unnest({lists}) AS new({_quoted((*differing, 'id'))}) WHERE old.id = new.id"
    )


def _quoted(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def insert_rows(
    connection: Connection,
    model: type[SQLModel],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    extra: str = "",
) -> None:
    """Insert tuples in the order of `columns`; `extra` is an ON CONFLICT clause."""
    if not rows:
        return
    if extra or len(rows) < MANY or connection.dialect.name != "postgresql":
        run_rows(connection, _insert_sql(model, columns, extra), rows)
        return
    sql = _copy_sql(model, columns)
    with _telling(connection, sql), _raw(connection).cursor().copy(sql) as copy:
        for row in rows:
            copy.write_row(row)


def update_rows(
    connection: Connection,
    model: type[SQLModel],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Write `columns` of rows; each tuple ends with the row's id, and no id comes twice."""
    if len(rows) < MANY or connection.dialect.name != "postgresql":
        run_rows(connection, _update_sql(model, columns), rows)
        return
    *values, ids = (list(column) for column in zip(*rows, strict=True))
    found = dict(zip(columns, values, strict=True))
    same = tuple(name for name in columns if found[name].count(found[name][0]) == len(rows))
    differing = tuple(name for name in columns if name not in same)
    sql = statement("postgresql", _update_all_sql(model, same, differing))
    params = [found[name][0] for name in same] + [found[name] for name in differing] + [ids]
    with _telling(connection, sql):
        _raw(connection).execute(sql, params)


def run_rows(connection: Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run one `?` statement for every tuple."""
    if rows:
        with _telling(connection, sql):
            _raw(connection).cursor().executemany(statement(connection.dialect.name, sql), rows)


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


@contextmanager
def _telling(connection: Connection, sql: str) -> Iterator[None]:
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told(connection, sql, error) from error


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
