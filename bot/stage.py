"""A bot on a virtual clock in the simulator's world: for tests, demo, chat and rehearsal.

It is the real engine, SQL and courier; only the clock and the world are ours.
"""

from __future__ import annotations

from bot.channels.simulator import SimulatorChannel, World
from bot.clock import VirtualClock
from bot.process import Bot
from bot.workspace import Workspace
from storage.store import Store


class Stage:
    """Moves time by hand. `channel` holds the strings of the world."""

    def __init__(self, workspace: Workspace, store: Store, *, start: int) -> None:
        self.clock = VirtualClock(start)
        self.world = World(now=self.clock.now, self_name=workspace.settings.community)
        self.channel = SimulatorChannel(self.world)
        self.store = store
        self.bot = Bot(workspace=workspace, store=store, channel=self.channel, clock=self.clock)

    async def open(self) -> None:
        """Log in to the world as it stands."""
        await self.bot.start()
        await self.channel.open(self.bot)
        await self.advance(self.clock.now())

    async def advance(self, to: int) -> None:
        """Let everything happen that is due up to `to`, ms UTC, each at its own time."""
        while True:
            due = await self.bot.turn()
            if await self.bot.courier.landed():
                continue
            if due is None or due > to:
                break
            self.clock.set(max(due, self.clock.now()))
        self.clock.set(max(to, self.clock.now()))

    async def wait(self, span: int) -> None:
        """Let `span` ms pass."""
        await self.advance(self.clock.now() + span)
