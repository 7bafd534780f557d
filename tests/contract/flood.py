"""The process that is flooded: its memory is its own, so that it can be measured.

`python -m tests.contract.flood FOLDER [ENDPOINT TOKEN]`: a bot in the simulator, or on a gateway.
It says when it is ready, works until every message is recorded and every answer settled, and ends
with one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bot.channels.simulator import SimulatorChannel
from bot.channels.simulator import World as SmallWorld
from bot.channels.wechaty import WechatyChannel
from storage.store import Store
from tests.contract.drama import Drama, on_air, stock
from tests.contract.worlds import OffsetClock, SimulatedWorld
from tests.support import HOUR

COUNT = 5_000
CONVERSATIONS = 500
BUDGET = 300  # messages an hour
LIMIT = BUDGET - BUDGET // 10  # of which may be replies: the rest is kept for notices
PATIENCE = 90.0  # seconds; only a broken test waits so long
SETTINGS = (
    f"limits: {{account: {{gap: 0s, reply_gap: 0s, per_hour: {BUDGET}, per_day: 100000}}}}\n"
    "stale: 30m"
)


def text(number: int) -> str:
    """What the n-th message says; the gateway's `flood` says the same."""
    return f"价格 {number}"


class SimulatedFlood(SimulatedWorld):
    """A simulator where everybody talks at once."""

    def __init__(self, clock: OffsetClock) -> None:
        self.small = SmallWorld(now=clock.now)
        self._clock = clock
        self.channel = SimulatorChannel(self.small)
        for n in range(CONVERSATIONS):
            self.small.add_person(f"p{n}", f"人{n}", friend=True)
        self.small.add_group("fans@chatroom", "小满福利群", ["p0"])

    async def pour(self) -> None:
        """Every conversation speaks, as fast as the bot takes it."""

        async def talk(person: int) -> None:
            for n in range(person, COUNT, CONVERSATIONS):
                await self.say(f"p{person}", text(n))

        await asyncio.gather(*(talk(person) for person in range(CONVERSATIONS)))


class DistantWorld(SimulatedWorld):
    """A gateway that somebody else drives."""

    def __init__(self, folder: Path, endpoint: str, token: str) -> None:
        self.channel = WechatyChannel(  # type: ignore[assignment]
            endpoint=endpoint, token=token, tls=False, media_root=folder, data_dir=folder
        )

    async def leave_it(self) -> None:
        await self.channel.close()
        if self._task is not None:
            await self._task

    async def pour(self) -> None:
        """Somebody else does."""


async def main(folder: Path, *gateway: str) -> None:
    """Stand in the flood."""
    clock = OffsetClock()
    world = DistantWorld(folder, *gateway) if gateway else SimulatedFlood(clock)
    space = stock(folder / "workspace", settings=SETTINGS)
    space.matcher.match(text(0))  # loads jieba's dictionary, which is not what floods
    store = Store(f"sqlite:///{folder / 'siyu.db'}")
    async with on_air(space, store, clock, world) as drama:
        before = _memory()
        print("ready", flush=True)  # noqa: T201 - to the test
        pouring = asyncio.create_task(world.pour())
        held = await _settled(drama)
        await pouring
        print(json.dumps({"before": before, "peak": _memory(), "held": held}), flush=True)  # noqa: T201
    store.close()


async def _settled(drama: Drama) -> list[str]:
    drama.patience = PATIENCE
    await drama.until(lambda: _count(drama, "event WHERE kind = 'message'") == COUNT)
    await drama.until(lambda: _count(drama, "outbox WHERE state = 'sent'") == LIMIT)
    await drama.until(lambda: bool(_count(drama, "accounthold WHERE until IS NULL")))
    held = drama.rows("SELECT because FROM accounthold WHERE until IS NULL")
    drama.pass_time(HOUR)
    await drama.until(lambda: not _count(drama, "outbox WHERE state IN ('queued', 'sending')"))
    return [reason for (reason,) in held]


def _count(drama: Drama, what: str) -> Any:
    return drama.rows(f"SELECT COUNT(*) FROM {what}")[0][0]  # noqa: S608


def _memory() -> int:
    """The most this process ever had, in MB; `getrusage` begins with what its parent had."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
