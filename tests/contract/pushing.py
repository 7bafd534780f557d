"""The process that pushes to thousands through a real gateway, to be killed in the middle.

`python -m tests.contract.pushing FOLDER ENDPOINT TOKEN [ORDER]`: a bot on the gateway that carries
out the order once it knows everybody, says so, and works until the push is over.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from bot.push_control import ACTS
from storage.store import Store
from tests.contract.drama import FREE, Drama, on_air
from tests.contract.flood import DistantWorld
from tests.contract.worlds import OffsetClock
from tests.support import workspace

COUNT = 5_000
PATIENCE = 240.0  # seconds; only a broken test waits so long
RULES = """
audiences: [{id: 大家, all: [{friend: true}]}]
pushes: [{id: news, to: {audience: 大家}, say: a}]
"""
OVER = "SELECT COUNT(*) FROM run WHERE started_at IS NOT NULL AND state = 'done'"


async def main(folder: Path, endpoint: str, token: str, order: str = "") -> None:
    """Push, until it is over or the process is killed."""
    clock = OffsetClock()
    space = workspace(folder / "workspace", RULES, settings=FREE)
    store = Store(f"sqlite:///{folder / 'siyu.db'}")
    world = DistantWorld(folder, endpoint, token)
    async with on_air(space, store, clock, world, ready=False) as drama:
        drama.patience = PATIENCE
        await drama.until(lambda: drama.bot.online)
        await drama.until(lambda: _one(drama, "SELECT COUNT(*) FROM contact") >= COUNT)
        if order:
            me = drama.bot.me
            assert me is not None
            told = await store.run(
                lambda tx: ACTS[order](tx, me.id, "news", by="运营用命令", now=clock.now())
            )
            drama.pass_time(0)  # rings: a command beside the bot is noticed within a minute
            print(told, flush=True)  # noqa: T201 - to the test
        else:
            print("ready", flush=True)  # noqa: T201
        await drama.until(lambda: _one(drama, OVER))
        print("over", flush=True)  # noqa: T201
    store.close()


def _one(drama: Drama, sql: str) -> Any:
    return drama.rows(sql)[0][0]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
