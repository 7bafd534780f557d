"""How much may leave an account: one budget for everything, smaller while it is young or ailing.

Pure. What leaves counts by its risk, not by its number: WeChat bans accounts for bursts of accepted
friends, invitations and links rather than for talk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from sop.definitions import AccountLimits, WarmUp
from sop.times import DAY, HOUR, Range, show_duration
from sop.timing import local_moment

RISK = {
    "accept": 3,
    "invite": 3,
    "remove": 3,
    "moment": 3,
    "link": 2,
    "mini_program": 2,
    "card": 2,
    "voice": 2,
}
"""What leaves, by kind of body; everything else counts once."""

RESERVED = 10  # of so many messages one is kept for notices
BAD_MOST = 5  # so many sends of a day that went wrong, and this share of all, are no accident
BAD_SHARE = 0.2
FORCED_OUT = 2  # times in a day that WeChat ended the login before everything stops
SLOW_AFTER_LOGOUT = DAY
SLOW_AFTER_FAILURES = 6 * HOUR
SLOWNESS = 2  # half the budget, twice the gaps

Level = Literal["ok", "slow", "trial", "stopped"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What may leave in an hour and in a day; `because` says why it is less than the files say."""

    per_hour: int
    per_day: int
    because: str = ""

    def for_customers(self) -> Budget:
        """What is left of it for all but notices: busy customers must not drown the operators'."""
        hour, day = self.per_hour // RESERVED, self.per_day // RESERVED
        kept = f"每 {RESERVED} 条留一条给提醒" if hour or day else ""
        return replace(
            self,
            per_hour=self.per_hour - hour,
            per_day=self.per_day - day,
            because="，".join(part for part in (self.because, kept) if part),
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """What left an account, weighted, since the day and the hour began; `last` of all, ms UTC."""

    day: int
    hour: int
    first_of_hour: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Room:
    """What may still leave now."""

    units: int


@dataclass(frozen=True, slots=True)
class Full:
    """Nothing more before `until`, ms UTC."""

    until: int
    because: str


@dataclass(frozen=True, slots=True)
class Signals:
    """What went wrong in 24 hours: sends that failed or are unknown of all, and lost logins."""

    left: int = 0
    bad: int = 0
    logouts: int = 0


@dataclass(frozen=True, slots=True)
class Care:
    """The account goes slow until then, ms UTC; with `stop` nothing leaves for a while first."""

    until: int
    because: str
    stop: bool = False


def weight(kind: str) -> int:
    """How much one row of the outbox counts."""
    return RISK.get(kind, 1)


def born(since: date | None, first_login: int | None, zone: ZoneInfo) -> int | None:
    """Since when the account is in use, ms UTC: as the operator says, else as its first login."""
    return first_login if since is None else local_moment(since, 0, zone)


def stage(limits: AccountLimits, age: int | None) -> WarmUp | None:
    """The stage of the warm-up an account of that age (ms) is in; None when it is over."""
    if age is None:
        return None
    return next((one for one in limits.warmup if age < one.until), None)


def budget(limits: AccountLimits, *, age: int | None, slow: bool = False) -> Budget:
    """What an account of that age may send. An age that nobody knows is no youth."""
    per_hour, per_day, because = limits.per_hour, limits.per_day, ""
    young = stage(limits, age)
    if young is not None:
        per_hour, per_day = min(per_hour, young.per_hour), min(per_day, young.per_day)
        because = f"养号期，还不满 {show_duration(young.until)}"
    if slow:
        per_hour, per_day = -(-per_hour // SLOWNESS), -(-per_day // SLOWNESS)
        because = f"{because}，账号不太对劲，减半" if because else "账号不太对劲，减半"
    return Budget(per_hour, per_day, because)


def slowed(gap: Range, *, slow: bool) -> Range:
    """The pause between two messages."""
    return Range(gap.low * SLOWNESS, gap.high * SLOWNESS) if slow else gap


def room(ledger: Ledger, budget: Budget, *, now: int, tomorrow: int) -> Room | Full:
    """How much may leave now; `tomorrow` is the next midnight, ms UTC.

    The last message may weigh more than what is left: else the heavy ones would wait for ever
    behind the light ones.
    """
    why = f"（{budget.because}）" if budget.because else ""
    if ledger.day >= budget.per_day:
        return Full(tomorrow, f"账号今天已发出 {budget.per_day} 条，到了每天的上限{why}")
    if ledger.hour >= budget.per_hour:
        until = (now if ledger.first_of_hour is None else ledger.first_of_hour) + HOUR + 1
        return Full(until, f"账号一小时内已发出 {budget.per_hour} 条，到了每小时的上限{why}")
    return Room(min(budget.per_day - ledger.day, budget.per_hour - ledger.hour))


def fitting(kinds: list[str], room: Room) -> int:
    """How many of the first of these may leave together."""
    left = room.units
    for n, kind in enumerate(kinds):
        if left <= 0:
            return n
        left -= weight(kind)
    return len(kinds)


def assess(signals: Signals, *, now: int) -> Care | None:
    """What recent trouble asks for."""
    if signals.logouts:
        because = f"24 小时里被退出登录 {signals.logouts} 次"
        return Care(now + SLOW_AFTER_LOGOUT, because, stop=signals.logouts >= FORCED_OUT)
    if signals.bad >= BAD_MOST and signals.bad >= signals.left * BAD_SHARE:
        because = f"24 小时里发了 {signals.left} 条，{signals.bad} 条没发成或者不确定"
        return Care(now + SLOW_AFTER_FAILURES, because)
    return None
