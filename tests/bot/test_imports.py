"""Imports into a database: who is meant, what changes, what is refused, and that twice is once."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.exporting import export
from bot.importing import Importer, Report, Wish
from sop.conditions import HasTag
from sop.errors import SiyuError
from storage.store import Store
from tests.support import DAY, HOUR, MINUTE, Perform, Play, workspace

FILES = """
tags: {宝妈: {}, 已购买: {}, 意向: {values: [低, 高], one_of: true}}
rules:
  - {id: bought, on: order, do: [{tag: 已购买}, {say: a}, {notify: 有人下单}, {enroll: thanks}]}
  - {id: tagged, on: tag_added, tag: 已购买, do: [{say: b}]}
sops:
  - {id: thanks, enter: {on: order}, steps: [{id: s, after: 1d, do: [{say: c}]}]}
  - {id: by-tag, enter: {tag: [已购买, 宝妈]}, steps: [{id: s, after: 1d, do: [{say: c}]}]}
  - {id: by-stage, enter: {stage: 成熟期}, steps: [{id: s, after: 1d, do: [{say: c}]}]}
  - id: nurse
    enter: {on: friend_added}
    goal: {on: order}
    steps: [{id: s, after: 30d, do: [{say: d}]}]
stages: {成熟期: {count: {of: order, at_least: 1}}}
"""


def table(path: Path, *rows: str) -> Path:
    """A CSV file; cells are divided by `|`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(row.split("|") for row in rows)
    return path


@contextmanager
def importing(play: Play, path: Path, **wish: Any) -> Iterator[Report]:
    bot = play.stage.bot
    asked = Wish(path=path, asked=wish.pop("asked", {}), **wish)
    importer = Importer(bot.heart.workspace, play.stage.store, asked, now=play.now)
    try:
        yield importer.run()
    finally:
        importer.close()


def done(play: Play, path: Path, **wish: Any) -> dict[str, Any]:
    """What an import counted, its numbers checked against its rows."""
    with importing(play, path, **wish) as report:
        refused = list(report.staging.refusals())
        counted = report.order_rows + report.known_rows + report.changed + report.unchanged
        assert counted + len(refused) == report.rows
        assert len(refused) == report.refused
        names = ("new_people", "tags", "values", "changed", "unchanged", "orders", "refunds", "old",
                 "known_orders")  # fmt: skip
        return {n: v for n in names if (v := getattr(report, n))} | (
            {"refused": refused} if refused else {}
        )


