"""Commands to try things out without WeChat: `demo` and `chat`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import click

from bot.chat import HELP, Chat, load_world
from bot.cli.chinese import Command
from bot.cli.common import now_ms, open_workspace, show, workspace_option
from bot.demo import Week
from bot.stage import Stage
from bot.starter import copy_starter
from bot.transcript import Transcript
from bot.workspace import Workspace
from sop.definitions import WechatySettings
from storage import story
from storage.store import Store


@click.command(cls=Command)
@click.option("--no-chat", is_flag=True, help="演完就结束，不进入聊天")
def demo(no_chat: bool) -> None:
    """看「小满家」的一周：不需要微信，不留下任何文件。"""
    with _scratch() as folder, asyncio.Runner() as runner:
        root = folder / "xiaoman"
        copy_starter(root)
        workspace = open_workspace(root)
        with _store("sqlite:///data/siyu.db", root) as store:
            week = Week(workspace.settings.zone)
            stage = Stage(workspace, store, start=week.start)
            transcript = Transcript(stage, zone=workspace.settings.zone, out=click.echo)
            runner.run(_play(week, stage, transcript))
            _closing(store, workspace, now=stage.clock.now())
            if not no_chat and sys.stdin.isatty():
                click.echo("\n现在轮到你了。")
                _sit_down(runner, Chat(stage, transcript), None)


async def _play(week: Week, stage: Stage, transcript: Transcript) -> None:
    click.echo("下面是一家母婴小店的一周。时间是虚拟的，规矩、话术、发送全是真的那一套。")
    week.populate(stage)
    await stage.open()
    transcript.results()
    await week.play(stage, transcript)


def _closing(store: Store, workspace: Workspace, *, now: int) -> None:
    click.echo("\n" + click.style("━━ 一周下来 ━━", bold=True))
    with store.read() as connection:
        show(story.status_lines(connection, now=now))
    click.echo(f"\n这就是{workspace.settings.community}。建一个你自己的：siyu init 我的社群")


@click.command(cls=Command)
@workspace_option
@click.option("--as", "name", metavar="名字", help="以谁的身份说话")
def chat(root: Path, name: str | None) -> None:
    """自己当一回顾客（或运营），跟机器人聊聊；/+1d 可以把时钟往前拨。"""
    workspace = open_workspace(root)
    if isinstance(workspace.settings.channel, WechatySettings):
        click.echo("这个工作区接的是真微信，所以这里另开一个临时的模拟世界，不会碰真的数据。")
        with _scratch() as folder, _store("sqlite:///chat.db", folder) as store:
            _chat(workspace, store, name)
    else:
        with _store(workspace.settings.storage, root) as store:
            _chat(workspace, store, name)


def _chat(workspace: Workspace, store: Store, name: str | None) -> None:
    workspace = _grown_up(workspace)
    with store.read() as connection:
        start = max(now_ms(), story.latest(connection))
    stage = Stage(workspace, store, start=start)
    load_world(store, stage.world, operators=workspace.settings.operators)
    transcript = Transcript(stage, zone=workspace.settings.zone, out=click.echo, dates=True)
    transcript.skip_to_now()
    with asyncio.Runner() as runner:
        runner.run(stage.open())
        _sit_down(runner, Chat(stage, transcript), name)


def _grown_up(workspace: Workspace) -> Workspace:
    """The workspace without `warmup`, unless it says how old its account is.

    Whoever tries things out for twenty minutes is not to be answered an hour later.
    """
    settings = workspace.settings
    if settings.limits.account.since is not None:
        return workspace
    account = settings.limits.account.model_copy(update={"warmup": ()})
    limits = settings.limits.model_copy(update={"account": account})
    return replace(workspace, settings=settings.model_copy(update={"limits": limits}))


def _sit_down(runner: asyncio.Runner, sitting: Chat, name: str | None) -> None:
    """Talk until the last line. The loop stands still meanwhile, and so does the virtual clock."""
    terminal = sys.stdin.isatty()
    if terminal:
        _edit_lines()
    click.echo(HELP)
    runner.run(sitting.begin(name))
    while True:
        try:
            text = input(sitting.prompt if terminal else "")
        except EOFError:
            if terminal:
                click.echo("")
            return
        if not runner.run(sitting.line(text, echo=not terminal)):
            return


def _edit_lines() -> None:
    """Arrow keys and a history, where the host's Python has them."""
    with suppress(ImportError):
        import readline  # noqa: F401, PLC0415  # importing it is what switches it on


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="siyu-") as folder:
        yield Path(folder)


@contextmanager
def _store(url: str, root: Path) -> Iterator[Store]:
    store = Store(url, root=root)
    try:
        yield store
    finally:
        store.close()


COMMANDS = (demo, chat)
