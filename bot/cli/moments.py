"""`siyu moments`: the coming weeks of Moments as a calendar, and what is wrong with the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from bot.cli.chinese import Command
from bot.cli.common import (
    emit_json,
    json_option,
    now_ms,
    one_line,
    opened,
    show,
    workspace_option,
)
from bot.moments import composed
from bot.plain import day_line
from bot.planned import planner_of
from bot.workspace import Workspace
from sop.conditions import many
from sop.messages import summary
from sop.moments import Slot, objections, slots
from sop.pushes import PILLARS
from sop.sending import day_start
from sop.times import DAY
from sop.timing import local_day
from storage import runs
from storage.runs import MOMENT, RunRow
from storage.story import iso

RECENT = 7  # days back that are told with what came of them
STATES = {
    "publishing": "正在发",
    "handed": "交给运营了，等 /已发",
    "unknown": "不确定",
    "done": "发了",
    "skipped": "没有发",
    "failed": "没发成",
    "unconfirmed": "没有人确认",
    "cancelled": "取消了",
    "planned": "排着",
}


@click.command(cls=Command)
@click.option(
    "--weeks",
    default=4,
    metavar="几周",
    type=click.IntRange(1, 26),
    help="看今后几周（默认 4）",
)
@workspace_option
@json_option
def moments(weeks: int, root: Path, as_json: bool) -> None:
    """朋友圈：今后几周的日历，最近发了什么；广告太多、空档和撞车会提醒。"""
    with opened(root) as (workspace, store):
        now = now_ms()
        zone = workspace.settings.zone
        with store.read() as connection:
            past = [
                run
                for run in runs.runs_of(connection, MOMENT, limit=200)
                if run.state != "planned" and run.planned_at >= now - RECENT * DAY
            ]
        end = day_start(now, zone, days=7 * weeks + 1)
        plan = slots(workspace.definitions.moments, planner_of(workspace.settings),
                     start=now, end=end)  # fmt: skip
        said = list(objections(plan, start=now, end=end, zone=zone)) if plan else []
    if as_json:
        emit_json(
            {
                "plan": [_slot(workspace, slot) for slot in plan],
                "past": [_past(run, zone) for run in reversed(past)],
                "warnings": [{"kind": one.kind, "text": one.text} for one in said],
            }
        )
        return
    show(_lines(workspace, plan, list(reversed(past))))
    show([f"• {one.text}" for one in said])


def _slot(workspace: Workspace, slot: Slot) -> dict[str, Any]:
    made = _made(workspace, slot)
    return {
        "at": iso(slot.at, workspace.settings.zone),
        "id": slot.moment.id,
        "title": slot.moment.label,
        "pillar": slot.moment.pillar,
        "visible_to": list(many(slot.moment.visible_to or ())),
        "text": made,
    }


def _made(workspace: Workspace, slot: Slot) -> str:
    """What would be posted."""
    wall = datetime.fromtimestamp(slot.at / 1000, workspace.settings.zone)
    made = composed(workspace, slot.moment.say, seed=slot.at // DAY, wall=wall)
    return made if isinstance(made, str) else summary(made).removeprefix("[朋友圈] ")


def _past(run: RunRow, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "at": iso(run.planned_at, zone),
        "id": run.name,
        "state": run.state,
        "reason": run.reason,
    }


def _lines(workspace: Workspace, plan: list[Slot], past: list[RunRow]) -> Iterator[str]:
    zone = workspace.settings.zone
    titles = {moment.id: moment.label for moment in workspace.definitions.moments}
    if past:
        yield "━━ 最近 ━━"
    for run in past:
        wall = datetime.fromtimestamp(run.planned_at / 1000, zone)
        why = f"（{run.reason}）" if run.reason else ""
        yield f"{wall:%m-%d %H:%M}  {titles.get(run.name, run.name)}：{STATES[run.state]}{why}"
    if not plan:
        yield "今后没有排朋友圈。写在 YAML 的 moments 里，例子在 siyu init 建出来的 calendar.yaml。"
        return
    yield "━━ 今后 ━━"
    for week, found in groupby(plan, key=lambda slot: _monday(slot.at, zone)):
        yield f"{week:%m-%d} 这一周"
        for day, inside in groupby(
            found, key=lambda slot: datetime.fromtimestamp(slot.at / 1000, zone).date()
        ):
            yield f"  {day_line(day)}"
            for slot in inside:
                yield f"  {_entry(workspace, slot)}"
    counts = Counter[str](slot.moment.pillar for slot in plan)
    shares = "，".join(f"{pillar} {counts[pillar]}" for pillar in PILLARS if counts[pillar])
    yield f"一共 {len(plan)} 条：{shares}"


def _entry(workspace: Workspace, slot: Slot) -> str:
    wall = datetime.fromtimestamp(slot.at / 1000, workspace.settings.zone)
    seen = many(slot.moment.visible_to or ())
    only = f"（只给 {'、'.join(seen)}）" if seen else ""
    text = one_line(_made(workspace, slot), 60)
    return f"{wall:%H:%M} {slot.moment.pillar} {slot.moment.label}{only}：{text}"


def _monday(at: int, zone: ZoneInfo) -> date:
    day = local_day(at, zone)
    return day - timedelta(days=day.weekday())


COMMANDS = (moments,)
