"""A bot on a virtual clock in the simulator's world: for tests, demo, chat and rehearsal.

It is the real engine, SQL and courier; only the clock and the world are ours.
"""

from __future__ import annotations

from bot.channels.simulator import SimulatorChannel, World
from bot.clock import VirtualClock
from bot.process import Bot, MakeEmbedder, MakeModel
from bot.workspace import Workspace
from storage.store import Store


class Stage:
    """Moves time by hand. `channel` holds the strings of the world.

    `alone`: nobody but the bot writes the database, which makes a long play several times as fast.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        *,
        start: int,
        alone: bool = False,
        make_model: MakeModel = lambda _workspace: None,
        make_embedder: MakeEmbedder = lambda _workspace: None,
    ) -> None:
        self.clock = VirtualClock(start)
        self.world = World(now=self.clock.now, self_name=workspace.settings.community)
        self.channel = SimulatorChannel(self.world)
        self.store = store
        self.bot = Bot(
            workspace=workspace,
            store=store,
            channel=self.channel,
            clock=self.clock,
            alone=alone,
            make_model=make_model,
            make_embedder=make_embedder,
        )
        self._alone = alone

    async def open(self) -> None:
        """Log in to the world as it stands."""
        await self.bot.start()
        await self.channel.open(self.bot)
        await self.advance(self.clock.now())

    async def settle(self, *, free: int = 0) -> int | None:
        """Let everything happen that is due now; returns when something is due next, ms UTC.

        `free`: until when nobody will do anything by themselves, ms UTC.
        """
        while True:
            due = await self.bot.turn(free=free)
            if await self.bot.asker.landed():
                continue
            landed = await self.bot.deliveries.landed()
            if landed and (due is None or not self._alone):
                continue  # alone, the next turn is early enough to record what landed
            if due is None or due > self.clock.now():
                return due

    async def advance(self, to: int) -> None:
        """Let everything happen that is due up to `to`, ms UTC, each at its own time."""
        while (due := await self.settle()) is not None and due <= to:
            self.clock.set(due)
        self.clock.set(max(to, self.clock.now()))

    async def wait(self, span: int) -> None:
        """Let `span` ms pass."""
        await self.advance(self.clock.now() + span)
