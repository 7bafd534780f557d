"""What is missing to run, in plain words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.channels.port import Sink, Status, StatusKind
from bot.clock import SystemClock
from bot.live import make_channel
from bot.lock import running
from bot.workspace import Workspace, inspect_workspace
from sop.definitions import WechatySettings
from sop.errors import ChannelError, SiyuError
from sop.events import Event
from sop.load import SETTINGS_FILE
from storage.store import Store, file_of, password_of

PATIENCE = 10.0  # seconds of real time the gateway gets to answer


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `advice` says what to do when it is not good."""

    good: bool
    text: str
    advice: str = ""


async def examine(root: Path, *, env: Mapping[str, str]) -> list[Finding]:
    """Look at files, database, operators and gateway, in the order they are needed."""
    try:
        workspace, problems = inspect_workspace(root, env=env)
    except SiyuError as error:
        return [Finding(False, str(error), "在工作区文件夹里运行，或加上 --workspace 文件夹")]
    if workspace is None:
        errors = sum(not problem.warning for problem in problems)
        return [Finding(False, f"文件里有 {errors} 处错误", "运行 siyu check，照着改")]
    return [
        Finding(True, f"文件没有错误：{len(workspace.definitions.rules)} 条规则"),
        _database(workspace, root),
        _operators(workspace),
        *_open_files(workspace, root),
        await _gateway(workspace),
    ]


def _database(workspace: Workspace, root: Path) -> Finding:
    try:
        Store(workspace.settings.storage, root=root).close()
    except SiyuError as error:
        return Finding(False, str(error), "检查 siyu.yaml 里的 storage")
    return Finding(True, "数据库能打开，结构是最新的")


def _operators(workspace: Workspace) -> Finding:
    if workspace.settings.operators:
        return Finding(True, f"有 {len(workspace.settings.operators)} 位运营会收到通知")
    return Finding(
        False,
        "还没有写运营是谁，转人工时没人收到通知",
        "在 siyu.yaml 的 operators 里写上你的微信 id",
    )


def _open_files(workspace: Workspace, root: Path) -> list[Finding]:
    """What other users of this machine could read: people's data, and a token in plain sight."""
    settings = root / SETTINGS_FILE
    database = file_of(workspace.settings.storage, root=root)
    exposed = [path for path in (database,) if path is not None and _readable_by_all(path)]
    if _readable_by_all(settings) and _holds_secret(workspace, settings.read_text("utf-8-sig")):
        exposed.append(settings)
    return [
        Finding(
            False,
            f"这台机器上的别人也能读 {path.name}",
            f"运行 chmod 600 {path}" + ("，或者把令牌写成 !env 变量名" if path == settings else ""),
        )
        for path in exposed
    ]


def _readable_by_all(path: Path) -> bool:
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def _holds_secret(workspace: Workspace, text: str) -> bool:
    settings = workspace.settings
    secrets = [password_of(settings.storage)]
    servers = (settings.answers.model, settings.answers.embeddings)
    secrets += [server.key for server in servers if server]
    secrets += [settings.channel.token] if isinstance(settings.channel, WechatySettings) else []
    return any(secret and secret in text for secret in secrets)


async def _gateway(workspace: Workspace) -> Finding:
    settings = workspace.settings.channel
    if not isinstance(settings, WechatySettings):
        return Finding(True, "用的是模拟器，不需要网关（接真微信时改 siyu.yaml 的 channel）")
    if pid := running(workspace.root):
        return Finding(True, f"机器人正在跑（进程号 {pid}），网关由它连着；siyu status 看它好不好")
    listener = _Listener()
    channel = make_channel(workspace, now=SystemClock().now)
    try:
        async with asyncio.timeout(PATIENCE):
            return await _first_word(channel.run(listener), listener, settings.endpoint)
    except ChannelError as error:
        return Finding(False, str(error))
    except TimeoutError:
        advice = "看看网关是不是启动了、地址和端口对不对、有没有被防火墙拦住"
        return Finding(False, f"网关 {settings.endpoint} {PATIENCE:.0f} 秒没有回应", advice)
    finally:
        await channel.close()


async def _first_word(
    running: Coroutine[None, None, None], listener: _Listener, endpoint: str
) -> Finding:
    task = asyncio.ensure_future(running)
    heard = asyncio.ensure_future(listener.heard.get())
    try:
        await asyncio.wait({task, heard}, return_when=asyncio.FIRST_COMPLETED)
        if not heard.done():
            task.result()
        status = heard.result()
    finally:
        task.cancel()
        heard.cancel()
    if status.kind is StatusKind.DISCONNECTED:
        why = status.detail.replace("；这里会继续重试", "")
        return Finding(False, why or f"连不上网关 {endpoint}")
    return Finding(True, f"网关 {endpoint} 连得上，令牌没问题")


class _Listener(Sink):
    """Hears the first thing the channel says about itself, and nothing else."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Status] = asyncio.Queue()

    async def event(self, event: Event) -> None:
        """Not looked at."""

    async def status(self, status: Status) -> None:
        """Pass it on."""
        await self.heard.put(status)

    async def roster(self, people: object, rooms: object) -> None:
        """Not looked at."""
