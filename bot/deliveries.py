"""What was handed to the channel: sends under way, and what came of them.

All of it lives on the event loop; a round of the courier gets a copy.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bot.channels.port import Address, Capability, Channel, NotSent
from sop.messages import Body, Remove
from sop.times import SECOND
from storage import outbox
from storage.outbox import Outcome
from storage.queue import Queued

log = logging.getLogger("siyu.courier")
ATTEMPTS = 4
BACKOFF = 30 * SECOND  # then four times as long each
IN_FLIGHT = 32  # conversations sent to at once, when no gap is asked for or a stage knows more
UNSURE = 5 * SECOND  # until the next attempt when it is not known whose the account is
SEND_TIMEOUT = 60.0  # seconds of real time; what takes longer is unknown


@dataclass(frozen=True, slots=True)
class News:
    """What came of sends since the last round, and the conversations a send is under way to.

    `handed` are the rows of both. All are asked at the same instant: a send that lands while the
    transaction runs is still under way for it.
    """

    results: tuple[Outcome, ...]
    busy: frozenset[int]
    handed: frozenset[int]


class Deliveries:
    """The sends of one account."""

    def __init__(
        self,
        channel: Channel,
        *,
        wake: Callable[[], None],
        now: Callable[[], int],
        may_send: Callable[[], bool],
    ) -> None:
        """`may_send`: whether the account is still this process's, asked before each send."""
        self._may_send = may_send
        self._channel = channel
        self._wake = wake
        self._now = now
        self._results: list[Outcome] = []
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._handed: set[int] = set()  # rows that no round has recorded the outcome of

    def news(self) -> News:
        """What the next round has to know."""
        return News(tuple(self._results), frozenset(self._busy), frozenset(self._handed))

    def begin(self, rows: Sequence[Queued], news: News) -> None:
        """Send these rows, and forget the news: a round has recorded them."""
        del self._results[: len(news.results)]
        self._handed -= {result.row.id for result in news.results}
        self._handed |= {row.id for row in rows}
        chains: dict[int, list[Queued]] = defaultdict(list)
        for row in rows:
            chains[row.conversation_id].append(row)
        for conversation, chain in chains.items():
            self._busy[conversation] = asyncio.create_task(self._deliver(conversation, chain))

    @property
    def full(self) -> bool:
        """Whether as many sends are under way as may be."""
        return len(self._busy) >= IN_FLIGHT

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

    async def _deliver(self, conversation: int, rows: Sequence[Queued]) -> None:
        """Send one after the other; a bubble after one that did not leave shares its fate."""
        came: list[Outcome] = []
        try:
            for row in rows:
                same = bool(came) and came[-1].row.bundle_id == row.bundle_id
                last = came[-1].state if same else ""
                if last in ("failed", "dropped"):
                    came.append(Outcome(row=row, state="dropped", reason=outbox.BROKEN_OFF))
                elif last == "queued":
                    came.append(replace(came[-1], row=row, blames_account=False))
                else:
                    came.append(await self._send(row))
        finally:
            del self._busy[conversation]
        self._results += came
        self._wake()

    async def _send(self, row: Queued) -> Outcome:
        to = Address(external_id=row.external_id, group=bool(row.in_group))
        if not self._may_send():
            reason = "没有发出：不知道这个账号是不是还由这个进程管着"
            return Outcome(row=row, state="queued", reason=reason, due_at=self._now() + UNSURE)
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                external_id = await self._hand_over(to, row.body)
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

    async def _hand_over(self, to: Address, body: Body) -> str | None:
        if isinstance(body, Remove) and Capability.REMOVE_MEMBER not in self._channel.capabilities:
            raise NotSent("这个通道不能把人移出群", retry=False)
        return await self._channel.send(to, body)

    def _refused(self, row: Queued, refusal: NotSent) -> Outcome:
        attempts, blames = row.attempts + 1, refusal.retry and not refusal.ours
        if not refusal.retry or attempts >= ATTEMPTS:
            return Outcome(row=row, state="failed", reason=str(refusal), blames_account=blames)
        due = self._now() + BACKOFF * 4 ** (attempts - 1)
        reason = f"{'' if refusal.ours else '网关'}没有发出去（{refusal}），稍后重试"
        return Outcome(row=row, state="queued", reason=reason, due_at=due, blames_account=blames)
