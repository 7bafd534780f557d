"""The facts that moves depend on, loaded in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bot.sops import Sops, Version
from sop.almanac import Almanac, Birthday
from sop.birthdays import parse_birthday
from sop.conditions import Condition
from sop.definitions import Settings
from sop.engine import Facts, questions
from sop.events import EventKind
from sop.sending import day_start
from sop.sequences import Sop
from sop.stirring import stirred
from storage import enrollments as rows
from storage import events as stored
from storage import membership
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

    def due(self, tx: Tx, walkers: Sequence[Enrolled], *, now: int) -> dict[int, Facts]:
        """What moves those whose time has come, by enrollment id, loaded for all at once."""
        asked = {w.walk.id: questions(self._sop(tx, w), w.walk) for w in walkers}
        return self._of(tx, walkers, asked, now=now, talking=True)

    def stirred(
        self, tx: Tx, walkers: Sequence[Enrolled], kinds: Mapping[int, EventKind], *, now: int
    ) -> dict[int, Facts]:
        """What may have changed for those something happened to, by enrollment id.

        `kinds` are the kinds of events by subject.
        """
        asked = {w.walk.id: stirred(self._sop(tx, w), w.walk, kinds[w.subject_id]) for w in walkers}
        return self._of(tx, walkers, asked, now=now, talking=False)

    def _sop(self, tx: Tx, walker: Enrolled) -> Sop:
        return self._sops.version(tx, walker.digest).sop

    def _of(
        self,
        tx: Tx,
        walkers: Sequence[Enrolled],
        asked: Mapping[int, Mapping[str, Condition]],
        *,
        now: int,
        talking: bool,
    ) -> dict[int, Facts]:
        # What may keep a step from talking does not matter to what happened.
        subjects = {walker.subject_id for walker in walkers}
        holds = self._holds(tx, walkers, asked, now)
        members = [(w.subject_id, w.group_id) for w in walkers if w.group_id is not None]
        absent = membership.absent(tx, members) if members else {}
        friends = membership.friends(tx, {contact for contact, _ in members})
        lost = rows.unreachable(tx, subjects)
        pauses = rows.pauses(tx, subjects, now=now) if talking else {}
        touched = self._touched(tx, subjects, now) if talking else {}
        born = self.birthdays(
            tx,
            {w.subject_id: v for w in walkers if (v := self._sops.version(tx, w.digest)).birthday},
        )
        out = {}
        nothing, noted = self.plain(), {*lost, *pauses, *touched, *born}
        for walker in walkers:
            plain = walker.subject_id not in noted and walker.group_id is None
            if plain and walker.walk.id not in holds:
                out[walker.walk.id] = nothing
                continue
            why, until = pauses.get(walker.subject_id, ("", 0))
            known = {
                "holds": holds.get(walker.walk.id),
                "birthday": born.get(walker.subject_id),
                "lost": lost.get(walker.subject_id)
                if walker.group_id is None
                else absent.get((walker.subject_id, walker.group_id)),
                "paused": why,
                "paused_until": until,
                # Whoever is no friend is spoken to in the group, and a group is not one person.
                "limited": ""
                if walker.in_group or (walker.group_id and walker.subject_id not in friends)
                else self._limited(touched.get(walker.subject_id)),
            }
            told = {name: value for name, value in known.items() if value}
            out[walker.walk.id] = self.plain(**told) if told else nothing
        return out

    def _touched(self, tx: Tx, subjects: Collection[int], now: int) -> dict[int, Touches]:
        zone = self._settings.zone
        return rows.touches(
            tx, subjects, today=day_start(now, zone), week=day_start(now, zone, days=-6)
        )

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

    def _holds(
        self,
        tx: Tx,
        walkers: Sequence[Enrolled],
        questions: Mapping[int, Mapping[str, Condition]],
        now: int,
    ) -> dict[int, dict[str, bool]]:
        """Answers to all questions of all walkers: a statement for contacts, one for groups."""
        asked: dict[tuple[str, str, str, bool], tuple[Condition, list[Enrolled]]] = {}
        for walker in walkers:
            for name, condition in questions[walker.walk.id].items():
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
