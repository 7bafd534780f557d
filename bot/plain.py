"""Stored words and foreign texts, as a terminal may show them."""

from __future__ import annotations

from datetime import date

_SOURCES = {
    "rule": "规则",
    "sop": "SOP",
    "push": "群发",
    "moment": "朋友圈",
    "operator": "运营",
    "groups": "群名像",
    "faq": "知识",
    "reading": "话里的",
    "points": "积分",
    "invites": "邀请奖励",
    "import": "导入",
}
_BARE = {"expired": "到期了", "reading:": "听不出别的意思"}  # sources without a name
_UNSEEN = {
    **{n: chr(0x2400 + n) for n in range(0x20) if chr(n) not in "\n\t"},
    **dict.fromkeys(range(0x7F, 0xA0), "�"),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], ""),
}


def visible(text: str) -> str:
    """Text whose control and direction characters cannot steer the terminal."""
    return text.translate(_UNSEEN)


def source_name(source: str) -> str:
    """Where a tag comes from: `rule:price` is 规则 price."""
    kind, _, name = source.partition(":")
    if source in _BARE or kind not in _SOURCES:
        return _BARE.get(source, source)
    return name if name == _SOURCES[kind] else f"{_SOURCES[kind]} {name}"


def operator_name(name: str) -> str:
    """How traces call an operator; 运营 is what some call themselves."""
    return source_name(f"operator:{name}")


def with_reason(what: str, because: str) -> str:
    """What was or was not done, and why; a reason that begins with it is not told twice."""
    return because if because.startswith(what) else f"{what}：{because}"


def reason_alone(what: str, because: str) -> str:
    """Why, for where it is told beside what was or was not done."""
    return because.removeprefix(f"{what}：")


def day_line(day: date) -> str:
    """A line between two days."""
    return f"── {day.month}月{day.day}日 周{'一二三四五六日'[day.weekday()]} ──"
