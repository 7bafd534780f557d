"""`siyu push --dry-run`: who a push would reach, who not and why, and when it would be finished."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bot.audiences import WITHHELD
from bot.planned import planner_of
from bot.workspace import Workspace
from sop.conditions import All, IsFriend
from sop.health import born, budget, slowed
from sop.pace import Pace, finish
from sop.pinned import Target, as_written
from sop.pushes import Push
from sop.sending import day_start
from sop.times import HOUR
from storage import audiences, preview
from storage.health import condition_of, ledger
from storage.story import iso

SAMPLE = 10
_LOST = ("stranger", "operator")  # the others only have to wait


@dataclass(slots=True)
class _Seen:
    meant: int = 0
    withheld: dict[str, int] = field(default_factory=dict)
    put_off: dict[str, int] = field(default_factory=dict)
    sample: list[str] = field(default_factory=list)


def dry_run(
    connection: Any, workspace: Workspace, push: Push, *, account: int, now: int
) -> dict[str, Any]:
    """What would come of the push at its next time (now, when it has none)."""
    zone = workspace.settings.zone
    begin = start_of(workspace, push, now=now) or now
    target = as_written(push, workspace.definitions).target
    if target.groups:
        names = preview.groups_meant(connection, account, target, now=now)
        seen = _Seen(len(names), sample=names[:SAMPLE])
    else:
        seen = _people(connection, workspace, account, target, now)
    reached = seen.meant - sum(seen.withheld.values())
    pace = _pace(connection, workspace, push, account, begin=begin, now=now)
    count, last = finish(reached, pace, start=begin, until=begin + push.within)
    return {
        "push": push.id,
        "begin": iso(begin, zone),
        "meant": seen.meant,
        "reached": reached,
        "in_time": count,
        "finished": iso(last, zone) if count else None,
        "withheld": seen.withheld,
        "put_off": seen.put_off,
        "sample": seen.sample,
    }


def start_of(workspace: Workspace, push: Push, *, now: int) -> int | None:
    """The push's next time by the files."""
    return planner_of(workspace.settings).following(push.at, after=now) if push.at else None


def _people(connection: Any, workspace: Workspace, account: int, target: Target, now: int) -> _Seen:
    settings, condition = workspace.settings, target.condition
    today = audiences.Today(
        now=now,
        day=day_start(now, settings.zone),
        week=day_start(now, settings.zone, days=-6),
        limits=settings.limits.contact,
        operators=sorted({*settings.operators, *preview.own_names(connection)}),
    )
    if condition is None:
        return _Seen()
    counts = audiences.reach(connection, condition, account=account, today=today)
    friends = All(all=(condition, IsFriend(friend=True)))
    ours = preview.contacts_of(connection, today.operators)
    most = SAMPLE + len(ours)
    found = audiences.sample(connection, friends, account=account, now=now, most=most)
    return _Seen(
        sum(counts.values()),
        {WITHHELD[why]: counts[why] for why in _LOST if why in counts},
        {WITHHELD[w]: counts[w] for w in WITHHELD if w in counts and w not in _LOST},
        [name for id_, name, *_ in found if id_ not in ours][:SAMPLE],
    )


def _pace(
    connection: Any,
    workspace: Workspace,
    push: Push,
    account: int,
    *,
    begin: int,
    now: int,
) -> Pace:
    settings = workspace.settings
    limits, how = settings.limits.account, condition_of(connection, account)
    since = born(limits.since, how.first_login_at, settings.zone)
    slow = how.slow(now)
    may = budget(limits, age=None if since is None else begin - since, slow=slow).for_customers()
    today = day_start(now, settings.zone)
    used = ledger(connection, account, day=today, hour=now - HOUR, now=now)
    return Pace(
        per_hour=may.per_hour,
        per_day=may.per_day,
        gap=slowed(limits.gap, slow=slow),
        quiet=settings.hours.quiet,
        window=push.window,
        zone=settings.zone,
        today=used.day if day_start(begin, settings.zone) == today else 0,
        ahead=preview.waiting(connection, account, now=now),
    )
