"""What every command shares: the workspace option, opening things, printing."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from bot.plain import visible
from bot.workspace import Workspace, read_workspace, show_problems
from sop.errors import DefinitionError, NotFound, WorkspaceError
from storage.search import Found, find
from storage.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def workspace_option(command: F) -> F:
    """`--workspace DIR`: default SIYU_WORKSPACE, else the folder we are in."""
    return click.option(
        "--workspace",
        "root",
        metavar="文件夹",
        type=click.Path(path_type=Path, readable=False),
        envvar="SIYU_WORKSPACE",
        callback=_folder,
        help="工作区文件夹（默认是当前文件夹，或环境变量 SIYU_WORKSPACE）",
    )(command)


def json_option(command: F) -> F:
    """`--json`: for machines."""
    return click.option("--json", "as_json", is_flag=True, help="输出 JSON，给程序看")(command)


def name_argument(command: F) -> F:
    """The contact or group a command is about."""
    return click.argument("name", metavar="名字")(command)


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


def seek(connection: Any, name: str, *, else_: str = "siyu contacts 看看都有谁") -> Found:
    """The contact or group that is called so; `else_` says where all of them are listed."""
    typed = visible(name.encode(errors="replace").decode()).strip()
    if not typed:
        raise NotFound("名字是空的。写上名字，或者 # 加编号，比如 #12。")
    try:
        return find(connection, typed)
    except NotFound as error:
        raise NotFound(f"{error}。用 {else_}。") from None


def show(lines: Iterable[str]) -> None:
    """Print lines; what people wrote cannot steer the terminal."""
    for line in lines:
        click.echo(visible(line))


def emit_json(value: object) -> None:
    """Print a value as JSON, Chinese as it is where the output can carry it."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(value, ensure_ascii=not unicode, indent=2))


def now_ms() -> int:
    """The host's time, ms UTC."""
    return time.time_ns() // 1_000_000


def short_time(iso: str | None) -> str:
    """An ISO time as `03-02 09:12`."""
    return datetime.fromisoformat(iso).strftime("%m-%d %H:%M") if iso else ""


def one_line(text: str, width: int) -> str:
    """Text on one line, shortened."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _folder(context: click.Context, _option: click.Parameter, given: Path | None) -> Path:
    """The folder named here, or before a subcommand, or the one we are in."""
    source = context.get_parameter_source("root")
    above = context.parent.params.get("root") if context.parent else None
    if above is not None and source is not click.core.ParameterSource.COMMANDLINE:
        return Path(above)
    root = given or Path()
    if root.is_dir():
        return root
    problem = "是一个文件，不是文件夹" if root.exists() else "不存在"
    raise WorkspaceError(f"工作区 {root} {problem}。看看 --workspace 写得对不对。")
