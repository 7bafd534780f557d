"""The `points:` section: what checking in, levels and invitations are worth."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sop.actions import Action, GroupPlace
from sop.conditions import Definition
from sop.point_actions import MOST
from sop.times import DAY, MINUTE, Duration

Days = Annotated[int, Field(ge=2, le=3_650)]
Amount = Annotated[int, Field(ge=0, le=MOST)]


class CatchUp(Definition):
    """Days that were missed may be made up: how far back, how often, and what it costs."""

    days: int = Field(ge=1, le=31)
    per_month: int = Field(default=1, ge=1, le=31)
    cost: Amount = 0


class CheckInRules(Definition):
    """What a day's check-in brings; `streaks` are extra points on reaching so many in a row."""

    points: Amount = 0
    streaks: dict[Days, Amount] = Field(default_factory=dict)
    catch_up: CatchUp | None = None


class Reward(Definition):
    """What is done, once, for who has invited so many."""

    at_least: int = Field(ge=1, le=MOST)
    do: tuple[Action, ...] = Field(min_length=1)


class Invites(Definition):
    """Whose invitations count where, what each is worth, and how long the invited must stay."""

    where: GroupPlace | None = None
    per: Literal["community", "group"] = "community"
    points: Amount = 0
    stay: Duration = 7 * DAY
    rewards: tuple[Reward, ...] = ()


class Boards(Definition):
    """How long a leaderboard is (`top`), and how soon a conversation may see it again."""

    every: Duration = 2 * MINUTE
    top: int = Field(default=10, ge=1, le=20)


class PointRules(Definition):
    """Everything about points that no single rule says."""

    name: str = Field(default="积分", min_length=1, max_length=8)
    per_day: int | None = Field(default=None, ge=1, le=MOST)
    check_in: CheckInRules = CheckInRules()
    levels: dict[str, Amount] = Field(default_factory=dict)
    invites: Invites | None = None
    boards: Boards = Boards()

    def level(self, earned: int) -> str | None:
        """The tag of who has earned so much in all; None below the lowest level."""
        reached = [(least, tag) for tag, least in self.levels.items() if least <= earned]
        return max(reached)[1] if reached else None

    def next_level(self, earned: int) -> tuple[str, int] | None:
        """The tag of the level above, and how much is missing."""
        ahead = [(least, tag) for tag, least in self.levels.items() if least > earned]
        return (min(ahead)[1], min(ahead)[0] - earned) if ahead else None
