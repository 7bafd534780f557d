"""Operators by chat about pushes and Moments: `/群发`, `/群发 weekly-news 暂停`, `/已发`."""

from __future__ import annotations

from datetime import datetime

from bot.happening import Me
from bot.moments import confirm
from bot.plain import operator_name
from bot.push_control import ACTS, push_of
from bot.push_screen import STATES, report_dict, report_lines, whom
from bot.workspace import Workspace
from sop.errors import SiyuError
from sop.pinned import unpin
from sop.pushes import Push
from storage import runs
from storage.push_report import push_report
from storage.runs import PUSH
from storage.store import Tx

WORDS = {"开始": "start", "暂停": "pause", "恢复": "resume", "取消": "cancel"}
HELP = """/群发 —— 有哪些群发，下一次几时
/群发 weekly-news —— 上一次发得怎么样
/群发 weekly-news 暂停 —— 也可以是 开始、恢复、取消
/已发 —— 机器人请你代发的朋友圈，发好了"""


def push_command(
    tx: Tx, me: Me, workspace: Workspace, args: str, *, operator: str, now: int
) -> str:
    """The answer to `/群发 …`. Raises `SiyuError` for what cannot be done."""
    name, _, word = args.partition(" ")
    if not name:
        return _list(tx, me, workspace)
    push = push_of(workspace, name)
    word = word.strip()
    if not word:
        return _last(tx, workspace, push)
    act = WORDS.get(word)
    if act is None:
        raise SiyuError(f"不认识「{word[:20]}」，可以是：{'、'.join(WORDS)}")
    return ACTS[act](tx, me.id, push.id, by=f"{operator_name(operator)} ", now=now)


def moment_command(tx: Tx, me: Me, args: str, *, operator: str, now: int) -> str:
    """The answer to `/已发`."""
    return confirm(tx, me.id, args, by=operator, now=now)


def _list(tx: Tx, me: Me, workspace: Workspace) -> str:
    plans = {run.name: run for run in runs.plans(tx.connection, me.id) if run.kind == PUSH}
    lines = []
    for push in workspace.definitions.pushes:
        plan = plans.get(push.id)
        begun = runs.begun(tx.connection, me.id, PUSH, push.id)
        now = "，" + "、".join(STATES[run.state] for run in begun) if begun else ""
        if plan is None:
            when = "没有下一次"
        else:
            wall = datetime.fromtimestamp(plan.planned_at / 1000, workspace.settings.zone)
            when = f"下一次 {wall:%m-%d %H:%M}" + ("（暂停中）" if plan.state == "paused" else "")
        lines.append(f"{push.label}（{push.id}），给{whom(push)}：{when}{now}")
    return "\n".join(lines) or "还没有写过群发"


def _last(tx: Tx, workspace: Workspace, push: Push) -> str:
    found = [run for run in runs.runs_of(tx.connection, PUSH, push.id, limit=10) if run.definition]
    if not found:
        return f"{push.label} 还没有发过"
    run = found[0]
    groups = unpin(run.definition).target.groups
    told = push_report(tx.connection, run, groups=groups)
    lines = report_lines(report_dict(run, told, workspace.settings.zone))
    return "\n".join([push.label, *lines])
