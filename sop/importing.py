"""What the columns of an imported table mean, and what its cells say. Pure.

A table is about people (their tags and values) or about orders. Its headings are read as shops'
systems write them; what they do not say the operator says with `--column`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from sop.errors import SiyuError
from sop.times import DAY

VALUE = "资料:"  # a heading of this kind names a value of the person
LONGEST_VALUE = 500
MOST_CENTS = 10**12
EARLIEST = date(2000, 1, 1)
_SERIAL = re.compile(r"\d{5}(\.\d+)?")  # days since 1899-12-30, as Excel keeps them
_PLAIN = re.compile(r"-?\d{1,9}(\.\d{1,6})?", re.ASCII)
_TAG_ENDS = re.compile(r"[、,，;；|\n]+")
_NOT_PAID = re.compile(
    r"取消|关闭|未付|待付|未支付|待支付|退款|cancel|refund|unpaid", re.IGNORECASE
)

Field = Literal[
    "number", "gateway_id", "alias", "name", "tags",
    "order", "at", "amount", "price", "quantity", "item", "status",
]  # fmt: skip
Kind = Literal["contacts", "orders"]
FIELDS: dict[Field, tuple[str, ...]] = {
    "number": ("编号", "联系人编号"),
    "gateway_id": ("微信号", "微信id", "wxid", "userid", "客户id", "externaluserid"),
    "alias": ("备注", "备注名", "客户备注"),
    "name": ("昵称", "名字", "姓名", "微信昵称", "客户昵称", "客户名称", "客户", "买家",
             "买家昵称"),
    "tags": ("标签", "客户标签", "tags"),
    "order": ("订单号", "订单编号", "单号", "orderid", "orderno", "invoiceno", "invoice"),
    "at": ("下单时间", "付款时间", "支付时间", "订单时间", "成交时间", "下单日期", "日期", "时间",
           "invoicedate", "orderdate", "paidat", "createdat"),
    "amount": ("金额", "实付", "实付金额", "订单金额", "支付金额", "付款金额", "amount", "total"),
    "price": ("单价", "unitprice", "price"),
    "quantity": ("数量", "件数", "quantity", "qty"),
    "item": ("商品", "商品名称", "商品名", "宝贝标题", "description", "product"),
    "status": ("状态", "订单状态", "status"),
}  # fmt: skip
LABELS: dict[Field, str] = {field: names[0] for field, names in FIELDS.items()}
_OWN = {"好友", "生命周期", "首次见到", "成为好友", "上次说话", "消费", "订单数"}  # of our exports
_BY_NAME = {name: field for field, names in FIELDS.items() for name in names}
_OF_ORDERS: set[Field] = {"order", "amount", "price", "quantity"}


class ImportMistake(SiyuError):
    """这个文件的列对不上。"""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where in a row each field is, and which columns are values of the person."""

    kind: Kind
    fields: Mapping[Field, int]
    values: Mapping[str, int]
    by: str  # the value that tells who is meant
    ignored: tuple[str, ...]
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Who:
    """How a row says whom it is about."""

    how: Literal["number", "gateway_id", "value", "alias", "name"]
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A row about a person."""

    who: Who
    name: str
    alias: str
    tags: tuple[str, ...]
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """A row about an order or a part of one; `order` is empty where the table numbers none."""

    who: Who
    name: str
    alias: str
    order: str
    at: int
    cents: int
    item: str

    @property
    def digest(self) -> str:
        """What tells a line without a number from others."""
        said = (self.who.how, self.who.what, str(self.at), str(self.cents), self.item)
        return hashlib.sha256("\0".join(said).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a row is not taken; `order` is the one it would have been a part of."""

    because: str
    order: str = ""


# --- headings --------------------------------------------------------------------------------


def columns(headings: Sequence[str], *, asked: Mapping[str, str], by: str = "") -> Columns:
    """What the columns mean; `asked` maps headings to fields in the operator's words."""
    unknown = [name for name in asked if name not in headings]
    if unknown:
        raise ImportMistake(f"文件里没有「{unknown[0]}」这一列。有：{'、'.join(headings)}")
    found = [_meaning(name, asked.get(name)) for name in headings]
    fields: dict[Field, int] = {}
    for n, field in enumerate(found):
        if field in FIELDS:
            _once(fields, field, n, headings)
    kind: Kind = "orders" if _OF_ORDERS & fields.keys() else "contacts"
    values, ignored = _values(headings, found, kind, by)
    if by and by not in values:
        raise ImportMistake(f"--by {by}：文件里没有「{by}」这一列。有：{'、'.join(headings)}")
    named = Columns(kind, fields, values, by, tuple(ignored), tuple(headings))
    _complete(named)
    return named


