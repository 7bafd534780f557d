"""Acting for an account: taking it, keeping it, being sure of it, giving it back.

Where storage is shared (PostgreSQL) an account is held by a lease (`storage.lease`). On SQLite the
lock on the workspace (`bot.lock`) has settled it, and nothing here does anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from sop.definitions import Settings, WechatySettings
from storage.lease import TERM, Holder, Lease, LeaseLost
from storage.people import last_account
from storage.store import Store, Tx
from storage.trouble import trouble_of

log = logging.getLogger("siyu.custody")
BEAT = 3.0  # seconds between renewals
MARGIN = 2.0  # seconds before the lease ends in which nothing is sent any more


def _since_boot() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Custody:
    """One process's claim on the account it acts for."""

    def __init__(
        self, store: Store, lease: Lease | None = None, *, clock: Callable[[], float] = _since_boot
    ) -> None:
        """Without a `lease` every account is this process's. `clock` gives seconds."""
        self._store = store
        self._lease = lease
        self._clock = clock
        self._until = 0.0
        if lease is not None:
            store.guard(lease.check)

    async def resume(self, channel: str) -> tuple[int, str] | None:
        """The account that was here last, by id and external id, taken for this process.

        Raises `AccountHeld`.
        """
        lease = self._lease
        if lease is None:
            return await self._store.run(lambda tx: last_account(tx, channel))
        began = self._clock()
        found = await self._store.run(lambda tx: lease.resume(tx, channel))
        if found is not None:
            self._hold(found[0], began)
        return found

    async def arrive(self, log_in: Callable[[Tx], int]) -> int:
        """Run the transaction of a login, which returns the account's id, and take the account.

        Raises `AccountHeld`; nothing is recorded then.
        """
        lease = self._lease
        if lease is None:
            return await self._store.run(log_in)
        began = self._clock()

        def arrive(tx: Tx) -> int:
            account = log_in(tx)
            lease.take(tx, account)
            return account

        account = await self._store.run(arrive)
        self._hold(account, began)
        return account

    def _hold(self, account: int, began: float) -> None:
        assert self._lease is not None  # noqa: S101 - for the type checker
        self._lease.account = account
        self._until = began + TERM / 1000

    @property
    def lost(self) -> bool:
        """Whether another process has taken the account."""
        return self._lease is not None and self._lease.lost

    def sure(self) -> bool:
        """Whether nobody else can have taken the account yet. Ask before anything leaves."""
        if self._lease is None:
            return True
        return not self._lease.lost and self._clock() < self._until - MARGIN

    async def keep(self) -> None:
        """Renew until cancelled. Raises `LeaseLost` when another process has the account."""
        while True:
            await asyncio.sleep(BEAT)
            if self._lease is not None:
                await self._renew(self._lease)

    async def _renew(self, lease: Lease) -> None:
        began = self._clock()
        try:
            await asyncio.to_thread(self._store.aside, lease.renew)
        except Exception as error:
            if isinstance(error, LeaseLost) or trouble_of(error) is None:
                raise
            log.warning("the lease could not be renewed: %s", type(error).__name__)
        else:
            self._until = began + TERM / 1000

    async def give_back(self) -> None:
        """Let go of the account, so that another process may take it at once."""
        if self._lease is None or self._lease.account is None:
            return
        try:
            await asyncio.to_thread(self._store.aside, self._lease.release)
        except Exception as error:
            if trouble_of(error) is None:
                raise
            log.warning("the lease could not be given back: %s", type(error).__name__)


def custody_of(settings: Settings, store: Store, root: Path, place: str) -> Custody:
    """The custody that the storage asks for. `place`: see `bot.lock.sole_bot`."""
    if not store.shared:
        return Custody(store)
    host = socket.gethostname()
    holder = Holder(
        token=uuid.uuid4().hex,
        host=host,
        pid=os.getpid(),
        folder=str(root.resolve()),
        place=place and f"{host}:{place}",
        endpoint=_endpoint(settings, host) or f"{host}:{root.resolve()}",
    )
    return Custody(store, Lease(holder))


def _endpoint(settings: Settings, host: str) -> str:
    """The gateway's address as every host would say it; empty for the simulator."""
    if not isinstance(settings.channel, WechatySettings):
        return ""
    name = settings.channel.endpoint
    here = name.startswith(("127.", "localhost:", "[::1]:"))
    return f"{host}/{name}" if here else name
