"""A real bot, live, in either world: what the scripts of the contract tests are played with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bot.channels.port import Status, StatusKind
from bot.clock import Alarm
from bot.process import Bot
from bot.workspace import Workspace
from storage import story
from storage.sql import fetch
from storage.store import Store
from tests.contract.worlds import OffsetClock, Sent, World
from tests.support import workspace

PATIENCE = 10.0  # seconds; only a broken test waits so long

RULES = """
tags:
  宝妈: {}
  意向: {values: [低, 中, 高], one_of: true}
  转化群: {}
groups:
  - {match: "小满福利群*", kind: 转化, tags: [转化群]}
rules:
  - {id: let-in, on: friend_request, match: {any: [宝妈]}, do: [{tag: 宝妈}, {accept: true}]}
  - {id: welcome, on: friend_added, do: [{say: welcome}]}
  - {id: price, on: message, match: {any: [价格, 多少钱]}, do: [{tag: 意向/中}, {say: price}]}
  - {id: picture, on: message, where: anywhere, match: {type: image}, do: [{say: nice}]}
  - {id: echo, on: message, match: {regex: "^说"}, do: [{say: echo}]}
  - {id: hello, on: group_joined, where: {group_tag: 转化群}, gather: 30s, do: [{say: hello}]}
  - id: come
    on: message
    match: {any: [进群]}
    do: [{invite: {group_tag: 转化群, before: worth, waiting: wait, member: inside}}]
  - {id: bye, on: group_left, do: [{say: bye}]}
"""
TEMPLATES = {
    "welcome/default": "你好呀",
    "welcome/宝妈": "---\nimage: media/welcome.png\n---\n欢迎宝妈\n---\n有事喊我",
    "price": "---\nmention: sender\n---\n{{ nickname }}，三十九",
    "nice": "图不错",
    "echo": "{{ text }}",
    "hello": "---\nmention: members\n---\n欢迎新来的",
    "bye": "慢走",
    "worth": "{{ group }}里天天有好价",
    "wait": "邀请发过了",
    "inside": "你已经在里面啦",
}
FREE = "limits: {account: {gap: 0s, reply_gap: 0s, per_hour: 100000, per_day: 100000}}"


def stock(root: Path, *, settings: str = FREE) -> Workspace:
    """The workspace of the scripts."""
    (root / "media").mkdir(parents=True)
    (root / "media" / "welcome.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    return workspace(root, RULES, settings=settings, templates=TEMPLATES)


class Drama:
    """A bot that turns by itself, and questions about what has become of things."""

    def __init__(self, bot: Bot, store: Store, clock: OffsetClock, alarm: Alarm) -> None:
        self.bot = bot
        self.statuses: list[Status] = []
        self.patience = PATIENCE
        self._store = store
        self._clock = clock
        self._alarm = alarm
        self._turned = asyncio.Condition()

    async def turn(self) -> None:
        """The live loop, until cancelled."""
        while True:
            due = await self.bot.turn()
            async with self._turned:
                self._turned.notify_all()
            await self._alarm.wait(due)

    def pass_time(self, span: int) -> None:
        """Let `span` ms pass at once."""
        self._clock.offset += span
        self._alarm.ring()

    async def until(self, predicate: Callable[[], Any]) -> Any:
        """Wait for turns of the bot until `predicate()` is truthy, and return what it gave."""
        async with asyncio.timeout(self.patience), self._turned:
            return await self._turned.wait_for(predicate)

    async def saw(self, kind: StatusKind, times: int = 1) -> Status:
        """Wait for a kind of status, and return the last."""
        found = await self.until(
            lambda: len(all_ := [s for s in self.statuses if s.kind is kind]) >= times and all_
        )
        return found[-1]

    async def states(self, *expected: str) -> list[tuple[str, str, str]]:
        """Wait until the outbox has just these states, and return (text, state, reason) rows."""
        try:
            await self.until(lambda: [row[1] for row in self.outbox()] == list(expected))
        except TimeoutError:
            raise AssertionError(f"{self.outbox()} instead of {expected}") from None
        return self.outbox()

    async def all_sent(self, count: int) -> None:
        """Wait until the outbox has so many rows, and all are sent."""
        await self.states(*["sent"] * count)

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of a `?` query on committed data."""
        with self._store.read() as connection:
            return [tuple(row) for row in fetch(connection, sql, *params)]

    def outbox(self) -> list[tuple[str, str, str]]:
        """(text, state, reason) of every message, in the order they were meant."""
        zone, now = self.bot.heart.settings.zone, self._clock.now()
        with self._store.read() as connection:
            rows = story.outbox(connection, zone=zone, now=now)
        return [(row["text"], row["state"], row["reason"]) for row in rows]

    def events(self, kind: str) -> list[tuple[Any, ...]]:
        """(external id of the contact, text, type) of recorded events, in order."""
        return self.rows(
            "SELECT contact.external_id, event.text, event.type FROM event"
            " LEFT JOIN contact ON contact.id = event.contact_id WHERE kind = ? ORDER BY event.id",
            kind,
        )

    def tags(self, external_id: str) -> dict[str, str]:
        """The tags of a contact or group, each with the text of the event that is its evidence."""
        return dict(
            self.rows(
                "SELECT tag.name, COALESCE(event.text, '') FROM tagging"
                " JOIN tag ON tag.id = tagging.tag_id LEFT JOIN event ON event.id = event_id"
                " WHERE subject_id IN (SELECT id FROM contact WHERE external_id = ?"
                " UNION SELECT id FROM room WHERE external_id = ?) ORDER BY tag.name",
                external_id,
                external_id,
            )
        )


@asynccontextmanager
async def on_air(
    space: Workspace, store: Store, clock: OffsetClock, world: World, *, ready: bool = True
) -> AsyncIterator[Drama]:
    """A bot of this workspace, connected to this world; logged in unless `ready` is False."""
    alarm = Alarm(clock)
    statuses: list[Status] = []
    bot = Bot(
        workspace=space,
        store=store,
        channel=world.channel,
        clock=clock,
        wake=alarm.ring,
        on_status=statuses.append,
    )
    drama = Drama(bot, store, clock, alarm)
    drama.statuses = statuses
    await bot.start()
    turning = asyncio.create_task(drama.turn())
    await world.enter(bot)
    try:
        if ready:
            await drama.saw(StatusKind.LOGIN)
            await drama.until(lambda: drama.rows("SELECT 1 FROM room"))
        yield drama
    finally:
        await world.leave_it()
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)
        alarm.close()


__all__ = ["FREE", "Drama", "Sent", "on_air", "stock"]