def _meaning(heading: str, asked: str | None) -> str:
    """The field of a heading, `资料:…` for a value, or nothing."""
    text = heading if asked is None else asked
    folded = re.sub(r"[\s_\-()（）]", "", unicodedata.normalize("NFKC", text)).lower()
    if folded in _BY_NAME:
        return _BY_NAME[folded]
    if text.replace("：", ":").startswith(VALUE):
        return VALUE + text.replace("：", ":")[len(VALUE) :].strip()
    if asked in ("", "不要"):
        return "-"
    if asked is not None:
        names = "、".join(LABELS.values())
        raise ImportMistake(f"「{heading}」要当作什么？可以写：{names}、资料:名字、不要")
    return ""


def _once(fields: dict[Field, int], field: Field, n: int, headings: Sequence[str]) -> None:
    if field in fields:
        both = f"「{headings[fields[field]]}」和「{headings[n]}」"
        hint = f"--column {headings[n]}=不要"
        raise ImportMistake(f"{both}两列都是{LABELS[field]}，不知道用哪一列。不要的那列写 {hint}")
    fields[field] = n


def _values(
    headings: Sequence[str], found: Sequence[str], kind: Kind, by: str
) -> tuple[dict[str, int], list[str]]:
    values: dict[str, int] = {}
    ignored: list[str] = []
    for n, (heading, field) in enumerate(zip(headings, found, strict=True)):
        name = field[len(VALUE) :] if field.startswith(VALUE) else heading
        plain = field == "" and kind == "contacts" and heading not in _OWN
        if name and (field.startswith(VALUE) or plain or (field == "" and heading == by)):
            if name in values:
                raise ImportMistake(f"「{name}」这一列有两个，不知道用哪一个。改一下列名再来。")
            values[name] = n
        elif field not in FIELDS and heading:
            ignored.append(heading)
    return values, ignored


def _complete(named: Columns) -> None:
    whom: set[Field] = {"number", "gateway_id", "alias", "name"}
    if not named.by and not whom & named.fields.keys():
        names = "、".join(f"「{heading}」" for heading in named.headings[:12])
        raise ImportMistake(
            f"看不出哪一列是人。列有：{names}。要有微信号、备注或昵称这样的一列，"
            "或者用 --column 列名=微信号 说明，或者用 --by 说明按哪一项资料认人。"
        )
    if named.kind == "orders":
        if "at" not in named.fields:
            raise ImportMistake("看不出哪一列是下单时间，用 --column 列名=下单时间 说明。")
        if "amount" not in named.fields and not {"price", "quantity"} <= named.fields.keys():
            raise ImportMistake("看不出哪一列是金额，用 --column 列名=金额 说明。")


# --- rows ------------------------------------------------------------------------------------


def person(cells: Sequence[str], named: Columns) -> Person | Refused:
    """A row of a table about people."""
    who = _who(cells, named)
    if who is None:
        return Refused(_nobody(named))
    values = [(key, _cell(cells, n)) for key, n in named.values.items() if key != named.by]
    too_long = [key for key, value in values if len(value) > LONGEST_VALUE]
    if too_long:
        return Refused(f"「{too_long[0]}」超过 {LONGEST_VALUE} 个字")
    tags = [tag.strip() for tag in _TAG_ENDS.split(_field(cells, named, "tags"))]
    return Person(
        who=who,
        name=_field(cells, named, "name"),
        alias=_field(cells, named, "alias"),
        tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
        values=tuple((key, value) for key, value in values if value),
    )


