"""Headings and cells of imported tables: what they mean, and why some do not."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sop.importing import (
    ImportMistake,
    OrderLine,
    Person,
    Refused,
    Who,
    columns,
    order_line,
    person,
)
from tests.support import DAY, at

ZONE = ZoneInfo("Asia/Shanghai")
NOW = at("2026-11-21 12:00")
ORDERS = ("订单号", "微信号", "昵称", "下单时间", "实付金额", "商品", "订单状态")


def read(*cells: str, headings: tuple[str, ...] = ORDERS) -> OrderLine | Refused:
    named = columns(headings, asked={})
    return order_line(cells, named, zone=ZONE, now=NOW)


def why(*cells: str) -> str:
    found = read(*cells)
    assert isinstance(found, Refused)
    return found.because


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("12", 1200), ("12.5", 1250), ("¥1,234.56", 123456), ("￥８８", 8800), ("99.9元", 9990),
        ("-5", -500), ("(12.00)", -1200), ("0", 0), ("1e2", 10000), (" 3.005 ", 300),
    ],
)  # fmt: skip
def test_amounts(text: str, cents: int) -> None:
    found = read("A1", "wxid", "", "2026-03-01", text)
    assert isinstance(found, OrderLine)
    assert found.cents == cents


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01 12:30:05", "2026-03-01 12:30:05"),
        ("2026/3/1 9:05", "2026-03-01 09:05"),
        ("2026年3月1日 9:05", "2026-03-01 09:05"),
        ("2026.03.01", "2026-03-01"),
        ("2026-03-01T12:30:05.123", "2026-03-01 12:30:05"),
        ("2026-03-01T04:30:05Z", "2026-03-01 12:30:05"),
        ("2026-03-01 04:30:05+00:00", "2026-03-01 12:30:05"),
        ("46082.5", "2026-03-01 12:00"),
    ],
)
def test_times(text: str, moment: str) -> None:
    found = read("A1", "wxid", "", text, "1")
    assert isinstance(found, OrderLine)
    assert found.at == at(moment)


@pytest.mark.parametrize(
    ("cells", "because"),
    [
        (("A1", "", "", "2026-03-01", "1"), "没有写是谁（微信号、昵称是空的）"),
        (("A1", "w", "", "", "1"), "下单时间是空的"),
        (("A1", "w", "", "2026-02-30", "1"),
         "下单时间看不懂：2026-02-30。要写成 2026-03-01 12:30 这样"),
        (("A1", "w", "", "昨天", "1"), "下单时间看不懂：昨天。要写成 2026-03-01 12:30 这样"),
        (("A1", "w", "", "1999-12-31", "1"), "下单时间太早，不像真的：1999-12-31"),
        (("A1", "w", "", "2027-01-01", "1"), "下单时间在将来：2027-01-01"),
        (("A1", "w", "", "2026-03-01", ""), "金额是空的"),
        (("A1", "w", "", "2026-03-01", "十块"), "金额不是一个数：十块"),
        (("A1", "w", "", "2026-03-01", "NaN"), "金额不是一个数：NaN"),
        (("A1", "w", "", "2026-03-01", "1e99"), "金额不是一个数：1e99"),
        (("A1", "w", "", "2026-03-01", "1", "", "交易关闭"), "没有成交：交易关闭"),
        (("长" * 65, "w", "", "2026-03-01", "1"), "订单号超过 64 个字"),
    ],
)  # fmt: skip
def test_rows_that_make_no_sense(cells: tuple[str, ...], because: str) -> None:
    assert why(*cells) == because


def test_price_times_quantity() -> None:
    headings = ("InvoiceNo", "Quantity", "UnitPrice", "InvoiceDate", "wxid")
    found = read("C1", "-3", "2.55", "2010-12-01 08:26:00", "17850", headings=headings)
    assert isinstance(found, OrderLine)
    assert (found.order, found.cents, found.who) == ("C1", -765, Who("gateway_id", "17850"))


def test_the_strongest_name_decides() -> None:
    headings = ("编号", "微信号", "会员号", "备注", "昵称")
    named = columns(headings, asked={}, by="会员号")
    expected = [("number", "12"), ("gateway_id", "w"), ("value", "V1"), ("alias", "王"),
                ("name", "小雨")]  # fmt: skip
    cells = ["#12", "w", "V1", "王", "小雨"]
    for n, (how, what) in enumerate(expected):
        found = person(["", "", "", "", ""][:n] + cells[n:], named)
        assert isinstance(found, Person)
        assert found.who == Who(how, what)  # type: ignore[arg-type]
        assert found.values == ()


def test_other_columns_of_people_are_their_values() -> None:
    named = columns(
        ("微信号", "标签", "城市", "资料：生日", "好友"), asked={"城市": "资料:所在城市"}
    )
    found = person(("w", "宝妈、意向/高，宝妈", "杭州", "3月9日", "是"), named)
    assert isinstance(found, Person)
    assert found.tags == ("宝妈", "意向/高")
    assert found.values == (("所在城市", "杭州"), ("生日", "3月9日"))
    assert named.ignored == ("好友",)


@pytest.mark.parametrize(
    ("headings", "options", "message"),
    [
        (("城市", "生日"), {}, "看不出哪一列是人"),
        (("微信号", "金额"), {}, "看不出哪一列是下单时间"),
        (("微信号", "下单时间", "数量"), {}, "看不出哪一列是金额"),
        (("微信号", "wxid"), {}, "「微信号」和「wxid」两列都是微信号"),
        (("微信号",), {"asked": {"客户": "微信号"}}, "文件里没有「客户」这一列"),
        (("微信号", "客户等级"), {"asked": {"客户等级": "等级"}}, "「客户等级」要当作什么？"),
        (("微信号",), {"by": "会员号"}, "--by 会员号：文件里没有「会员号」这一列"),
        (("微信号", "城市", "城市"), {}, "「城市」这一列有两个"),
    ],
)
def test_headings_that_do_not_fit(
    headings: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ImportMistake, match=message):
        columns(headings, **{"asked": {}, **options})


@given(st.lists(st.text(max_size=40), min_size=7, max_size=9))
def test_whatever_the_cells_say_a_row_is_read_or_refused(cells: list[str]) -> None:
    found = order_line(cells, columns(ORDERS, asked={}), zone=ZONE, now=NOW)
    if isinstance(found, OrderLine):
        assert abs(found.cents) <= 10**12
        assert found.at <= NOW + DAY
    else:
        assert found.because
