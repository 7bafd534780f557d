"""The condition language: what an `if:` may say about a contact.

A condition is data. Its one meaning is the SQL expression that `storage.conditions` makes of it.
Each condition is a mapping with one of the keys below; several at once are written with `all:`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sop.events import INTERNAL, EventKind
from sop.times import Duration

OneOrMany = str | tuple[str, ...]


def _may_be_named(kind: EventKind) -> EventKind:
    if kind in INTERNAL:
        raise PydanticCustomError("enum", "没有这个选项")
    return kind


NamedEvent = Annotated[
    EventKind,
    AfterValidator(_may_be_named),
    WithJsonSchema({"type": "string", "enum": [k.value for k in EventKind if k not in INTERNAL]}),
]
"""An event that an operator may name."""


class Definition(BaseModel):
    """Base of everything an operator writes: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


def many(value: OneOrMany) -> tuple[str, ...]:
    """A value that may be written alone or as a list, as a tuple."""
    return (value,) if isinstance(value, str) else value


class HasTag(Definition):
    """Carries the tag, or one of the listed tags. `意向` means any tag of the group 意向."""

    tag: OneOrMany


class InStage(Definition):
    """Is in the lifecycle stage, or one of the listed."""

    stage: OneOrMany


class Not(Definition):
    """The inner condition does not hold."""

    not_: Condition = Field(alias="not")


class All(Definition):
    """Every one of the inner conditions holds."""

    all: tuple[Condition, ...] = Field(min_length=1)


class Any_(Definition):
    """At least one of the inner conditions holds."""

    any: tuple[Condition, ...] = Field(min_length=1)


class Ago(Definition):
    """How long ago: `within` the span, or `before` it (longer ago, or never)."""

    within: Duration | None = None
    before: Duration | None = None

    @model_validator(mode="after")
    def _one(self) -> Ago:
        if (self.within is None) == (self.before is None):
            raise PydanticCustomError(
                "siyu", "within 和 before 要写一个，只能写一个", {"expected": "within 或 before"}
            )
        return self


class LastMessage(Definition):
    """The contact's last message to us, as an `Ago`."""

    last_message: Ago


class Count(Definition):
    """Events of a kind about the contact in a span up to now; the current one counts."""

    of: NamedEvent
    within: Duration | None = None
    at_least: int | None = Field(default=None, ge=1)
    at_most: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _bounded(self) -> Count:
        if self.at_least is None and self.at_most is None:
            raise PydanticCustomError(
                "siyu",
                "要写 at_least（至少）或 at_most（至多）",
                {"expected": "at_least 或 at_most"},
            )
        return self


class Counted(Definition):
    """`count: {of: message, within: 30d, at_least: 3}`."""

    count: Count


class HasAttribute(Definition):
    """`attribute: {城市: 杭州}`: every listed attribute has the value (or one of the list)."""

    attribute: dict[str, str | int | tuple[str | int, ...]] = Field(min_length=1)


class IsFriend(Definition):
    """`friend: true`: is a friend of the account (false: only seen in groups, or removed)."""

    friend: bool


class InGroup(Definition):
    """`in_group: 转化群`: is now a member of a group that carries the tag."""

    in_group: OneOrMany


class Amount(Definition):
    """How many: `at_least`, `at_most`, or both."""

    at_least: int | None = None
    at_most: int | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Amount:
        if self.at_least is None and self.at_most is None:
            raise PydanticCustomError(
                "siyu",
                "要写 at_least（至少）或 at_most（至多）",
                {"expected": "at_least 或 at_most"},
            )
        return self


class Membership(Definition):
    """Which memberships: of groups with a tag, or of a kind, `joined` lately or long ago."""

    group_tag: OneOrMany | None = None
    kind: Literal["线索", "转化", "服务"] | None = None
    joined: Ago | None = None

    @model_validator(mode="after")
    def _something(self) -> Membership:
        if self.group_tag is None and self.kind is None and self.joined is None:
            raise PydanticCustomError(
                "siyu", "没有说是哪些群", {"expected": "group_tag、kind、joined 里至少一个"}
            )
        return self


