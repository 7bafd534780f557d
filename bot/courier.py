"""The only part that sends.

`pump` is one round: it records what came of earlier sends, judges what is due, commits the rows
it is about to send as `sending`, and only then hands them to the channel. It never sleeps; it says
when it wants to be called again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from bot.channels.port import Address, Channel, NotSent
from bot.happening import Me
from sop.definitions import Settings
from sop.sending import (
    Drop,
    Go,
    SendRules,
    Wait,
    day_start,
    judge,
    next_slot,
)
from sop.times import HOUR, SECOND
from storage import outbox
from storage.circuit import circuit_of, count_results
from storage.outbox import Outcome, Queued
from storage.store import Store, Tx

log = logging.getLogger("siyu.courier")
ALL = ("reply", "notice", "touch")
ATTEMPTS = 4
BACKOFF = 30 * SECOND  # then four times as long each
PAGE = 250  # rows judged at once when those before had to wait
IN_FLIGHT = 32  # conversations sent to at once, when no gap is asked for
SEND_TIMEOUT = 60.0  # seconds of real time; what takes longer is unknown


@dataclass(frozen=True, slots=True)
class _Round:
    """What one transaction decided: rows to send now, and when to come again (ms UTC)."""

    rows: list[Queued]
    again: int | None
    opened_until: int | None


@dataclass(frozen=True, slots=True)
class _Hold:
    """Nothing leaves the account before `until` (ms UTC; None: until something changes)."""

    until: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Room:
    """How many more messages the account's limits let pass, and whether it has to prove itself."""

    messages: int
    on_trial: bool


