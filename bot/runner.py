"""What is due: gathered answers, expired tags, daily sweeps, steps of SOPs, pushes, Moments."""

from __future__ import annotations

from bot.guarding.follow import follow
from bot.happening import Me
from bot.heart import Heart
from bot.sweeps import sweep
from storage import events as facts
from storage.due import next_due
from storage.store import Tx
from storage.tags import expire_tags

BATCH = 500


class Runner:
    """Works off what is due for one account."""

    def __init__(self) -> None:
        self._swept: tuple[Heart, int, int] | None = None  # by whom, when, and when again

    def tick(self, tx: Tx, me: Me, heart: Heart, *, now: int) -> int | None:
        """Do what is due at `now`; returns when to come again, ms UTC."""
        swept = self._sweep(tx, me, heart, now)
        swept = min([swept, *self._told(tx, me, heart, now)])
        due = next_due(tx, me.id)
        if (due is None or due > now) and heart.timetable.settled(me, now=now):
            return min(swept, due or swept)
        for gathering in facts.take_gatherings(tx, me.id, now=now):
            heart.gathered(tx, me, gathering, now=now)
        expired = expire_tags(tx, me.id, now=now, limit=BATCH)
        if expired:
            heart.changed(tx, me, expired, now=now)
        heart.walk(tx, me, now=now)
        heart.timetable.tick(tx, me, now=now)
        due = next_due(tx, me.id)
        return min(swept, due or swept)

    def _told(self, tx: Tx, me: Me, heart: Heart, now: int) -> list[int]:
        """Tell operators of core people and of the guard; when there will be more to tell."""
        times = (heart.core.tick(tx, me, now=now), follow(tx, me, heart.workspace, now=now))
        return [time for time in times if time is not None]

    def _sweep(self, tx: Tx, me: Me, heart: Heart, now: int) -> int:
        """Sweep, unless it is known that there is nothing to sweep yet."""
        if self._swept is not None:
            by, at, again = self._swept
            if by is heart and at <= now < again:
                return again
        again = sweep(tx, me, heart, now=now)
        self._swept = (heart, now, again)
        return again
