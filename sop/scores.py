"""The arithmetic of points: days in a row, caps, places, names fit for a leaderboard. Pure.

Days are ordinals of the calendar in the workspace's time zone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sop.timing import local_day, local_moment

LATEST = 31  # days a late message may still count for its own
NAMELESS = "群友"
_NAME_LIMIT = 12
_WORD = 256  # of a hostile name not even this much is looked at twice
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202f\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
_MARKS = str.maketrans({"@": "＠", "[": "［", "]": "］", "<": "＜", ">": "＞"})


@dataclass(frozen=True, slots=True)
class Run:
    """Days in a row, `start` to `end`; `before` is the longest part of it there was before."""

    start: int
    end: int
    before: int

    @property
    def length(self) -> int:
        """How many days."""
        return self.end - self.start + 1


def day_of(moment: int, zone: ZoneInfo, *, now: int) -> int:
    """The day a moment counts for; a clock that runs ahead of ours counts for today."""
    return local_day(min(moment, now), zone).toordinal()


def ends_at(day: int, zone: ZoneInfo) -> int:
    """When days in a row that end with `day` are broken: the end of the day after, ms UTC."""
    return local_moment(date.fromordinal(day) + timedelta(days=2), 0, zone)


def month_of(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The calendar month around a day, from and up to, ms UTC."""
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return local_moment(first, 0, zone), local_moment(following, 0, zone)


def extended(last: int | None, length: int, day: int) -> Run:
    """The run that a day later than all before it ends; `length` days end with `last`."""
    before = length if last is not None and last == day - 1 else 0
    return Run(day - before, day, before)


def joined(days: Collection[int], day: int) -> Run:
    """The run that a day makes of those around it, when it comes late."""
    start = end = day
    while start - 1 in days:
        start -= 1
    while end + 1 in days:
        end += 1
    return Run(start, end, max(day - start, end - day))


def bonuses(streaks: Mapping[int, int], run: Run) -> list[tuple[int, int]]:
    """The streaks that a run has newly reached, with their points.

    What one of its parts had reached before is not reached again.
    """
    return sorted((n, bonus) for n, bonus in streaks.items() if run.before < n <= run.length)


def missed_day(days: Collection[int], today: int, *, back: int) -> int | None:
    """The last day before today without a check-in, at most `back` days ago."""
    return next((today - n for n in range(1, back + 1) if today - n not in days), None)


def allowed(amount: int, *, got: int, cap: int | None) -> int:
    """How much of `amount` a cap leaves, when `got` came under it already."""
    return amount if cap is None else max(min(amount, cap - got), 0)


def places(values: Sequence[int]) -> list[int]:
    """Places for values in falling order; equals share one: 1, 2, 2, 4."""
    out: list[int] = []
    for n, value in enumerate(values):
        out.append(out[-1] if n and value == values[n - 1] else n + 1)
    return out


def shown_name(name: str) -> str:
    """A nickname as a leaderboard may show it: one short line that mentions and steers nothing."""
    flat = " ".join(_UNSEEN.sub(" ", name[:_WORD]).split()).translate(_MARKS)
    flat = flat if len(flat) <= _NAME_LIMIT else flat[: _NAME_LIMIT - 1].rstrip() + "…"
    return flat or NAMELESS
