"""Existing Wechaty plugins on our connection: loaded when configured, fed beside the inbox."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.channels.wechaty import payloads
from bot.channels.wechaty.echoes import Echoes
from bot.channels.wechaty.inbound import Inbound
from bot.channels.wechaty.link import Link
from bot.channels.wechaty.outbound import Outbound
from sop.errors import ChannelError

log = logging.getLogger(__name__)

WAITING = 1_000  # events a slow plugin may be behind before it misses some

_EVENTS = frozenset(
    {
        payloads.MESSAGE,
        payloads.FRIENDSHIP,
        payloads.ROOM_INVITE,
        payloads.ROOM_JOIN,
        payloads.ROOM_LEAVE,
        payloads.ROOM_TOPIC,
        payloads.LOGIN,
        payloads.LOGOUT,
    }
)


class QuietManager:
    """In the place of `wechaty`'s plugin manager: no scheduler, no database, no web server.

    A plugin that fails harms neither us nor the next plugin.
    """

    def __init__(self, wechaty: Any, endpoint: Any, scheduler_options: Any = None) -> None:
        self._wechaty = wechaty
        self._plugins: dict[str, Any] = {}

    def add_plugin(self, plugin: Any) -> None:
        """Take one; a second of the same name replaces the first."""
        self._plugins[plugin.name] = plugin

    async def start(self) -> None:
        """Called by the SDK at the first login: introduce the plugins to their bot."""
        for name, plugin in list(self._plugins.items()):
            try:
                plugin.set_bot(self._wechaty)
                await plugin.init_plugin(self._wechaty)
            except Exception:
                log.exception("plugin %s failed to start and is left out", name)
                del self._plugins[name]

    async def emit_events(self, event_name: str, *args: Any, **kwargs: Any) -> None:
        """Called by the SDK for each event."""
        for name, plugin in list(self._plugins.items()):
            try:
                await getattr(plugin, "on_" + event_name.replace("-", "_"))(*args, **kwargs)
            except Exception:
                log.exception("plugin %s failed on %s", name, event_name)


class Plugins:
    """Hosts the configured plugins; without any it costs nothing."""

    def __init__(
        self,
        names: Sequence[str],
        link: Link,
        inbound: Inbound,
        outbound: Outbound,
        echoes: Echoes,
        *,
        data_dir: Path,
    ) -> None:
        """`names` are "module:Class"."""
        self._names = tuple(names)
        self._parts = (link, inbound, outbound, echoes)
        self._data_dir = data_dir
        self._waiting: asyncio.Queue[tuple[int, dict[str, Any]]] = asyncio.Queue(WAITING)
        self._puppet: Any = None
        self._bot: Any = None

    def load(self) -> None:
        """Import `wechaty` and the plugins. Raises `ChannelError` for one that cannot be had."""
        if not self._names:
            return
        shims: Any = importlib.import_module("bot.channels.wechaty.shims")
        wechaty = shims.wechaty(self._data_dir / "wechaty")
        wechaty.wechaty.WechatyPluginManager = QuietManager
        puppet = importlib.import_module("bot.channels.wechaty.puppet")
        self._puppet = puppet.LinkedPuppet(*self._parts)
        self._bot = wechaty.Wechaty(wechaty.WechatyOptions(puppet=self._puppet))
        self._bot.use([_made(name, wechaty.WechatyPlugin) for name in self._names])

    async def run(self) -> None:
        """Feed the plugins, one event at a time, until cancelled."""
        if self._puppet is None:
            return
        await self._bot.init_puppet()
        # Upstream shares these pools by all bots of a process: replies left the wrong account.
        self._bot.Contact._pool = {}
        self._bot.ContactSelf._pool = {}
        self._bot.Room._pool = {}
        await self._bot.init_puppet_event_bridge(self._puppet)
        while True:
            number, found = await self._waiting.get()
            if number == payloads.DIRTY:
                self._forget(payloads.text_of(found, "payloadId"))
            elif (event := _sdk_event(number, found)) is not None:
                await self._puppet.deliver(*event)

    def feed(self, number: int, found: dict[str, Any]) -> None:
        """Pass an event of the wire on; never waits, for a slow plugin must not slow us."""
        if self._puppet is None or number not in _EVENTS | {payloads.DIRTY}:
            return
        try:
            self._waiting.put_nowait((number, found))
        except asyncio.QueueFull:
            log.warning("plugins are %d events behind and miss one of type %d", WAITING, number)

    def _forget(self, id: str) -> None:
        for pool in (self._bot.Contact._pool, self._bot.ContactSelf._pool, self._bot.Room._pool):
            pool.pop(id, None)


def _made(name: str, base: type) -> Any:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
        if not issubclass(found, base):
            raise TypeError(f"{found} is not a WechatyPlugin")
        return found()
    except Exception as error:
        raise ChannelError(
            f"Wechaty 插件 {name!r} 加载失败：{error}。"
            "写法是「模块:类名」，类要继承 WechatyPlugin。"
        ) from error


def _sdk_event(number: int, found: dict[str, Any]) -> tuple[str, Any] | None:
    """The SDK's name and payload for an event of the wire, with nothing missing it insists on."""
    sdk = importlib.import_module("wechaty_puppet")

    def text(key: str) -> str:
        return payloads.text_of(found, key)

    group = {"room_id": text("roomId"), "timestamp": found.get("timestamp") or 0}
    match number:
        case payloads.MESSAGE:
            return "message", sdk.EventMessagePayload(message_id=text("messageId"))
        case payloads.FRIENDSHIP:
            return "friendship", sdk.EventFriendshipPayload(friendship_id=text("friendshipId"))
        case payloads.ROOM_INVITE:
            invitation = text("roomInvitationId")
            return "room-invite", sdk.EventRoomInvitePayload(room_invitation_id=invitation)
        case payloads.ROOM_JOIN:
            ids = list(payloads.ids_of(found, "inviteeIdList"))
            return "room-join", sdk.EventRoomJoinPayload(
                invited_ids=ids, inviter_id=text("inviterId"), **group
            )
        case payloads.ROOM_LEAVE:
            ids = list(payloads.ids_of(found, "removeeIdList"))
            return "room-leave", sdk.EventRoomLeavePayload(
                removed_ids=ids, remover_id=text("removerId"), **group
            )
        case payloads.ROOM_TOPIC:
            return "room-topic", sdk.EventRoomTopicPayload(
                new_topic=text("newTopic"),
                old_topic=text("oldTopic"),
                changer_id=text("changerId"),
                **group,
            )
        case payloads.LOGIN:
            return "login", sdk.EventLoginPayload(contact_id=text("contactId"))
        case payloads.LOGOUT:
            return "logout", sdk.EventLogoutPayload(contact_id=text("contactId"), data=text("data"))
    return None
