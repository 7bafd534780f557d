"""What is known of an audience: how many, who, and how many of them could be reached today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sop.definitions import Audience, Settings
from sop.health import born, budget
from sop.reach import open_span
from sop.sending import day_start
from sop.times import HOUR
from storage import audiences as stored
from storage.health import condition_of, ledger
from storage.people import account_ids

WITHHELD = {
    "stranger": "不是好友（或者还不知道是不是）",
    "operator": "是运营自己人",
    "paused": "正由人工接管",
    "day": "今天已经到了每人每天的上限",
    "week": "七天内已经到了每人每周的上限",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An audience as it stands now. `today` is how many the account still gets to today."""

    count: int
    reachable: int
    today: int
    withheld: dict[str, int]
    sample: list[tuple[int, str, str, str, int | None]]


def known(connection: Any, audience: Audience, settings: Settings, *, now: int, most: int) -> Known:
    """Look at an audience over all accounts of the workspace."""
    today = stored.Today(
        now=now,
        day=day_start(now, settings.zone),
        week=day_start(now, settings.zone, days=-6),
        limits=settings.limits.contact,
        operators=settings.operators,
    )
    found: dict[str, int] = {}
    reachable = possible = 0
    people: list[tuple[int, str, str, str, int | None]] = []
    for account in account_ids(connection):
        by_reason = stored.reach(connection, audience.condition, account=account, today=today)
        for why, count in by_reason.items():
            found[why] = found.get(why, 0) + count
        ok = by_reason.get("ok", 0)
        reachable += ok
        possible += min(ok, _room(connection, account, settings, now=now))
        people += stored.sample(connection, audience.condition, account=account, now=now, most=most)
    people.sort(key=lambda one: (-(one[4] or 0), one[0]))
    return Known(
        count=sum(found.values()),
        reachable=reachable,
        today=possible,
        withheld={why: found[why] for why in WITHHELD if why in found},
        sample=people[:most],
    )


def _room(connection: Any, account: int, settings: Settings, *, now: int) -> int:
    """How many more messages the account gets to send before midnight."""
    limit = settings.limits.account
    how = condition_of(connection, account)
    since = born(limit.since, how.first_login_at, settings.zone)
    may = budget(
        limit, age=None if since is None else now - since, slow=how.slow(now)
    ).for_customers()
    day = day_start(now, settings.zone)
    used = ledger(connection, account, day=day, hour=now - HOUR, now=now)
    hours = open_span(now, settings.hours.quiet, settings.zone) / HOUR
    return max(0, min(may.per_day - used.day, int(hours * may.per_hour)))
