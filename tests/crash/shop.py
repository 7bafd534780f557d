"""A shop to be killed: `siyu run` on either storage, one life after the other, and its judges."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import NullPool, create_engine

from tests.e2e.siyu import Running, Shop
from tests.gateway.gateway import Gateway

KILLS = int(os.environ.get("SIYU_CRASH_KILLS", "4"))  # on each storage, over all scenes
SENDS = int(os.environ.get("SIYU_CRASH_SENDS", "150"))
STEPS = int(os.environ.get("SIYU_CRASH_STEPS", "800"))
FLOOD = int(os.environ.get("SIYU_CRASH_FLOOD", "600"))
SEED = int(os.environ.get("SIYU_CRASH_SEED", "20261122"))
PEOPLE = 100
IN_FLIGHT = 32  # the courier's, in one process
PATIENCE = 600.0  # seconds; only a broken test waits so long
TICK = 0.01
AT_START = 0.2  # of the kills hit a process that may not be up yet
START = 4.0  # seconds in which they do
KILLED = "发送途中程序中断"
SETTINGS = """community: 小满家
channel: {{kind: wechaty, endpoint: '{endpoint}', tls: false, token: '{token}'}}
storage: '{url}'
limits:
  contact: {{per_day: 100000, per_week: 100000}}
  account: {{gap: 0s, reply_gap: 0s, per_hour: 100000, per_day: 100000}}
"""


def share(part: float) -> int:
    """How many of the kills a scene gets; at least one."""
    return max(1, round(KILLS * part))


def populate(gateway: Gateway) -> None:
    """An account with friends."""
    gateway.reset()
    gateway.contact("bot", name="小满")
    for n in range(PEOPLE):
        gateway.contact(f"p{n}", name=f"人{n}")
    gateway.login("bot")


class MortalShop(Shop):
    """A workspace whose database may be anywhere."""

    def __init__(self, root: Path, gateway: Gateway, url: str, *, endpoint: str = "") -> None:
        super().__init__(root, gateway)
        place = endpoint or gateway.endpoint
        self.write("siyu.yaml", SETTINGS.format(endpoint=place, token=gateway.token, url=url))
        self._engine = create_engine(url, poolclass=NullPool)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of its database, without the price of another process."""
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    def count(self, what: str) -> int:
        """How many rows there are of something."""
        return int(self.rows(f"SELECT COUNT(*) FROM {what}")[0][0])  # noqa: S608


@dataclass(slots=True)
class Lives:
    """One process after the other, and when each was born and killed (ms UTC)."""

    shop: MortalShop
    name: str
    random: random.Random = field(init=False)
    spans: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(f"{SEED}/{self.name}")  # noqa: S311 - to be repeated

    async def one(
        self, begin: Callable[[], None], done: Callable[[], int], amount: int, *, total: int
    ) -> None:
        """Start, begin, and kill somewhere in the next `amount` of the `total` `done` counts."""
        born = _now()
        with Running(self.shop) as running:
            if self.spans and self.random.random() < AT_START:
                await asyncio.sleep(self.random.uniform(0, START))
            else:
                before = done() if self.spans else 0
                await running.ready()
                begin()
                goal = min(total, before + self.random.randint(1, amount))
                await until(lambda: done() >= goal)
                await asyncio.sleep(self.random.uniform(0, 0.03))
            running.kill()
        self.spans.append((born, _now()))

    async def last(self, begin: Callable[[], None], over: Callable[[], bool]) -> None:
        """Start, begin, and let it finish and end in peace."""
        with Running(self.shop) as running:
            await running.ready()
            begin()
            await until(over)
            running.terminate()
            assert await running.ends() == 0

    def accounts_for(self, left: list[int]) -> None:
        """Whether messages that left at these times can be what the kills made unknown."""
        by_kill = Counter(next(n for n, (a, z) in enumerate(self.spans) if a <= at <= z)
                          for at in left)  # fmt: skip
        assert max(by_kill.values(), default=0) <= IN_FLIGHT, by_kill


async def until(over: Callable[[], bool], *, tick: float = TICK) -> None:
    """Wait for another process's database, which rings no bell: ask every `tick` seconds."""
    async with asyncio.timeout(PATIENCE):
        while not over():  # noqa: ASYNC110
            await asyncio.sleep(tick)


async def judge(lives: Lives, gateway: Gateway, expected: set[tuple[str, str]]) -> str:
    """Compare the gateway's record with the outbox and the reports; a line of figures."""
    shop = lives.shop
    rows = shop.rows(
        "SELECT contact.external_id, outbox.text, outbox.state, outbox.reason, outbox.left_at"
        " FROM outbox JOIN contact ON contact.id = outbox.conversation_id"
    )
    box = {(who, text): state for who, text, state, _, _ in rows}
    said = Counter((entry["to"], entry["text"]) for entry in gateway.log("text"))
    assert len(rows) == len(box), "a message was meant twice"
    assert set(box) == expected, "a message was lost"
    assert set(said.values()) <= {1}, "a message was sent twice"
    assert set(said) <= set(box), "a message was sent that nobody meant"
    assert set(box.values()) <= {"sent", "unknown"}, Counter(box.values())
    assert all(said[key] for key, state in box.items() if state == "sent"), "called sent, is not"
    unknown = [row for row in rows if row[2] == "unknown"]
    assert all(row[3].startswith(KILLED) for row in unknown)
    lives.accounts_for([row[4] for row in unknown])
    states = Counter(box.values())
    assert (await shop.json("status"))["outbox"] == dict(states)
    really = sum(said[row[0], row[1]] for row in unknown)
    return (
        f"{lives.name}: {len(lives.spans)} kills, {len(box)} messages, {states['sent']} sent,"
        f" {len(unknown)} unknown ({really} of them had reached WeChat), 0 lost, 0 twice"
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
