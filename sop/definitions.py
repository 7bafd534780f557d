"""What the operator's files may say, as frozen models.

The models hold meaning, not positions: `sop.load` maps their errors back to `file:line:column`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sop.actions import Action, Match, Place
from sop.answers import Answers, Words
from sop.conditions import All, Any_, Condition, Definition, NamedEvent, OneOrMany
from sop.core import CorePeople
from sop.events import EventKind
from sop.guarding import Guard
from sop.inviting import CAPACITY
from sop.knowledge import Faq
from sop.points import PointRules
from sop.pushes import MomentPlan, Push
from sop.rehearsal import Rehearsal
from sop.sequences import Day, Sop
from sop.times import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    DayWindow,
    Duration,
    DurationRange,
    Range,
    show_duration,
)

SHORTEST_MEMORY = 30 * DAY
STAGES = ("引入期", "成长期", "成熟期", "休眠期", "流失期")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise PydanticCustomError(
            "siyu", "没有这个时区", {"expected": "时区名，如 Asia/Shanghai"}
        ) from None
    return name


def _long_enough(span: int) -> int:
    if span < SHORTEST_MEMORY:
        raise PydanticCustomError("siyu", "太短了，limits 要往前数七天", {"expected": "至少 30d"})
    return span


# --- siyu.yaml -------------------------------------------------------------------------------


class Hours(Definition):
    """`quiet`: when no touch leaves, in the workspace's time zone. Replies still do."""

    quiet: DayWindow | None = None


class CalendarSettings(Definition):
    """What the official calendar does not say: own workdays (on a weekend) and days off."""

    workdays: tuple[Day, ...] = ()
    holidays: tuple[Day, ...] = ()

    @model_validator(mode="after")
    def _one_or_the_other(self) -> CalendarSettings:
        both = sorted(set(self.workdays) & set(self.holidays))
        if both:
            raise PydanticCustomError(
                "siyu",
                "{day} 既写了上班又写了放假",
                {"day": both[0].isoformat(), "expected": "只写在一处", "key": "holidays"},
            )
        return self


class ContactLimits(Definition):
    """Touches one contact may get in a calendar day, and in seven."""

    per_day: int = Field(default=2, ge=0)
    per_week: int = Field(default=6, ge=0)


class WarmUp(Definition):
    """What may leave an account that is younger than `until`."""

    until: Duration
    per_hour: int = Field(ge=1)
    per_day: int = Field(ge=1)


class AccountLimits(Definition):
    """What may leave the account in any hour and in a calendar day, and how far apart.

    `warmup` are the stages of a young account, from the youngest; `since` is when it came into use.
    """

    per_hour: int = Field(default=60, ge=1)
    per_day: int = Field(default=400, ge=1)
    gap: DurationRange = Range(6 * SECOND, 20 * SECOND)
    reply_gap: DurationRange = Range(1 * SECOND, 3 * SECOND)
    since: Day | None = None
    warmup: tuple[WarmUp, ...] = ()

    @model_validator(mode="after")
    def _grows(self) -> AccountLimits:
        for before, after in pairwise(self.warmup):
            if after.until <= before.until:
                raise PydanticCustomError(
                    "siyu",
                    "养号要一段比一段长：{after} 不比 {before} 长",
                    {"before": show_duration(before.until), "after": show_duration(after.until),
                     "expected": "从短到长，如 3d、7d、14d", "key": "warmup"},
                )  # fmt: skip
            if after.per_hour < before.per_hour or after.per_day < before.per_day:
                raise PydanticCustomError(
                    "siyu",
                    "养号只能越养越多：{until} 这一段比前一段还少",
                    {"until": show_duration(after.until), "expected": "不少于前一段",
                     "key": "warmup"},
                )  # fmt: skip
        return self


class Limits(Definition):
    """Limits of the whole workspace."""

    contact: ContactLimits = ContactLimits()
    account: AccountLimits = AccountLimits()


class SimulatorSettings(Definition):
    """The small WeChat world inside the process."""

    kind: Literal["simulator"]


class TlsSettings(Definition):
    """`ca`: a PEM file in the workspace; `server_name`: the name in the gateway's certificate."""

    ca: str = ""
    server_name: str = ""


class WechatySettings(Definition):
    """A Wechaty gateway at `HOST:PORT`. `plugins` are `module:Class` of Wechaty plugins."""

    kind: Literal["wechaty"]
    endpoint: str = Field(
        pattern=r"^[^\s/:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$",
        description="主机:端口，如 127.0.0.1:8788",
    )
    token: str = Field(min_length=1, repr=False)
    tls: bool | TlsSettings = True
    plugins: tuple[
        Annotated[
            str, Field(pattern=r"^[\w.]+:\w+$", description="模块:类名，如 my.plugin:Plugin")
        ],
        ...,
    ] = ()


class Settings(Definition):
    """`siyu.yaml`."""

    community: str
    timezone: Annotated[str, AfterValidator(_known_zone)] = "Asia/Shanghai"
    channel: Annotated[SimulatorSettings | WechatySettings, Field(discriminator="kind")] = (
        SimulatorSettings(kind="simulator")
    )
    storage: str = Field(
        default="sqlite:///data/siyu.db",
        repr=False,
        pattern=r"^(sqlite|postgresql)",
        description="数据库地址，sqlite:///data/siyu.db 或 postgresql://…",
    )
    operators: tuple[str, ...] = ()
    hours: Hours = Hours()
    calendar: CalendarSettings = CalendarSettings()
    limits: Limits = Limits()
    takeover: Duration = 2 * HOUR
    stale: Duration = 5 * MINUTE
    keep: Annotated[Duration, AfterValidator(_long_enough)] = 180 * DAY
    answers: Answers = Answers()
    vars: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @property
    def zone(self) -> ZoneInfo:
        """The workspace's time zone."""
        return ZoneInfo(self.timezone)


