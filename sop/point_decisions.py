"""What the core decides about points, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EntryKind = Literal["earn", "check_in", "streak", "invite", "grant", "fine", "spend", "back"]
"""Why points came or went. `spend` alone lowers neither levels nor rankings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivePoints:
    """Give `amount` points, or take them when it is negative.

    `at` (ms UTC) says which day it belongs to; `key` makes it happen once, and is made of event,
    source and reason when it is empty. `per_day` caps what the reason brings in a day.
    """

    contact_id: int
    amount: int
    reason: str
    source: str
    because: str
    at: int
    kind: EntryKind = "earn"
    per_day: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCheckIn:
    """Count the day of `at` (ms UTC) as checked in, or with `missed` the last day that was not."""

    contact_id: int
    at: int
    missed: bool
    source: str
    because: str
    group_id: int | None = None
