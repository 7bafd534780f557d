"""Stored words and foreign texts, as a terminal may show them."""

from __future__ import annotations

from datetime import date

_SOURCES = {"rule": "规则", "sop": "SOP", "operator": "运营", "groups": "群名像"}
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
    return f"{_SOURCES[kind]} {name}" if kind in _SOURCES else source


def day_line(day: date) -> str:
    """A line between two days."""
    return f"── {day.month}月{day.day}日 周{'一二三四五六日'[day.weekday()]} ──"
