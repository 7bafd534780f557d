"""The filters of a template. Each bounds what it makes, so no template can eat the memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, Undefined, pass_context
from jinja2.runtime import Context

TEXT_LIMIT = 4_000
NUMBER_LIMIT = 10**15
WORK_LIMIT = 20_000
RUN = "_run"


class Refused(Exception):
    """这里不能这样写。"""


class Missing(StrictUndefined):
    """A name or entry that is not there; any use of it says so in the operator's language."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return f"这里没有 {self._undefined_name}"


class Run:
    """One rendering: what may still be spent on loops, and the contact's number for `pick`."""

    __slots__ = ("left", "seed")

    def __init__(self, seed: int) -> None:
        self.left = WORK_LIMIT
        self.seed = seed


def show(value: object) -> str:
    """How a value reads to a customer; what would read as Python is refused."""
    match value:
        case str():
            return value
        case Undefined():
            return str(value)
        case bool():
            raise Refused("这是“是/否”，不能直接输出；请用 {% if … %} 写成文字")
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value == int(value) else str(round(value, 6))
        case datetime():
            raise Refused("时间不能直接输出；请写成 now|date、now|time 或 now|weekday")
        case list() | tuple():
            raise Refused("列表不能直接输出；请写成 …|join('、')")
        case None:
            raise Refused("这里是空的；请写成 …|default('别的文字')")
    raise Refused("这种数据不能直接输出")


def bounded(text: str) -> str:
    """`text`, unless it grew beyond what any message needs."""
    _room_for(len(text))
    return text


def _room_for(size: int) -> None:
    if size > TEXT_LIMIT:
        raise Refused(f"拼出来的文字超过 {TEXT_LIMIT} 个字")


def number(value: object) -> int | float:
    """`value`, if one may calculate with it."""
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("只有数字才能计算；拼接文字请用 ~")
    if not abs(value) <= NUMBER_LIMIT:
        raise Refused("数字太大了")
    return value


def _items(value: object) -> list[Any]:
    match value:
        case list() | tuple() | str() | Mapping():
            return list(value)
        case Undefined():
            str(value)
    raise Refused("这里要一个列表")


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    raise Refused("这里要一个时间，例如 now")


@pass_context
def each(context: Context, value: object, weight: int) -> list[Any]:
    """The items of a `for`, paid for beforehand: turns times nodes, so no clock is needed."""
    items, run = _items(value), context.parent[RUN]
    run.left -= len(items) * weight
    if run.left < 0:
        raise Refused("循环的次数太多了")
    return items


def concat(parts: list[object]) -> str:
    """The operator `~`."""
    return bounded("".join(map(show, parts)))


def greeting(value: object) -> str:
    """早上好、中午好、下午好、晚上好，或夜深了。"""
    hour = _moment(value).hour
    for until, words in ((5, "夜深了"), (11, "早上好"), (13, "中午好"), (18, "下午好")):
        if hour < until:
            return words
    return "晚上好" if hour < 23 else "夜深了"


def date(value: object) -> str:
    """11月21日。"""
    moment = _moment(value)
    return f"{moment.month}月{moment.day}日"


def time(value: object) -> str:
    """09:30。"""
    return f"{_moment(value):%H:%M}"


def weekday(value: object) -> str:
    """周六。"""
    return "周" + "一二三四五六日"[_moment(value).weekday()]


def join(values: object, separator: str = "") -> str:
    """The items in one line."""
    return bounded(show(separator).join(map(show, _items(values))))


def default(value: object, fallback: object = "") -> object:
    """`fallback` for what is missing, None or blank; 0 and “no” are values."""
    blank = isinstance(value, str) and not value.strip()
    return fallback if blank or value is None or isinstance(value, Undefined) else value


def truncate(value: object, length: int, end: str = "…") -> str:
    """At most `length` characters, the last ones being `end` where something was cut."""
    text = show(value)
    return text if len(text) <= length else text[: max(length - len(end), 0)] + end


def replace(value: object, old: str, new: str) -> str:
    """Every `old` turned into `new`."""
    text = show(value)
    if not old:
        raise Refused("replace 的第一个参数不能是空的")
    _room_for(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def trim(value: object) -> str:
    """Without blanks at the ends."""
    return show(value).strip()


def length(value: object) -> int:
    """How many items or characters."""
    return len(_items(value))


def first(value: object) -> object:
    """The first item."""
    items = _items(value)
    return items[0] if items else Missing(name="第一个（列表是空的）")


def last(value: object) -> object:
    """The last item."""
    items = _items(value)
    return items[-1] if items else Missing(name="最后一个（列表是空的）")


def rounded(value: object, digits: int = 0) -> int | float:
    """A rounded number; without digits a whole one."""
    return round(number(value), digits) if digits else round(number(value))


def whole(value: object, fallback: int = 0) -> int:
    """A whole number out of a text or number, else `fallback`."""
    try:
        return int(float(show(value)))
    except (ValueError, OverflowError):
        return fallback


def urlencode(value: object) -> str:
    """Safe inside a link."""
    return bounded(quote(show(value), safe=""))


@pass_context
def pick(context: Context, options: object, ordinal: int) -> object:
    """One of the options: the same contact at the same place always gets the same one."""
    items = _items(options)
    if not items:
        raise Refused("pick 的列表是空的")
    key = f"{context.parent[RUN].seed}:{ordinal}".encode()
    return items[int.from_bytes(blake2b(key, digest_size=4).digest()) % len(items)]


FILTERS: dict[str, Callable[..., Any]] = {
    "greeting": greeting,
    "date": date,
    "time": time,
    "weekday": weekday,
    "join": join,
    "default": default,
    "truncate": truncate,
    "replace": replace,
    "trim": trim,
    "length": length,
    "first": first,
    "last": last,
    "round": rounded,
    "int": whole,
    "urlencode": urlencode,
    "pick": pick,
}
EACH, CONCAT = "_each", "_concat"
HIDDEN: dict[str, Callable[..., Any]] = {EACH: each, CONCAT: concat}
"""Filters that the rewriting puts in; no template can name them."""
TESTS = ("defined", "undefined", "none", "odd", "even")
