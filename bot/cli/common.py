"""What every command shares: the workspace option, opening things, printing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from bot.workspace import Workspace, read_workspace, show_problems
from sop.errors import DefinitionError
from storage.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def workspace_option(command: F) -> F:
    """`--workspace DIR`: default SIYU_WORKSPACE, else the folder we are in."""
    return click.option(
        "--workspace",
        "root",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="SIYU_WORKSPACE",
        default=Path(),
        help="工作区文件夹（默认是当前文件夹，或环境变量 SIYU_WORKSPACE）",
    )(command)


def json_option(command: F) -> F:
    """`--json`: for machines."""
    return click.option("--json", "as_json", is_flag=True, help="输出 JSON，给程序看")(command)


def open_workspace(root: Path) -> Workspace:
    """Read the workspace; its mistakes become the error's text."""
    try:
        return read_workspace(root, env=os.environ)
    except DefinitionError as error:
        problems = error.facts["problems"]
        raise DefinitionError(
            show_problems(problems) + "\n改好以后再运行一次；随时可以用 siyu check 检查。"  # type: ignore[arg-type]
        ) from None


@contextmanager
def opened(root: Path) -> Iterator[tuple[Workspace, Store]]:
    """A workspace and its database."""
    workspace = open_workspace(root)
    store = Store(workspace.settings.storage, root=root)
    try:
        yield workspace, store
    finally:
        store.close()


def emit_json(value: object) -> None:
    """Print a value as JSON, Chinese as it is."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def short_time(iso: str | None) -> str:
    """An ISO time as `03-02 09:12`."""
    return datetime.fromisoformat(iso).strftime("%m-%d %H:%M") if iso else ""


def one_line(text: str, width: int = 60) -> str:
    """Text on one line, shortened."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
