"""Commands that serve: `run` and `doctor`."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path

import click

from bot.cli.chinese import Command
from bot.cli.common import open_workspace, show, workspace_option
from bot.doctor import examine
from bot.live import run_live
from sop.definitions import WechatySettings


@click.command(cls=Command)
@workspace_option
@click.option(
    "--standby",
    is_flag=True,
    help="账号正由另一个进程管着时，不退出，等它停了接手（只在 PostgreSQL 上有用）",
)
def run(root: Path, standby: bool) -> None:
    """启动机器人，一直运行；按 Ctrl+C 停下。"""
    workspace = open_workspace(root)
    click.echo(f"{workspace.settings.community}：启动中……（改文件不用重启，会自动换上新版本）")
    if not isinstance(workspace.settings.channel, WechatySettings):
        click.echo("现在用的是模拟器，不会碰真的微信。想跟它聊聊，另开一个窗口：siyu chat")

    def report(text: str) -> None:
        show([f"{datetime.now(workspace.settings.zone):%m-%d %H:%M:%S} {text}"])

    asyncio.run(run_live(root, env=os.environ, report=report, standby=standby))
    click.echo("已停下。")


@click.command(cls=Command)
@workspace_option
def doctor(root: Path) -> None:
    """体检：文件、数据库、网关，缺什么、怎么补，一项项说清楚。有问题时退出状态是 1。"""
    findings = asyncio.run(examine(root, env=os.environ))
    for finding in findings:
        show([f"{'✓' if finding.good else '✗'} {finding.text}"])
        if finding.advice:
            show([f"    {finding.advice}"])
    if not all(finding.good for finding in findings):
        raise click.exceptions.Exit(1)


COMMANDS = (run, doctor)
