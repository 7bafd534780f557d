"""Spans, clock times and windows as operators write them: `10m`, `6s-20s`, `22:00-08:30`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def parse_duration(text: object) -> int:
    """`1h30m` → milliseconds. Raises ValueError for anything else."""
    compact = str(text).replace(" ", "")
    parts = _SPAN.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(text)
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def parse_clock(text: object) -> int:
    """`08:30` → minutes after midnight (`24:00` is not a time). Raises ValueError."""
    found = _CLOCK.fullmatch(str(text))
    if not found:
        raise ValueError(text)
    return int(found[1]) * 60 + int(found[2])


def show_duration(ms: int) -> str:
    """Milliseconds → the way a reader says it: 90_000 → `1 分 30 秒`."""
    for size, small, name, small_name in (
        (DAY, HOUR, "天", "小时"),
        (HOUR, MINUTE, "小时", "分"),
        (MINUTE, SECOND, "分", "秒"),
    ):
        if ms >= size:
            rest = ms % size // small
            name = "分钟" if name == "分" and not rest else name
            return f"{ms // size} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{ms / SECOND:g} 秒"


@dataclass(frozen=True, slots=True)
class Range:
    """A span between `low` and `high`, in ms."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` to `end`, minutes after midnight; over midnight when end < start."""

    start: int
    end: int

    def __contains__(self, minute: int) -> bool:
        if self.start <= self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return "-".join(f"{m // 60:02}:{m % 60:02}" for m in (self.start, self.end))


def parse_range(text: object) -> Range:
    """`6s-20s` or `5s` → Range. Raises ValueError."""
    low, _, high = str(text).partition("-")
    found = Range(parse_duration(low), parse_duration(high or low))
    if found.high < found.low:
        raise ValueError(text)
    return found


def parse_window(text: object) -> Window:
    """`22:00-08:30` → Window. Raises ValueError; equal ends are refused as meaningless."""
    start, _, end = str(text).replace(" ", "").partition("-")
    found = Window(parse_clock(start), parse_clock(end))
    if found.start == found.end:
        raise ValueError(text)
    return found


def _reader(read: Any, expected: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise PydanticCustomError("siyu", "写法不对", {"expected": expected})
        try:
            return read(value)
        except ValueError:
            raise PydanticCustomError("siyu", "写法不对", {"expected": expected}) from None

    return BeforeValidator(check)


def _as_text(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


def _ms(span: int) -> str:
    return f"{span}ms"


def _hh_mm(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@dataclass(frozen=True, slots=True)
class Late:
    """How long after its time something may still be done before it is skipped, ms."""

    limit: int

    def __str__(self) -> str:
        return f"skip after {self.limit}ms"


_LATE = re.compile(r"(?:(skip)|(?:skip after|send within|next window within) (.+)|(next window))")
LATE_GRACE = 15 * MINUTE  # even `skip` forgives the pace of the courier
NEXT_WINDOW = 3 * DAY


def parse_late(text: object) -> Late:
    """`skip after 2h`, `send within 2h`, `skip`, `next window`, `next window within 1d` → Late."""
    found = _LATE.fullmatch(" ".join(str(text).split()))
    if not found:
        raise ValueError(text)
    if found[1]:
        return Late(LATE_GRACE)
    return Late(parse_duration(found[2]) if found[2] else NEXT_WINDOW)


# What is read can be written again: enrollments are pinned to the JSON of their SOP.
_SPAN_PATTERN = r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"
Duration = Annotated[
    int,
    _as_text(_SPAN_PATTERN),
    _reader(parse_duration, "一段时间，如 30s、10m、2h、7d、1h30m"),
    PlainSerializer(_ms),
]
Clock = Annotated[
    int,
    _as_text(r"^\d{1,2}:\d{2}$"),
    _reader(parse_clock, '一个钟点，加引号，如 "09:30"'),
    PlainSerializer(_hh_mm),
]
DurationRange = Annotated[
    Range,
    _as_text(r"^[^-]+(-[^-]+)?$"),
    _reader(parse_range, "一段时间或一个范围，如 5s 或 6s-20s"),
    PlainSerializer(lambda span: f"{span.low}ms-{span.high}ms"),
]
DayWindow = Annotated[
    Window,
    _as_text(r"^\d{1,2}:\d{2}-\d{1,2}:\d{2}$"),
    _reader(parse_window, '一段时段，加引号，如 "22:00-08:30"'),
    PlainSerializer(str),
]
LatePolicy = Annotated[
    Late,
    _as_text(r"^(skip|next window|(skip after|send within|next window within) .+)$"),
    _reader(
        parse_late, "skip、skip after 2h、send within 2h、next window 或 next window within 3d"
    ),
    PlainSerializer(str),
]
