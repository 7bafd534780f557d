"""A small WeChat world inside the process: people, groups, a human hand, failures on demand.

It is a channel like any other and passes the same contract tests. Nothing in it is random; times
come from the clock it is given.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bot.channels.port import Address, Capability, NotSent, Sink, Status, StatusKind
from sop.events import Event, EventKind, MessageType, Person, Room
from sop.messages import Accept, Body, Card, Invite, Link, Media, MiniProgram, Moment, Remove, Text

SELF_ID = "wxid_self"
DIRECT = 40  # members up to which WeChat lets in whom a member invites, without asking them
_MEDIA_TYPES = {
    "image": MessageType.IMAGE,
    "file": MessageType.FILE,
    "voice": MessageType.VOICE,
    "video": MessageType.VIDEO,
}


class Failure(StrEnum):
    """What can go wrong with the next send."""

    REFUSE = "refuse"  # the gateway says that nothing was sent
    FORBID = "forbid"  # the same, and trying again cannot help
    DROP = "drop"  # sent, but neither the answer nor the echo comes back
    NO_ANSWER = "no_answer"  # sent and echoed, but the answer is lost
    HANG = "hang"  # neither sent nor answered
    NO_ID = "no_id"  # sent, answered without an id


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that reached someone in this world."""

    at: int
    to: Address
    body: Body
    external_id: str


@dataclass(slots=True)
class World:
    """Who and what there is. `deliveries` is everything the bot said, in order."""

    now: Callable[[], int]
    self_name: str = "小助手"
    people: dict[str, Person] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    moments: list[Delivery] = field(default_factory=list)  # what was posted, in order
    invited: list[tuple[str, str]] = field(default_factory=list)  # (group, person), to be accepted
    lacks: frozenset[Capability] = frozenset()  # what this world's channel cannot do
    topics: dict[str, str] = field(default_factory=dict)
    announcements: dict[str, str] = field(default_factory=dict)
    failures: deque[Failure] = field(default_factory=deque)
    online: bool = True
    echoes: bool = True  # report what the account sends; a long play goes faster without
    _count: int = 0

    @property
    def me(self) -> Person:
        """The account itself."""
        return Person(external_id=SELF_ID, name=self.self_name)

    def next_id(self, kind: str) -> str:
        """A fresh gateway id."""
        self._count += 1
        return f"sim-{kind}-{self.now()}-{self._count}"

    def add_person(self, external_id: str, name: str, *, friend: bool = False) -> Person:
        """Put a person into the world."""
        person = Person(external_id=external_id, name=name, friend=friend)
        self.people[external_id] = person
        return person

    def add_group(
        self, external_id: str, topic: str, members: Sequence[str], *, owner: str = SELF_ID
    ) -> Room:
        """Put a group with the account in it into the world."""
        room = Room(
            external_id=external_id,
            topic=topic,
            owner_id=owner,
            members=tuple(self.people[m] for m in members),
        )
        self.rooms[external_id] = room
        return room

    def befriend(self, external_id: str, *, friend: bool) -> Person:
        """Make a person a friend, or no longer one."""
        person = replace(self.people[external_id], friend=friend)
        self.people[external_id] = person
        return person


