"""Decides what leaves an account, and when.

A round is a part of somebody's transaction: it records what came of earlier sends, judges what is
due and marks the rows it is about to send as `sending`. Only when that is committed `done` hands
them to the channel. Nothing here sleeps; a round says when it wants to be called again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.channels.port import Channel
from bot.deliveries import IN_FLIGHT, Deliveries, News
from bot.handing import split_off, take_over
from bot.happening import Me
from bot.health import opened, standing, strained
from sop.definitions import Settings
from sop.health import Full, Room, fitting, slowed
from sop.sending import (
    Drop,
    Go,
    SendRules,
    Wait,
    day_start,
    judge,
    next_slot,
)
from sop.times import SECOND
from storage import outbox, queue
from storage.circuit import circuit_of, count_results
from storage.holds import go_on, hold_back
from storage.outbox import Outcome
from storage.queue import Queued
from storage.store import Store, Tx

ALL = ("reply", "notice", "touch")
PAGE = 250  # rows judged at once when those before had to wait


@dataclass(frozen=True, slots=True)
class Round:
    """What one transaction decided: rows to send now, and when to come again (ms UTC).

    `holding`: why nothing leaves the account, or an empty string. `planned`: until when a stage
    has decided what leaves.
    """

    rows: list[Queued]
    again: int | None
    holding: str | None
    planned: int = 0


@dataclass(frozen=True, slots=True)
class _Hold:
    """Nothing leaves the account before `until` (ms UTC; None: until something changes)."""

    until: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Room:
    """How much more the account's budget lets pass, and whether it has to prove itself.

    `last`: when the last message left the account, ms UTC. `slow`: the gaps are longer now. `full`:
    nothing but notices may pass.
    """

    room: Room
    on_trial: bool
    last: int | None
    slow: bool
    full: Full | None = None


class Courier:
    """Sends what one account's outbox holds."""

    def __init__(self, store: Store, channel: Channel, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._store = store
        self._channel = channel
        self._holding: str | None = None  # as recorded; None: nobody has looked yet
        self._planned = 0  # until when a stage has decided already what leaves, ms UTC

    async def strand(self, me: Me) -> int:
        """Call once at start: what was in flight when the process died is unknown."""
        self._holding = None
        return await self._store.run(lambda tx: outbox.strand(tx, me.id))

    def done(self, turn: Round, news: News) -> None:
        """Hand over what a round decided. Call on the event loop, once the round is committed."""
        self._holding = turn.holding
        self._planned = max(self._planned, turn.planned)
        self._deliveries.begin(turn.rows, news)

    # --- in the transaction -------------------------------------------------------------------

    def round(
        self,
        tx: Tx,
        me: Me,
        settings: Settings,
        news: News,
        *,
        online: bool,
        now: int,
        until: int = 0,
    ) -> Round:
        """Record what came of sends, judge what is due, and mark what is to be sent now.

        Where nothing else can happen before `until` (ms UTC), as on a stage, all that would leave
        until then is decided at once, each with its own time.
        """
        self._record(tx, me, settings, news.results, now)
        due, _ = queue.next_due(tx, me.id)
        if due is None or due > now:
            return Round([], due, self._holding)
        if now < self._planned:  # what leaves until then is not in the ledger of this moment
            return Round([], self._planned, self._holding)
        room = self._room(tx, me, settings, online=online, now=now)
        if isinstance(room, _Hold):
            self._tell(tx, me, room.reason, now)
            return Round([], room.until, room.reason)
        holding = room.full.because if room.full else ""
        self._tell(tx, me, holding, now)
        purposes, slot = self._pace(settings, room, now)
        most = self._most(room, settings, news.busy, ahead=until > now)
        if not purposes or most <= 0:
            return Round([], slot if slot > now else None, holding)
        leaving = self._leaving(
            tx, me, settings, room, news.busy, purposes=purposes, most=most, until=until, now=now
        )
        outbox.mark_sending(tx, leaving)
        rows = [row for row, _ in leaving]
        last = leaving[-1][1] if leaving else now
        again = self._again(tx, me, settings, rows, slot, last)
        if room.full and not rows:
            again = room.full.until
        return Round(rows, again, holding, planned=last if until > now else 0)

    def _tell(self, tx: Tx, me: Me, holding: str, now: int) -> None:
        """Record a change of why nothing leaves the account, if anything does not."""
        if holding == self._holding:
            return
        if holding:
            hold_back(tx, me.id, holding, now=now)
        else:
            go_on(tx, me.id, now=now)

    def _room(self, tx: Tx, me: Me, settings: Settings, *, online: bool, now: int) -> _Room | _Hold:
        """How much may leave the account now, or why nothing at all may."""
        if not online:
            return _Hold(None, "微信不在线，等连上再发")
        circuit = circuit_of(tx, me.id)
        how = standing(tx.connection, me.id, settings, now=now)
        if circuit.holds(now):
            care = how.condition.care_because
            why = care if care and care == circuit.because else "接连发送失败"
            return _Hold(circuit.until, f"{why}，为保护账号暂停发送")
        room = how.room(settings, now=now)
        full = room if isinstance(room, Full) else None
        if full:
            room = how.room(settings, now=now, notices=True)
        if isinstance(room, Full):
            return _Hold(room.until, room.because)
        return _Room(room, circuit.on_trial, how.ledger.last, how.slow, full)

    def _most(self, room: _Room, settings: Settings, busy: frozenset[int], *, ahead: bool) -> int:
        """How many messages this round may send."""
        if room.on_trial:
            return 1 - len(busy)
        limit = settings.limits.account
        several = ahead or limit.gap.high == limit.reply_gap.high == 0
        return min(room.room.units, IN_FLIGHT - len(busy), IN_FLIGHT if several else 1)

    def _record(
        self, tx: Tx, me: Me, settings: Settings, results: Sequence[Outcome], now: int
    ) -> None:
        if not results:
            return
        outbox.settle(tx, results, now=now)
        take_over(tx, me, settings, results, now=now)
        blamed = [r for r in results if r.blames_account]
        because = blamed[-1].reason if blamed else ""
        until = count_results(
            tx,
            me.id,
            succeeded=any(r.state == "sent" for r in results),
            failures=len(blamed),
            because=because,
            now=now,
        )
        if until is not None:
            opened(tx, me, settings, f"接连发送失败（{because}）", until=until, now=now)
        elif any(r.state in ("failed", "unknown") for r in results):
            strained(tx, me, settings, now=now)

    def _pace(self, settings: Settings, room: _Room, now: int) -> tuple[tuple[str, ...], int]:
        """What may leave now, and when the next kind may."""
        account, last = settings.limits.account, room.last
        seed = last or 0
        reply_at = next_slot(last, slowed(account.reply_gap, slow=room.slow), seed=seed, now=now)
        touch_at = next_slot(last, slowed(account.gap, slow=room.slow), seed=seed, now=now)
        touch_at = max(touch_at, reply_at)  # no touch overtakes an answer
        if reply_at > now:
            return (), reply_at
        if room.full:
            return ("notice",), now
        return (ALL, now) if touch_at <= now else (("reply", "notice"), touch_at)

    def _leaving(
        self,
        tx: Tx,
        me: Me,
        settings: Settings,
        room: _Room,
        busy: frozenset[int],
        *,
        purposes: tuple[str, ...],
        most: int,
        until: int,
        now: int,
    ) -> list[tuple[Queued, int]]:
        """What leaves now, or by `until`, and when (ms UTC)."""
        ahead = until > now
        rows = self._select(
            tx, me, settings, busy, purposes=purposes, most=most, ahead=ahead, now=now
        )
        rows = split_off(tx, me, settings, rows, self._channel.capabilities, now=now)
        if ahead:
            rows = queue.with_the_rest(tx, rows)
        rows = rows[: fitting([row.kind for row in rows], room.room)]
        return _in_turn(rows, settings, room, now=now, until=until)

    def _select(
        self,
        tx: Tx,
        me: Me,
        settings: Settings,
        busy: frozenset[int],
        *,
        purposes: tuple[str, ...],
        most: int,
        ahead: bool,
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
            due = queue.due(
                tx, me.id, now=now, purposes=purposes, busy=taken, limit=page, ahead=ahead
            )
            page = min(page * 4, PAGE)  # quiet hours put off thousands, and not one by one
            if not due:
                return chosen
            facts = queue.facts(tx, due, now=now, today=today, week=week)
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
        due, talk = queue.next_due(tx, me.id)
        if due is None:
            return None
        if not rows:
            return max(slot, now + SECOND) if due <= now else due
        account = settings.limits.account
        touch = max(due, next_slot(now, account.gap, seed=now, now=now))
        if talk is None:
            return touch
        return min(touch, max(talk, next_slot(now, account.reply_gap, seed=now, now=now)))


def _in_turn(
    rows: Sequence[Queued], settings: Settings, room: _Room, *, now: int, until: int
) -> list[tuple[Queued, int]]:
    """When each of the rows leaves, ms UTC, at the account's pace, of those that do by `until`."""
    account = settings.limits.account
    out: list[tuple[Queued, int]] = []
    for row in rows:
        begins = row.purpose == "touch" and not row.part  # the rest of a thought keeps talk's pace
        gap = slowed(account.gap if begins else account.reply_gap, slow=room.slow)
        last = out[-1][1] if out else now
        at = next_slot(last, gap, seed=last, now=last) if out else now
        if at > max(now, until):
            break
        out.append((row, at))
    return out