# --- tags and groups -------------------------------------------------------------------------


class TagGroup(Definition):
    """A tag, or with `values` a group of tags `组/名`; `one_of` keeps at most one of them."""

    values: tuple[str, ...] = ()
    one_of: bool = False
    expires: Duration | None = None  # how long a tag of this group lasts unless said otherwise
    note: str = ""


class GroupRule(Definition):
    """Groups whose name matches (`*` stands for anything) get this kind and these tags.

    `capacity` is how many members the bot fills them up to, itself included.
    """

    match: str
    kind: Literal["线索", "转化", "服务"] | None = None
    tags: tuple[str, ...] = ()
    capacity: int = Field(default=CAPACITY, ge=2, le=CAPACITY)

    def fits(self, name: str) -> bool:
        """Whether a group's name fits `match`, in which only `*` is special."""
        pattern = ".*".join(re.escape(piece) for piece in self.match.split("*"))
        return re.fullmatch(pattern, name, re.DOTALL) is not None


# --- rules -----------------------------------------------------------------------------------


class Rule(Definition):
    """On an event, if a condition holds, do the actions."""

    id: str = Field(pattern=r"^[\w\-./]+$", description="字、字母、数字和 - _ . /，不含空格")
    on: NamedEvent
    where: Place | None = None
    match: Match | None = None
    if_: Condition | None = Field(default=None, alias="if")
    for_: Duration | None = Field(default=None, alias="for")
    tag: OneOrMany | None = None
    stage: OneOrMany | None = None
    do: tuple[Action, ...] = Field(min_length=1)
    cooldown: Duration | None = None
    gather: Duration | None = None
    stop: bool = False

    @model_validator(mode="after")
    def _fits_event(self) -> Rule:
        for key, value, kinds in (
            ("match", self.match, {EventKind.MESSAGE, EventKind.FRIEND_REQUEST}),
            ("for", self.for_, {EventKind.SILENT}),
            ("gather", self.gather, {EventKind.GROUP_JOINED, EventKind.GROUP_LEFT}),
            ("tag", self.tag, {EventKind.TAG_ADDED, EventKind.TAG_REMOVED}),
            ("stage", self.stage, {EventKind.STAGE_CHANGED}),
        ):
            if value is not None and self.on not in kinds:
                raise PydanticCustomError(
                    "siyu",
                    "{key} 不能用在 on: {on} 上",
                    {
                        "key": key,
                        "on": self.on.value,
                        "expected": f"on: {' / '.join(sorted(kinds))}",
                    },
                )
        if self.on is EventKind.SILENT and self.for_ is None:
            raise PydanticCustomError(
                "siyu", "on: silent 要写 for（多久没说话）", {"expected": "for: 7d"}
            )
        return self


class Audience(Definition):
    """A named condition over contacts: all of `all`, and one of `any` where given."""

    id: str = Field(pattern=r"^[\w\-]+$", description="字母、数字、汉字、- 或 _")
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Audience:
        if not (self.all or self.any):
            raise PydanticCustomError("siyu", "人群没有条件", {"expected": "all 或 any"})
        return self

    @property
    def condition(self) -> Condition:
        """The audience as one condition."""
        parts: list[Condition] = [*self.all]
        if self.any:
            parts.append(Any_(any=self.any))
        return All(all=tuple(parts))


class Definitions(Definition):
    """Everything the definition files of a workspace say together."""

    tags: dict[str, TagGroup] = Field(default_factory=dict)
    groups: tuple[GroupRule, ...] = ()
    stages: dict[str, Condition] = Field(default_factory=dict)
    audiences: tuple[Audience, ...] = ()
    rules: tuple[Rule, ...] = ()
    sops: tuple[Sop, ...] = ()
    pushes: tuple[Push, ...] = ()
    moments: tuple[MomentPlan, ...] = ()
    words: tuple[str, ...] = ()
    synonyms: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    faq: tuple[Faq, ...] = ()
    reading: Words = Words()
    rehearsal: Rehearsal = Rehearsal()
    points: PointRules = PointRules()
    guard: Guard | None = None
    core: CorePeople | None = None

    @field_validator("tags", mode="before")
    @classmethod
    def _bare_tags(cls, value: object) -> object:
        if isinstance(value, dict):
            return {k: {} if v is None else v for k, v in value.items()}
        return value

    def tag_names(self) -> tuple[str, ...]:
        """Every tag that may be given, in the order of the files."""
        return tuple(
            name
            for group, spec in self.tags.items()
            for name in ([f"{group}/{value}" for value in spec.values] or [group])
        )

    def stage_names(self) -> tuple[str, ...]:
        """Every stage a contact may be in; 引入期 is where no condition of `stages` holds."""
        names = tuple(self.stages) or STAGES
        return names if STAGES[0] in names else (STAGES[0], *names)

    def group_rule(self, name: str) -> GroupRule | None:
        """The first of `groups:` whose pattern fits a group's name."""
        return next((rule for rule in self.groups if rule.fits(name)), None)

    def audience(self, name: str) -> Audience | None:
        """The audience with this id."""
        return next((audience for audience in self.audiences if audience.id == name), None)
