"""What tests of the engine share: a tiny workspace, a bot on a stage, and short questions to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from bot.channels.simulator import SimulatorChannel, World
from bot.stage import Stage
from bot.workspace import Workspace, inspect_workspace, show_problems
from sop.decisions import Purpose
from sop.events import Event, EventKind
from sop.messages import Text, summary
from sop.times import DAY, HOUR, MINUTE, SECOND
from storage import story
from storage.apply import Changes, Message, apply
from storage.sql import fetch
from storage.store import Store, Tx

T = TypeVar("T")
ZONE = ZoneInfo("Asia/Shanghai")
NO_GAPS = "limits: {account: {gap: 0s, reply_gap: 0s, per_hour: 100000, per_day: 100000}}"
LEGAL_STATES = {"queued", "sending", "sent", "failed", "unknown", "dropped"}


def at(text: str, zone: ZoneInfo = ZONE) -> int:
    """`2026-11-21 10:00` on a wall of `zone`, as ms UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


START = at("2026-11-21 10:00")  # a Saturday morning, far from quiet hours and the daily sweep


def workspace(
    root: Path,
    rules: str = "",
    *,
    settings: str = NO_GAPS,
    operators: str = "[wxid_boss]",
    templates: dict[str, str] | None = None,
) -> Workspace:
    """A workspace of a few lines. Templates `a` to `d` say their own name."""
    texts = {name: name.upper() for name in "abcd"} | (templates or {})
    write(root / "siyu.yaml", f"community: 小满家\noperators: {operators}\n{settings}\n")
    write(root / "rules.yaml", rules or "rules: []")
    for name, text in texts.items():
        write(root / "templates" / f"{name}.j2", text)
    space, problems = inspect_workspace(root, env={})
    assert space is not None, show_problems(problems)
    return space


