"""SOPs as operators write them: how a walk begins, its steps, how it ends.

A step has at most one timing: `after`; `day`, `weekday`, `workday`, `festival`, `birthday` or
`date` with `at`; `on`; `wait_until`. Without one it follows the step before it at once.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, Tag, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from sop.actions import Action, GroupPlace, Match
from sop.conditions import (
    CONDITION_KEYS,
    Condition,
    Definition,
    HasTag,
    Kinds,
    NamedEvent,
    OneOrMany,
    by_key,
)
from sop.times import Clock, DayWindow, Duration, LatePolicy, parse_duration

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
StepId = Annotated[str, Field(pattern=r"^[\w\-]+$", description="字母、数字、汉字、- 或 _")]


def _read_date(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise PydanticCustomError(
            "siyu", "没有这一天", {"expected": "年-月-日，如 2026-12-01"}
        ) from None


Day = Annotated[
    date,
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}),
    BeforeValidator(_read_date),
    PlainSerializer(date.isoformat),
]


# --- beginning -------------------------------------------------------------------------------


class _Enter(Definition):
    if_: Condition | None = Field(default=None, alias="if")


class EnterOn(_Enter):
    """When the event happens to the contact (or group)."""

    on: NamedEvent
    where: GroupPlace | None = None
    match: Match | None = None


class EnterTag(_Enter):
    """When the tag is added."""

    tag: OneOrMany


class EnterStage(_Enter):
    """When the contact comes into the stage."""

    stage: OneOrMany


class EnterAudience(_Enter):
    """Whoever is in the audience at the daily sweep."""

    audience: str


class EnterDate(_Enter):
    """Everybody for whom `if` holds, at the beginning of the day."""

    date: Day


class EnterBirthday(_Enter):
    """`days` before or after the birthday in the named attribute, at the beginning of that day."""

    birthday: str
    days: int = Field(default=0, ge=-60, le=60)


class EnterFestival(_Enter):
    """Everybody for whom `if` holds, `days` before or after one of the festivals."""

    festival: OneOrMany
    days: int = Field(default=0, ge=-60, le=60)


ENTER_KEYS = ("on", "tag", "stage", "audience", "date", "birthday", "festival")
Enter = Annotated[
    Annotated[EnterOn, Tag("on")]
    | Annotated[EnterTag, Tag("tag")]
    | Annotated[EnterStage, Tag("stage")]
    | Annotated[EnterAudience, Tag("audience")]
    | Annotated[EnterDate, Tag("date")]
    | Annotated[EnterBirthday, Tag("birthday")]
    | Annotated[EnterFestival, Tag("festival")],
    by_key(ENTER_KEYS),
]


class ExitOn(Definition):
    """The walk ends when the event happens."""

    on: NamedEvent


Exit = Annotated[
    Kinds | Annotated[ExitOn, Tag("on")],
    by_key((*CONDITION_KEYS, "on")),
]


class Goal(Definition):
    """What the SOP is for: reached when the condition `if` (or the tag) holds or the event happens.

    With `within`, only that soon after entry.
    """

    tag: OneOrMany | None = None
    on: NamedEvent | None = None
    if_: Condition | None = Field(default=None, alias="if")
    within: Duration | None = None

    @cached_property
    def condition(self) -> Condition | None:
        """The goal as a condition, where it is one; always the same object."""
        return HasTag(tag=self.tag) if self.tag is not None else self.if_

    @model_validator(mode="after")
    def _one(self) -> Goal:
        if sum(x is not None for x in (self.tag, self.on, self.if_)) != 1:
            raise PydanticCustomError(
                "siyu", "goal 要写 tag、on、if 中的一个", {"expected": "tag、on 或 if"}
            )
        return self


# --- steps -----------------------------------------------------------------------------------


class Onward(Definition):
    """Where the walk goes: on (the default), out (`then: exit`), or to a step (`goto`)."""

    do: tuple[Action, ...] = ()
    then: Literal["next", "exit"] = "next"
    goto: StepId | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Onward:
        if self.goto is not None and self.then == "exit":
            raise PydanticCustomError(
                "siyu", "then: exit 和 goto 不能一起写", {"expected": "只写一个", "key": "goto"}
            )
        return self


class Branch(Onward):
    """One way of a `choose:`; the first whose `if` holds is taken, one without `if` always."""

    if_: Condition | None = Field(default=None, alias="if")


class Case(Onward):
    """What to do when a reply matches."""

    match: Match


class Reply(Definition):
    """Wait for the contact's answer."""

    within: Duration
    cases: tuple[Case, ...] = Field(min_length=1)
    none: Onward = Onward()


class WaitUntil(Definition):
    """Wait for an event or a condition before doing the step; `none` when time runs out."""

    on: NamedEvent | None = None
    if_: Condition | None = Field(default=None, alias="if")
    within: Duration
    none: Onward = Onward()

    @model_validator(mode="after")
    def _one(self) -> WaitUntil:
        if (self.on is None) == (self.if_ is None):
            raise PydanticCustomError(
                "siyu", "wait_until 要写 on 或 if，只能写一个", {"expected": "on 或 if"}
            )
        return self


