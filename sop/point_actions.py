"""What rules, SOPs and rewards can do with points."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from sop.conditions import Definition

MOST = 1_000_000  # points in one go
BoardKind = Literal["month", "total", "streak", "invites"]


def _not_nothing(amount: int) -> int:
    if amount == 0:
        raise PydanticCustomError("siyu", "0 分等于没给", {"expected": "如 +5 或 -5"})
    return amount


class Points(Definition):
    """Give points (or take them) for a reason; `per_day` caps what the reason brings in a day."""

    points: Annotated[int, Field(ge=-MOST, le=MOST), AfterValidator(_not_nothing)]
    reason: str = Field(min_length=1, max_length=40)
    per_day: int | None = Field(default=None, ge=1, le=MOST)


class CheckIn(Definition):
    """Count this day as checked in (`today`), or make up the last one missed (`missed`)."""

    check_in: Literal["today", "missed"]


class ShowBoard(Definition):
    """Fill the template with a leaderboard, of the `group` it is asked in or of `everyone`."""

    board: BoardKind
    template: str
    of: Literal["group", "everyone"] = "group"
