"""`siyu points` and `siyu invites`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage.brought import Invited, record_invitation
from storage.points import count_invited
from storage.store import Store, Tx
from tests.bot.cli.conftest import Siyu, open_shop
from tests.support import DAY, write

RULES = """
tags: {意向: {}, VIP: {}}
points:
  check_in: {points: 2}
  invites: {points: 5}
rules:
  - {id: in, on: message, where: anywhere, match: {any: [签到]}, do: [{check_in: today}]}
"""
LINES = "签到\n/进群 妈妈群\n/我是 阿杰\n/我是 运营\n/积分 小雨 +10 帮忙答疑\n/兑换 小雨 3 湿巾\n"


@pytest.fixture
def shop_with_points(siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop where 小雨 has checked in, was given something, spent some, and brought 阿杰."""
    root = open_shop(tmp_path / "shop")
    write(root / "rules.yaml", RULES)
    monkeypatch.chdir(root)
    assert siyu("chat", lines=LINES).status == 0
    ids = {row["name"]: row["id"] for row in json.loads(siyu("contacts", "--json").out)}
    store = Store("sqlite:///data/siyu.db", root=root)

    def brought(tx: Tx) -> None:
        invited = Invited(tx.new_id(), ids["小雨"], ids["阿杰"], 0, 0, 5 * DAY, 12 * DAY)
        record_invitation(tx, 1, invited)
        count_invited(tx, 1, ids["小雨"], 1)

    store.write(brought)
    store.close()
    return root


def test_the_ranking(siyu: Siyu, shop_with_points: Path) -> None:
    heading, row = siyu("points").lines
    assert heading.split() == ["名次", "编号", "名字", "这个月的积分"]
    assert row.split()[::2] == ["1", "小雨"]
    assert row.endswith("12")
    (first,) = json.loads(siyu("points", "--board", "streak", "--json").out)
    assert (first["place"], first["name"], first["value"]) == (1, "小雨", 1)
    assert siyu("points", "--month", "2020-01").lines == ["还没有人上榜。"]
    assert siyu("points", "--month", "一月").complaint == "月份要写成 2026-11 这样，这里写的是 一月"


def test_one_person(siyu: Siyu, shop_with_points: Path) -> None:
    lines = siyu("points", "小雨").lines
    assert lines[1] == "积分 9（累计 12），签到 1 天，连续 1 天，邀请 1 人"
    assert [line.split()[2:4] for line in lines[3:]] == [
        ["+2", "签到"],
        ["+10", "帮忙答疑"],
        ["-3", "湿巾"],
    ]
    found = json.loads(siyu("points", "小雨", "--json").out)
    assert (found["points"], found["earned"], found["streak"]) == (9, 12, 1)
    assert [entry["kind"] for entry in found["entries"]] == ["check_in", "grant", "spend"]
    assert sum(entry["amount"] for entry in found["entries"]) == found["points"]
    assert siyu("points", "阿杰").lines[1] == "还没有积分。"
    assert "不是一个人" in siyu("points", "妈妈群").complaint


def test_who_brought_whom(siyu: Siyu, shop_with_points: Path) -> None:
    heading, row = siyu("invites").lines
    assert heading.split()[-1] == "邀请人数"
    assert row.endswith("1")
    assert siyu("invites", "阿杰").lines[0].endswith("还没有邀请过谁。")
    assert siyu("invites", "小雨").lines[0].endswith("邀请了 1 位，1 位算数")
    (one,) = json.loads(siyu("invites", "小雨", "--json").out)
    assert (one["state"], one["invitee"]["name"], one["left_at"]) == ("counted", "阿杰", None)


def test_an_empty_shop(siyu: Siyu, here: Path) -> None:
    assert siyu("points").lines == siyu("invites").lines == ["还没有人上榜。"]
    assert json.loads(siyu("points", "--json").out) == []
