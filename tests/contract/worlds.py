"""The same WeChat twice: in the process, and behind a real Wechaty gateway.

A script of the contract tests speaks to `World` only. What one of the two cannot do by itself is
said where it is made up for.
"""

from __future__ import annotations

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from bot.channels.port import Channel, Status, StatusKind
from bot.channels.simulator import Failure, SimulatorChannel
from bot.channels.simulator import World as SmallWorld
from bot.channels.wechaty import WechatyChannel
from bot.channels.wechaty.payloads import MESSAGE_TYPES
from bot.process import Bot
from sop.events import Event, EventKind, MessageType
from sop.messages import Card, Invite, Link, Media, MiniProgram, Text
from tests.gateway.gateway import Gateway
from tests.gateway.world import populate

FANS = "fans@chatroom"
NAMES = {"alice": "爱丽丝", "bob": "鲍勃", "stranger": "路人"}
DEADLINE = 1.5  # seconds a call to the gateway may take: what hangs is to be noticed soon


class Trouble(StrEnum):
    """What can go wrong with the next send, in either world."""

    REFUSE = "refuse"  # surely not sent, and trying again may help
    FORBID = "forbid"  # surely not sent, and trying again cannot help
    HANG = "hang"  # neither sent nor answered
    DROP = "drop"  # sent; neither the answer nor the echo comes back
    NO_ANSWER = "no_answer"  # sent and echoed; the answer is lost or late
    NO_ID = "no_id"  # sent, answered without an id


@dataclass(frozen=True, slots=True)
class Sent:
    """What reached someone in WeChat: a text, or the name of a file, a link's address, …"""

    to: str
    kind: str
    text: str
    mentions: tuple[str, ...] = ()


class OffsetClock:
    """The host's clock, moved forward by hand: time passes at its own pace in between."""

    def __init__(self) -> None:
        self.offset = 0

    def now(self) -> int:
        """ms since the epoch, UTC."""
        return time.time_ns() // 1_000_000 + self.offset


class World(ABC):
    """What people do to the account, what the gateway does to the bot, and what came of it."""

    account: str  # our own external id
    channel: Channel

    @abstractmethod
    async def enter(self, bot: Bot) -> None:
        """Connect the bot; returns when the channel runs, not when it is logged in."""

    @abstractmethod
    async def leave_it(self) -> None:
        """Disconnect the bot for good."""

    @abstractmethod
    def sent(self) -> list[Sent]:
        """All that reached someone, in order."""

    # What people do

    @abstractmethod
    async def say(
        self,
        who: str,
        text: str,
        *,
        group: str = "",
        mention: bool = False,
        type: int = 7,
        id: str = "",
    ) -> None:
        """Someone says something, privately or in a group; `type` is the wire's number.

        `who` may be "": then the gateway does not know who said it.
        """

    @abstractmethod
    async def hand(self, text: str, *, to: str) -> None:
        """The account's human writes from the phone, to a contact or in a group."""

    @abstractmethod
    async def request(self, who: str, hello: str) -> None:
        """A stranger asks to become a friend."""

    @abstractmethod
    async def confirm(self, who: str) -> None:
        """WeChat confirms the friendship that the bot accepted."""

    @abstractmethod
    async def join(self, who: Sequence[str], *, by: str = "") -> None:
        """People join the group."""

    @abstractmethod
    async def let_in(self, who: str) -> None:
        """WeChat lets in whom the bot has invited."""

    @abstractmethod
    def newcomers(self, count: int) -> list[str]:
        """People nobody has heard of yet."""

    @abstractmethod
    async def part(self, who: str, *, by: str = "") -> None:
        """A member leaves the group, or is removed."""

    @abstractmethod
    async def rename_group(self, topic: str) -> None:
        """Someone renames the group."""

    @abstractmethod
    async def rename(self, who: str, name: str) -> None:
        """A person changes their nickname (the gateway says `dirty`)."""

    # What the gateway does

    @abstractmethod
    async def complain(self, words: str) -> None:
        """The gateway reports an error of its own."""

    @abstractmethod
    async def log_out(self) -> None:
        """The account is logged out on the phone."""

    @abstractmethod
    async def log_in(self) -> None:
        """And logged in again."""

    @abstractmethod
    def trouble(self, kind: Trouble) -> None:
        """The next send goes wrong."""

    @abstractmethod
    async def fall(self) -> None:
        """The gateway goes away."""

    @abstractmethod
    async def rise(self, *, meanwhile: str = "") -> None:
        """The gateway comes back; someone with this id became a friend meanwhile."""


