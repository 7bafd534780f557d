"""Commands about the operator's files: `init`, `check`, `schema`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click

from bot.cli.chinese import Command
from bot.cli.common import emit_json, json_option, workspace_option
from bot.starter import copy_starter
from bot.workspace import inspect_workspace, show_problems
from sop.problems import Problem
from sop.schema import json_schema


@click.command(cls=Command)
@click.argument("folder", metavar="文件夹", type=click.Path(path_type=Path, readable=False))
def init(folder: Path) -> None:
    """建一个新的工作区，里面是「小满家」的全套例子，照着改成你的。"""
    copied = copy_starter(folder)
    click.echo(f"建好了：{folder}（{copied} 个文件）")
    click.echo("接下来：")
    click.echo(f"  1. 打开 {folder / 'siyu.yaml'}，改成你的社群名字")
    click.echo(
        f"  2. 改 {folder / 'templates'} 里的话术，改完用 siyu check --workspace {folder} 检查"
    )
    click.echo(f"  3. siyu chat --workspace {folder}，自己当一回顾客，跟它聊聊看")
    click.echo(f"  4. 满意了，在 siyu.yaml 里接上微信，siyu run --workspace {folder}")


@click.command(cls=Command)
@workspace_option
@json_option
def check(root: Path, as_json: bool) -> None:
    """检查工作区里的文件，把所有错误一次列全。有错误时退出状态是 1。"""
    workspace, problems = inspect_workspace(root, env=os.environ)
    if as_json:
        emit_json([_as_dict(problem) for problem in problems])
    else:
        click.echo(show_problems(problems))
    if workspace is None:
        raise click.exceptions.Exit(1)


@click.command(cls=Command)
@click.argument(
    "which",
    metavar="settings|definitions",
    type=click.Choice(["settings", "definitions"]),
    default="definitions",
)
def schema(which: Literal["settings", "definitions"]) -> None:
    """打印 JSON Schema，给编辑器用：写 YAML 时自动补全和检查。

    settings 是 siyu.yaml 的，definitions（默认）是其他 YAML 文件的。
    """
    emit_json(json_schema(which))


def _as_dict(problem: Problem) -> dict[str, object]:
    return {name: getattr(problem, name) for name in Problem.__dataclass_fields__}


COMMANDS = (init, check, schema)
