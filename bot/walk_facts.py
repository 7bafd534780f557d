"""The facts that moves depend on, loaded in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from bot.sops import Sops, Version
from sop.almanac import Almanac, Birthday
from sop.birthdays import parse_birthday
from sop.conditions import Condition
from sop.definitions import Settings
from sop.engine import Facts, questions
from sop.sending import day_start
from storage import enrollments as rows
from storage import events as stored
from storage.conditions import answers
from storage.enrollments import Enrolled, Touches
from storage.store import Tx


class WalkFacts:
    """Where the facts about walkers come from."""

    def __init__(self, settings: Settings, sops: Sops, almanac: Almanac) -> None:
        self._settings = settings
        self._sops = sops
        self._almanac = almanac

    @property
    def operators(self) -> tuple[str, ...]:
        """External ids of those who run the community; no SOP takes them for customers."""
        return self._settings.operators

    def plain(self, **more: Any) -> Facts:
        """Facts that hold for everybody, and whatever is known besides."""
        return Facts(
            zone=self._settings.zone,
            almanac=self._almanac,
            quiet=self._settings.hours.quiet,
            **more,
        )

    def of(self, tx: Tx, walkers: Sequence[Enrolled], *, now: int) -> dict[int, Facts]:
        """The facts of walkers by enrollment id, loaded for all of them at once."""
        subjects = {walker.subject_id for walker in walkers}
        holds = self._holds(tx, walkers, now)
        lost = rows.unreachable(tx, subjects)
        pauses = rows.pauses(tx, subjects, now=now)
        zone = self._settings.zone
        touched = rows.touches(
            tx, subjects, today=day_start(now, zone), week=day_start(now, zone, days=-6)
        )
        born = self.birthdays(
            tx,
            {w.subject_id: v for w in walkers if (v := self._sops.version(tx, w.digest)).birthday},
        )
        out = {}
        for walker in walkers:
            why, until = pauses.get(walker.subject_id, ("", 0))
            out[walker.walk.id] = self.plain(
                holds=holds.get(walker.walk.id, {}),
                birthday=born.get(walker.subject_id),
                lost=lost.get(walker.subject_id, ""),
                paused=why,
                paused_until=until,
                limited="" if walker.in_group else self._limited(touched.get(walker.subject_id)),
            )
        return out

    def _limited(self, touched: Touches | None) -> str:
        limit = self._settings.limits.contact
        if touched is None:
            return ""
        last = f"（上一条来自 {touched.last}）" if touched.last else ""
        if touched.today >= limit.per_day:
            return f"今天已经触达 {touched.today} 次，到了每人每天的上限{last}"
        if touched.week >= limit.per_week:
            return f"七天内已经触达 {touched.week} 次，到了每人每周的上限{last}"
        return ""

    def _holds(self, tx: Tx, walkers: Sequence[Enrolled], now: int) -> dict[int, dict[str, bool]]:
        """Answers to all questions of all walkers: a statement for contacts, one for groups."""
        asked: dict[tuple[str, str, str, bool], tuple[Condition, list[Enrolled]]] = {}
        for walker in walkers:
            sop = self._sops.version(tx, walker.digest).sop
            for name, condition in questions(sop, walker.walk).items():
                key = (walker.digest, walker.walk.step, name, walker.in_group)
                asked.setdefault(key, (condition, []))[1].append(walker)
        out: dict[int, dict[str, bool]] = defaultdict(dict)
        for groups in (False, True):
            some = {key: value for key, value in asked.items() if key[3] is groups}
            held = answers(
                tx.connection,
                [(c, {w.subject_id for w in who}) for c, who in some.values()],
                now=now,
                groups=groups,
            )
            for (key, (_, who)), ids in zip(some.items(), held, strict=True):
                for walker in who:
                    out[walker.walk.id][key[2]] = walker.subject_id in ids
        return out

    def birthdays(self, tx: Tx, wanted: Mapping[int, Version]) -> dict[int, Birthday]:
        """Birthdays that the steps of versions ask for, by contact."""
        found = stored.attributes_of(tx, wanted) if wanted else {}
        out = {}
        for subject, version in wanted.items():
            birthday = parse_birthday(found.get(subject, {}).get(version.birthday, ""))
            if birthday is not None:
                out[subject] = birthday
        return out
