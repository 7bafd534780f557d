"""Rehearsals: the same seed gives the same report, and its numbers are those of the database."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from bot.cli.main import siyu
from bot.rehearsal.run import Plan, rehearse_workspace
from bot.starter import copy_starter
from bot.workspace import Workspace
from sop.errors import NotFound, StorageError
from storage.real_people import copy_people
from storage.sql import fetch
from storage.store import Store, reading
from tests.support import DAY, NO_GAPS, workspace

SOPS = """
tags: {买: {}, 要: {}}
sops:
  - id: hello
    enter: {on: friend_added}
    exit: [{tag: 买}]
    steps:
      - {id: a, after: 1h, do: [{say: a}]}
      - id: ask
        day: 1
        at: "10:00"
        do: [{say: b}]
        reply: {within: 1d, cases: [{match: {any: [好的]}, do: [{tag: 要}]}]}
      - {id: never, day: 2, at: "10:00", if: {tag: 买}, do: [{say: c}]}
  - {id: nobody, enter: {tag: 买}, steps: [{id: x, do: [{say: d}]}]}
rehearsal:
  people: [{name: 人, share: 1, reply: 0.5, words: [好的, 不了], leaves: 0.2}]
"""
PLAN = Plan(sops=(), contacts=30, days=8, seed=3, start=date(2026, 3, 2))


def unheard(_done: float) -> None:
    """Nobody looks at the progress."""


async def test_numbers_are_those_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = workspace(tmp_path, SOPS, settings=NO_GAPS)
    kept: dict[str, int] = {}
    close = Store.close

    def look_and_close(store: Store) -> None:
        with store.read() as connection:
            for name, sql in {
                "touches": "SELECT COUNT(*) FROM outbox WHERE purpose = 'touch' AND state = 'sent'",
                "asked": "SELECT COUNT(*) FROM outbox WHERE source = 'sop:hello/ask' AND"
                " purpose = 'touch' AND state = 'sent'",
                "replied": "SELECT COUNT(*) FROM steprun WHERE outcome = 'replied'",
                "skipped": "SELECT COUNT(*) FROM steprun WHERE step = 'never'",
                "entered": "SELECT COUNT(*) FROM enrollment WHERE sop = 'hello'",
            }.items():
                kept[name] = fetch(connection, sql)[0][0]
        close(store)

    monkeypatch.setattr(Store, "close", look_and_close)
    found = await rehearse_workspace(space, PLAN, progress=unheard)
    funnel = {row["sop"]: row for row in found["funnel"]}
    steps = {row["step"]: row for row in funnel["hello"]["steps"]}
    assert kept["entered"] > 0 and kept["replied"] > 0
    assert sum(day["touches"] for day in found["per_day"]) == kept["touches"]
    assert steps["ask"]["sent"] == kept["asked"]
    assert steps["ask"]["replied"] == kept["replied"]
    assert steps["never"]["skipped"] == {"if": kept["skipped"]}
    assert funnel["hello"]["entered"] == kept["entered"]
    assert ("sop_empty", "nobody") in {(w["kind"], w.get("sop")) for w in found["warnings"]}


async def test_one_sop_alone(tmp_path: Path) -> None:
    space = workspace(tmp_path, SOPS, settings=NO_GAPS)
    plan = Plan(sops=("nobody",), contacts=5, days=2, seed=1, start=date(2026, 3, 2))
    found = await rehearse_workspace(space, plan, progress=unheard)
    assert [row["sop"] for row in found["funnel"]] == ["nobody"]
    with pytest.raises(NotFound, match="没有 SOP、群发或朋友圈叫「nobdy」。是不是想写 nobody"):
        await rehearse_workspace(
            space,
            Plan(sops=("nobdy",), contacts=5, days=2, seed=1, start=date(2026, 3, 2)),
            progress=unheard,
        )


REAL = (
    "INSERT INTO contact (id, account_id, external_id, name, alias, friend, friend_at, stage,"
    " first_seen_at) VALUES (7, 1, 'wx7', '真小雨', '', TRUE, 0, '成长期', 0)",
    "INSERT INTO sopversion (digest, sop, definition, at) VALUES ('old', 'hello', '{}', 0)",
    "INSERT INTO enrollment (id, account_id, sop, digest, subject_id, in_group, state, step, phase,"
    " priority, entered_at, since, waiting, because, ended_at, reason) VALUES (8, 1, 'hello',"
    " 'old', 7, FALSE, 'done', 'hello', 'step', 0, 1, 1, '', '', 2, '')",
    "INSERT INTO pause (subject_id, at, until, event_id, because) VALUES (7, 0, NULL, 5, '我在聊')",
)
START = int(datetime(2026, 3, 2, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp() * 1000)


def _sent(id_: int, text: str, left_at: int | None) -> str:
    state = "queued" if left_at is None else "sent"
    return (
        "INSERT INTO outbox (id, bundle_id, part, account_id, conversation_id, in_group, source,"  # noqa: S608
        " purpose, priority, kind, text, because, created_at, due_at, state, reason, attempts,"
        f" left_at, hours) VALUES ({id_}, {id_}, 0, 1, 7, FALSE, 'push:x', 'touch', 0, 'text',"
        f" '{text}', '', 0, 0, '{state}', '', 0, {left_at or 'NULL'}, '')"
    )


def _with_real_friend(root: Path) -> Workspace:
    space = workspace(root, SOPS, settings=NO_GAPS)
    store = Store(space.settings.storage, root=root)
    rows = (*REAL, _sent(9, "昨天", START - DAY), _sent(10, "上月", START - 30 * DAY),
            _sent(11, "还没发", None))  # fmt: skip
    for row in rows:
        store.write(lambda tx, row=row: tx.connection.exec_driver_sql(row))  # type: ignore[misc]
    store.close()
    return space


async def test_real_friends_take_part_and_their_database_is_not_touched(tmp_path: Path) -> None:
    space = _with_real_friend(tmp_path)
    before = (tmp_path / "data/siyu.db").read_bytes()
    plan = Plan(sops=(), contacts=3, days=3, seed=1, start=date(2026, 3, 2), from_db=True)
    found = await rehearse_workspace(space, plan, progress=unheard)
    assert found["contacts"] == 4
    assert (tmp_path / "data/siyu.db").read_bytes() == before


def test_real_friends_bring_their_walks_their_touches_and_their_pause(tmp_path: Path) -> None:
    space = _with_real_friend(tmp_path)
    scratch = Store("sqlite:///scratch.db", root=tmp_path, scratch=True)
    with reading(space.settings.storage, root=tmp_path) as real:
        scratch.write(lambda tx: copy_people(real, tx, 1, sops=["hello"], now=START))
    with scratch.read() as connection:
        (who,) = (row[0] for row in fetch(connection, "SELECT id FROM contact"))
        assert fetch(connection, "SELECT sop, state, subject_id FROM enrollment") == [
            ("hello", "done", who)
        ]
        assert fetch(connection, "SELECT text, conversation_id FROM outbox ORDER BY id") == [
            ("昨天", who),
            ("还没发", who),
        ]
        assert fetch(connection, "SELECT subject_id, because FROM pause") == [(who, "我在聊")]
    scratch.close()


def test_where_there_is_no_database_there_are_no_real_friends(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="还没有数据库"),
        reading("sqlite:///no.db", root=tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_screen_tells_all_of_it(tmp_path: Path) -> None:
    copy_starter(tmp_path / "shop")
    result = CliRunner().invoke(
        siyu, ["rehearse", "new-friend", "--workspace", str(tmp_path / "shop"), "--contacts", "8",
               "--days", "5"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for heading in (
        "每天会发多少",
        "每个 SOP 走成什么样",
        "什么没有照原样发",
        "其中一个人",
        "皱眉",
    ):
        assert heading in result.output