class SimulatedWorld(World):
    """The simulator, driven live."""

    account = "wxid_self"

    def __init__(self, clock: OffsetClock) -> None:
        self.small = SmallWorld(now=clock.now, self_name="小满")
        for id, name in NAMES.items():
            self.small.add_person(id, name, friend=id != "stranger")
        self.small.add_group(FANS, "小满福利群", ["alice", "bob", "stranger"])
        self._clock = clock
        self.channel: SimulatorChannel = SimulatorChannel(self.small)
        self._task: asyncio.Task[None] | None = None
        self._bot: Bot | None = None

    async def enter(self, bot: Bot) -> None:
        self._bot = bot
        self._task = asyncio.create_task(self.channel.run(bot))

    async def leave_it(self) -> None:
        await self.channel.close()
        if self._task is not None:
            await self._task

    def sent(self) -> list[Sent]:
        return [_as_sent(d.to.external_id, d.body) for d in self.small.deliveries]

    async def say(
        self,
        who: str,
        text: str,
        *,
        group: str = "",
        mention: bool = False,
        type: int = 7,
        id: str = "",
    ) -> None:
        # Not `channel.say`, which knows neither nobody's messages nor a message told twice.
        kind = MESSAGE_TYPES.get(type, MessageType.UNKNOWN)
        await self._tell(
            EventKind.MESSAGE,
            external_id=id or self.small.next_id("msg"),
            contact=self.small.people[who] if who else None,
            group=replace(self.small.rooms[group], members=()) if group else None,
            text="" if kind is MessageType.RECALLED else text,
            type=kind,
            mentions_self=mention,
        )

    async def _tell(self, kind: EventKind, **facts: Any) -> None:
        assert self._bot is not None
        if self.small.online:
            await self._bot.event(Event(kind=kind, at=self._clock.now(), **facts))

    async def hand(self, text: str, *, to: str) -> None:
        await self.channel.hand(text, to=to, group=to in self.small.rooms)

    async def request(self, who: str, hello: str) -> None:
        await self.channel.request_friend(who, hello)

    async def confirm(self, who: str) -> None:
        pass  # the simulator confirms what it accepts by itself

    async def join(self, who: Sequence[str], *, by: str = "") -> None:
        await self.channel.join(FANS, who, by=by or None)

    async def let_in(self, who: str) -> None:
        pass  # in a small group the simulator does so at once

    def newcomers(self, count: int) -> list[str]:
        return [self.small.add_person(f"new{n}", f"新人{n}").external_id for n in range(count)]

    async def part(self, who: str, *, by: str = "") -> None:
        await self.channel.leave(FANS, who, by=by or None)

    async def rename_group(self, topic: str) -> None:
        await self.channel.rename(FANS, topic)

    async def rename(self, who: str, name: str) -> None:
        self.small.people[who] = replace(self.small.people[who], name=name)  # nothing is cached

    # The simulator's account has neither errors of its own nor a phone: tell the bot directly.

    async def _status(self, kind: StatusKind, detail: str = "") -> None:
        assert self._bot is not None
        account = self.small.me if kind is StatusKind.LOGIN else None
        at = self._clock.now()
        await self._bot.status(Status(kind=kind, at=at, account=account, detail=detail))

    async def complain(self, words: str) -> None:
        await self._status(StatusKind.ERROR, words)

    async def log_out(self) -> None:
        await self._status(StatusKind.LOGOUT)

    async def log_in(self) -> None:
        await self._status(StatusKind.LOGIN)

    def trouble(self, kind: Trouble) -> None:
        self.small.failures.append(Failure(kind.value))

    async def fall(self) -> None:
        await self.channel.disconnect()

    async def rise(self, *, meanwhile: str = "") -> None:
        if meanwhile:
            self.small.add_person(meanwhile, meanwhile, friend=True)
        await self.channel.reconnect()


