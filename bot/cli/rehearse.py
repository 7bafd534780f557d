"""`siyu rehearse`: simulated weeks before an SOP touches a person."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import click

from bot.cli.chinese import Command
from bot.cli.common import emit_json, json_option, now_ms, open_workspace, workspace_option
from bot.rehearsal.run import Plan, rehearse_workspace
from bot.rehearsal.screen import screen
from bot.workspace import Workspace
from sop.timing import local_day


@click.command(cls=Command)
@click.argument("sops", metavar="[SOP]...", nargs=-1)
@click.option(
    "--contacts",
    default=200,
    help="模拟多少人（默认 200）",
    metavar="人数",
    type=click.IntRange(1, 100_000),
)
@click.option(
    "--days",
    default=30,
    help="演多少天（默认 30）",
    metavar="天数",
    type=click.IntRange(1, 366),
)
@click.option("--seed", default=1, help="同一个数，结果一模一样（默认 1）", metavar="数")
@click.option(
    "--start",
    help="从哪天开始（默认 2026-03-02，好拿来比；带上真实好友时默认明天）",
    metavar="日期",
    type=click.DateTime(["%Y-%m-%d"]),
)
@click.option(
    "--people",
    metavar="文件",
    help="用这个文件里的人物（默认是工作区里写的）",
    type=click.Path(path_type=Path, readable=False),
)
@click.option("--from-db", is_flag=True, help="带上真实的好友（只读，不会改动）")
@workspace_option
@json_option
def rehearse(
    sops: tuple[str, ...],
    contacts: int,
    days: int,
    seed: int,
    start: datetime | None,
    people: Path | None,
    from_db: bool,
    root: Path,
    as_json: bool,
) -> None:
    """彩排：用真的规则、SQL 和信使，在虚拟的几周里演一遍，谁也碰不到。"""
    workspace = open_workspace(root)
    plan = Plan(
        sops=sops,
        contacts=contacts,
        days=days,
        seed=seed,
        start=start.date() if start else _first_day(workspace, from_db=from_db),
        from_db=from_db,
        people=people,
    )
    found = asyncio.run(rehearse_workspace(workspace, plan, progress=_progress()))
    if as_json:
        emit_json(found)
        return
    click.echo(
        f"彩排：{workspace.settings.community}，{found['contacts']} 人，"
        f"从 {found['start']} 起 {days} 天，种子 {seed}"
    )
    click.echo("")
    for line in screen(found):
        click.echo(line)


def _first_day(workspace: Workspace, *, from_db: bool) -> date:
    """The same day for all who compare; for real people, whose past is real, tomorrow."""
    if not from_db:
        return date(2026, 3, 2)
    return local_day(now_ms(), workspace.settings.zone) + timedelta(days=1)


def _progress() -> Callable[[float], None]:
    """Tell on a terminal how far it is; a pipe gets the report alone."""
    if not sys.stderr.isatty():
        return lambda _done: None

    def tell(done: float) -> None:
        click.echo(f"\r彩排中 {done:4.0%}" + ("\n" if done >= 1 else ""), nl=False, err=True)

    return tell


COMMANDS = (rehearse,)