class SimulatorChannel:
    """The bot's end of a `World`, and the hands of everybody else in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._sink: Sink | None = None
        self._closed = asyncio.Event()
        self.on_delivery: Callable[[Delivery], None] | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Everything, it is our own world; but for what a play takes away."""
        return frozenset(Capability) - self.world.lacks

    # --- the port ---------------------------------------------------------------------------

    async def run(self, sink: Sink) -> None:
        """Log in, hand over the roster, and stay until closed."""
        await self.open(sink)
        await self._closed.wait()

    async def open(self, sink: Sink) -> None:
        """The beginning of `run`, for callers who drive the world step by step."""
        self._sink = sink
        await self._log_in()

    async def close(self) -> None:
        """End `run`."""
        self._closed.set()

    async def send(self, to: Address, body: Body) -> str | None:
        """Deliver in the world, unless a failure was asked for."""
        world = self.world
        failure = world.failures.popleft() if world.failures else None
        if not world.online:
            raise NotSent("网关没有连上")
        match failure:
            case Failure.REFUSE:
                raise NotSent("网关忙，没有发出")
            case Failure.FORBID:
                raise NotSent("网关不让发给这个人", retry=False)
            case Failure.HANG:
                raise TimeoutError
            case _:
                pass
        if isinstance(body, Accept):
            await self._confirm(to.external_id)
            return None
        if isinstance(body, Remove):
            await self.remove_member(to.external_id, body.contact_id)
            return None
        if isinstance(body, Moment):
            return self._publish(to, body, failure)
        self._must_exist(to)
        if isinstance(body, Invite):
            self._must_exist(Address(external_id=body.group_id, group=True))
        delivery = Delivery(world.now(), to, body, world.next_id("out"))
        world.deliveries.append(delivery)
        if self.on_delivery is not None:
            self.on_delivery(delivery)
        if failure is Failure.DROP:
            raise TimeoutError
        if isinstance(body, Invite):
            await self.add_member(body.group_id, to.external_id)
        elif world.echoes:
            await self._echo(delivery)
        if failure is Failure.NO_ANSWER:
            raise TimeoutError
        unnamed = failure is Failure.NO_ID or isinstance(body, Invite)
        return None if unnamed else delivery.external_id

    def _publish(self, to: Address, body: Moment, failure: Failure | None) -> str | None:
        if Capability.MOMENT in self.world.lacks:
            raise NotSent("这个网关发不了朋友圈", retry=False)
        posted = Delivery(self.world.now(), to, body, self.world.next_id("moment"))
        self.world.moments.append(posted)
        if failure in (Failure.DROP, Failure.NO_ANSWER):
            raise TimeoutError
        return None if failure is Failure.NO_ID else posted.external_id

    async def set_alias(self, contact_id: str, alias: str) -> None:
        """Set a remark."""
        self.world.people[contact_id] = replace(self.world.people[contact_id], alias=alias)

    async def set_topic(self, group_id: str, topic: str) -> None:
        """Rename a group; the world reports it like any other renaming."""
        await self.rename(group_id, topic)

    async def announce(self, group_id: str, text: str) -> None:
        """Set a group's announcement."""
        self.world.announcements[group_id] = text

    async def add_member(self, group_id: str, contact_id: str) -> None:
        """Bring a contact into a group; where it is large, they get a card and have to accept."""
        if len(self.world.rooms[group_id].members) < DIRECT:
            await self.join(group_id, [contact_id], by=SELF_ID)
            return
        self.world.invited.append((group_id, contact_id))
        card = Link(url="https://support.weixin.qq.com/", title="邀请你加入群聊")
        to = Address(external_id=contact_id)
        if self.world.echoes:
            await self._echo(Delivery(self.world.now(), to, card, self.world.next_id("card")))

    async def remove_member(self, group_id: str, contact_id: str) -> None:
        """Remove a member."""
        self._must_exist(Address(external_id=group_id, group=True))
        await self.leave(group_id, contact_id, by=SELF_ID)

    # --- what people do -----------------------------------------------------------------------

    async def say(
        self,
        who: str,
        text: str,
        *,
        group: str | None = None,
        mention: bool = False,
        type: MessageType = MessageType.TEXT,
    ) -> None:
        """A person writes to the bot, or in a group."""
        await self._event(
            EventKind.MESSAGE,
            "msg",
            contact=self.world.people[who],
            group=self._room(group),
            text=text,
            type=type,
            mentions_self=mention,
        )

    async def hand(self, text: str, *, to: str, group: bool = False) -> None:
        """The account's human writes from the phone."""
        await self._event(
            EventKind.MESSAGE,
            "hand",
            contact=None if group else self.world.people[to],
            group=self._room(to) if group else None,
            text=text,
            from_self=True,
        )

    async def request_friend(self, who: str, text: str) -> None:
        """A person asks to become a friend."""
        await self._event(
            EventKind.FRIEND_REQUEST, "req", contact=self.world.people[who], text=text
        )

    async def befriend(self, who: str) -> None:
        """A person becomes a friend without asking first."""
        await self._confirm(who)

    async def order(self, who: str, *, cents: int | None = None) -> None:
        """A person buys something, as a shop's system would report it."""
        data = {"amount": cents} if cents is not None else {}
        await self._event(EventKind.ORDER, "order", contact=self.world.people[who], data=data)

    async def unfriend(self, who: str) -> None:
        """A person ends the friendship."""
        person = self.world.befriend(who, friend=False)
        await self._event(EventKind.FRIEND_REMOVED, "unfriend", contact=person)

    async def join(self, group: str, who: Sequence[str], *, by: str | None = None) -> None:
        """People join a group."""
        people = [self.world.people[w] for w in who]
        room = self.world.rooms[group]
        kept = [m for m in room.members if m.external_id not in who]
        self.world.rooms[group] = replace(room, members=(*kept, *people))
        await self._event(
            EventKind.GROUP_JOINED,
            "join",
            contact=people[0],
            others=tuple(people[1:]),
            group=self._room(group),
            by=None if by is None else self.world.people.get(by, self.world.me),
        )

    async def accept(self, group: str, who: str) -> None:
        """A person taps on the card that invites them into a group."""
        self.world.invited.remove((group, who))
        await self.join(group, [who], by=SELF_ID)

    async def leave(self, group: str, who: str, *, by: str | None = None) -> None:
        """A member leaves a group, or is removed by someone."""
        room = self.world.rooms[group]
        kept = tuple(m for m in room.members if m.external_id != who)
        self.world.rooms[group] = replace(room, members=kept)
        await self._event(
            EventKind.GROUP_LEFT,
            "leave",
            contact=self.world.people.get(who, self.world.me),
            group=self._room(group),
            by=None if by is None else self.world.people.get(by, self.world.me),
        )

    async def enter(self, group: str) -> None:
        """Someone brings the account into a group."""
        await self._event(EventKind.GROUP_ENTERED, "enter", group=self._room(group))

    async def rename(self, group: str, topic: str) -> None:
        """Someone renames a group."""
        old = self.world.rooms[group].topic
        self.world.rooms[group] = replace(self.world.rooms[group], topic=topic)
        await self._event(
            EventKind.GROUP_RENAMED,
            "topic",
            group=self._room(group),
            text=topic,
            data={"old": old, "new": topic},
        )

    async def disconnect(self) -> None:
        """The gateway goes away."""
        self.world.online = False
        await self._status(StatusKind.DISCONNECTED, "模拟的断线")

    async def reconnect(self) -> None:
        """The gateway comes back, with everything that changed meanwhile."""
        self.world.online = True
        await self._log_in()

    # --- inside ---------------------------------------------------------------------------------

    async def _log_in(self) -> None:
        if self._sink is None:
            return
        await self._status(StatusKind.CONNECTED, "")
        await self._status(StatusKind.LOGIN, "")
        people = [p for p in self.world.people.values() if p.friend]
        await self._sink.roster(people, list(self.world.rooms.values()))

    async def _status(self, kind: StatusKind, detail: str) -> None:
        if self._sink is not None:
            account = self.world.me if kind is StatusKind.LOGIN else None
            await self._sink.status(
                Status(kind=kind, at=self.world.now(), account=account, detail=detail)
            )

    async def _event(self, kind: EventKind, label: str, **facts: object) -> None:
        if self._sink is not None and self.world.online:
            event = Event(
                kind=kind,
                at=self.world.now(),
                external_id=self.world.next_id(label),
                **facts,  # type: ignore[arg-type]
            )
            await self._sink.event(event)

    async def _confirm(self, who: str) -> None:
        person = self.world.befriend(who, friend=True)
        await self._event(EventKind.FRIEND_ADDED, "friend", contact=person)

    async def _echo(self, delivery: Delivery) -> None:
        """Like a gateway, report what left the account, whoever sent it."""
        if self._sink is None:
            return
        to = delivery.to
        echo = Event(
            kind=EventKind.MESSAGE,
            at=delivery.at,
            external_id=delivery.external_id,
            contact=None if to.group else self.world.people[to.external_id],
            group=self._room(to.external_id) if to.group else None,
            text=delivery.body.text if isinstance(delivery.body, Text) else "",
            type=_type_of(delivery.body),
            from_self=True,
        )
        await self._sink.event(echo)

    def _room(self, group: str | None) -> Room | None:
        return None if group is None else replace(self.world.rooms[group], members=())

    def _must_exist(self, to: Address) -> None:
        if to.external_id not in (self.world.rooms if to.group else self.world.people):
            raise NotSent("没有这个人或群", retry=False)


def _type_of(body: Body) -> MessageType:
    match body:
        case Text() | Accept() | Invite() | Moment() | Remove():
            return MessageType.TEXT
        case Media():
            return _MEDIA_TYPES[body.kind]
        case Link():
            return MessageType.LINK
        case MiniProgram():
            return MessageType.MINI_PROGRAM
        case Card():
            return MessageType.CONTACT