def order_line(
    cells: Sequence[str], named: Columns, *, zone: ZoneInfo, now: int
) -> OrderLine | Refused:
    """A row of a table about orders."""
    order = _field(cells, named, "order")
    who = _who(cells, named)
    if who is None:
        return Refused(_nobody(named), order)
    status = _field(cells, named, "status")
    if _NOT_PAID.search(status):
        return Refused(f"没有成交：{status[:20]}", order)
    try:
        at = _moment(_field(cells, named, "at"), zone, now)
        cents = _cents(cells, named)
    except ValueError as error:
        return Refused(str(error), order)
    if len(order) > 64:
        return Refused("订单号超过 64 个字", order[:64])
    return OrderLine(
        who=who,
        name=_field(cells, named, "name"),
        alias=_field(cells, named, "alias"),
        order=order,
        at=at,
        cents=cents,
        item=_field(cells, named, "item")[:80],
    )


def _who(cells: Sequence[str], named: Columns) -> Who | None:
    """The strongest thing that is said about who it is; a weaker one never overrules it."""
    if number := _field(cells, named, "number").removeprefix("#"):
        return Who("number", number)
    if external := _field(cells, named, "gateway_id"):
        return Who("gateway_id", external)
    if named.by and (value := _cell(cells, named.values[named.by])):
        return Who("value", value)
    if alias := _field(cells, named, "alias"):
        return Who("alias", alias)
    if name := _field(cells, named, "name"):
        return Who("name", name)
    return None


def _nobody(named: Columns) -> str:
    wanted = [LABELS[f] for f in ("number", "gateway_id", "alias", "name") if f in named.fields]
    return f"没有写是谁（{'、'.join([*wanted, *([named.by] if named.by else [])])}是空的）"


def _field(cells: Sequence[str], named: Columns, field: Field) -> str:
    return _cell(cells, named.fields[field]) if field in named.fields else ""


def _cell(cells: Sequence[str], n: int) -> str:
    return cells[n].strip() if n < len(cells) else ""


def _cents(cells: Sequence[str], named: Columns) -> int:
    if "amount" in named.fields:
        cents = round(_number(_field(cells, named, "amount"), "金额") * 100)
    else:
        price = _number(_field(cells, named, "price"), "单价")
        cents = round(price * _number(_field(cells, named, "quantity"), "数量") * 100)
    if abs(cents) > MOST_CENTS:
        raise ValueError("金额大得不像真的")
    return cents


def _number(text: str, what: str) -> Decimal:
    if _PLAIN.fullmatch(text):
        return Decimal(text)
    clean = unicodedata.normalize("NFKC", text).strip()
    if not clean:
        raise ValueError(f"{what}是空的")
    negative = clean.startswith("(") and clean.endswith(")")
    clean = re.sub(r"[¥￥$€£,元\s()]|RMB|CNY", "", clean)
    try:
        value = Decimal(clean)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or abs(value) > MOST_CENTS:
        raise ValueError(f"{what}不是一个数：{text[:20]}")
    return -value if negative else value


def _moment(text: str, zone: ZoneInfo, now: int) -> int:
    if not text:
        raise ValueError("下单时间是空的")
    local = _local(text)
    if local is None:
        raise ValueError(f"下单时间看不懂：{text[:30]}。要写成 2026-03-01 12:30 这样")
    if local.date() < EARLIEST:
        raise ValueError(f"下单时间太早，不像真的：{text[:30]}")
    moment = int((local if local.tzinfo else local.replace(tzinfo=zone)).timestamp() * 1000)
    if moment > now + DAY:
        raise ValueError(f"下单时间在将来：{text[:30]}")
    return moment


@lru_cache(maxsize=1_024)  # the lines of an order follow each other
def _local(text: str) -> datetime | None:
    if _SERIAL.fullmatch(text):
        whole = datetime(1899, 12, 30) + timedelta(days=float(text))  # noqa: DTZ001
        return whole.replace(microsecond=0)
    clean = re.sub(r"[年月/.](?=\d)", "-", text.strip()).replace("日", " ").replace("T", " ")
    found = re.fullmatch(
        r"(\d{4})-(\d{1,2})-(\d{1,2})(?:\s+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.-]\d+)?)?)?"
        r"\s*(Z|[+-]\d{2}:?\d{2})?",
        clean.strip(),
    )
    if found is None:
        return None
    numbers = [int(one or 0) for one in found.groups()[:6]]
    try:
        moment = datetime(*numbers)  # type: ignore[arg-type]  # noqa: DTZ001
        return datetime.fromisoformat(f"{moment.isoformat()}{found[7]}") if found[7] else moment
    except ValueError:
        return None