TIMINGS = ("after", "day", "weekday", "festival", "birthday", "date", "on", "wait_until")


class Step(Onward):
    """One step of an SOP."""

    id: StepId
    title: str = ""
    after: Duration | None = None
    day: int | None = Field(default=None, ge=0, le=3650)
    weekday: Weekday | Annotated[tuple[Weekday, ...], Field(min_length=1)] | None = None
    workday: bool = False
    festival: OneOrMany | None = None
    birthday: str | None = None
    date: Day | None = None
    days: int = Field(default=0, ge=-60, le=60)
    at: Clock | None = None
    on: NamedEvent | None = None
    wait_until: WaitUntil | None = None
    if_: Condition | None = Field(default=None, alias="if")
    choose: tuple[Branch, ...] = ()
    reply: Reply | None = None
    window: DayWindow | None = None
    late: LatePolicy | None = None

    @model_validator(mode="after")
    def _sound(self) -> Step:
        self._check_timing()
        if self.choose and (self.do or self.goto or self.then == "exit"):
            raise PydanticCustomError(
                "siyu",
                "写了 choose，就把 do、goto、then 写进它的分支里",
                {"expected": "choose 或 do，只写一个", "key": "choose"},
            )
        return self

    def _check_timing(self) -> None:
        given = [name for name in TIMINGS if getattr(self, name) is not None]
        if len(given) > 1:
            raise PydanticCustomError(
                "siyu",
                "一步只能有一种时间：{given} 写重了",
                {"given": " 和 ".join(given), "expected": "只留一个", "key": given[1]},
            )
        dated = bool(set(given) & {"day", "weekday", "festival", "birthday", "date"})
        needs_clock = dated or (self.workday and not given)
        if needs_clock and self.at is None:
            raise PydanticCustomError(
                "siyu",
                "还要写 at（几点）",
                {"expected": 'at: "10:00"', "key": (given or ["workday"])[0]},
            )
        if self.at is not None and not needs_clock:
            raise PydanticCustomError(
                "siyu",
                "at 要和 day、weekday、workday、festival、birthday 或 date 一起写",
                {"expected": 'day: 1 和 at: "10:00"', "key": "at"},
            )
        if self.days and not {"festival", "birthday"} & set(given):
            raise PydanticCustomError(
                "siyu",
                "days 要和 festival 或 birthday 一起写",
                {"expected": "festival: 春节 和 days: -3", "key": "days"},
            )


ALWAYS, NEVER = 0, -1


def _read_again(value: object) -> object:
    text = " ".join(str(value).split())
    if text in ("never", "always"):
        return NEVER if text == "never" else ALWAYS
    try:
        opening, _, span = text.partition(" ")
        if opening == "after":
            return parse_duration(span)
        raise ValueError(text)
    except ValueError:
        raise PydanticCustomError(
            "siyu", "写法不对", {"expected": "never、always 或 after 30d"}
        ) from None


def _write_again(span: int) -> str:
    return {NEVER: "never", ALWAYS: "always"}.get(span, f"after {span}ms")


class Sop(Definition):
    """A timed sequence that a contact, a group, or a member of a group walks through."""

    id: Annotated[str, Field(pattern=r"^[\w\-]+$", description="字母、数字、汉字、- 或 _")]
    title: str = ""
    for_: Literal["contact", "group", "member"] = Field(default="contact", alias="for")
    enter: Enter | tuple[Enter, ...] = ()
    # ms that must have passed since the last walk ended; NEVER and ALWAYS are the ends of it
    again: Annotated[
        int,
        WithJsonSchema({"type": "string", "pattern": r"^(never|always|after .+)$"}),
        BeforeValidator(_read_again),
        PlainSerializer(_write_again),
    ] = NEVER
    exit: tuple[Exit, ...] = ()
    goal: Goal | None = None
    priority: int = Field(default=0, ge=-100, le=100)
    window: DayWindow | None = None
    late: LatePolicy | None = None
    steps: tuple[Step, ...] = Field(min_length=1)

    @property
    def entries(self) -> tuple[Enter, ...]:
        """The ways in; none means only by hand or by an `enroll` action."""
        return self.enter if isinstance(self.enter, tuple) else (self.enter,)

    def step(self, id_: str) -> Step | None:
        """The step with this id."""
        return self._by_id.get(id_)

    @cached_property
    def _by_id(self) -> dict[str, Step]:
        return {step.id: step for step in reversed(self.steps)}  # of two alike, the first

    def following(self, id_: str) -> Step | None:
        """The step after the one with this id, in the order of the file."""
        ids = [step.id for step in self.steps]
        place = ids.index(id_) + 1
        return self.steps[place] if place < len(ids) else None
