"""Commands that serve: `run` and `doctor`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from bot.cli.common import open_workspace, workspace_option
from bot.doctor import examine
from bot.live import run_live
from sop.definitions import WechatySettings


@click.command()
@workspace_option
def run(root: Path) -> None:
    """启动机器人，一直运行；按 Ctrl+C 停下。"""
    workspace = open_workspace(root)
    click.echo(f"{workspace.settings.community}：启动中……（改文件不用重启，会自动换上新版本）")
    if not isinstance(workspace.settings.channel, WechatySettings):
        click.echo("现在用的是模拟器，不会碰真的微信。想跟它聊聊：siyu chat")
    asyncio.run(run_live(root, env=os.environ, report=click.echo))
    click.echo("已停下。")


@click.command()
@workspace_option
def doctor(root: Path) -> None:
    """体检：文件、数据库、网关，缺什么、怎么补，一项项说清楚。有问题时退出状态是 1。"""
    findings = asyncio.run(examine(root, env=os.environ))
    for finding in findings:
        click.echo(f"{'✓' if finding.good else '✗'} {finding.text}")
        if finding.advice:
            click.echo(f"    {finding.advice}")
    if not all(finding.good for finding in findings):
        raise click.exceptions.Exit(1)


COMMANDS = (run, doctor)
