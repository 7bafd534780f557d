"""The walks of one contact or group through SOPs, told: entering, each step, waiting, the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from sop.engine import Phase, State
from sop.facets import exit_words
from sop.sequences import Sop, Step
from sop.wording import condition_words, event_words
from storage.progress import versions
from storage.sql import fetch, fetch_in

Told = tuple[int, int, str, str, str, dict[str, Any]]  # at, id, what, outcome, because, refs
ENDINGS = {
    State.DONE: "走完",
    State.GOAL: "达成目标",
    State.EXITED: "退出",
    State.REMOVED: "被移出",
}
LAST = 1 << 62  # as an id: after everything else of the same moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """One walk as it is stored, with the version it follows."""

    id: int
    version: Sop
    state: State
    step: str
    phase: Phase
    entered_at: int
    due_at: int | None
    deadline: int | None
    waiting: str
    past: str
    event_id: int | None
    because: str
    ended_at: int | None
    reason: str

    @property
    def title(self) -> str:
        """`SOP 新好友七天培育`."""
        return f"SOP {self.version.title or self.version.id}"

    @property
    def at(self) -> Step | None:
        """The step it stands at."""
        return self.version.step(self.step)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a step."""

    id: int
    enrollment_id: int
    step: str
    outcome: str
    because: str
    at: int


def walks_of(connection: Connection, subject: int) -> list[Walked]:
    """All walks of a contact or group, oldest first."""
    rows = fetch(
        connection,
        "SELECT id, sop, digest, state, step, phase, entered_at, due_at, deadline, waiting,"
        " COALESCE(CAST(past AS TEXT), ''), event_id, because, ended_at, reason FROM enrollment"
        " WHERE subject_id = ? ORDER BY id",
        subject,
    )
    known = {sop: versions(connection, sop) for sop in {row[1] for row in rows}}
    return [
        Walked(
            id=row[0], version=known[row[1]][row[2]].sop, state=State(row[3]), step=row[4],
            phase=Phase(row[5]), entered_at=row[6], due_at=row[7], deadline=row[8],
            waiting=row[9], past=row[10], event_id=row[11], because=row[12], ended_at=row[13],
            reason=row[14],
        )
        for row in rows
    ]  # fmt: skip


def runs_of(connection: Connection, walks: list[Walked]) -> list[Ran]:
    """What came of their steps, oldest first."""
    rows = fetch_in(
        connection,
        "SELECT id, enrollment_id, step, outcome, because, at FROM steprun"
        " WHERE enrollment_id IN {in}",
        [walk.id for walk in walks],
    )
    return sorted((Ran(*row) for row in rows), key=lambda run: run.id)


def paused(connection: Connection) -> Mapping[str, int]:
    """Since when SOPs stand still."""
    return {row[0]: row[1] for row in fetch(connection, "SELECT sop, at FROM soppause")}


# --- telling ---------------------------------------------------------------------------------


def told_walks(
    connection: Connection, subject: int, *, zone: ZoneInfo, now: int | None
) -> list[Told]:
    """The story of the walks; with `now`, also what those under way wait for."""
    walks = walks_of(connection, subject)
    by_id = {walk.id: walk for walk in walks}
    out = [told for walk in walks for told in _told_walk(walk)]
    out += [_told_run(by_id[run.enrollment_id], run) for run in runs_of(connection, walks)]
    if now is not None:
        still = paused(connection)
        for walk in walks:
            if walk.state is State.ACTIVE:
                words = waits_for(walk, zone=zone, now=now, paused=walk.version.id in still)
                out.append((now, LAST, step_label(walk, walk.step), "waiting", words, _refs(walk)))
    return out


def labels(connection: Connection, subject: int) -> dict[str, str]:
    """`sop:new-friend/ask` → `SOP 新好友七天培育 的步骤 ask`, for the walks of a subject."""
    return {
        f"sop:{walk.version.id}/{step.id}": step_label(walk, step.id)
        for walk in walks_of(connection, subject)
        for step in walk.version.steps
    }


def step_label(walk: Walked, step: str) -> str:
    """What a step is called among what it did."""
    return f"{walk.title} 的步骤 {step}"


def _told_walk(walk: Walked) -> Iterator[Told]:
    refs = _refs(walk)
    entered = {**refs, "event": walk.event_id}
    yield walk.entered_at, walk.id, walk.title, "entered", walk.because, entered
    if walk.ended_at is not None:
        words = ending_words(walk)
        yield walk.ended_at, LAST, walk.title, "ended", words, {**refs, "state": walk.state}


def _told_run(walk: Walked, run: Ran) -> Told:
    what = step_label(walk, run.step)
    because = run_words(walk, run)
    if run.outcome != "skipped":
        because = f"{what}：{because}"
    refs = {**_refs(walk), "step": run.step, "event": walk.id}
    return run.at, run.id, what, run.outcome, because, refs


def _refs(walk: Walked) -> dict[str, Any]:
    return {"sop": walk.version.id, "enrollment": walk.id}


# --- in words --------------------------------------------------------------------------------


def run_words(walk: Walked, run: Ran) -> str:
    """Why a step came out so; a condition is spelled out."""
    step = walk.version.step(run.step)
    if step is not None and step.if_ is not None and run.because == "条件 if 不满足":
        return f"条件不满足（{condition_words(step.if_)}）"
    return run.because


def ending_words(walk: Walked) -> str:
    """How a walk ended, and why; an exit is spelled out."""
    exits = {f"满足退出条件 exit[{n}]": rule for n, rule in enumerate(walk.version.exit)}
    rule = exits.get(walk.reason)
    reason = exit_words(rule) if rule is not None else walk.reason
    ending = ENDINGS.get(walk.state, "")
    return f"{ending}：{reason}" if reason else ending


def waits_for(walk: Walked, *, zone: ZoneInfo, now: int, paused: bool) -> str:
    """What a walk under way waits for, and until when."""
    if paused:
        return "SOP 暂停着，停在原地"
    match walk.phase:
        case Phase.REPLY:
            return f"在等回复，最晚等到 {clock(walk.deadline, zone)}"
        case Phase.WAIT:
            until = f"，最晚等到 {clock(walk.deadline, zone)}" if walk.deadline else ""
            return f"在等「{_awaited(walk.at)}」{until}"
        case Phase.STEP:
            if walk.waiting:
                return f"{walk.waiting}，推到 {clock(walk.due_at, zone)}"
            if walk.due_at is not None and walk.due_at <= now:
                return "已经到时间，机器人在运行的话马上就做"
            return f"还没到时间，要到 {clock(walk.due_at, zone)}"


def _awaited(step: Step | None) -> str:
    wait = step.wait_until if step else None
    if wait is not None and wait.if_ is not None:
        return condition_words(wait.if_)
    kind = wait.on if wait else step.on if step else None
    return event_words(kind) if kind is not None else ""


def clock(at: int | None, zone: ZoneInfo) -> str:
    """`03-02 20:00` in `zone`."""
    return f"{datetime.fromtimestamp((at or 0) / 1000, zone):%m-%d %H:%M}"
