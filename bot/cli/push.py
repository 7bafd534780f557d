"""`siyu push`: pushes and their next times, what came of one, and an operator's hand on it."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from bot.cli.chinese import Command
from bot.cli.common import (
    emit_json,
    json_option,
    now_ms,
    opened,
    short_time,
    show,
    workspace_option,
)
from bot.cli.table import columns, table
from bot.lock import running
from bot.push_control import ACTS, push_of
from bot.push_preview import dry_run, start_of
from bot.push_screen import dry_run_lines, report_dict, report_lines, whom
from bot.workspace import Workspace
from sop.errors import SiyuError
from sop.pinned import Pinned, unpin
from sop.pushes import Push
from storage import runs
from storage.preview import account_of
from storage.push_report import push_report
from storage.runs import PUSH, RunRow
from storage.store import Store
from storage.story import iso

SHOWN = 5  # runs told about one push
_HEADING = ("群发", "发给", "下一次", "现在", "标题")
_STATES = {
    "planned": "排着",
    "running": "正在发",
    "paused": "暂停中",
    "done": "发完了",
    "cancelled": "取消了",
    "skipped": "没有发",
}


@click.command(cls=Command)
@click.argument("name", metavar="[群发]", required=False)
@click.option("--dry-run", "act", flag_value="dry-run", help="只试算：发给谁、几时发完、谁收不到")
@click.option("--start", "act", flag_value="start", help="不等时间到，马上发")
@click.option("--pause", "act", flag_value="pause", help="停下，没发的先不发")
@click.option("--resume", "act", flag_value="resume", help="接着发")
@click.option("--cancel", "act", flag_value="cancel", help="取消正在发的这一次，没轮到的不再发")
@workspace_option
@json_option
def push(name: str | None, act: str | None, root: Path, as_json: bool) -> None:
    """群发：有哪些、下一次几时；写上名字看它的战报，或者试算、马上发、暂停、恢复、取消。"""
    if name is None and act is not None:
        raise click.UsageError("说一下是哪个群发，比如 siyu push weekly-news --dry-run")
    with opened(root) as (workspace, store):
        if name is None:
            _list(workspace, store, as_json)
        elif act == "dry-run":
            _dry_run(workspace, store, push_of(workspace, name), as_json)
        elif act is not None:
            _act(workspace, store, push_of(workspace, name).id, act, as_json)
        else:
            _report(workspace, store, name, as_json)


# --- the list --------------------------------------------------------------------------------


def _list(workspace: Workspace, store: Store, as_json: bool) -> None:
    with store.read() as connection:
        rows = [_overview(workspace, connection, one) for one in workspace.definitions.pushes]
    if as_json:
        emit_json(rows)
    elif not rows:
        show(["还没有群发。写在 YAML 的 pushes 里，例子在 siyu init 建出来的 calendar.yaml。"])
    else:
        show(table([_HEADING, *map(_row, rows)], width=columns()))


def _overview(workspace: Workspace, connection: Any, push: Push) -> dict[str, Any]:
    found = runs.runs_of(connection, PUSH, push.id, limit=SHOWN)
    zone = workspace.settings.zone
    plan = next((run for run in found if run.is_plan), None)
    following = start_of(workspace, push, now=now_ms()) if plan is None else plan.planned_at
    last = next((run for run in found if not run.is_plan), None)
    return {
        "id": push.id,
        "title": push.label,
        "to": whom(push),
        "next": iso(following, zone),
        "paused": any(run.state == "paused" for run in found),
        "last": None
        if last is None
        else {"at": iso(last.planned_at, zone), "state": last.state, "reason": last.reason},
    }


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    last = row["last"]
    state = "还没发过"
    if last is not None:
        state = f"{short_time(last['at'])} {_STATES[last['state']]}"
    if row["paused"]:
        state = f"暂停中（{state}）"
    return row["id"], row["to"], short_time(row["next"]) or "只手动", state, row["title"]


# --- what an operator does -------------------------------------------------------------------


def _act(workspace: Workspace, store: Store, name: str, act: str, as_json: bool) -> None:
    with store.read() as connection:
        account = _account(connection, workspace)
    told = store.write(lambda tx: ACTS[act](tx, account, name, by="运营用命令", now=now_ms()))
    if running(workspace.root) is None and act in ("start", "resume"):
        told += "。不过机器人没有在运行，等 siyu run 起来才会发"
    emit_json({"push": name, "told": told}) if as_json else show([told])


def _account(connection: Any, workspace: Workspace) -> int:
    found = account_of(
        connection,
        workspace.settings.channel.kind,
        host=socket.gethostname(),
        folder=str(workspace.root.resolve()),
    )
    if found is None:
        raise SiyuError("机器人还没有登录过账号。先 siyu run（或 siyu chat），再来管群发。")
    return found


def _dry_run(workspace: Workspace, store: Store, push: Push, as_json: bool) -> None:
    with store.read() as connection:
        account = _account(connection, workspace)
        found = dry_run(connection, workspace, push, account=account, now=now_ms())
    emit_json(found) if as_json else show(dry_run_lines(push, found))


# --- what came of it -------------------------------------------------------------------------


def _report(workspace: Workspace, store: Store, name: str, as_json: bool) -> None:
    zone = workspace.settings.zone
    with store.read() as connection:
        found = runs.runs_of(connection, PUSH, name, limit=SHOWN)
        known = {push.id: push for push in workspace.definitions.pushes}
        if name not in known and not found:
            push_of(workspace, name)
        told = [
            report_dict(run, push_report(connection, run, groups=pinned.target.groups), zone)
            for run in found
            if (pinned := _pinned(run)) is not None
        ]
    plan = next((run for run in found if run.is_plan), None)
    others = [run for run in found if run.started_at is None and not run.is_plan]
    if as_json:
        emit_json(
            {
                "push": name,
                "next": iso(plan.planned_at, zone) if plan else None,
                "runs": told,
                "not_begun": [
                    {"at": iso(run.planned_at, zone), "state": run.state, "reason": run.reason}
                    for run in others
                ],
            }
        )
    else:
        show(_lines(known.get(name), name, plan, told, others, zone))


def _pinned(run: RunRow) -> Pinned | None:
    return unpin(run.definition) if run.definition else None


def _lines(
    push: Push | None,
    name: str,
    plan: RunRow | None,
    told: list[dict[str, Any]],
    others: list[RunRow],
    zone: ZoneInfo,
) -> Iterator[str]:
    yield f"{push.label if push else name}（{name}）" + ("" if push else "，文件里已经没有")
    if plan is not None:
        still = "，暂停中" if plan.state == "paused" else ""
        yield f"下一次：{short_time(iso(plan.planned_at, zone))}{still}"
    for run in told:
        yield ""
        yield from report_lines(run)
    for other in others:
        yield f"{short_time(iso(other.planned_at, zone))} {_STATES[other.state]}：{other.reason}"
    if not told and not others:
        yield "还没有发过。先试算一下：siyu push " + name + " --dry-run"


COMMANDS = (push,)
