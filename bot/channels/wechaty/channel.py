"""The production channel: one WeChat account behind a Wechaty gateway."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc import StatusCode

from bot.channels.port import Address, Capability, NotSent, Sink, Status, StatusKind
from bot.channels.wechaty import payloads, roster
from bot.channels.wechaty.echoes import Echoes
from bot.channels.wechaty.fetch import Unfetched
from bot.channels.wechaty.inbound import Inbound, Resolve
from bot.channels.wechaty.lanes import Lanes
from bot.channels.wechaty.link import GREETING, Link, TlsOptions
from bot.channels.wechaty.outbound import Outbound
from bot.channels.wechaty.plugins import Plugins
from bot.channels.wechaty.session import Session
from bot.channels.wechaty.trouble import Disconnected
from bot.channels.wechaty.wire import puppet_pb2 as pb
from bot.web import Web
from sop.events import Person
from sop.messages import Body, Moment

log = logging.getLogger(__name__)

WINDOW = 64  # events under way at once: fetching hides latency, memory stays small

_ALWAYS = frozenset(Capability) - {Capability.MOMENT}


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


class WechatyChannel:
    """Implements `bot.channels.port.Channel`. Make one per account; `run` it once.

    `endpoint` is host:port. `account_id_hint` is who was logged in last, for gateways that do not
    say. `media_root` is the workspace's media folder; paths in messages are relative to the folder
    that holds it. `data_dir` takes what plugins write. `plugins` are Wechaty plugins as
    "module:Class". `now` gives ms UTC. In seconds: `backoff` (first and longest pause between
    attempts), `deadline` (of one call), `hang_after` (silence after which a gateway counts as
    hung).
    """

    def __init__(
        self,
        *,
        endpoint: str,
        token: str,
        tls: bool | TlsOptions = True,
        account_id_hint: str = "",
        media_root: Path,
        data_dir: Path,
        plugins: Sequence[str] = (),
        now: Callable[[], int] = _wall_clock,
        backoff: tuple[float, float] = (1, 60),
        deadline: float = 20,
        hang_after: float = 60,
        web: Web | None = None,
    ) -> None:
        """Nothing connects before `run`. `web` fetches what messages name by an https address."""
        options = tls if isinstance(tls, TlsOptions) else TlsOptions(enabled=tls)
        self._link = Link(endpoint=endpoint, token=token, tls=options, deadline=deadline)
        self._session = Session(self._link, backoff=backoff, hang_after=hang_after)
        self._now = now
        self._echoes = Echoes(patience=deadline)
        self._inbound = Inbound(
            self._link,
            now=now,
            self_id=account_id_hint,
            lost=self._lost,
            by_plugin=self._echoes.by_plugin,
        )
        self._logged_out = False
        cache, logged_out = self._inbound.cache, lambda: self._logged_out
        self._outbound = Outbound(
            self._link, cache, media_root=media_root, logged_out=logged_out, web=web or Web()
        )
        self._plugins = Plugins(
            plugins, self._link, self._inbound, self._outbound, self._echoes, data_dir=data_dir
        )
        self._statuses: asyncio.Queue[Status] = asyncio.Queue(WINDOW)
        self._stale = asyncio.Event()  # the roster has to be taken again
        self._last_trouble = ""
        self._extra: frozenset[Capability] = frozenset()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this channel can do, as known now."""
        return _ALWAYS | self._extra

    async def run(self, sink: Sink) -> None:
        """Deliver to `sink` until `close()` or cancellation, reconnecting by itself.

        Raises `BadToken`, `ChannelError` for a certificate or plugin that cannot be loaded, and
        whatever `sink` raises: an event that could not be taken must not be passed over.
        """
        self._plugins.load()
        lanes = Lanes(sink.event, window=WINDOW)
        try:
            async with asyncio.TaskGroup() as group:
                workers = [
                    group.create_task(work)
                    for work in (
                        lanes.run(),
                        self._tell(sink),
                        self._keep_roster(sink),
                        self._plugins.run(),
                    )
                ]
                await self._session.run(
                    up=self._up, down=self._down, event=lambda n, p: self._event(lanes, n, p)
                )
                if self._link.up.is_set():  # else what is under way cannot be fetched any more
                    with suppress(TimeoutError):
                        await asyncio.wait_for(lanes.drained(), self._link.deadline)
                for worker in workers:
                    worker.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            await self._link.close()

    async def close(self) -> None:
        """End `run` and release the connection without logging the account out."""
        self._session.close()

    # What the session tells

    async def _up(self) -> None:
        self._last_trouble = ""
        self._inbound.cache.clear()  # what changed during an outage was not said
        await self._probe()
        await self._status(StatusKind.CONNECTED)

    async def _down(self, why: str) -> None:
        if why == self._last_trouble:
            return  # said already, and still true
        self._last_trouble = why
        log.info("disconnected: %s", why)
        await self._status(StatusKind.DISCONNECTED, detail=why)

    async def _probe(self) -> None:
        """Only Juzi's line, which publishes Moments, knows this call; and it changes nothing."""
        known = True
        try:
            await self._link.call("CurrentUser", pb.Empty(), patience=GREETING)
        except Disconnected:
            return
        except grpc.aio.AioRpcError as error:
            # With nobody logged in it fails there, but as a call that exists.
            known = error.code() in (StatusCode.UNKNOWN, StatusCode.INTERNAL)
        self._extra = frozenset({Capability.MOMENT}) if known else frozenset()

    async def _event(self, lanes: Lanes, number: int, payload: str) -> None:
        """Take one event of the stream; waits while too much is under way."""
        found = payloads.fields(payload)
        self._plugins.feed(number, found)
        match number:
            case payloads.MESSAGE:
                if id := payloads.text_of(found, "messageId"):
                    await self._take(lanes, partial(self._inbound.message, id), f"message {id}")
            case payloads.FRIENDSHIP:
                if id := payloads.text_of(found, "friendshipId"):
                    await self._take(
                        lanes, partial(self._inbound.friendship, id), f"friendship {id}"
                    )
            case payloads.ROOM_JOIN | payloads.ROOM_LEAVE | payloads.ROOM_TOPIC:
                await self._room_event(lanes, number, found)
            case payloads.ROOM_INVITE:
                log.info("invited to a group: %s", payloads.text_of(found, "roomInvitationId"))
            case payloads.DIRTY:
                self._inbound.cache.invalidate(
                    found.get("payloadType"), payloads.text_of(found, "payloadId")
                )
            case _:
                await self._account_event(number, found, payload)

    async def _room_event(self, lanes: Lanes, number: int, found: dict[str, Any]) -> None:
        if not payloads.text_of(found, "roomId"):
            log.warning("group event %d without a group ignored", number)
            return
        if self._inbound.self_id in payloads.ids_of(found, "inviteeIdList"):
            self._stale.set()  # a whole group of people to get to know
        resolve = {
            payloads.ROOM_JOIN: self._inbound.room_join,
            payloads.ROOM_LEAVE: self._inbound.room_leave,
            payloads.ROOM_TOPIC: self._inbound.room_topic,
        }[number]
        await self._take(lanes, partial(resolve, found), f"group event {number}")

    async def _take(self, lanes: Lanes, resolve: Resolve, what: str) -> None:
        await lanes.add(self._inbound.safely(resolve, what))

    async def _account_event(self, number: int, found: dict[str, Any], payload: str) -> None:
        match number:
            case payloads.LOGIN:
                await self._login(payloads.text_of(found, "contactId"))
            case payloads.LOGOUT:
                self._logged_out = True
                account = payloads.text_of(found, "contactId") or self._inbound.self_id
                detail = payloads.text_of(found, "data")
                await self._status(StatusKind.LOGOUT, account=account, detail=detail)
            case payloads.SCAN:
                await self._status(StatusKind.SCAN, detail=payloads.scan_words(found))
            case payloads.ERROR:
                await self._status(StatusKind.ERROR, detail=payloads.error_words(found, payload))
            case payloads.READY:
                self._stale.set()  # some puppets know their contacts only now
            case _:
                log.debug("event of type %d ignored", number)

    async def _login(self, account: str) -> None:
        if not account:
            log.warning("login event without an account ignored")
            return
        if account != self._inbound.self_id:
            self._inbound.cache.clear()
        self._inbound.self_id = account
        self._logged_out = False
        await self._status(StatusKind.LOGIN, account=account)
        self._stale.set()

    async def _lost(self, what: str) -> None:
        await self._status(
            StatusKind.ERROR,
            detail=f"网关报来的一件事取不到内容（{what}），请在手机上查看。",
        )

    # What runs beside the session

    async def _status(self, kind: StatusKind, *, account: str = "", detail: str = "") -> None:
        """Queue a status change; they are told in order, beside the messages."""
        person = Person(external_id=account) if account else None
        await self._statuses.put(Status(kind=kind, at=self._now(), account=person, detail=detail))

    async def _tell(self, sink: Sink) -> None:
        while True:
            status = await self._statuses.get()
            if status.account is not None:
                account = await self._inbound.cache.person(status.account.external_id)
                status = replace(status, account=account)
            await sink.status(status)

    async def _keep_roster(self, sink: Sink) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                people, rooms = await roster.take(
                    self._link, self._inbound.cache, self_id=self._inbound.self_id
                )
            except Unfetched as failure:
                log.warning("roster could not be taken: %s", failure)
                continue
            await sink.roster(people, rooms)

    # What the bot does

    async def send(self, to: Address, body: Body) -> str | None:
        """Send one message; its id, or None when the gateway gives none (it is sent then).

        Raises `NotSent` when surely nothing was sent; any other exception means nobody knows.
        """
        known = self._link.up.is_set()  # before it was up, nobody asked what it can do
        if isinstance(body, Moment) and known and Capability.MOMENT not in self.capabilities:
            raise NotSent("没有发出：这个网关发不了朋友圈。", retry=False)
        return await self._outbound.send(to, body)

    async def set_alias(self, contact_id: str, alias: str) -> None:
        """Set the remark (备注) of a contact."""
        await self._outbound.act("ContactAlias", pb.AliasRequest(id=contact_id, alias=alias))
        self._inbound.cache.contacts.drop(contact_id)

    async def set_topic(self, group_id: str, topic: str) -> None:
        """Rename a group."""
        await self._outbound.act("RoomTopic", pb.TopicRequest(id=group_id, topic=topic))
        self._inbound.cache.rooms.drop(group_id)

    async def announce(self, group_id: str, text: str) -> None:
        """Set a group's announcement (群公告)."""
        await self._outbound.act("RoomAnnounce", pb.AnnounceRequest(id=group_id, text=text))

    async def add_member(self, group_id: str, contact_id: str) -> None:
        """Invite a contact into a group."""
        await self._outbound.act("RoomAdd", _member(group_id, contact_id))

    async def remove_member(self, group_id: str, contact_id: str) -> None:
        """Remove a member from a group."""
        await self._outbound.act("RoomDel", _member(group_id, contact_id))


def _member(group_id: str, contact_id: str) -> Any:
    return pb.RoomMemberRequest(id=group_id, member_id=contact_id)
