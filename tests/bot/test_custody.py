"""Being sure of an account: a lease in PostgreSQL, and a clock of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import custody as module
from bot.custody import Custody, custody_of
from sop.definitions import Settings
from storage.lease import TERM, Holder, Lease, LeaseLost
from storage.people import account_id
from storage.sql import fetch
from storage.store import Store, Tx

HOLDER = Holder(token="one", host="h", pid=1, folder="/f", place="p", endpoint="e")


class Seconds:
    """A clock that stands until it is moved."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    opened = Store(postgres_url)
    yield opened
    opened.guard(lambda _connection: None)
    opened.close()


def log_in(tx: Tx) -> int:
    return account_id(tx, channel="wechaty", external_id="bot", name="小满", now=1)


async def test_on_sqlite_every_account_is_ours(tmp_path: Path, sqlite_url: str) -> None:
    store = Store(sqlite_url)
    custody = custody_of(Settings(community="小满家"), store, tmp_path, "place")
    assert await custody.resume("wechaty") is None
    account = await custody.arrive(log_in)
    assert await custody.resume("wechaty") == (account, "bot")
    assert custody.sure() and not custody.lost
    await custody.give_back()
    store.close()


@pytest.mark.postgres
async def test_we_are_sure_until_shortly_before_the_lease_ends(store: Store) -> None:
    clock = Seconds()
    custody = Custody(store, Lease(HOLDER), clock=clock)
    assert not custody.sure()
    await custody.arrive(log_in)
    clock.now += TERM / 1000 - module.MARGIN - 0.1
    assert custody.sure()
    clock.now += 0.1
    assert not custody.sure()


@pytest.mark.postgres
async def test_renewing_makes_us_sure_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0)
    clock = Seconds()
    custody = Custody(store, Lease(HOLDER), clock=clock)
    await custody.arrive(log_in)
    clock.now += TERM
    keeping = asyncio.create_task(custody.keep())
    async with asyncio.timeout(10):
        while not custody.sure():  # noqa: ASYNC110 - it happens in a thread
            await asyncio.sleep(0)
    assert custody.sure()
    keeping.cancel()


@pytest.mark.postgres
async def test_who_lost_the_account_learns_it_at_the_next_beat(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT", 0)
    custody = Custody(store, Lease(HOLDER))
    await custody.arrive(log_in)
    store.aside(lambda c: fetch(c, "UPDATE lease SET holder = 'other' RETURNING 1"))
    async with asyncio.timeout(10):
        with pytest.raises(LeaseLost):
            await custody.keep()
    assert custody.lost and not custody.sure()
    await custody.give_back()
    with store.read() as connection:
        assert fetch(connection, "SELECT holder FROM lease")[0][0] == "other"
