"""Running for real: the host's clock, the one alarm, the channel of `siyu.yaml`, hot reload."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from bot.channels.port import Channel, Status, StatusKind
from bot.channels.simulator import SimulatorChannel, World
from bot.channels.wechaty import TlsOptions, WechatyChannel
from bot.clock import Alarm, SystemClock
from bot.custody import Custody, custody_of
from bot.garbage import rarely_collected
from bot.guarding import Guarding
from bot.lock import sole_bot, sole_user
from bot.meaning import Embedder
from bot.model import Model
from bot.process import Bot
from bot.qr import terminal_code
from bot.workspace import Watcher, Workspace, show_problems
from sop.answers import INTENTS, MOODS
from sop.definitions import Settings, WechatySettings
from sop.errors import WorkspaceError
from sop.times import SECOND
from storage.lease import TERM, AccountHeld, LeaseLost
from storage.statistics import keep_up
from storage.store import Store, file_of

log = logging.getLogger("siyu.live")
GROWTH_EVERY = 5.0  # seconds between looks at how the tables grow, on PostgreSQL
RELOAD_EVERY = 2.0  # seconds of real time between looks at the files
PATIENCE = 1.0  # seconds to wait for another writer of the database; the next turn tries again
LOOK_EVERY = 1.0  # seconds between looks at who acts for the account
STRAGGLER = 15.0  # seconds until the database has noticed that the last process here is dead
LAST_WORDS = 4.0  # seconds that sends under way get at the end
DRAIN = 3.0  # seconds that recording what came of them, and what came in, may take after that
LAST_RESORT = 5.5  # seconds after which nobody waits for a silent database any more
NOT_OURS = (AccountHeld, LeaseLost)
Report = Callable[[str], None]


async def run_live(
    root: Path, *, env: Mapping[str, str], report: Report, standby: bool = False
) -> None:
    """Run the workspace's bot until SIGTERM or SIGINT.

    `standby`: where another process acts for the account, wait until it does no more. Raises
    `SiyuError` for what needs the operator: broken files, a database that cannot be opened, a wrong
    token, another bot at work here or for this account.
    """
    with sole_bot(root) as place:
        watcher = Watcher(root, env=env)
        settings = watcher.workspace.settings
        with sole_user(file_of(settings.storage, root=root)):
            await _with_store(watcher, place, report, root=root, standby=standby)


async def _with_store(
    watcher: Watcher, place: str, report: Report, *, root: Path, standby: bool
) -> None:
    settings = watcher.workspace.settings
    store = Store(settings.storage, root=root, patience=PATIENCE)
    alarm, stopping = Alarm(SystemClock()), asyncio.Event()
    last_resort = threading.Timer(LAST_RESORT, store.give_up)  # the loop may be waiting, too
    last_resort.daemon = True
    _on_signals(stopping, alarm, last_resort)
    custody = custody_of(settings, store, root, place)
    try:
        await _live(watcher, store, custody, alarm, stopping, report, standby=standby)
    finally:
        alarm.close()
        store.close()
        last_resort.cancel()


async def _live(
    watcher: Watcher,
    store: Store,
    custody: Custody,
    alarm: Alarm,
    stopping: asyncio.Event,
    report: Report,
    *,
    standby: bool,
) -> None:
    """Take the account and run; in standby again, when another process turns out to have it."""
    settings = watcher.workspace.settings
    patience, told, last = STRAGGLER, False, None
    while not stopping.is_set():
        pause = LOOK_EVERY
        try:
            last = await custody.resume(settings.channel.kind)
            if told:
                report("接手了")
            pause, told = TERM / SECOND, False  # not to knock at the gateway every second
            await _run(watcher, store, custody, alarm, stopping, report, last=last)
            return
        except AccountHeld as held:
            patience -= LOOK_EVERY
            if not standby and not (held.here and patience > 0):
                raise WorkspaceError(
                    f"{_until(held, settings)}。一个账号同时只能由一个进程管：先停掉那一个；"
                    "想等它停了自动接手，用 siyu run --standby。"
                ) from held
            if not told and not held.here:
                report(f"{_until(held, settings)}。等它停了就接手……")
                told = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)


def _until(held: AccountHeld, settings: Settings) -> str:
    until = datetime.fromtimestamp(held.until / SECOND, settings.zone)
    return f"{held.who}，已续到 {until:%H:%M:%S}"


async def _run(
    watcher: Watcher,
    store: Store,
    custody: Custody,
    alarm: Alarm,
    stopping: asyncio.Event,
    report: Report,
    *,
    last: tuple[int, str] | None,
) -> None:
    workspace, clock = watcher.workspace, SystemClock()
    channel = make_channel(workspace, now=clock.now, last_account=last[1] if last else "")
    ended = asyncio.Event()
    bot = Bot(
        workspace=workspace,
        store=store,
        channel=channel,
        clock=clock,
        wake=alarm.ring,
        on_status=_teller(workspace, report),
        on_trouble=lambda trouble: report(str(trouble or "数据库又能写了，接着工作")),
        make_model=make_model,
        make_embedder=make_embedder,
        custody=custody,
    )
    await asyncio.to_thread(_warm_up, workspace)
    tasks = [
        asyncio.create_task(_ending(custody.keep(), ended, alarm)),
        asyncio.create_task(_ending(channel.run(bot), ended, alarm)),
        asyncio.create_task(_follow_files(watcher, bot, report)),
        asyncio.create_task(_follow_growth(store)),
    ]
    try:
        await bot.start()
        with rarely_collected():
            while not stopping.is_set() and not ended.is_set():
                await alarm.wait(await bot.turn())
        for task in tasks[:2]:
            if task.done():
                task.result()
    finally:
        await _wind_down(bot, channel, tasks, custody)


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


def make_model(workspace: Workspace) -> Model | None:
    """The language model that `siyu.yaml` asks for, if it does and there is work for it."""
    settings = workspace.settings.answers.model
    reads = {INTENTS, MOODS} & workspace.definitions.tags.keys()
    if settings is None or not (workspace.knowledge.entries or reads):
        return None
    llm = importlib.import_module("bot.llm")  # a second, which nobody without a model should wait
    made: Model = llm.OpenAIModel(settings)
    return made


def make_embedder(workspace: Workspace) -> Embedder | None:
    """The server of embeddings that `siyu.yaml` asks for, if there is something to compare with."""
    settings = workspace.settings.answers.embeddings
    if settings is None or not workspace.knowledge.entries:
        return None
    llm = importlib.import_module("bot.llm")
    made: Embedder = llm.OpenAIEmbedder(settings)
    return made


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


def _on_signals(stopping: asyncio.Event, alarm: Alarm, last_resort: threading.Timer) -> None:
    def stop() -> None:
        if not stopping.is_set():
            last_resort.start()
        stopping.set()
        alarm.ring()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows' loops know no signal handlers
            loop.add_signal_handler(number, stop)


async def _ending(work: Coroutine[None, None, None], ended: asyncio.Event, alarm: Alarm) -> None:
    """Run the channel or the heartbeat; when it ends, for whatever reason, so does the bot."""
    try:
        await work
    finally:
        ended.set()
        alarm.ring()


def _warm_up(workspace: Workspace) -> None:
    workspace.matcher.warm_up()
    Guarding(workspace).warm_up()
    workspace.knowledge.warm_up()


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


async def _follow_growth(store: Store) -> None:
    while store.shared:
        await asyncio.sleep(GROWTH_EVERY)
        try:
            await asyncio.to_thread(store.aside, keep_up)
        except Exception as error:  # at worst the planner goes on guessing
            log.warning("the tables' growth could not be looked at: %s", type(error).__name__)


async def _wind_down(
    bot: Bot, channel: Channel, tasks: list[asyncio.Task[None]], custody: Custody
) -> None:
    bot.hush()
    with suppress(TimeoutError, *NOT_OURS):
        if not custody.lost:
            async with asyncio.timeout(LAST_WORDS):
                await bot.deliveries.landed()
    with suppress(TimeoutError, *NOT_OURS):
        async with asyncio.timeout(DRAIN):
            await channel.close()  # cuts off what still hangs: nobody knows what became of it
            if not custody.lost:
                await bot.drain()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN):
            await bot.asker.close()  # also where the channel took all the time there was
    await custody.give_back()
