"""May this message leave now? Pure rules for the courier's last check before every send.

Touch limits count calendar days in the workspace's time zone: `per_day` today, `per_week` today
and the six days before. Quiet hours and touch limits hold touches only; a person who writes at
night gets an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sop.definitions import Limits
from sop.times import MINUTE, Range, Window
from sop.timing import local_day, local_moment, next_open

SPREAD = 20 * MINUTE  # what quiet hours held back leaves over this span, not in one burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The facts about one queued message.

    `unreachable` says why it cannot arrive (no friend any more, not in the group), or is empty.
    `paused` says why a human has the conversation, `paused_until` till when (None: open end).
    A touch leaves only inside `window`; touches are counted for contacts, not for groups. `peace`
    says why somebody gets no touches until `peace_until`.
    """

    id: int
    purpose: Literal["reply", "touch", "notice"]
    part: int
    expires_at: int | None
    unreachable: str = ""
    paused: str = ""
    paused_until: int | None = None
    touched_today: int = 0
    touched_week: int = 0
    peace: str = ""
    peace_until: int = 0
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """Send it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before `until` (ms UTC), because of `reason`."""

    until: int
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Never, because of `reason`."""

    reason: str


Verdict = Go | Wait | Drop


@dataclass(frozen=True, slots=True)
class SendRules:
    """The settings that bind the courier."""

    limits: Limits
    quiet: Window | None
    zone: ZoneInfo


def judge(message: Waiting, rules: SendRules, *, now: int) -> Verdict:
    """Whether one message may leave at `now` (ms UTC)."""
    if message.unreachable:
        return Drop(message.unreachable)
    if message.expires_at is not None and message.expires_at <= now:
        return Drop("等得太久，再发已经不合时宜")
    if message.purpose == "notice":
        return Go()
    verdict = _pause(message) or (
        _touch(message, rules, now) if message.purpose == "touch" else None
    )
    if (
        isinstance(verdict, Wait)
        and message.expires_at is not None
        and verdict.until >= message.expires_at
    ):
        return Drop(f"{verdict.reason}，等到能发的时候已经过期")
    return verdict or Go()


def jitter(span: Range, seed: int) -> int:
    """A length in `span`, ms, that looks random and is the same for the same `seed`."""
    return span.low + (seed * 2_654_435_761 % 1_000_003) * (span.high - span.low) // 1_000_003


def day_start(now: int, zone: ZoneInfo, *, days: int = 0) -> int:
    """Midnight of the day of `now` in `zone`, moved by `days`, as ms UTC."""
    return local_moment(local_day(now, zone) + timedelta(days=days), 0, zone)


def quiet_until(window: Window, zone: ZoneInfo, *, now: int) -> int | None:
    """When quiet hours that hold at `now` end, ms UTC; None outside of them."""
    end = next_open(now, window=None, quiet=window, zone=zone)
    return None if end == now else end


def opening(now: int, *, window: Window | None, quiet: Window | None, zone: ZoneInfo) -> int | None:
    """The first moment from `now` on inside `window` and outside `quiet`; None when there is none.

    The loader refuses such definitions, but settings may change under a walk that is pinned.
    """
    try:
        return next_open(now, window=window, quiet=quiet, zone=zone)
    except ValueError:
        return None


def _pause(message: Waiting) -> Verdict | None:
    if not message.paused:
        return None
    if message.purpose == "reply" or message.paused_until is None:
        return Drop(message.paused)
    return Wait(message.paused_until, message.paused)


def _touch(message: Waiting, rules: SendRules, now: int) -> Verdict | None:
    if message.part:
        return None  # the first bubble has left: the rest of the thought follows
    if message.peace:
        return Wait(message.peace_until, message.peace)
    opens = opening(now, window=message.window, quiet=rules.quiet, zone=rules.zone)
    if opens is None:
        return Drop("发送时段全在免打扰里，没有能发的时候")
    if opens > now:
        spread = jitter(Range(0, SPREAD), message.id)
        quiet = rules.quiet and quiet_until(rules.quiet, rules.zone, now=now)
        why = f"免打扰时段 {rules.quiet}" if quiet else f"不在发送时段 {message.window}"
        return Wait(opens + spread, why)
    limit = rules.limits.contact
    tomorrow = day_start(now, rules.zone, days=1)
    if message.touched_today >= limit.per_day:
        return Wait(tomorrow, f"今天已经触达 {message.touched_today} 次，到了每人每天的上限")
    if message.touched_week >= limit.per_week:
        return Wait(tomorrow, f"七天内已经触达 {message.touched_week} 次，到了每人每周的上限")
    return None


def next_slot(last_left: int | None, gap: Range, *, seed: int, now: int) -> int:
    """When the next message may leave after one that left at `last_left`, ms UTC.

    A clock that was set back never makes this longer than one gap.
    """
    if last_left is None:
        return now
    wait = jitter(gap, seed)
    return min(last_left + wait, now + wait)
