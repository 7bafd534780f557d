"""What has become of acts since: removals that landed, questions nobody answered, news to tell."""

from __future__ import annotations

from bot.guarding.telling import news
from bot.happening import Me
from bot.notices import notices
from bot.workspace import Workspace
from sop.guarding import Guard
from sop.times import DAY, MINUTE, SECOND
from storage import guarding as rows
from storage.apply import Changes, apply
from storage.counters import read_counter, set_counter
from storage.store import Tx

PATIENCE = DAY  # a question that nobody answered is no longer asked
BETWEEN_NEWS = MINUTE  # what happens meanwhile is told in one message
LOOK = 10 * SECOND  # while a removal is under way


def follow(tx: Tx, me: Me, workspace: Workspace, *, now: int) -> int | None:
    """Do what is due about acts; returns when to come again, ms UTC."""
    found = rows.pending(tx, me.id)
    if not (found.removing or found.untold or found.asked_at is not None):
        return None
    if found.removing:
        _landed(tx, me, now)
    if found.asked_at is not None and found.asked_at + PATIENCE <= now:
        rows.expire_asked(tx, me.id, before=now - PATIENCE, now=now)
    told_next = _tell(tx, me, workspace, now)
    left = rows.pending(tx, me.id)
    times = (
        now + LOOK if left.removing else None,
        left.asked_at + PATIENCE if left.asked_at is not None else None,
        told_next if left.untold else None,
    )
    return min((time for time in times if time is not None), default=None)


def _landed(tx: Tx, me: Me, now: int) -> None:
    for act, state, reason in rows.landed_removals(tx, me.id):
        if state == "sent" or reason == rows.LEFT:
            rows.settle(tx, act.id, "removed", act.settled, now=now)
        else:
            why = "不知道移成了没有" if state == "unknown" else reason
            rows.settle(tx, act.id, "failed", why, now=now, tell=True)


def _tell(tx: Tx, me: Me, workspace: Workspace, now: int) -> int:
    """Tell what is new, unless operators were told just now; returns when they may be again."""
    counter = f"guard:told:{me.id}"
    quiet_until = read_counter(tx, counter) or 0
    if now < quiet_until <= now + BETWEEN_NEWS:
        return quiet_until
    acts = rows.untold(tx, me.id)
    if acts:
        _send(tx, me, workspace, acts, now)
        rows.mark_told(tx, acts, now=now)
        set_counter(tx, counter, now + BETWEEN_NEWS)
    return now + BETWEEN_NEWS


def _send(tx: Tx, me: Me, workspace: Workspace, acts: list[rows.Act], now: int) -> None:
    text = news(
        acts,
        workspace.definitions.guard or Guard(),
        elsewhere=lambda act: rows.other_groups(tx.connection, act.contact_id, act.group_id),
    )
    out = Changes()
    for message in notices(
        tx, me, workspace.settings, text, source="guard", because="群管的消息", now=now
    ):
        out.add(message, acts[0].event_id)
    apply(tx, me.id, out, now=now)
