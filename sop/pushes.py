"""Pushes and Moments as operators write them: when, to whom, what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sop.conditions import Definition, OneOrMany, by_key
from sop.times import DAY, HOUR, Clock, DayWindow, Duration, LatePolicy

PUSH_LATE = 2 * HOUR  # how late a push or a Moment may begin unless `late` says otherwise
PILLARS = ("日常", "观点", "成绩", "干货", "广告")
Pillar = Literal["日常", "观点", "成绩", "干货", "广告"]
Name = Annotated[str, Field(pattern=r"^[\w\-]+$", description="字母、数字、汉字、- 或 _")]


def _read_wall(value: object) -> object:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.strptime(str(value).strip(), "%Y-%m-%d %H:%M")  # noqa: DTZ007 (a wall clock)
    except ValueError:
        raise PydanticCustomError(
            "siyu", "写法不对", {"expected": "年-月-日 时:分，如 2026-12-12 10:00"}
        ) from None


Wall = Annotated[
    datetime,
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2} \d{1,2}:\d{2}$"}),
    BeforeValidator(_read_wall),
    PlainSerializer(lambda wall: wall.strftime("%Y-%m-%d %H:%M")),
]
"""A minute on the wall of the workspace's time zone."""


# --- when ------------------------------------------------------------------------------------


class AtOnce(Definition):
    """Once, at this minute."""

    on: Wall


class AtCron(Definition):
    """Again and again; with `workday` a day off moves to the next workday."""

    cron: str
    workday: bool = False


class AtFestival(Definition):
    """Every year, `days` before or after the festivals, at this time of day."""

    festival: OneOrMany
    days: int = Field(default=0, ge=-60, le=60)
    at: Clock
    workday: bool = False


AT_KEYS = ("on", "cron", "festival")
When = Annotated[
    Annotated[AtOnce, Tag("on")]
    | Annotated[AtCron, Tag("cron")]
    | Annotated[AtFestival, Tag("festival")],
    by_key(AT_KEYS),
]


# --- to whom ---------------------------------------------------------------------------------


class ToAudience(Definition):
    """Everybody who is in the audience."""

    audience: str


class GroupsWith(Definition):
    """Groups that carry the tag, or are of the kind; with both, those that do both.

    Those that carry a tag of `without` are left out.
    """

    tag: OneOrMany | None = None
    kind: Literal["线索", "转化", "服务"] | None = None
    without: OneOrMany = ()

    @model_validator(mode="after")
    def _something(self) -> GroupsWith:
        if self.tag is None and self.kind is None:
            raise PydanticCustomError(
                "siyu", "没有说是哪些群", {"expected": "tag 或 kind，如 groups: {tag: 福利群}"}
            )
        return self


class ToGroups(Definition):
    """Every such group the bot is in."""

    groups: GroupsWith


TO_KEYS = ("audience", "groups")
To = Annotated[
    Annotated[ToAudience, Tag("audience")] | Annotated[ToGroups, Tag("groups")],
    by_key(TO_KEYS),
]


# --- what ------------------------------------------------------------------------------------


class Push(Definition):
    """One proactive message to an audience or to groups; without `at` only by hand."""

    id: Name
    title: str = ""
    to: To
    at: When | None = None
    say: str
    late: LatePolicy | None = None
    within: Duration = 7 * DAY
    window: DayWindow | None = None
    priority: int = Field(default=0, ge=-100, le=100)

    @property
    def label(self) -> str:
        """What people call it."""
        return self.title or self.id


class MomentPlan(Definition):
    """One post to Moments, or one of a series."""

    id: Name
    title: str = ""
    pillar: Pillar
    at: When
    say: str
    visible_to: OneOrMany | None = None
    late: LatePolicy | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return self.title or self.id