class Courier:
    """Sends what one account's outbox holds."""

    def __init__(
        self, store: Store, channel: Channel, *, wake: Callable[[], None], now: Callable[[], int]
    ) -> None:
        self._store = store
        self._channel = channel
        self._wake = wake
        self._now = now
        self._results: list[Outcome] = []
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._told: tuple[_Hold | None, int] = (None, 0)

    async def strand(self, me: Me) -> int:
        """Call once at start: what was in flight when the process died is unknown."""
        now = self._now()
        return await self._store.run(lambda tx: outbox.strand(tx, me.id, now=now))

    async def pump(self, me: Me, settings: Settings, *, online: bool) -> int | None:
        """One round; returns when to call again, ms UTC, or None when nothing waits for time."""
        results, self._results = self._results, []
        # Who is busy is asked at the same instant as what came of earlier sends: a send that lands
        # while the transaction runs is still under way for it.
        busy = frozenset(self._busy)
        now = self._now()
        try:
            turn = await self._store.run(
                lambda tx: self._turn(tx, me, settings, results, busy, online=online, now=now)
            )
        except BaseException:
            self._results = results + self._results  # what came of them is still to be recorded
            raise
        if turn.opened_until is not None:
            log.warning("too many sends failed: sending stops until the circuit closes")
        for row in turn.rows:
            self._busy[row.conversation_id] = asyncio.create_task(self._deliver(row))
        return turn.again

    @property
    def unrecorded(self) -> bool:
        """Whether sends came back that no round has recorded yet."""
        return bool(self._results)

    async def landed(self) -> bool:
        """Wait for all sends under way; True when there were any. Giving up waiting ends none."""
        tasks = list(self._busy.values())
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            task.result()
        return bool(tasks)

    # --- in the transaction -------------------------------------------------------------------

    def _turn(
        self,
        tx: Tx,
        me: Me,
        settings: Settings,
        results: list[Outcome],
        busy: frozenset[int],
        *,
        online: bool,
        now: int,
    ) -> _Round:
        opened = self._record(tx, me, results, now)
        due = outbox.next_due(tx, me.id)
        if due is None or due > now:
            return _Round([], due, opened)
        room = self._room(tx, me, settings, online=online, now=now)
        if isinstance(room, _Hold):
            self._note(tx, me, room, now)
            return _Round([], room.until, opened)
        purposes, slot = self._pace(tx, me, settings, now)
        most = self._most(room, settings, busy)
        if not purposes or most <= 0:
            return _Round([], slot if slot > now else None, opened)
        rows = self._select(tx, me, settings, busy, purposes=purposes, most=most, now=now)
        outbox.mark_sending(tx, rows, now=now)
        return _Round(rows, self._again(tx, me, settings, rows, slot, now), opened)

    def _note(self, tx: Tx, me: Me, hold: _Hold, now: int) -> None:
        """Say on what waits why it does; what was told already is not looked at again."""
        told, since = self._told
        since = since if told == hold and since <= now else 0
        outbox.note_wait(tx, me.id, hold.reason, since=since, now=now)
        self._told = (hold, now)

    def _room(self, tx: Tx, me: Me, settings: Settings, *, online: bool, now: int) -> _Room | _Hold:
        """How much may leave the account now, or why nothing at all may."""
        if not online:
            return _Hold(None, "微信不在线，等连上再发")
        circuit = circuit_of(tx, me.id)
        if circuit.holds(now):
            return _Hold(circuit.until, "接连发送失败，为保护账号暂停发送")
        limit = settings.limits.account
        today, _ = outbox.left_since(tx, me.id, day_start(now, settings.zone) - 1, now=now)
        if today >= limit.per_day:
            tomorrow = day_start(now, settings.zone, days=1)
            return _Hold(tomorrow, f"账号今天已发出 {today} 条，到了每天的上限")
        hour, first = outbox.left_since(tx, me.id, now - HOUR, now=now)
        if hour >= limit.per_hour:
            return _Hold(
                (first or now) + HOUR + 1, f"账号一小时内已发出 {hour} 条，到了每小时的上限"
            )
        room = min(limit.per_day - today, limit.per_hour - hour)
        return _Room(room, on_trial=circuit.on_trial)

    def _most(self, room: _Room, settings: Settings, busy: frozenset[int]) -> int:
        """How many messages this round may send."""
        if room.on_trial:
            return 1 - len(busy)
        limit = settings.limits.account
        gapless = limit.gap.high == limit.reply_gap.high == 0
        return min(room.messages, IN_FLIGHT - len(busy), IN_FLIGHT if gapless else 1)

    def _record(self, tx: Tx, me: Me, results: list[Outcome], now: int) -> int | None:
        if not results:
            return None
        outbox.settle(tx, results, now=now)
        blamed = [r for r in results if r.blames_account]
        return count_results(
            tx,
            me.id,
            succeeded=any(r.state == "sent" for r in results),
            failures=len(blamed),
            because=blamed[-1].reason if blamed else "",
            now=now,
        )

    def _pace(self, tx: Tx, me: Me, settings: Settings, now: int) -> tuple[tuple[str, ...], int]:
        """What may leave now, and when the next kind may."""
        last = outbox.last_left(tx, me.id, now=now)
        account = settings.limits.account
        seed = last or 0
        reply_at = next_slot(last, account.reply_gap, seed=seed, now=now)
        touch_at = next_slot(last, account.gap, seed=seed, now=now)
        if touch_at <= now and reply_at <= now:
            return ALL, now
        if reply_at <= now:
            return ("reply", "notice"), touch_at
        return (), min(reply_at, touch_at)

    def _select(
        self,
        tx: Tx,
        me: Me,
        settings: Settings,
        busy: frozenset[int],
        *,
        purposes: tuple[str, ...],
        most: int,
        now: int,
    ) -> list[Queued]:
        """Judge due rows until enough may go or none are left."""
        rules = SendRules(settings.limits, settings.hours.quiet, settings.zone)
        today = day_start(now, settings.zone)
        week = day_start(now, settings.zone, days=-6)
        chosen: list[Queued] = []
        page = most
        while len(chosen) < most:
            taken = [*busy, *(row.conversation_id for row in chosen)]
            due = outbox.due(tx, me.id, now=now, purposes=purposes, busy=taken, limit=page)
            page = min(page * 4, PAGE)  # quiet hours put off thousands, and not one by one
            if not due:
                return chosen
            facts = outbox.facts(tx, due, now=now, today=today, week=week)
            verdicts = [(row, judge(facts[row.id], rules, now=now)) for row in due]
            outbox.hold(tx, [(row, v) for row, v in verdicts if isinstance(v, Wait)])
            outbox.drop(tx, [(row, v) for row, v in verdicts if isinstance(v, Drop)])
            chosen += [row for row, v in verdicts if isinstance(v, Go)][: most - len(chosen)]
            if all(isinstance(v, Go) for _, v in verdicts):
                return chosen
        return chosen

    def _again(
        self, tx: Tx, me: Me, settings: Settings, rows: list[Queued], slot: int, now: int
    ) -> int | None:
        due = outbox.next_due(tx, me.id)
        if due is None:
            return None
        if not rows:
            return max(slot, now + SECOND) if due <= now else due
        account = settings.limits.account
        soonest = min(account.gap, account.reply_gap, key=lambda gap: gap.high)
        return max(due, next_slot(now, soonest, seed=now, now=now))

    # --- outside of it ------------------------------------------------------------------------

    async def _deliver(self, row: Queued) -> None:
        try:
            outcome = await self._send(row)
        finally:
            del self._busy[row.conversation_id]
        self._results.append(outcome)
        self._wake()

    async def _send(self, row: Queued) -> Outcome:
        to = Address(external_id=row.external_id, group=bool(row.in_group))
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                external_id = await self._channel.send(to, row.body)
        except NotSent as refusal:
            return self._refused(row, refusal)
        except TimeoutError:
            reason = "网关迟迟没有回音，不知道对方收到没有"
        except Exception as error:
            log.warning("send of outbox row %s: %s", row.id, type(error).__name__)
            reason = f"发送途中出错，不知道对方收到没有（{type(error).__name__}）"
        else:
            return Outcome(row=row, state="sent", external_id=external_id)
        return Outcome(row=row, state="unknown", reason=reason, blames_account=True)

    def _refused(self, row: Queued, refusal: NotSent) -> Outcome:
        attempts = row.attempts + 1
        if not refusal.retry or attempts >= ATTEMPTS:
            return Outcome(
                row=row, state="failed", reason=str(refusal), blames_account=refusal.retry
            )
        due = self._now() + BACKOFF * 4 ** (attempts - 1)
        reason = f"网关没有发出去（{refusal}），稍后重试"
        return Outcome(row=row, state="queued", reason=reason, due_at=due, blames_account=True)
