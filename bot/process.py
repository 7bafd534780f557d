"""The bot process: one account's inbox, runner and courier, turning together.

`turn` is one round and never sleeps; what calls it (the live loop, the stage of a rehearsal or a
test) decides what time it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.channels.port import Channel, Status, StatusKind
from bot.clock import Clock
from bot.courier import Courier
from bot.happening import Me
from bot.heart import Heart
from bot.runner import Runner
from bot.workspace import Workspace
from sop.events import Event, Person, Room
from sop.times import MINUTE, SECOND
from storage import people
from storage.store import Store, Tx
from storage.trouble import trouble_of

log = logging.getLogger("siyu.process")
QUEUE = 2_000  # events waiting before the channel is made to wait
BATCH = 200


@dataclass(frozen=True, slots=True)
class Roster:
    """Contacts and groups as the gateway knows them now."""

    people: Sequence[Person]
    rooms: Sequence[Room]


Item = Event | Status | Roster


class Bot:
    """One account's process. It is the channel's `Sink`."""

    def __init__(
        self,
        *,
        workspace: Workspace,
        store: Store,
        channel: Channel,
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
        on_status: Callable[[Status], None] = lambda _status: None,
        alone: bool = False,
    ) -> None:
        """`alone`: nobody else writes the database, so that what is due need not be looked up."""
        self.heart = Heart(workspace)
        self.me: Me | None = None
        self.online = False
        self._hushed = False
        self._alone = alone
        self._due: int | None = None  # when the runner wants to be called, if that is certain
        self._edited = False
        self._store = store
        self._clock = clock
        self._wake = wake
        self._on_status = on_status
        self._kind = workspace.settings.channel.kind
        self._queue: asyncio.Queue[Item] = asyncio.Queue(QUEUE)
        self._held: deque[Item] = deque()  # taken from the queue, not yet worked off
        self._runner = Runner()
        self.courier = Courier(store, channel, wake=wake, now=clock.now)

    # --- the sink -----------------------------------------------------------------------------

    async def event(self, event: Event) -> None:
        """Take one event; waits while too many wait before it."""
        await self._put(event)

    async def status(self, status: Status) -> None:
        """Take one status change, in its place among the events."""
        await self._put(status)

    async def roster(self, people: Sequence[Person], rooms: Sequence[Room]) -> None:
        """Take the contacts and groups."""
        await self._put(Roster(people, rooms))

    async def _put(self, item: Item) -> None:
        await self._queue.put(item)
        self._wake()

    # --- turning ------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether anything came in that no turn has worked off."""
        if not self._queue.empty():
            return True
        if self.me is None:  # events wait for a login, and nothing can be done about it
            return any(isinstance(item, Status) for item in self._held)
        return bool(self._held)

    def reload(self, workspace: Workspace) -> None:
        """Go on with a new version of the operator's files."""
        self.heart = Heart(workspace)
        self._edited = True
        self._wake()

    async def start(self) -> None:
        """Find the account that was here last, and settle what a crash left in flight."""
        found = await self._store.run(lambda tx: people.last_account(tx, self._kind))
        if found is not None:
            self.me = Me(*found)
            await self._recover(self.me)

    async def turn(self) -> int | None:
        """One round: take what came in, do what is due, send. Returns when to come again."""
        try:
            due = await self._take_in()
            if self.me is None:
                return due
            online = self.online and not self._hushed
            later = await self.courier.pump(self.me, self.heart.settings, online=online)
        except Exception as error:
            # Nothing leaves the queue and nothing is sent while it cannot be recorded.
            trouble = trouble_of(error)
            if trouble is None:
                raise
            log.error("%s", trouble)
            return self._clock.now() + SECOND
        times = [t for t in (due, later) if t is not None]
        return self._clock.now() if self.waiting else min(times, default=None)

    def hush(self) -> None:
        """From here on nothing new leaves the account; what comes in is still recorded."""
        self._hushed = True

    async def drain(self) -> None:
        """At the end: record what is still under way. It may wait in vain: bound it in time."""
        self.hush()
        while await self.courier.landed() or self.courier.unrecorded or self.waiting:
            await self.turn()
            await asyncio.sleep(0)  # without an account or a database no turn gets anywhere

    async def _take_in(self) -> int | None:
        while len(self._held) < (BATCH if self.me else QUEUE) and not self._queue.empty():
            self._held.append(self._queue.get_nowait())
        if self.me is None:
            self._hurry_login()
        if not self._held and self.me is None:
            return None
        now = self._clock.now()
        if self._held and not isinstance(self._held[0], Event):
            await self._take_other(now)
            return now
        batch = self._leading_events()
        if batch and self.me is None:
            return None  # nobody has logged in yet: they wait
        me = self.me
        if me is None:
            return None
        if self._alone and not (batch or self._edited) and self._due and now < self._due:
            return self._due
        self._due = None
        self._due = await self._run(lambda tx: self._work(tx, me, batch, now), batch, me, now)
        return self._due

    def _hurry_login(self) -> None:
        """Events that came before any login wait for it, so it must not wait behind them."""
        status = next((item for item in self._held if isinstance(item, Status)), None)
        if status is not None:
            self._held.remove(status)
            self._held.appendleft(status)

    def _leading_events(self) -> list[Event]:
        out: list[Event] = []
        for item in self._held:
            if not isinstance(item, Event):
                break
            out.append(item)
        return out

    def _work(self, tx: Tx, me: Me, batch: Sequence[Event], now: int) -> int | None:
        if self._edited:
            self.heart.rebind(tx, me, now=now)
            self._edited = False  # a rollback loses only what the next login gives anyway
        self.heart.take(tx, me, batch, now=now)
        return self._runner.tick(tx, me, self.heart, now=now)

    async def _run(
        self, work: Callable[[Tx], int | None], batch: Sequence[Event], me: Me, now: int
    ) -> int | None:
        """Run a batch; if it cannot be done as a whole, event by event, leaving out what cannot."""
        try:
            due = await self._store.run(work)
        except Exception as error:
            if trouble_of(error) is not None:
                raise
            log.exception("a batch of %d events failed; taking them one by one", len(batch))
        else:
            for _ in batch:
                self._held.popleft()
            return due
        for event in batch:
            await self._one(event, me, now)
            self._held.popleft()  # at once: events without an id cannot be told from new ones
        return now if batch else now + MINUTE

    async def _one(self, event: Event, me: Me, now: int) -> None:
        try:
            await self._store.run(lambda tx: self.heart.take(tx, me, [event], now=now))
        except Exception as error:
            if trouble_of(error) is not None:
                raise
            log.exception("event %s (%s) could not be taken", event.external_id, event.kind)

    async def _take_other(self, now: int) -> None:
        item = self._held[0]
        match item:
            case Status():
                await self._take_status(item, now)
            case Roster() if self.me is not None:
                await self._take_roster(item, self.me, now)
            case _:
                pass
        self._held.popleft()

    async def _take_roster(self, roster: Roster, me: Me, now: int) -> None:
        try:
            await self._store.run(
                lambda tx: self.heart.roster(tx, me, roster.people, roster.rooms, now=now)
            )
        except Exception as error:
            if trouble_of(error) is not None:
                raise
            log.exception("a roster of %d contacts could not be taken", len(roster.people))

    async def _take_status(self, status: Status, now: int) -> None:
        match status.kind:
            case StatusKind.LOGIN if status.account is not None:
                await self._log_in(status.account, now)
            case StatusKind.LOGOUT | StatusKind.DISCONNECTED:
                self.online = False
                await self._set_state("logout" if status.kind is StatusKind.LOGOUT else "offline")
            case _:
                pass
        self._on_status(status)

    async def _log_in(self, account: Person, now: int) -> None:
        id_ = await self._store.run(
            lambda tx: people.account_id(
                tx, channel=self._kind, external_id=account.external_id, name=account.name, now=now
            )
        )
        me = Me(id_, account.external_id)
        if me != self.me:
            self.me = me
            await self._recover(me)
        self.online = True

    async def _recover(self, me: Me) -> None:
        stranded = await self.courier.strand(me)
        if stranded:
            log.warning("%d messages were in flight when the process ended", stranded)

    async def _set_state(self, state: str) -> None:
        me, now = self.me, self._clock.now()
        if me is not None:
            await self._store.run(lambda tx: people.set_account_state(tx, me.id, state, now=now))
