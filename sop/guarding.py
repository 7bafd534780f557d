"""Guarding groups: what signs of an advert weigh, and what is done about a message. Pure.

A message is judged by the sum of its signs. Only a sign that somebody can be reached by, or that no
customer's talk has, lets it be acted on; all others together at most alert an operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sop.actions import GroupPlace
from sop.conditions import Definition, OneOrMany
from sop.times import DAY, HOUR, Duration


class SignKind(StrEnum):
    """What may make a message look like an advert, or like none."""

    WORD = "word"
    WATCHED = "watched"
    DISGUISED = "disguised"
    CONTACT = "contact"
    PHONE = "phone"
    NUMBER = "number"
    LINK = "link"
    PASSCODE = "passcode"
    ASK = "ask"
    OFFER = "offer"
    TRADE = "trade"
    PRICE = "price"
    MASS = "mass"
    ILLICIT = "illicit"
    SOUNDS = "sounds"
    LONG = "long"
    LISTED = "listed"
    PICTURE = "picture"
    CARD = "card"
    SHARED = "shared"
    NEWCOMER = "newcomer"
    REPEATED = "repeated"
    SPREAD = "spread"
    BLACKLISTED = "blacklisted"
    ASKING = "asking"
    HOME = "home"


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign, with the piece of the message that shows it."""

    kind: SignKind
    found: str


@dataclass(frozen=True, slots=True)
class Weight:
    """Points of the first sign of a kind, of each further one, and at most."""

    name: str
    first: int
    more: int = 0
    most: int = 0


_K = SignKind
WEIGHTS: Mapping[SignKind, Weight] = {
    _K.WORD: Weight("违禁词", 100),
    _K.WATCHED: Weight("可疑词", 30, 5, 45),
    _K.DISGUISED: Weight("违禁词改头换面", 40),
    _K.CONTACT: Weight("留了联系方式", 40),
    _K.PHONE: Weight("留了手机号", 40),
    _K.NUMBER: Weight("有一串号码", 20),
    _K.LINK: Weight("带链接", 30),
    _K.PASSCODE: Weight("带口令", 50),
    _K.ASK: Weight("叫人去别处找 TA", 20, 10, 30),
    _K.OFFER: Weight("出货收货的口气", 30),
    _K.TRADE: Weight("买卖用语", 12, 12, 36),
    _K.PRICE: Weight("报价", 10),
    _K.MASS: Weight("群发的口气", 30, 15, 45),
    _K.ILLICIT: Weight("黑灰产用语", 30, 10, 50),
    _K.SOUNDS: Weight("谐音", 15, 5, 25),
    _K.LONG: Weight("很长", 10),
    _K.LISTED: Weight("一条条列着", 10),
    _K.PICTURE: Weight("发的是图，可能有二维码", 15),
    _K.CARD: Weight("发名片", 20),
    _K.SHARED: Weight("发卡片", 15),
    _K.NEWCOMER: Weight("刚进群的第一条", 15),
    _K.REPEATED: Weight("同样的话连着发", 25),
    _K.SPREAD: Weight("同样的话发了几个群", 35),
    _K.BLACKLISTED: Weight("在黑名单里", 30),
    _K.ASKING: Weight("像是在问", -15),
    _K.HOME: Weight("像是在留收货地址", -40),
}
_REACHED_BY = (_K.CONTACT, _K.PHONE, _K.NUMBER)  # of these only the weightiest counts
_HARD = frozenset(
    {_K.WORD, _K.CONTACT, _K.PHONE, _K.NUMBER, _K.LINK, _K.PASSCODE, _K.OFFER, _K.MASS, _K.ILLICIT}
)
_ONLY_WITH_OTHERS = frozenset({_K.NEWCOMER, _K.LONG, _K.LISTED, _K.PRICE})
MOST = 100


class Allowed(Definition):
    """Who and what is never held against anybody."""

    tags: OneOrMany = ()
    links: OneOrMany = ()
    words: OneOrMany = ()


