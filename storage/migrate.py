"""Bringing a database to the newest schema, on every start."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine

from sop.errors import StorageError

_HERE = Path(__file__).parent / "migrations"


def upgrade(engine: Engine, *, to: str = "head") -> None:
    """Upgrade the database behind `engine`, in one transaction.

    Raises `StorageError` when it was written by a newer Siyu.
    """
    config = _config()
    with engine.connect() as connection:  # most starts find nothing to do and need no write lock
        if is_current(connection):
            return
    with engine.connect().execution_options(siyu_writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":  # processes that start together
            connection.exec_driver_sql(
                "SELECT pg_advisory_xact_lock(hashtext('siyu upgrade ' || current_schema()))"
            )
        current = MigrationContext.configure(connection).get_current_revision()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, to)
        except CommandError as error:
            raise StorageError(
                f"数据库的版本（{current}）比这个 Siyu 新，请先升级 Siyu。"
            ) from error


def is_current(connection: Connection) -> bool:
    """Whether the database has the newest schema."""
    return MigrationContext.configure(connection).get_current_revision() == _newest()


@cache  # it reads every migration
def _newest() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config