def write(path: Path, text: str) -> None:
    """Put a text into a file, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class ReachedOut(Exception):
    """A test tried to open a connection to another machine."""


@dataclass(slots=True)
class Play:
    """A stage, with the questions that tests ask of it."""

    stage: Stage

    @property
    def world(self) -> World:
        """Who and what there is."""
        return self.stage.world

    @property
    def channel(self) -> SimulatorChannel:
        """What people do."""
        return self.stage.channel

    @property
    def now(self) -> int:
        """The virtual time."""
        return self.stage.clock.now()

    @property
    def said(self) -> list[tuple[str, str]]:
        """Everything the bot said: (to whom, what), in the order of the deliveries."""
        return [(d.to.external_id, summary(d.body)) for d in self.world.deliveries]

    @property
    def texts(self) -> list[str]:
        """What the bot said, to whomever."""
        return [text for _, text in self.said]

    async def settle(self) -> None:
        """Let everything happen that is due now."""
        await self.stage.wait(0)

    async def tell(self, kind: EventKind, **facts: Any) -> None:
        """Report a bare event, as a gateway would; `who` and `group` are external ids."""
        who, group = facts.pop("who", None), facts.pop("group", None)
        event = Event(
            kind=kind,
            at=facts.pop("at", self.now),
            external_id=facts.pop("external_id", self.world.next_id("test")),
            contact=self.world.people[who] if who else facts.pop("contact", None),
            group=replace(self.world.rooms[group], members=()) if group else None,
            **facts,
        )
        await self.stage.bot.event(event)
        await self.settle()

    async def befriend(self, who: str, **facts: Any) -> None:
        """A person becomes a friend, and the gateway says so."""
        self.world.befriend(who, friend=True)
        await self.tell(EventKind.FRIEND_ADDED, who=who, **facts)

    async def hear(self, who: str, text: str, **more: Any) -> list[str]:
        """A person writes; what the bot answers at once."""
        before = len(self.world.deliveries)
        await self.channel.say(who, text, **more)
        await self.settle()
        return [summary(d.body) for d in self.world.deliveries[before:]]

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of a `?` query on committed data."""
        with self.stage.store.read() as connection:
            return [tuple(row) for row in fetch(connection, sql, *params)]

    def one(self, sql: str, *params: Any) -> Any:
        """The one value of a `?` query."""
        ((value,),) = self.rows(sql, *params)
        return value

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run something in a transaction."""
        return self.stage.store.write(work)

    def enqueue(
        self,
        to: str,
        *texts: str,
        purpose: Purpose = "reply",
        group: bool = False,
        expires_at: int | None = None,
    ) -> None:
        """Put a message of some bubbles into the outbox."""
        message = Message(
            bodies=tuple(Text(text=text) for text in texts),
            conversation_id=self.group(to) if group else self.contact(to),
            in_group=group,
            purpose=purpose,
            source="test",
            because="测试",
            expires_at=expires_at,
        )
        changes = Changes()
        changes.add(message, None)
        account = self.stage.bot.me
        assert account is not None
        self.write(lambda tx: apply(tx, account.id, changes, now=self.now))

    @property
    def left(self) -> list[int]:
        """When each message left, in order, in ms since the first."""
        times = [delivery.at for delivery in self.world.deliveries]
        return [time - times[0] for time in times]

    def contact(self, external_id: str) -> int:
        """The id of a contact."""
        return int(self.one("SELECT id FROM contact WHERE external_id = ?", external_id))

    def group(self, external_id: str) -> int:
        """The id of a group."""
        return int(self.one("SELECT id FROM room WHERE external_id = ?", external_id))

    def tags(self, external_id: str) -> list[str]:
        """The tags on a contact or group, sorted."""
        rows = self.rows(
            "SELECT tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id WHERE subject_id IN"
            " (SELECT id FROM contact WHERE external_id = ?"
            " UNION SELECT id FROM room WHERE external_id = ?)",
            external_id,
            external_id,
        )
        return sorted(row[0] for row in rows)

    def outbox(self) -> list[tuple[Any, ...]]:
        """(text, state, reason) of every message, in the order they were meant."""
        zone, now = self.stage.bot.heart.settings.zone, self.stage.clock.now()
        with self.stage.store.read() as connection:
            rows = story.outbox(connection, zone=zone, now=now)
        return [(row["text"], row["state"], row["reason"]) for row in rows]

    def states(self) -> list[str]:
        """The state of every message, in the order they were meant."""
        return [state for _, state, _ in self.outbox()]

    def notes(self, outcome: str) -> list[str]:
        """Why things were done, withheld and so on, oldest first."""
        return [
            row[0]
            for row in self.rows("SELECT because FROM trace WHERE outcome = ? ORDER BY id", outcome)
        ]

    def events(self, kind: str) -> list[str]:
        """The texts of recorded events of a kind, oldest first."""
        return [
            row[0] for row in self.rows("SELECT text FROM event WHERE kind = ? ORDER BY id", kind)
        ]


Perform = Callable[..., Awaitable[Play]]


def populate(world: World) -> None:
    """Two friends, a stranger, an operator, and a group of 转化 with a few members."""
    world.add_person("wxid_boss", "老板", friend=True)
    world.add_person("amy", "小雨", friend=True)
    world.add_person("bob", "阿杰", friend=True)
    world.add_person("eve", "路人")
    world.add_group("g1", "小满福利群1", ["amy", "bob", "eve"])


@asynccontextmanager
async def on_stage(
    space: Workspace,
    url: str,
    *,
    start: int = START,
    people: Callable[[World], None] = populate,
) -> AsyncIterator[Play]:
    """A bot logged in to a small world, over a real database."""
    store = Store(url)
    try:
        stage = Stage(space, store, start=start)
        people(stage.world)
        await stage.open()
        yield Play(stage)
    finally:
        store.close()


__all__ = [
    "DAY",
    "HOUR",
    "LEGAL_STATES",
    "MINUTE",
    "NO_GAPS",
    "SECOND",
    "START",
    "ZONE",
    "Perform",
    "Play",
    "ReachedOut",
    "World",
    "at",
    "on_stage",
    "populate",
    "workspace",
    "write",
]
