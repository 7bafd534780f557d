"""What is due: gathered answers, tags whose time is over, the daily sweeps, steps of SOPs."""

from __future__ import annotations

from bot.happening import Me
from bot.heart import Heart
from bot.sweeps import sweep
from storage import events as facts
from storage.store import Tx
from storage.tags import expire_tags, next_expiry

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
        swept = sweep(tx, me, heart, now=now)
        walked = heart.walk(tx, me, now=now)
        times = (facts.next_gathering(tx, me.id), next_expiry(tx, me.id), swept, walked)
        return min(t for t in times if t is not None)
