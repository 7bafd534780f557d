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

from bot.asker import Asker
from bot.channels.port import Channel, Status, StatusKind
from bot.clock import Clock
from bot.courier import Courier, Round
from bot.custody import Custody
from bot.deliveries import Deliveries
from bot.happening import Me
from bot.health import logged_out
from bot.heart import Heart
from bot.inbox import Inbox
from bot.meaning import Embedder
from bot.model import Model
from bot.runner import Runner
from bot.workspace import Workspace
from sop.events import Event, Person, Room
from sop.times import MINUTE, SECOND
from storage import outbox, people, questions
from storage.lease import LeaseLost
from storage.store import Store, Tx
from storage.trouble import DatabaseTrouble, NotFlushed, trouble_of

log = logging.getLogger("siyu.process")
QUEUE = 2_000  # events waiting before the channel is made to wait
BATCH = 200
SHORT = 50  # of a batch while answers wait for the courier, whose round is once a turn


@dataclass(frozen=True, slots=True)
class Roster:
    """Contacts and groups as the gateway knows them now."""

    people: Sequence[Person]
    rooms: Sequence[Room]


Item = Event | Status | Roster
MakeModel = Callable[[Workspace], Model | None]
MakeEmbedder = Callable[[Workspace], Embedder | None]


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
        on_trouble: Callable[[DatabaseTrouble | None], None] = lambda _trouble: None,
        alone: bool = False,
        make_model: MakeModel = lambda _workspace: None,
        make_embedder: MakeEmbedder = lambda _workspace: None,
        custody: Custody | None = None,
    ) -> None:
        """`alone`: nobody else writes the database, so that what is due need not be looked up.

        `on_trouble` hears of every trouble of the database once, and with None of its end.
        `make_model` and `make_embedder` make what a workspace asks for, if it does. Without
        `custody` every account is this process's.
        """
        self.heart = Heart(workspace)
        self.me: Me | None = None
        self.online = False
        self._hushed = False
        self._alone = alone
        self._own_due: int | None = None  # when the runner wants to be called
        self._due: int | None = None  # when the runner or the courier does
        self._free = 0  # until when nothing comes in
        self._edited = False
        self._pressed = False  # more could leave than one round of the courier takes
        self._store = store
        self._clock = clock
        self._wake = wake
        self._on_status = on_status
        self._on_trouble = on_trouble
        self._trouble = ""  # of the database, as told
        self._doubtful = False  # a commit failed, or only its answer was lost
        self._kind = workspace.settings.channel.kind
        self._queue: Inbox[Status | Roster] = Inbox(QUEUE)
        self._held: deque[Item] = deque()  # taken from the queue, not yet worked off
        self._runner = Runner()
        self._custody = custody or Custody(store)
        self.deliveries = Deliveries(channel, wake=wake, now=clock.now, may_send=self._custody.sure)
        self.courier = Courier(store, channel, self.deliveries)
        self._make_model, self._make_embedder = make_model, make_embedder
        self.asker = Asker(wake=wake, now=clock.now)
        self.asker.use(make_model(workspace))
        self.asker.compare_with(make_embedder(workspace), workspace)

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
        before, after = self.heart.settings.answers, workspace.settings.answers
        if after.model != before.model or self.asker.model is None:
            self.asker.use(self._make_model(workspace))
        embedder = self.asker.comparer.embedder
        if after.embeddings != before.embeddings or embedder is None:
            embedder = self._make_embedder(workspace)
        self.asker.compare_with(embedder, workspace)
        self.heart = Heart(workspace)
        self._edited = True
        self._wake()

    async def start(self) -> None:
        """Find the account that was here last, and settle what a crash left in flight."""
        found = await self._custody.resume(self._kind)
        if found is not None:
            self.me = Me(*found)
            await self._recover(self.me)

    async def turn(self, *, free: int = 0) -> int | None:
        """One round: take what came in, do what is due, send. Returns when to come again.

        `free`: alone, nothing comes in before then (ms UTC).
        """
        self._free = free
        try:
            return await self._round()
        except Exception as error:
            # Nothing leaves the queue and nothing is sent while it cannot be recorded.
            trouble = trouble_of(error)
            if trouble is None or isinstance(trouble, LeaseLost):
                raise
            self._tell(trouble)
            self._doubtful = True
            return self._clock.now() + SECOND

    def _tell(self, trouble: DatabaseTrouble | None) -> None:
        """Once: an hour of a full disk is one line, not 3,600."""
        words = str(trouble or "")
        if words != self._trouble:
            self._trouble = words
            self._on_trouble(trouble)

    def hush(self) -> None:
        """From here on nothing new leaves the account; what comes in is still recorded."""
        self._hushed = True

    async def drain(self) -> None:
        """At the end: record what is still under way. It may wait in vain: bound it in time."""
        self.hush()
        await self.asker.close()
        while await self.deliveries.landed() or self.deliveries.unrecorded or self.waiting:
            if self._store.given_up:
                break
            await self.turn()
            await asyncio.sleep(0)  # without an account or a database no turn gets anywhere

    async def _round(self) -> int | None:
        batch = QUEUE if self.me is None else SHORT if self._pressed else BATCH
        self._held += self._queue.take(batch - len(self._held))
        if self.me is None:
            self._hurry_login()
        now = self._clock.now()
        if self._held and not isinstance(self._held[0], Event):
            await self._take_other(now)
            self._due = None  # who is online, and as whom, may have changed
            return now
        if self.me is None:
            return None  # nobody has logged in yet: what came waits for it
        if self._alone and self._nothing_to_do(now):
            return self._due
        await self._work_off(self.me, self._leading_events(), now)
        return now if self.waiting else self._due

    def _nothing_to_do(self, now: int) -> bool:
        news = self._held or self._edited or self.asker.unrecorded
        if not self._free:  # nobody says that a later turn is early enough to record what landed
            news = news or self.deliveries.unrecorded
        return not news and self._due is not None and now < self._due

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

    async def _work_off(self, me: Me, batch: Sequence[Event], now: int) -> None:
        """Take a batch, do what is due and send, in one transaction.

        If that cannot be done as a whole, take event by event, leaving out what cannot be taken.
        Where the answer to a commit may have been lost, what that one marked as under way and
        nobody then did is undone first.
        """
        news, asking = self.deliveries.news(), self.asker.under_way
        online = self.online and not self._hushed
        fresh = batch or self._edited or self.asker.unrecorded
        idle = self._alone and not fresh and now < (self._own_due or 0)

        def work(tx: Tx) -> tuple[int | None, Round]:
            if self._doubtful:
                outbox.take_back(tx, me.id, handed=news.handed)
                questions.interrupted(tx, me.id, under_way=asking)
            due = self._own_due if idle else self._do(tx, me, batch, now)
            settings = self.heart.settings
            free = min(self._free, due or now)
            return due, self.courier.round(
                tx, me, settings, news, online=online, now=now, until=free
            )

        try:
            self._own_due, turn = await self._store.run(work)
        except Exception as error:
            if isinstance(error, NotFlushed):
                self._take_off(batch)
            if trouble_of(error) is not None:
                raise
            log.exception("a batch of %d events failed; taking them one by one", len(batch))
            for event in batch:
                await self._one(event, me, now)
                self._held.popleft()  # at once: events without an id cannot be told from new ones
            self._own_due = now if batch else now + MINUTE
            turn = await self._store.run(
                lambda tx: self.courier.round(
                    tx, me, self.heart.settings, news, online=online, now=now
                )
            )
        else:
            self._take_off(batch)
            self._doubtful = False
            self.asker.launch()
        self._tell(None)
        self.courier.done(turn, news)
        self._pressed = self.deliveries.full or (turn.again is not None and turn.again <= now)
        times = [t for t in (self._own_due, turn.again) if t is not None]
        self._due = min(times, default=None)

    def _take_off(self, batch: Sequence[Event]) -> None:
        """What is committed is not taken again."""
        for _ in batch:
            self._held.popleft()

    def _do(self, tx: Tx, me: Me, batch: Sequence[Event], now: int) -> int | None:
        if self._edited:
            self.heart.rebind(tx, me, now=now)
            self._edited = False  # a rollback loses only what the next login gives anyway
        self.heart.take(tx, me, batch, now=now)
        if not self._hushed:
            self.asker.round(tx, me, self.heart, now=now)
        return self._runner.tick(tx, me, self.heart, now=now)

    async def _one(self, event: Event, me: Me, now: int) -> None:
        try:
            await self._store.run(lambda tx: self.heart.take(tx, me, [event], now=now))
        except Exception as error:
            if trouble_of(error) is not None:
                raise
            log.exception("event %s (%s) could not be taken", event.external_id, event.kind)
            await self._keep(event, me, now)

    async def _keep(self, event: Event, me: Me, now: int) -> None:
        try:
            await self._store.run(lambda tx: self.heart.keep(tx, me, event, now=now))
        except Exception as error:
            if trouble_of(error) is not None:
                raise
            log.exception("event %s (%s) could not even be kept", event.external_id, event.kind)

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
                await self._lose(status.kind, status.detail)
            case _:
                pass
        self._on_status(status)

    async def _log_in(self, account: Person, now: int) -> None:
        before = self.me

        def arrive(tx: Tx) -> int:
            if before is not None and before.external_id != account.external_id:
                # Some gateways give the same account another id at every login.
                people.set_account_state(tx, before.id, "logout", now=now)
            return people.account_id(
                tx, channel=self._kind, external_id=account.external_id, name=account.name, now=now
            )

        me = Me(await self._custody.arrive(arrive), account.external_id)
        if me != self.me:
            await self._recover(me)  # first: until then nobody may take back what is `sending`
            self.me = me
        self.online = True

    async def _recover(self, me: Me) -> None:
        stranded = await self.courier.strand(me)
        if stranded:
            log.warning("%d messages were in flight when the process ended", stranded)
        await self._store.run(lambda tx: questions.interrupted(tx, me.id))

    async def _lose(self, kind: StatusKind, detail: str) -> None:
        """The account is no longer there: WeChat ended its login, or the link is broken."""
        me, now, settings = self.me, self._clock.now(), self.heart.settings
        if me is None:
            return

        def lose(tx: Tx) -> None:
            state = "logout" if kind is StatusKind.LOGOUT else "offline"
            before = people.set_account_state(tx, me.id, state, now=now)
            if state == "logout" != before:
                logged_out(tx, me, settings, detail or "微信退出登录了", now=now)

        await self._store.run(lose)
