"""What the operator's files may say, as frozen models.

The models hold meaning, not positions: `sop.load` maps their errors back to `file:line:column`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sop.conditions import Condition, Definition, OneOrMany, by_key
from sop.events import EventKind, MessageType
from sop.times import HOUR, MINUTE, SECOND, DayWindow, Duration, DurationRange, Range

STAGES = ("引入期", "成长期", "成熟期", "休眠期", "流失期")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise PydanticCustomError(
            "siyu", "没有这个时区", {"expected": "时区名，如 Asia/Shanghai"}
        ) from None
    return name


# --- siyu.yaml -------------------------------------------------------------------------------


class Hours(Definition):
    """`quiet`: when no touch leaves, in the workspace's time zone. Replies still do."""

    quiet: DayWindow | None = None


class ContactLimits(Definition):
    """Touches one contact may get in a calendar day, and in seven."""

    per_day: int = Field(default=2, ge=0)
    per_week: int = Field(default=6, ge=0)


class AccountLimits(Definition):
    """What may leave the account in any hour and in a calendar day, and how far apart."""

    per_hour: int = Field(default=60, ge=1)
    per_day: int = Field(default=400, ge=1)
    gap: DurationRange = Range(6 * SECOND, 20 * SECOND)
    reply_gap: DurationRange = Range(1 * SECOND, 3 * SECOND)


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
    token: str = Field(min_length=1)
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
        pattern=r"^(sqlite|postgresql)",
        description="数据库地址，sqlite:///data/siyu.db 或 postgresql://…",
    )
    operators: tuple[str, ...] = ()
    hours: Hours = Hours()
    limits: Limits = Limits()
    takeover: Duration = 2 * HOUR
    stale: Duration = 5 * MINUTE
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
    """Groups whose name matches (`*` stands for anything) get this kind and these tags."""

    match: str
    kind: Literal["线索", "转化", "服务"] | None = None
    tags: tuple[str, ...] = ()

    def fits(self, name: str) -> bool:
        """Whether a group's name fits `match`, in which only `*` is special."""
        pattern = ".*".join(re.escape(piece) for piece in self.match.split("*"))
        return re.fullmatch(pattern, name, re.DOTALL) is not None


# --- actions ---------------------------------------------------------------------------------


class Say(Definition):
    """Fill the template and send it `here` (where it happened) or in the private chat."""

    say: str
    to: Literal["here", "private"] = "here"


class AddTag(Definition):
    """Tag the contact (or the group with `on: group`), for a span if `for` says so."""

    tag: OneOrMany
    for_: Duration | None = Field(default=None, alias="for")
    on: Literal["contact", "group"] = "contact"


class RemoveTag(Definition):
    """Take the tag off; a group name takes off every tag of the group."""

    untag: OneOrMany
    on: Literal["contact", "group"] = "contact"


class SetAttribute(Definition):
    """Set attributes of the contact; a null value clears. Values may be inline templates."""

    set: dict[str, str | int | None] = Field(min_length=1)


class Notify(Definition):
    """Tell every operator; the text is an inline template."""

    notify: str


class HandOff(Definition):
    """Step back from this conversation for `takeover` and tell the operators why."""

    hand_off: str


class AcceptFriend(Definition):
    """Accept the friend request that this event is."""

    accept: Literal[True]


ACTION_KEYS = ("say", "tag", "untag", "set", "notify", "hand_off", "accept")
Action = Annotated[
    Annotated[Say, Tag("say")]
    | Annotated[AddTag, Tag("tag")]
    | Annotated[RemoveTag, Tag("untag")]
    | Annotated[SetAttribute, Tag("set")]
    | Annotated[Notify, Tag("notify")]
    | Annotated[HandOff, Tag("hand_off")]
    | Annotated[AcceptFriend, Tag("accept")],
    by_key(ACTION_KEYS),
]


# --- rules -----------------------------------------------------------------------------------


class Match(Definition):
    """What a message says. `any`, `regex`, `like` are alternatives; `all` and `none` bind them."""

    any: OneOrMany = ()
    all: OneOrMany = ()
    none: OneOrMany = ()
    regex: OneOrMany = ()
    like: OneOrMany = ()
    type: MessageType | tuple[MessageType, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Match:
        if not (self.any or self.all or self.none or self.regex or self.like or self.type):
            raise PydanticCustomError(
                "siyu", "match 是空的", {"expected": "any、all、none、regex、like、type 里至少一个"}
            )
        return self


class GroupPlace(Definition):
    """Groups that carry a tag, or are of a kind."""

    group_tag: OneOrMany | None = None
    kind: Literal["线索", "转化", "服务"] | None = None


Place = Literal["private", "group", "mention", "anywhere"] | GroupPlace


class Rule(Definition):
    """On an event, if a condition holds, do the actions."""

    id: str = Field(pattern=r"^[\w\-./]+$", description="字、字母、数字和 - _ . /，不含空格")
    on: EventKind
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


class Definitions(Definition):
    """Everything the definition files of a workspace say together."""

    tags: dict[str, TagGroup] = Field(default_factory=dict)
    groups: tuple[GroupRule, ...] = ()
    rules: tuple[Rule, ...] = ()
    words: tuple[str, ...] = ()
    synonyms: dict[str, tuple[str, ...]] = Field(default_factory=dict)

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

    def group_rule(self, name: str) -> GroupRule | None:
        """The first of `groups:` whose pattern fits a group's name."""
        return next((rule for rule in self.groups if rule.fits(name)), None)
