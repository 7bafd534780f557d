"""Databases of every age become the newest, with what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, make_url, text
from sqlmodel import SQLModel

import storage.tables
import storage.tables_answers
import storage.tables_calendar
import storage.tables_groups
import storage.tables_guard
import storage.tables_points  # noqa: F401  (they fill the metadata)
from sop.errors import StorageError
from storage import migrate
from storage.migrate import upgrade
from storage.people import account_id
from storage.store import Store, _make_engine
from tests.support import HOUR, on_stage, workspace


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind without tables."""
    if request.param == "postgres":
        return str(request.getfixturevalue("bare_postgres"))
    return f"sqlite:///{tmp_path / 'bare.db'}"


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = _make_engine(make_url(url))
    try:
        yield engine
    finally:
        engine.dispose()


def scripts() -> ScriptDirectory:
    return ScriptDirectory(str(migrate._HERE))


def revisions() -> list[str]:
    """Every revision, the oldest first."""
    return [script.revision for script in reversed(list(scripts().walk_revisions()))]


def test_the_revisions_form_one_line() -> None:
    assert len(scripts().get_heads()) == 1
    assert revisions()[0] == "0001"


def test_the_migrated_schema_is_that_of_the_models(bare: str) -> None:
    Store(bare).close()
    with engine_of(bare) as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def indexes(connection: Connection) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Every index with what it is limited to."""
    inspector = inspect(connection)
    return {
        (table, str(index["name"])): [
            (key, str(value))
            for key, value in sorted(index.get("dialect_options", {}).items())
            if "where" in key
        ]
        for table in inspector.get_table_names()
        if table != "alembic_version"
        for index in inspector.get_indexes(table)
    }


def test_partial_indexes_are_those_of_the_models(bare: str) -> None:
    # compare_metadata does not look at the WHERE of an index, on which the hot path depends.
    Store(bare).close()
    with engine_of(bare) as engine, engine.connect() as connection:
        migrated = indexes(connection)
        SQLModel.metadata.drop_all(connection)
        SQLModel.metadata.create_all(connection)
        assert indexes(connection) == migrated
        assert any(migrated.values())
        connection.rollback()


FILL = (
    "INSERT INTO account (id, channel, external_id, name, state, state_at, failures, opened,"
    " circuit_because) VALUES (1, 'simulator', 'me', '我', 'login', 5, 0, 0, '')",
    "INSERT INTO contact (id, account_id, external_id, name, alias, stage, first_seen_at)"
    " VALUES (2, 1, 'amy', '小雨', '', '成长期', 7)",
    "INSERT INTO counter (name, next) VALUES ('id', 1001)",
)


@pytest.mark.parametrize("revision", revisions())
def test_a_filled_database_of_any_age_keeps_its_rows(bare: str, revision: str) -> None:
    with engine_of(bare) as engine:
        upgrade(engine, to=revision)
        with engine.begin() as connection:
            for statement in FILL:
                connection.execute(text(statement))
            if revision >= "0011" and connection.dialect.name == "postgresql":
                connection.execute(text("SELECT setval('siyu_ids', 1001, false)"))
    store = Store(bare)
    with store.read() as connection:
        row = connection.execute(text("SELECT id, name, stage FROM contact")).one()
        assert tuple(row) == (2, "小雨", "成长期")
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        assert version == revisions()[-1]
    assert store.write(lambda tx: tx.new_id()) == 1001
    store.close()


def test_a_downgrade_takes_off_what_its_upgrade_put_on(bare: str) -> None:
    Store(bare).close()
    with engine_of(bare) as engine, engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(migrate._HERE))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}


async def test_a_filled_database_opens_again_and_goes_on(url: str, tmp_path: Path) -> None:
    rules = "rules:\n  - {id: r, on: message, cooldown: 1h, do: [{say: a}]}\n"
    space = workspace(tmp_path, rules)
    async with on_stage(space, url) as play:
        assert await play.hear("amy", "你好") == ["A"]
        now = play.now
    async with on_stage(space, url, start=now + HOUR - 1) as play:
        assert await play.hear("amy", "你好") == []
        await play.stage.wait(1)
        assert await play.hear("amy", "你好") == ["A"]
        assert play.states() == ["sent", "sent"]


def test_a_database_of_a_newer_siyu_is_refused_in_plain_words(bare: str) -> None:
    Store(bare).close()
    with engine_of(bare) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match=r"9999.*比这个 Siyu 新"):
        Store(bare)


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    bare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = command.upgrade

    def trip(config: Config, to: str) -> None:
        run(config, to)
        raise RuntimeError("power cut")

    monkeypatch.setattr(command, "upgrade", trip)
    with engine_of(bare) as engine:
        with pytest.raises(RuntimeError):
            upgrade(engine)
        assert inspect(engine).get_table_names() == []


def test_two_open_stores_share_what_they_write(bare: str) -> None:
    one, two = Store(bare), Store(bare)
    first = one.write(lambda tx: account_id(tx, channel="c", external_id="x", name="", now=1))
    second = two.write(lambda tx: account_id(tx, channel="c", external_id="x", name="", now=2))
    assert first == second
    one.close()
    two.close()
