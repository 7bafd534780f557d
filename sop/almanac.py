"""What the core asks of a calendar. The real one lives in `bot.almanac`; tests bring their own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Birthday:
    """A birthday as a contact gave it: month and day, of the lunar calendar or of the solar one.

    `leap` says that the lunar month was a leap month.
    """

    month: int
    day: int
    lunar: bool = False
    leap: bool = False


class Almanac(Protocol):
    """The Chinese calendar."""

    def is_workday(self, day: date) -> bool:
        """Whether people work on this day, by the official arrangement of holidays."""

    def festivals(self) -> Collection[str]:
        """The names that `festival:` may use."""

    def festival(self, name: str, year: int) -> date:
        """The day of a festival that falls in the solar year `year`. Raises KeyError."""

    def birthday(self, born: Birthday, year: int) -> date:
        """The day a birthday is kept in the solar year `year`, by a stated rule for rare days."""
