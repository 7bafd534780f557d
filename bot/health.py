"""Looking after an account: signs that something is wrong slow it down, and operators hear of it.

All in the caller's transaction. What stops an account altogether is its circuit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.happening import Me
from bot.notices import tell_operators
from sop.definitions import Settings
from sop.health import Budget, Full, Ledger, Room, assess, born, budget, room, stage
from sop.messages import Text
from sop.sending import day_start
from sop.times import HOUR
from storage.circuit import LONGEST_REST, circuit_of, open_circuit
from storage.health import Condition, condition_of, ledger, note_signal, signals_of, take_care
from storage.store import Tx

log = logging.getLogger("siyu.health")
SLOWLY = (
    "账号要缓一缓：{because}。发送先放慢（上限减半、间隔加倍），{until} 恢复。"
    "请在手机上看看微信有没有安全提示、最近发的话有没有人投诉。没事就发「/恢复 发送」，马上恢复。"
)
STOPPED = (
    "发送停下了：{because}。{until} 先试发一条，成了就接着发。"
    "请在手机上看看微信是不是正常登录着、有没有提示。没事就发「/恢复 发送」，马上接着发。"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account may send now, and what it has sent."""

    condition: Condition
    age: int | None
    slow: bool
    budget: Budget
    ledger: Ledger

    def room(self, settings: Settings, *, now: int, notices: bool = False) -> Room | Full:
        """How much may leave now, and with `notices` of these; the wait for more ends early where
        the budget grows.
        """
        tomorrow = day_start(now, settings.zone, days=1)
        budget = self.budget if notices else self.budget.for_customers()
        found = room(self.ledger, budget, now=now, tomorrow=tomorrow)
        if isinstance(found, Room):
            return found
        young = stage(settings.limits.account, self.age)
        grows = [now + young.until - self.age] if young and self.age is not None else []
        if self.slow and self.condition.care_until is not None:
            grows.append(self.condition.care_until)
        return Full(min(found.until, *grows), found.because) if grows else found


def standing(connection: Any, account: int, settings: Settings, *, now: int) -> Standing:
    """How an account stands."""
    limits = settings.limits.account
    how = condition_of(connection, account)
    since = born(limits.since, how.first_login_at, settings.zone)
    age = None if since is None else now - since
    slow = how.slow(now)
    day = day_start(now, settings.zone)
    used = ledger(connection, account, day=day, hour=now - HOUR, now=now)
    return Standing(how, age, slow, budget(limits, age=age, slow=slow), used)


def opened(tx: Tx, me: Me, settings: Settings, because: str, *, until: int, now: int) -> None:
    """The circuit opened: operators hear of it once, however often it opens again."""
    note_signal(tx, me.id, "stopped", because, now=now)
    log.warning("发送停下了：%s", because)
    if circuit_of(tx, me.id).opened == 1:
        _tell(tx, me, settings, STOPPED, because, until, now)


def strained(tx: Tx, me: Me, settings: Settings, *, now: int) -> None:
    """Sends went wrong, or a login ended: see whether the account has to go slow, or to stop."""
    care = assess(signals_of(tx.connection, me.id, now=now), now=now)
    if care is None:
        return
    before = condition_of(tx.connection, me.id).slow(now)
    take_care(tx, me.id, care)
    if care.stop:
        until = open_circuit(tx, me.id, care.because, rest=LONGEST_REST, now=now)
        opened(tx, me, settings, care.because, until=until, now=now)
    elif not before:
        note_signal(tx, me.id, "slow", care.because, now=now)
        _tell(tx, me, settings, SLOWLY, care.because, care.until, now)


def logged_out(tx: Tx, me: Me, settings: Settings, because: str, *, now: int) -> None:
    """WeChat ended the login."""
    note_signal(tx, me.id, "logout", because, now=now)
    strained(tx, me, settings, now=now)


def _tell(
    tx: Tx, me: Me, settings: Settings, words: str, because: str, until: int, now: int
) -> None:
    at = datetime.fromtimestamp(until / 1000, settings.zone)
    text = words.format(because=because.rstrip("。"), until=f"{at:%m-%d %H:%M}")
    tell_operators(
        tx, me, settings, (Text(text=text),), source="health", because="账号不太对劲", now=now
    )
