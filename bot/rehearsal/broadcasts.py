"""Pushes and Moments of a rehearsal: what came of each, and what there is to object to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bot.planned import planner_of
from bot.push_screen import report_dict
from bot.rehearsal.cast import Times
from bot.workspace import Workspace
from sop.moments import objections, slots
from sop.pinned import unpin
from storage import runs
from storage.push_report import push_report
from storage.runs import MOMENT, PUSH, RunRow
from storage.story import iso

MOST = 100_000  # runs of a rehearsal
Rows = list[dict[str, Any]]


def broadcasts(connection: Any, workspace: Workspace, times: Times) -> dict[str, Rows]:
    """`pushes` and `moments`: one row a run that was due, in order."""
    titles = {one.id: one.label for one in workspace.definitions.pushes}
    posts = {one.id: one for one in workspace.definitions.moments}
    return {
        "pushes": [
            {
                "push": run.name,
                "title": titles[run.name],
                **_came(connection, run, times),
            }
            for run in _due(connection, PUSH)
        ],
        "moments": [
            {
                "moment": run.name,
                "title": posts[run.name].label,
                "pillar": posts[run.name].pillar,
                "at": iso(run.planned_at, times.zone),
                "state": run.state,
                "reason": run.reason,
            }
            for run in _due(connection, MOMENT)
        ],
    }


def _due(connection: Any, kind: str) -> list[RunRow]:
    found = runs.runs_of(connection, kind, limit=MOST)
    return [run for run in reversed(found) if run.state != "planned"]


def _came(connection: Any, run: RunRow, times: Times) -> dict[str, Any]:
    if run.definition is None:
        at = iso(run.planned_at, times.zone)
        return {"planned_at": at, "state": run.state, "reason": run.reason, "meant": 0, "sent": 0}
    groups = unpin(run.definition).target.groups
    return report_dict(run, push_report(connection, run, groups=groups), times.zone)


def objected(
    found: dict[str, Rows], workspace: Workspace, times: Times
) -> Iterator[dict[str, Any]]:
    """What an experienced operator would object to."""
    by_push: dict[str, Rows] = defaultdict(list)
    for row in found["pushes"]:
        by_push[row["push"]].append(row)
    for name, rows in by_push.items():
        yield from _push(name, rows)
    plan = slots(
        workspace.definitions.moments, planner_of(workspace.settings), start=times.start,
        end=times.end,
    )  # fmt: skip
    for one in objections(plan, start=times.start, end=times.end, zone=times.zone) if plan else ():
        yield {"kind": f"moment_{one.kind}", "text": one.text}


def _push(name: str, rows: Rows) -> Iterator[dict[str, Any]]:
    title = rows[0]["title"]
    empty = sum(row["meant"] == 0 for row in rows)
    if empty == len(rows):
        text = f"群发「{title}」{len(rows)} 回都没有人可发，人群里一个人也没有"
        yield {"kind": "push_empty", "text": text, "push": name}
        return
    meant, sent = sum(row["meant"] for row in rows), sum(row["sent"] for row in rows)
    missed = sum(
        row["withheld"].get("群发取消了，或者没轮到就结束了", 0) for row in rows if row["meant"]
    )
    if missed:
        text = f"群发「{title}」发不完：{meant} 个该收到的，{missed} 个没轮到就结束了"
        yield {"kind": "push_unfinished", "text": text, "push": name, "people": missed}
    elif sent * 2 < meant:
        text = f"群发「{title}」一半以上没发成：该收到 {meant}，发出 {sent}"
        yield {"kind": "push_withheld", "text": text, "push": name, "sent": sent, "meant": meant}