class MemberOf(Definition):
    """`member_of: {group_tag: 转化群, joined: {within: 7d}}`: is now a member of such a group."""

    member_of: Membership


class InSop(Definition):
    """`in_sop: new-friend`: walks the SOP, or one of the listed, right now."""

    in_sop: OneOrMany


class FinishedSop(Definition):
    """`finished_sop: new-friend`: has walked it, or one of the listed, to its end or its goal."""

    finished_sop: OneOrMany


class Spending(Definition):
    """What orders in a span up to now come to, less what was refunded."""

    within: Duration | None = None
    at_least: float | None = Field(default=None, ge=0, allow_inf_nan=False, le=10**12)
    at_most: float | None = Field(default=None, ge=0, allow_inf_nan=False, le=10**12)

    @model_validator(mode="after")
    def _bounded(self) -> Spending:
        if self.at_least is None and self.at_most is None:
            raise PydanticCustomError(
                "siyu",
                "要写 at_least（至少）或 at_most（至多）",
                {"expected": "at_least 或 at_most"},
            )
        return self


class HasPoints(Definition):
    """`points: {at_least: 100}`: how many points the contact has now."""

    points: Amount


class HasStreak(Definition):
    """`streak: {at_least: 7}`: how many days in a row the contact has checked in, up to now."""

    streak: Amount


class HasInvited(Definition):
    """`invited: {at_least: 3}`: how many people the contact has brought who count."""

    invited: Amount


class Spent(Definition):
    """`spent: {at_least: 500, within: 90d}`, in the currency's main unit."""

    spent: Spending


CONDITION_KEYS = (
    "tag",
    "stage",
    "not",
    "all",
    "any",
    "last_message",
    "count",
    "attribute",
    "friend",
    "in_group",
    "points",
    "streak",
    "invited",
    "member_of",
    "in_sop",
    "finished_sop",
    "spent",
)


def by_key(keys: tuple[str, ...]) -> Discriminator:
    """Pick a union member by the one key of `keys` that the mapping carries."""

    def pick(value: Any) -> str | None:
        present = value if isinstance(value, dict) else getattr(type(value), "model_fields", ())
        names = [k for k in keys if k in present or f"{k}_" in present]
        return names[0] if len(names) == 1 else None

    return Discriminator(pick, custom_error_type="one_of_keys", custom_error_message=" ".join(keys))


Kinds = (
    Annotated[HasTag, Tag("tag")]
    | Annotated[InStage, Tag("stage")]
    | Annotated[Not, Tag("not")]
    | Annotated[All, Tag("all")]
    | Annotated[Any_, Tag("any")]
    | Annotated[LastMessage, Tag("last_message")]
    | Annotated[Counted, Tag("count")]
    | Annotated[HasAttribute, Tag("attribute")]
    | Annotated[IsFriend, Tag("friend")]
    | Annotated[InGroup, Tag("in_group")]
    | Annotated[HasPoints, Tag("points")]
    | Annotated[HasStreak, Tag("streak")]
    | Annotated[HasInvited, Tag("invited")]
    | Annotated[MemberOf, Tag("member_of")]
    | Annotated[InSop, Tag("in_sop")]
    | Annotated[FinishedSop, Tag("finished_sop")]
    | Annotated[Spent, Tag("spent")]
)
"""Every kind of condition, for `by_key` to choose from."""
Condition = Annotated[Kinds, by_key(CONDITION_KEYS)]
for _model in (Not, All, Any_):
    _model.model_rebuild()


def announced(condition: Condition) -> bool:
    """Whether an event tells of every change of its answer: then nobody need look at the clock."""
    match condition:
        case HasTag() | InStage():
            return True
        case Not():
            return announced(condition.not_)
        case All():
            return all(announced(inner) for inner in condition.all)
        case Any_():
            return all(announced(inner) for inner in condition.any)
        case _:
            return False
