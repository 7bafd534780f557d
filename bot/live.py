"""Running for real: the host's clock, the one alarm, the channel of `siyu.yaml`, hot reload."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from bot.channels.port import Channel, Status, StatusKind
from bot.channels.simulator import SimulatorChannel, World
from bot.channels.wechaty import TlsOptions, WechatyChannel
from bot.clock import Alarm, SystemClock
from bot.lock import sole_bot
from bot.process import Bot
from bot.qr import terminal_code
from bot.workspace import Watcher, Workspace, show_problems
from sop.definitions import WechatySettings
from storage.people import last_account
from storage.store import Store

log = logging.getLogger("siyu.live")
RELOAD_EVERY = 2.0  # seconds of real time between looks at the files
LAST_WORDS = 5.0  # seconds that sends under way get at the end
DRAIN = 3.0  # seconds that recording what came of them, and what came in, may take after that
Report = Callable[[str], None]


async def run_live(root: Path, *, env: Mapping[str, str], report: Report) -> None:
    """Run the workspace's bot until SIGTERM or SIGINT.

    Raises `SiyuError` for what needs the operator: broken files, a database that cannot be opened,
    a wrong token, another bot at work here.
    """
    with sole_bot(root):
        await _run(root, env=env, report=report)


async def _run(root: Path, *, env: Mapping[str, str], report: Report) -> None:
    watcher = Watcher(root, env=env)
    workspace = watcher.workspace
    store = Store(workspace.settings.storage, root=root)
    clock = SystemClock()
    alarm = Alarm(clock)
    last = store.write(lambda tx: last_account(tx, workspace.settings.channel.kind))
    channel = make_channel(workspace, now=clock.now, last_account=last[1] if last else "")
    bot = Bot(
        workspace=workspace,
        store=store,
        channel=channel,
        clock=clock,
        wake=alarm.ring,
        on_status=_teller(workspace, report),
    )
    stopping = asyncio.Event()
    _on_signals(stopping, alarm)
    await asyncio.to_thread(_warm_up, workspace)
    tasks = [
        asyncio.create_task(_channel(channel, bot, stopping, alarm)),
        asyncio.create_task(_follow_files(watcher, bot, report)),
    ]
    try:
        await bot.start()
        while not stopping.is_set():
            await alarm.wait(await bot.turn())
        if tasks[0].done():
            tasks[0].result()
    finally:
        await _wind_down(bot, channel, tasks, alarm, store)


def make_channel(
    workspace: Workspace, *, now: Callable[[], int], last_account: str = ""
) -> Channel:
    """The channel that `siyu.yaml` asks for; `last_account` is who was logged in last."""
    settings = workspace.settings.channel
    if not isinstance(settings, WechatySettings):
        return SimulatorChannel(World(now=now, self_name=workspace.settings.community))
    tls: bool | TlsOptions
    if isinstance(settings.tls, bool):
        tls = settings.tls
    else:
        ca = workspace.root / settings.tls.ca if settings.tls.ca else None
        tls = TlsOptions(ca=ca, server_name=settings.tls.server_name)
    return WechatyChannel(
        endpoint=settings.endpoint,
        token=settings.token,
        tls=tls,
        account_id_hint=last_account,
        media_root=workspace.root / "media",
        data_dir=workspace.root / "data",
        plugins=settings.plugins,
        now=now,
    )


def _teller(workspace: Workspace, report: Report) -> Callable[[Status], None]:
    if isinstance(workspace.settings.channel, WechatySettings):
        return lambda status: report(describe(status))
    return lambda status: (
        report("模拟账号登录了，机器人开始工作") if status.kind is StatusKind.LOGIN else None
    )


def describe(status: Status) -> str:
    """A status change as a line for the operator's terminal."""
    match status.kind:
        case StatusKind.CONNECTED:
            return "连上网关了"
        case StatusKind.DISCONNECTED:
            return status.detail or "和网关的连接断了"
        case StatusKind.SCAN:
            return _scan(status.detail)
        case StatusKind.LOGIN:
            name = status.account.name if status.account else ""
            return f"登录成功：{name}。机器人开始工作"
        case StatusKind.LOGOUT:
            return f"微信退出登录了{f'：{status.detail}' if status.detail else ''}。请重新扫码"
        case StatusKind.ERROR:
            return f"网关报告了一个错误：{status.detail}"


def _scan(detail: str) -> str:
    if "://" not in detail:
        return f"扫码登录：{detail}"
    return f"请用微信扫码登录：\n{terminal_code(detail)}\n扫不了的话，用浏览器打开：{detail}"


def _on_signals(stopping: asyncio.Event, alarm: Alarm) -> None:
    def stop() -> None:
        stopping.set()
        alarm.ring()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows' loops know no signal handlers
            loop.add_signal_handler(number, stop)


async def _channel(channel: Channel, bot: Bot, stopping: asyncio.Event, alarm: Alarm) -> None:
    """Run the channel; when it ends, for whatever reason, so does the bot."""
    try:
        await channel.run(bot)
    finally:
        stopping.set()
        alarm.ring()


def _warm_up(workspace: Workspace) -> None:
    workspace.matcher.warm_up()


async def _follow_files(watcher: Watcher, bot: Bot, report: Report) -> None:
    while True:
        await asyncio.sleep(RELOAD_EVERY)
        try:
            edit = await asyncio.to_thread(watcher.poll)
        except Exception:
            log.exception("the workspace could not be looked at; trying again")
            continue
        if edit is None:
            continue
        if edit.workspace is None:
            report("文件改动有错误，先继续用改动之前的版本：\n" + show_problems(edit.problems))
            continue
        await asyncio.to_thread(_warm_up, edit.workspace)
        bot.reload(edit.workspace)
        report("文件有改动，已经换上新版本")


async def _wind_down(
    bot: Bot, channel: Channel, tasks: list[asyncio.Task[None]], alarm: Alarm, store: Store
) -> None:
    bot.hush()
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS):
            await bot.courier.landed()
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN):
            await channel.close()  # cuts off what still hangs: nobody knows what became of it
            await bot.drain()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    alarm.close()
    store.close()
