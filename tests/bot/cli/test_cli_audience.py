"""`siyu audience`: who is meant, how many could be reached, and why others could not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bot.cli.audience
from storage.sql import run_rows
from storage.store import Store, Tx
from tests.bot.cli.conftest import Siyu
from tests.support import at, write

AUDIENCES = """
tags: {意向: {values: [低, 高]}}
audiences:
  - {id: 高意向, all: [{tag: 意向/高}]}
  - {id: 所有人, all: [{any: [{friend: true}, {friend: false}]}]}
"""
SETTINGS = "community: 小满家\noperators: [wxid_boss]\n"
CONTACT = (
    "INSERT INTO contact (id, account_id, external_id, name, alias, friend, stage, first_seen_at,"
    " last_message_at) VALUES (?, 1, ?, ?, '', ?, '成长期', 0, ?)"
)
TOUCH = (
    "INSERT INTO outbox (id, bundle_id, part, account_id, conversation_id, in_group, source,"
    " purpose, priority, kind, text, because, created_at, due_at, state, reason, attempts,"
    " left_at, hours) VALUES (?, ?, 0, 1, ?, ?, '', 'touch', 0, 'text', '', '', 0, 0, 'sent', '',"
    " 1, ?, '')"
)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> int:
    """The command line's clock, stopped at noon: how much of today is left counts."""
    now = at("2026-11-21 12:00")
    monkeypatch.setattr(bot.cli.audience, "now_ms", lambda: now)
    return now


def shop(root: Path, now: int, *, settings: str = SETTINGS) -> Path:
    """Eight people of high intent: two can be reached, each other one for a reason of its own."""
    write(root / "siyu.yaml", settings)
    write(root / "audiences.yaml", AUDIENCES)
    store = Store("sqlite:///data/siyu.db", root=root)

    def fill(tx: Tx) -> None:
        connection = tx.connection
        run_rows(
            connection,
            "INSERT INTO account (id, channel, external_id, name, state, state_at, failures,"
            " opened, circuit_because, care_because) VALUES (?, 'simulator', 'me', '', 'login', 0,"
            " 0, 0, '', '')",
            [(1,)],
        )
        people = ("ok", "写过话", "wxid_boss", "stranger", "unsure", "paused", "day", "week")
        friends = {"stranger": False, "unsure": None}
        run_rows(
            connection,
            CONTACT,
            [
                (10 + n, who, who, friends.get(who, True), now - 1000 if who == "写过话" else None)
                for n, who in enumerate(people)
            ],
        )
        run_rows(connection, "INSERT INTO tag (id, name) VALUES (?, ?)", [(5, "意向/高")])
        run_rows(
            connection,
            "INSERT INTO tagging (subject_id, tag_id, source, at) VALUES (?, 5, '', 0)",
            [(10 + n,) for n in range(len(people))],
        )
        run_rows(
            connection, "INSERT INTO pause (subject_id, at, because) VALUES (?, 0, '')", [(15,)]
        )
        touches = [(16, now - 1), (16, now - 2)]
        touches += [(17, now - 86_400_000 * day) for day in (2, 3, 4, 2, 3, 4)]
        run_rows(
            connection,
            TOUCH,
            [(100 + n, 100 + n, who, False, at) for n, (who, at) in enumerate(touches)],
        )

    store.write(fill)
    store.close()
    return root


def test_everybody_who_cannot_be_reached_is_counted_once_with_the_reason(
    siyu: Siyu, tmp_path: Path, noon: int
) -> None:
    root = shop(tmp_path / "shop", noon)
    found = json.loads(siyu("audience", "高意向", "--json", "--workspace", str(root)).out)
    assert (found["count"], found["reachable"], found["today"]) == (8, 2, 2)
    assert found["withheld"] == {"stranger": 2, "operator": 1, "paused": 1, "day": 1, "week": 1}
    assert found["sample"][0]["name"] == "写过话"
    assert len(found["sample"]) == 8


def test_the_screen_says_it_in_words(siyu: Siyu, tmp_path: Path, noon: int) -> None:
    tight = SETTINGS + "limits: {account: {per_day: 3}}\n"
    root = shop(tmp_path / "shop", noon, settings=tight)
    lines = siyu("audience", "高意向", "--sample", "1", "--workspace", str(root)).lines
    assert lines[:4] == [
        "高意向：8 人",
        "条件：带标签「意向/高」",
        "现在能找的：2 人",
        "账号今天还发得出 1 条，剩下的要等明天",
    ]
    assert "  不是好友（或者还不知道是不是）：2 人" in lines
    assert lines[-1].startswith("#11")


def test_all_audiences_with_their_sizes(siyu: Siyu, tmp_path: Path, noon: int) -> None:
    root = shop(tmp_path / "shop", noon)
    lines = siyu("audience", "--workspace", str(root)).lines
    assert lines[1].split()[:2] == ["高意向", "8"]
    assert lines[2].split()[:2] == ["所有人", "8"]
    sizes = json.loads(siyu("audience", "--json", "--workspace", str(root)).out)
    assert [one["count"] for one in sizes] == [8, 8]


def test_a_name_that_is_not_there_is_asked_about(siyu: Siyu, tmp_path: Path, noon: int) -> None:
    root = shop(tmp_path / "shop", noon)
    ended = siyu("audience", "高意象", "--workspace", str(root))
    assert ended.complaint == "没有叫「高意象」的人群。是不是想写 高意向？"