class Guard(Definition):
    """Which groups are guarded, against what, and what is done about it."""

    where: GroupPlace | None = None
    mode: Literal["shadow", "confirm", "auto"] = "shadow"
    words: OneOrMany = ()
    watch: OneOrMany = ()
    alert: int = Field(default=30, ge=1, le=MOST)
    act: int = Field(default=60, ge=1, le=MOST)
    strikes: int = Field(default=2, ge=1)
    expires: Duration = 30 * DAY
    say: str | None = None
    new_member: Duration = DAY
    repeat: Duration = HOUR
    per_day: int = Field(default=10, ge=0)
    allow: Allowed = Allowed()

    @model_validator(mode="after")
    def _in_order(self) -> Guard:
        if self.act < self.alert:
            raise PydanticCustomError(
                "siyu",
                "act（{act} 分）比 alert（{alert} 分）还低",
                {
                    "act": self.act,
                    "alert": self.alert,
                    "expected": "act 不小于 alert",
                    "key": "act",
                },
            )
        return self


class Level(StrEnum):
    """How bad a message is."""

    FINE = "fine"
    ALERT = "alert"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class Reason:
    """What one kind of sign adds, or takes off."""

    kind: SignKind
    found: tuple[str, ...]
    points: int

    @property
    def sentence(self) -> str:
        """留了联系方式「加v abc123」 +40."""
        shown = "」「".join(one[:30] for one in self.found[:4] if one)
        return f"{WEIGHTS[self.kind].name}{f'「{shown}」' if shown else ''} {self.points:+d}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a message comes to, and why."""

    points: int
    level: Level
    reasons: tuple[Reason, ...] = ()

    @property
    def because(self) -> str:
        """The reasons in a line."""
        return "，".join(reason.sentence for reason in self.reasons)


def weigh(signs: Iterable[Sign], guard: Guard) -> Finding:
    """What the signs of one message come to."""
    found: dict[SignKind, list[str]] = {}
    for sign in signs:
        if sign.found not in found.setdefault(sign.kind, []):
            found[sign.kind].append(sign.found)
    reasons = [_reason(kind, found[kind]) for kind in WEIGHTS if kind in found]
    reasons = _without_doubles(reasons)
    total = max(0, min(sum(reason.points for reason in reasons), MOST))
    if not any(reason.kind in _HARD for reason in reasons):
        total = min(total, guard.act - 1)
    level = Level.ACT if total >= guard.act else Level.ALERT if total >= guard.alert else Level.FINE
    return Finding(total, level, tuple(reasons))


def _reason(kind: SignKind, found: Sequence[str]) -> Reason:
    weight = WEIGHTS[kind]
    points = weight.first + weight.more * (len(found) - 1)
    return Reason(kind, tuple(found), min(points, weight.most) if weight.most else weight.first)


def _without_doubles(reasons: list[Reason]) -> list[Reason]:
    """Reasons that say the same count once, and what only adds to others needs others."""
    kinds = {reason.kind for reason in reasons}
    best = next((kind for kind in _REACHED_BY if kind in kinds), None)
    dropped = {kind for kind in _REACHED_BY if kind is not best}
    if kinds & {_K.CONTACT, _K.PHONE, _K.ILLICIT, _K.PASSCODE, _K.WORD}:
        dropped.add(_K.ASKING)  # a question with a number to call is none
    if kinds & {_K.ILLICIT, _K.MASS, _K.PASSCODE, _K.WORD}:
        dropped.add(_K.HOME)
    kept = [reason for reason in reasons if reason.kind not in dropped]
    if all(reason.kind in _ONLY_WITH_OTHERS or reason.points <= 0 for reason in kept):
        return []
    return kept


class Sentence(StrEnum):
    """What is done about a message."""

    ALERT = "alert"  # an operator is told
    WARN = "warn"  # a strike; the person is told to stop
    ASK = "ask"  # a strike too many; an operator decides
    REMOVE = "remove"  # a strike too many; the person leaves the group


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What else is known when somebody is judged. `hindrance` is why nobody is removed unasked."""

    strikes: int = 0
    hindrance: str = ""


def judge(finding: Finding, record: Record, guard: Guard) -> Sentence | None:
    """What to do about a message; None for nothing."""
    if finding.level is Level.FINE:
        return None
    if finding.level is Level.ALERT:
        return Sentence.ALERT
    if record.strikes + 1 < guard.strikes:
        return Sentence.WARN
    return dismissal(record, guard)


def dismissal(record: Record, guard: Guard) -> Sentence:
    """Whether somebody who has to go is removed, or an operator is asked."""
    return Sentence.REMOVE if guard.mode == "auto" and not record.hindrance else Sentence.ASK
