"""The timetable of pushes and Moments: each one's next time is a row, and what is due begins.

Rows are kept in step with the files: a new `at:` moves the next time, a deleted entry has none. No
time is kept twice, also when the clock was set back; a time that was missed is begun if its `late`
still allows, else recorded as skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from bot.happening import Me
from bot.moments import Publisher
from bot.notices import tell_operators
from bot.planned import planner_of
from bot.pushes import Pusher
from bot.wording import Wording
from bot.workspace import Workspace
from sop.almanac import Almanac
from sop.messages import Text
from sop.pushes import PUSH_LATE, AtOnce, MomentPlan, Push, When
from sop.times import DAY, show_duration
from storage import runs
from storage.runs import MOMENT, PUSH, RunRow
from storage.store import Tx

Key = tuple[str, str]  # push or moment, and its id
_NAMES = {PUSH: "群发", MOMENT: "朋友圈"}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A push or Moment of the files, as far as its time is concerned."""

    at: When
    schedule: str
    late: int
    label: str


class Timetable:
    """The timetable of one version of a workspace."""

    def __init__(self, workspace: Workspace, wording: Wording, almanac: Almanac) -> None:
        self._settings = workspace.settings
        self.planner = planner_of(workspace.settings, almanac)
        self.pusher = Pusher(workspace, wording)
        self.publisher = Publisher(workspace)
        self._entries = dict(_entries(workspace))
        self._known = {PUSH: {p.id for p in workspace.definitions.pushes},
                       MOMENT: {m.id for m in workspace.definitions.moments}}  # fmt: skip
        self._over: set[Key] = set()  # their time will not come any more
        self._looked_at = 0
        self._kept: int | None = None  # the account whose rows were seen to say what files say

    def settled(self, me: Me, *, now: int) -> bool:
        """Whether the rows are known to be in step with the files, so that only time matters."""
        return self._kept == me.id and self._looked_at <= now < self._looked_at + DAY

    def tick(self, tx: Tx, me: Me, *, now: int) -> None:
        """Begin and carry on what is due."""
        if not self.settled(me, now=now):
            self._plan(tx, me, now)
        for run in runs.due(tx, me.id, now=now):
            if run.state == "planned":
                self._begin(tx, me, run, now)
            elif run.kind == PUSH:
                self.pusher.move(tx, me, run, now=now)
            else:
                self.publisher.move(tx, me, run, now=now)

    # --- what is to come ----------------------------------------------------------------------

    def _plan(self, tx: Tx, me: Me, now: int) -> None:
        """Bring the rows in step with the files.

        That they are is only believed when a later transaction finds them so: this one may yet be
        rolled back.
        """
        plans = {(run.kind, run.name): run for run in runs.plans(tx.connection, me.id)}
        fresh = self._looked_at <= now < self._looked_at + DAY
        known = {key: run.schedule for key, run in plans.items()}
        wanted = {k: e.schedule for k, e in self._entries.items() if k not in self._over}
        self._kept = me.id if fresh and known == wanted else None
        if self._kept is not None:
            return
        self._looked_at = now  # a day later, or when the clock was set back, all times are checked
        self._over.clear()
        for key, entry in self._entries.items():
            self._plan_one(tx, me, key, entry, plans.pop(key, None), now)
        runs.unplan(tx, list(plans.values()))

    def _plan_one(
        self, tx: Tx, me: Me, key: Key, entry: _Entry, run: RunRow | None, now: int
    ) -> None:
        overdue = run is not None and run.planned_at <= now
        if run is not None and run.schedule == entry.schedule and overdue:
            return  # its `late` decides
        moment = self._free(tx, me, key, entry, after=now, own=run)
        if moment is None:
            self._over.add(key)
            if run is not None:
                runs.unplan(tx, [run])
            else:
                self._missed(tx, me, key, entry)
        elif run is None:
            runs.plan(tx, me.id, *key, planned_at=moment, schedule=entry.schedule)
        elif (moment, entry.schedule) != (run.planned_at, run.schedule):
            runs.replan(tx, run, planned_at=moment, schedule=entry.schedule)

    def _free(
        self, tx: Tx, me: Me, key: Key, entry: _Entry, *, after: int, own: RunRow | None = None
    ) -> int | None:
        """The next time that no run has had yet."""
        moment = self.planner.following(entry.at, after=after)
        while moment is not None and runs.taken(tx, me.id, *key, moment):
            if own is not None and moment == own.planned_at:
                break
            moment = self.planner.following(entry.at, after=moment)
        return moment

    def _missed(self, tx: Tx, me: Me, key: Key, entry: _Entry) -> None:
        """A time that was over before the bot ever knew of it."""
        if isinstance(entry.at, AtOnce):
            moment = self.planner.following(entry.at, after=0)
            if moment is not None and not runs.taken(tx, me.id, *key, moment):
                runs.plan(
                    tx, me.id, *key, planned_at=moment, schedule=entry.schedule, state="skipped",
                    reason="写进文件的时候，这个时间已经过了",
                )  # fmt: skip

    # --- what is due --------------------------------------------------------------------------

    def _begin(self, tx: Tx, me: Me, run: RunRow, now: int) -> None:
        key = (run.kind, run.name)
        entry = self._entries.get(key)
        if run.name not in self._known[run.kind]:
            runs.end(tx, run, "cancelled", reason="从文件里删掉了", now=now)
            return
        late = PUSH_LATE if entry is None else entry.late
        if now - run.planned_at > late:
            self._skip(tx, me, run, late, now)
        elif run.kind == PUSH:
            self.pusher.start(tx, me, run, now=now)
        else:
            self.publisher.start(tx, me, run, now=now, expires_at=run.planned_at + late)
        if entry is not None and not run.by_hand:
            moment = self._free(tx, me, key, entry, after=max(now, run.planned_at))
            if moment is None:
                self._over.add(key)
            else:
                runs.plan(tx, me.id, *key, planned_at=moment, schedule=entry.schedule)

    def _skip(self, tx: Tx, me: Me, run: RunRow, late: int, now: int) -> None:
        behind = show_duration(now - run.planned_at)
        reason = f"晚了 {behind}，超过 late 允许的 {show_duration(late)}，这一次不发了"
        runs.end(tx, run, "skipped", reason=reason, now=now)
        text = f"{_NAMES[run.kind]}「{run.name}」没有发：{reason}"
        tell_operators(
            tx, me, self._settings, (Text(text=text),), source=f"{run.kind}:{run.name}",
            because=reason, now=now,
        )  # fmt: skip


def _entries(workspace: Workspace) -> Iterator[tuple[Key, _Entry]]:
    zone = workspace.settings.timezone
    for push in workspace.definitions.pushes:
        if push.at is not None:
            yield (PUSH, push.id), _entry(push, push.at, zone)
    for moment in workspace.definitions.moments:
        yield (MOMENT, moment.id), _entry(moment, moment.at, zone)


def _entry(one: Push | MomentPlan, at: When, zone: str) -> _Entry:
    data = [zone, at.model_dump(mode="json", by_alias=True, exclude_defaults=True)]
    schedule = json.dumps(data, ensure_ascii=False, sort_keys=True)
    return _Entry(at, schedule, one.late.limit if one.late else PUSH_LATE, one.label)