class GatewayWorld(World):
    """A real gateway, with the production channel connected to it."""

    account = "bot"

    def __init__(self, gateway: Gateway, folder: Path, now: Callable[[], int]) -> None:
        gateway.reset()
        populate(gateway)
        self.gateway = gateway
        self._now = now
        self.folder = folder
        self._members = {"bot", *NAMES}
        self._tasks: list[asyncio.Task[None]] = []
        self.channel: WechatyChannel = WechatyChannel(
            endpoint=gateway.endpoint,
            token=gateway.token,
            tls=gateway.tls,
            media_root=folder / "media",
            data_dir=folder / "data",
            now=now,
            backoff=(0.05, 0.2),
            deadline=DEADLINE,
            hang_after=4,
        )

    async def enter(self, bot: Bot) -> None:
        self._tasks = [asyncio.create_task(self.channel.run(bot))]

    async def leave_it(self) -> None:
        await self.channel.close()
        await asyncio.gather(*self._tasks)

    def sent(self) -> list[Sent]:
        kinds = ("text", "file", "link", "mini_program", "card", "add")
        return [_as_logged(entry) for entry in self.gateway.log(*kinds)]

    async def say(
        self,
        who: str,
        text: str,
        *,
        group: str = "",
        mention: bool = False,
        type: int = 7,
        id: str = "",
    ) -> None:
        mentions = [self.account] if mention else []
        named: dict[str, Any] = {"id": id} if id else {}
        to = {"room": group} if group else {"to": self.account}
        at = self._now()  # the gateway's own clock does not jump with ours
        self.gateway.say(who, text, type=type, mentions=mentions, timestamp=at, **to, **named)

    async def hand(self, text: str, *, to: str) -> None:
        where = {"room": to} if to == FANS else {"to": to}
        self.gateway.say(self.account, text, timestamp=self._now(), **where)

    async def request(self, who: str, hello: str) -> None:
        self.gateway.friendship(f"request-{who}", who, hello=hello)

    async def confirm(self, who: str) -> None:
        await self.gateway.logged(1, "accept")
        self.gateway.contact(who, name=NAMES[who], friend=True)
        self.gateway.friendship(f"request-{who}", who, type=1)

    async def join(self, who: Sequence[str], *, by: str = "") -> None:
        self._members |= set(who)
        self._room("小满福利群")
        facts = {"inviterId": by} if by else {}
        self.gateway.emit("room-join", {"roomId": FANS, "inviteeIdList": list(who), **facts})

    async def let_in(self, who: str) -> None:
        await self.gateway.logged(1, "add")
        await self.join([who], by=self.account)

    def newcomers(self, count: int) -> list[str]:
        names = [f"new{n}" for n in range(count)]
        for n, name in enumerate(names):
            self.gateway.contact(name, name=f"新人{n}", friend=False)
        return names

    async def part(self, who: str, *, by: str = "") -> None:
        self._members -= {who}
        self._room("小满福利群")
        facts = {"removerId": by} if by else {}
        self.gateway.emit("room-leave", {"roomId": FANS, "removeeIdList": [who], **facts})

    async def rename_group(self, topic: str) -> None:
        self._room(topic)
        self.gateway.emit("room-topic", {"roomId": FANS, "newTopic": topic})  # no old one: allowed

    def _room(self, topic: str) -> None:
        self.gateway.room(FANS, topic=topic, members=sorted(self._members), ownerId="bot")

    async def rename(self, who: str, name: str) -> None:
        self.gateway.contact(who, name=name)

    async def complain(self, words: str) -> None:
        self.gateway.emit("error", {"gerror": words})

    async def log_out(self) -> None:
        self.gateway.logout()

    async def log_in(self) -> None:
        self.gateway.login(self.account)

    def trouble(self, kind: Trouble) -> None:
        match kind:
            case Trouble.REFUSE:
                self.gateway.fail(mode="refuse", code=8)  # RESOURCE_EXHAUSTED
            case Trouble.FORBID:
                self.gateway.fail(mode="refuse", code=7)  # PERMISSION_DENIED
            case Trouble.DROP:
                self.gateway.echo(False)  # else it may or may not be read before the cut
                self.gateway.fail(mode="drop")
            case Trouble.NO_ANSWER:
                self.gateway.fail(mode="late", ms=int(DEADLINE * 1000) + 1_000)
            case _:
                self.gateway.fail(mode=kind.value)

    async def fall(self) -> None:
        self.gateway.kill()

    async def rise(self, *, meanwhile: str = "") -> None:
        if meanwhile:
            self.gateway.contact(meanwhile, name=meanwhile, friend=True)
        await asyncio.to_thread(self.gateway.start)


def _as_sent(to: str, body: object) -> Sent:
    match body:
        case Text():
            return Sent(to, "text", body.text, body.mentions)
        case Media():
            return Sent(to, "file", body.name or Path(body.path).name)
        case Link():
            return Sent(to, "link", body.url)
        case MiniProgram():
            return Sent(to, "mini_program", body.title)
        case Card():
            return Sent(to, "card", body.contact_id)
        case Invite():
            return Sent(to, "add", body.group_id)
    raise AssertionError(body)


def _as_logged(entry: dict[str, Any]) -> Sent:
    to, kind = entry["to"], entry["kind"]
    match kind:
        case "text":
            # The names that the channel writes before a text that mentions people.
            words = re.sub(r"^(@[^\u2005]*\u2005)+", "", entry["text"])
            return Sent(to, kind, words, tuple(entry["mentions"]))
        case "file":
            return Sent(to, kind, entry["name"])
        case "link":
            return Sent(to, kind, entry["link"]["url"])
        case "mini_program":
            return Sent(to, kind, entry["program"]["title"])
        case "add":
            return Sent(entry["contactId"], kind, to)
    return Sent(to, kind, entry["contactId"])