def state(play: Play) -> list[tuple[Any, ...]]:
    """Everything an import may change."""
    return [
        row
        for table in ("contact", "tagging", "attribute", "event", "outbox", "enrollment", "trace")
        for row in play.rows(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608
    ]


async def test_people_get_what_their_rows_say(perform: Perform, tmp_path: Path) -> None:
    play = await perform(FILES)
    path = table(
        tmp_path / "会员.csv", "微信号|昵称|标签|城市", "amy||宝妈、意向/高|杭州", "|阿杰|意向/低|",
        "nobody|||杭州", "|没有这人||", "eve||宝吗|", "amy||意向/低|", "|||杭州",
        "eve||意向/低、意向/高|",
    )  # fmt: skip
    dry = done(play, path)
    before = state(play)
    assert dry == {
        "changed": 2, "tags": 3, "values": 1,
        "refused": [
            (4, "没有微信号是「nobody」的联系人"),
            (5, "没有叫「没有这人」的联系人"),
            (6, "没有登记的标签「宝吗」，先写进 tags"),
            (7, "和第 2 行是同一个人"),
            (8, "没有写是谁（微信号、昵称是空的）"),
            (9, "「意向」这一组一个人只能有一个，这里写了 2 个"),
        ],
    }  # fmt: skip
    assert done(play, path, apply=True) == dry
    assert state(play) != before
    assert play.tags("amy") == ["宝妈", "意向/高"]
    assert play.rows("SELECT key, value, source FROM attribute") == [
        ("城市", "杭州", "import:会员.csv")
    ]
    assert any("会员.csv 第 2 行：标签「宝妈」" in note for note in play.notes("done"))
    await play.settle()
    assert play.outbox() == []
    assert play.one("SELECT COUNT(*) FROM enrollment") == 0
    after = state(play)
    assert done(play, path, apply=True) | {"refused": []} == {"unchanged": 2, "refused": []}
    assert state(play) == after


async def test_who_is_not_clear_is_refused_with_the_candidates(
    perform: Perform, tmp_path: Path
) -> None:
    play = await perform(FILES)
    play.world.add_person("amy2", "小雨", friend=True)
    await play.hear("amy2", "在吗")
    one, two = play.contact("amy"), play.contact("amy2")
    path = table(tmp_path / "a.csv", "姓名|城市", "小雨|杭州")
    assert done(play, path)["refused"] == [(2, f"叫「小雨」的不止一个：小雨 #{one}、小雨 #{two}")]
    path = table(tmp_path / "b.csv", "编号|姓名|会员号", f"#{one}|小雨|V1", f"{two}|小雨|V2")
    assert done(play, path, apply=True) == {"changed": 2, "values": 2}
    path = table(tmp_path / "c.csv", "会员号|城市", "V2|上海", "V3|北京")
    found = done(play, path, by="会员号", apply=True)
    assert found["refused"] == [(3, "没有「会员号」是「V3」的联系人")]
    assert play.one("SELECT subject_id FROM attribute WHERE key = '城市'") == two


async def test_new_people_are_no_friends_yet(perform: Perform, tmp_path: Path) -> None:
    play = await perform(FILES)
    path = table(tmp_path / "a.csv", "微信号|昵称|标签", "n1|新人\n=1|宝妈", "amy||", "n2||错的")
    assert [line for line, _ in done(play, path)["refused"]] == [2, 5]
    found = done(play, path, create=True, apply=True)
    assert (found["new_people"], found["changed"]) == (1, 1)
    assert play.rows("SELECT name, friend FROM contact WHERE external_id = 'n1'") == [
        ("新人=1", False)
    ]
    assert play.rows("SELECT id FROM contact WHERE external_id = 'n2'") == []
    assert play.tags("n1") == ["宝妈"]


async def test_orders_are_added_up_and_known_again(perform: Perform, tmp_path: Path) -> None:
    play = await perform(FILES)
    path = table(
        tmp_path / "订单.csv", "订单号|微信号|下单时间|单价|数量|状态",
        "A1|amy|2026-03-01 10:00|12.5|2|", "A2|bob|2026-03-02|10|1|", "A1|amy|2026-03-01|5|1|",
        "C1|amy|2026-03-05|12.5|-1|", "A3|amy|2026-03-06|x|1|", "A3|amy|2026-03-06|1|1|",
        "A4|amy|2026-03-06|1|1|", "A4|bob|2026-03-06|1|1|", "A5|amy|2026-03-06|1|1|已取消",
        "A6||2026-03-06|1|1|", "A7|zoe|2026-03-06|1|1|",
    )  # fmt: skip
    dry = done(play, path)
    assert dry == {
        "orders": 2, "refunds": 1, "old": 3,
        "refused": [
            (6, "单价不是一个数：x"),
            (7, "同一个订单的第 6 行有问题，整单不导"),
            (8, "同一个订单号有不同的人"),
            (9, "同一个订单号有不同的人"),
            (10, "没有成交：已取消"),
            (11, "没有写是谁（微信号是空的）"),
            (12, "没有微信号是「zoe」的联系人"),
        ],
    }  # fmt: skip
    assert done(play, path, apply=True) == dry
    sql = "SELECT external_id, kind, amount FROM event WHERE kind IN ('order', 'refund') ORDER BY 1"
    assert play.rows(sql) == [
        ("import:A1", "order", 3000),
        ("import:A2", "order", 1000),
        ("import:C1", "refund", -1250),
    ]
    after = state(play)
    again = done(play, path, apply=True)
    assert (again["known_orders"], again["refused"]) == (3, dry["refused"])
    assert state(play) == after
    path = table(tmp_path / "b.csv", "订单号|微信号|日期|金额", "A1|amy|2026-03-01|31")
    assert done(play, path, apply=True)["refused"] == [
        (2, "这个订单以前导过，金额不一样（原来 30.00，现在 31.00），没有改")
    ]
    assert state(play) == after


async def test_rows_without_a_number_are_known_by_what_they_say(
    perform: Perform, tmp_path: Path
) -> None:
    play = await perform(FILES)
    twins = ("amy|2026-03-01|9.9", "amy|2026-03-01|9.9", "amy|2026-03-02|9.9")
    path = table(tmp_path / "a.csv", "微信号|日期|金额", *twins)
    assert done(play, path, apply=True) == {"orders": 3, "old": 3}
    assert done(play, path, apply=True) == {"known_orders": 3}
    path = table(tmp_path / "b.csv", "微信号|日期|金额", "amy|2026-03-03|1", *reversed(twins))
    assert done(play, path, apply=True) == {"orders": 1, "old": 1, "known_orders": 3}


async def test_old_orders_are_remembered_and_begin_nothing(
    perform: Perform, tmp_path: Path
) -> None:
    play = await perform(FILES)
    await play.befriend("eve")
    assert play.one("SELECT state FROM enrollment WHERE sop = 'nurse'") == "active"
    path = table(tmp_path / "a.csv", "微信号|时间|金额", "eve|2026-11-20 10:00|9.9")
    assert done(play, path, apply=True) == {"orders": 1, "old": 1}
    await play.stage.wait(3 * DAY)
    assert play.said == []
    assert play.tags("eve") == ["已购买"]
    assert play.rows("SELECT sop, state FROM enrollment") == [("nurse", "goal")]
    assert play.one("SELECT stage FROM contact WHERE external_id = 'eve'") == "成熟期"
    withheld = play.rows("SELECT what FROM trace WHERE outcome = 'withheld'")
    assert {what for (what,) in withheld} == {
        "规则 bought 的回复 a", "规则 tagged 的回复 b", "进入 SOP thanks", "进入 SOP by-tag",
        "进入 SOP by-stage",
    }  # fmt: skip


async def test_a_fresh_order_is_as_good_as_reported(perform: Perform, tmp_path: Path) -> None:
    play = await perform(FILES)
    await play.stage.wait(HOUR)
    path = table(tmp_path / "a.csv", "微信号|时间|金额", "amy|2026-11-21 10:58|9.9")
    assert done(play, path, apply=True) == {"orders": 1}
    await play.stage.wait(MINUTE)
    assert ("amy", "A") in play.said
    walks = play.rows("SELECT sop FROM enrollment WHERE state = 'active' ORDER BY sop")
    assert walks == [("by-stage",), ("by-tag",), ("thanks",)]


async def test_an_import_that_was_cut_off_is_run_again(perform: Perform, tmp_path: Path) -> None:
    play = await perform(FILES)
    rows = [f"A{n}|amy|2026-03-01|1" for n in range(450)]
    path = table(tmp_path / "a.csv", "订单号|微信号|日期|金额", *rows)
    store, writes = play.stage.store, 0
    write = store.write

    def dying(work: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise KeyboardInterrupt
        return write(work)

    store.write = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        done(play, path, apply=True)
    store.write = write  # type: ignore[method-assign]
    assert play.one("SELECT COUNT(*) FROM event WHERE kind = 'order'") == 200
    assert done(play, path, apply=True) == {"orders": 250, "old": 250, "known_orders": 200}
    assert play.one("SELECT SUM(amount) FROM event WHERE kind = 'order'") == 45_000


def test_nobody_has_logged_in_yet(tmp_path: Path) -> None:
    space = workspace(tmp_path / "w", FILES)
    store = Store("sqlite:///siyu.db", root=tmp_path)
    wish = Wish(path=table(tmp_path / "a.csv", "微信号", "amy"), asked={})
    with pytest.raises(SiyuError, match="还没有账号登录过"):
        Importer(space, store, wish, now=0)
    store.close()


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
async def test_what_is_exported_can_be_imported_again(
    perform: Perform, tmp_path: Path, suffix: str
) -> None:
    play = await perform(FILES)
    play.world.add_person("evil", "=HYPERLINK(1)", friend=True)
    await play.hear("evil", "在吗")
    path = table(
        tmp_path / "a.csv", "微信号|标签|城市", "evil|宝妈、意向/高|@杭州\n二行", "amy|宝妈|"
    )
    done(play, path, apply=True)
    orders = table(tmp_path / "b.csv", "微信号|日期|金额", "amy|2026-03-01|9.9")
    done(play, orders, apply=True)
    out, zone = tmp_path / f"out{suffix}", play.stage.bot.heart.settings.zone
    assert export(play.stage.store, out, audience=None, zone=zone, now=play.now) == 5
    before = state(play)
    assert done(play, out, apply=True) == {"unchanged": 5}
    assert state(play) == before
    some = tmp_path / "some.csv"
    assert export(play.stage.store, some, audience=HasTag(tag="宝妈"), zone=zone, now=play.now) == 2
    with some.open(encoding="utf-8-sig", newline="") as file:
        heading, *people = csv.reader(file)
    assert heading[-1] == "资料:城市"
    assert [(one[1], one[2], one[10], one[11]) for one in people] == [
        ("amy", "小雨", "1", "9.90"), ("evil", "'=HYPERLINK(1)", "0", "0.00"),
    ]  # fmt: skip
