"""What is due: gathered answers, tags whose time is over, and the daily sweep."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.happening import Me
from bot.heart import Heart
from sop.events import EventKind
from storage import events as facts
from storage.counters import read_counter, set_counter
from storage.store import Tx
from storage.tags import expire_tags, next_expiry

SWEEP_HOUR = 9  # local time of the daily sweep: not before people are awake
BATCH = 500


class Runner:
    """Works off what is due for one account."""

    def tick(self, tx: Tx, me: Me, heart: Heart, *, now: int) -> int | None:
        """Do what is due at `now`; returns when to come again, ms UTC."""
        for gathering in facts.take_gatherings(tx, me.id, now=now):
            heart.gathered(tx, me, gathering, now=now)
        expired = expire_tags(tx, me.id, now=now, limit=BATCH)
        if expired:
            heart.changed(tx, me, expired, now=now)
        sweep = self._sweep(tx, me, heart, now)
        times = (facts.next_gathering(tx, me.id), next_expiry(tx, me.id), sweep)
        return min(t for t in times if t is not None)

    def _sweep(self, tx: Tx, me: Me, heart: Heart, now: int) -> int:
        """Once a day, notice who fell silent; a sweep missed while off is made up for once."""
        name = f"sweep:{me.id}"
        due, following = read_counter(tx, name), _next_sweep(heart, now)
        if due is not None and now < due <= following:
            return due
        if due is not None and due <= now:
            self._notice_silence(tx, me, heart, now)
        set_counter(tx, name, following)  # also when the clock was once far ahead
        return following

    def _notice_silence(self, tx: Tx, me: Me, heart: Heart, now: int) -> None:
        for rule in heart.book.definitions.rules:
            if rule.on is not EventKind.SILENT or rule.for_ is None:
                continue
            while found := facts.fallen_silent(
                tx, me.id, rule=rule.id, span=rule.for_, now=now, limit=BATCH
            ):
                heart.silent(tx, me, rule.id, found, now=now)


def _next_sweep(heart: Heart, now: int) -> int:
    local = datetime.fromtimestamp(now / 1000, heart.settings.zone)
    due = local.replace(hour=SWEEP_HOUR, minute=0, second=0, microsecond=0)
    if due <= local:
        due += timedelta(days=1)
    return int(due.timestamp() * 1000)
