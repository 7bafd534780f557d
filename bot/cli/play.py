"""Commands to try things out without WeChat: `demo` and `chat`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import click

from bot.chat import HELP, Chat, load_world
from bot.cli.common import open_workspace, workspace_option
from bot.demo import Week
from bot.stage import Stage
from bot.starter import copy_starter
from bot.transcript import Transcript
from bot.workspace import Workspace
from sop.definitions import WechatySettings
from storage import story
from storage.store import Store


@click.command()
@click.option("--no-chat", is_flag=True, help="演完就结束，不进入聊天")
def demo(no_chat: bool) -> None:
    """看「小满家」的一周：不需要微信，不留下任何文件。"""
    with tempfile.TemporaryDirectory(prefix="siyu-demo-") as folder:
        root = Path(folder) / "xiaoman"
        copy_starter(root)
        workspace = open_workspace(root)
        asyncio.run(_demo(workspace, chat=not no_chat and sys.stdin.isatty()))


async def _demo(workspace: Workspace, *, chat: bool) -> None:
    store = Store("sqlite:///data/siyu.db", root=workspace.root)
    try:
        week = Week(workspace.settings.zone)
        stage = Stage(workspace, store, start=week.start)
        transcript = Transcript(stage, zone=workspace.settings.zone, out=click.echo)
        click.echo("下面是一家母婴小店的一周。时间是虚拟的，规矩、话术、发送全是真的那一套。")
        week.populate(stage)
        await stage.open()
        transcript.results()
        await week.play(stage, transcript)
        _closing(store, workspace, now=stage.clock.now())
        if chat:
            click.echo("\n现在轮到你了。\n" + HELP)
            await _sit_down(Chat(stage, transcript, click.echo), None)
    finally:
        store.close()


def _closing(store: Store, workspace: Workspace, *, now: int) -> None:
    click.echo("")
    click.echo(click.style("━━ 一周下来 ━━", bold=True))
    with store.read() as connection:
        for line in story.status_lines(connection, now=now):
            click.echo(line)
    click.echo(f"\n这就是{workspace.settings.community}。建一个你自己的：siyu init 我的社群")


@click.command()
@workspace_option
@click.option("--as", "name", help="以谁的身份说话")
def chat(root: Path, name: str | None) -> None:
    """自己当一回顾客（或运营），跟机器人聊聊；/+1d 可以把时钟往前拨。"""
    workspace = open_workspace(root)
    if isinstance(workspace.settings.channel, WechatySettings):
        with tempfile.TemporaryDirectory(prefix="siyu-chat-") as folder:
            click.echo("这个工作区接的是真微信，所以这里另开一个临时的模拟世界，不会碰真的数据。")
            asyncio.run(_chat(workspace, Store("sqlite:///chat.db", root=Path(folder)), name))
    else:
        asyncio.run(_chat(workspace, Store(workspace.settings.storage, root=root), name))


async def _chat(workspace: Workspace, store: Store, name: str | None) -> None:
    try:
        with store.read() as connection:
            start = max(time.time_ns() // 1_000_000, story.latest(connection))
        stage = Stage(workspace, store, start=start)
        load_world(store, stage.world)
        transcript = Transcript(stage, zone=workspace.settings.zone, out=click.echo)
        transcript.skip_to_now()
        await stage.open()
        click.echo(HELP)
        await _sit_down(Chat(stage, transcript, click.echo), name)
    finally:
        store.close()


async def _sit_down(sitting: Chat, name: str | None) -> None:
    await sitting.begin(name)
    while True:
        try:
            text = await asyncio.to_thread(input, sitting.prompt if sys.stdin.isatty() else "")
        except EOFError:
            return
        if not await sitting.line(text):
            return


COMMANDS = (demo, chat)
