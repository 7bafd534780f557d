"""Leases on a real PostgreSQL: one process at a time acts for an account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from storage.lease import AccountHeld, Holder, Lease, LeaseLost, leases
from storage.people import account_id
from storage.sql import claiming, fetch
from storage.store import Store, Tx
from tests.support import ZONE

pytestmark = pytest.mark.postgres

ONE = Holder(
    token="one", host="web-1", pid=11, folder="/shop", place="web-1:shop", endpoint="gate:1"
)
TWO = replace(ONE, token="two", host="web-2", pid=22, place="web-2:shop")
Open = Callable[[Holder], tuple[Store, Lease]]


@pytest.fixture
def open_as(postgres_url: str) -> Iterator[Open]:
    """A store as a process has it, guarded by its lease."""
    stores = []

    def make(holder: Holder) -> tuple[Store, Lease]:
        store, lease = Store(postgres_url), Lease(holder)
        store.guard(lease.check)
        stores.append(store)
        return store, lease

    yield make
    for store in stores:
        store.guard(lambda _connection: None)
        store.close()


def log_in(store: Store, lease: Lease, who: str = "bot") -> int:
    """Log an account in, as the bot does."""

    def work(tx: Tx) -> int:
        account = account_id(tx, channel="wechaty", external_id=who, name="小满", now=1)
        lease.take(tx, account)
        return account

    lease.account = store.write(work)
    return lease.account


def expire(store: Store) -> None:
    """Let time pass, on the server's clock."""
    store.aside(lambda c: fetch(c, "UPDATE lease SET expires_at = 1 RETURNING 1"))


def nothing(_tx: Tx) -> None:
    """A transaction that only begins."""


def test_a_second_process_is_told_who_has_the_account_and_until_when(open_as: Open) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(TWO)
    log_in(one, first)
    with pytest.raises(AccountHeld, match=r"账号「小满」正由 web-1 .*进程号 11.*/shop") as held:
        log_in(two, second)
    with pytest.raises(AccountHeld):  # known by its gateway, before anybody logs in
        two.write(lambda tx: second.resume(tx, "wechaty"))
    assert not held.value.here
    with one.read() as connection:
        (found,) = leases(connection, zone=ZONE)
    until = datetime.fromtimestamp(held.value.until / 1000, ZONE)
    assert datetime.fromisoformat(found.pop("until")) == until
    assert found == {
        "account": "bot", "name": "小满", "host": "web-1", "pid": 11, "workspace": "/shop",
    }  # fmt: skip


def test_an_account_is_free_once_its_lease_is_over(open_as: Open) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(TWO)
    account = log_in(one, first)
    expire(two)
    assert two.write(lambda tx: second.resume(tx, "wechaty")) == (account, "bot")
    second.account = account
    two.write(nothing)


def test_who_lost_its_lease_writes_nothing_and_cannot_renew(open_as: Open) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(TWO)
    account = log_in(one, first)
    expire(two)
    log_in(two, second)
    with pytest.raises(LeaseLost, match="已经由另一个机器人进程接手"):
        one.write(lambda tx: fetch(tx.connection, "UPDATE account SET name = 'x' RETURNING 1"))
    with pytest.raises(LeaseLost):
        one.aside(first.renew)
    assert first.lost and not second.lost
    one.aside(first.release)  # gives back nothing that is not its own
    with two.read() as connection:
        assert [one["host"] for one in leases(connection, zone=ZONE)] == ["web-2"]
        assert fetch(connection, "SELECT name FROM account WHERE id = ?", account)[0][0] == "小满"


def test_a_lease_that_is_over_may_be_renewed_while_nobody_took_it(open_as: Open) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(TWO)
    log_in(one, first)
    expire(two)
    one.aside(first.renew)
    with pytest.raises(AccountHeld):
        log_in(two, second)


def test_renewing_goes_on_beside_a_transaction(open_as: Open) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(TWO)
    log_in(one, first)

    def slow(_tx: Tx) -> None:
        with pytest.raises(AccountHeld):
            log_in(two, second)
        two.aside(first.renew)  # while renewing is not held up

    one.write(slow)


@pytest.mark.parametrize("where", ["writing", "renewing"])
def test_who_is_frozen_inside_a_transaction_keeps_nothing(open_as: Open, where: str) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(TWO)
    log_in(one, first)

    def freeze(connection: Connection) -> None:
        expire(two)
        if where == "renewing":
            first.renew(connection)
        timeout = "SELECT current_setting('idle_in_transaction_session_timeout')"
        assert fetch(connection, timeout)[0][0] == "20s"  # for where nobody waits to take over
        _insist(two, second)

    with pytest.raises(DBAPIError, match="administrator command"):
        one.aside(freeze) if where == "renewing" else one.write(lambda tx: freeze(tx.connection))
    with pytest.raises(LeaseLost):
        one.write(nothing)


def _insist(store: Store, lease: Lease) -> None:
    """Try until the account is taken, as a standby does; the end of a session takes a moment."""
    while lease.account is None:
        with suppress(AccountHeld):
            log_in(store, lease)


def test_given_back_it_is_free_at_once(open_as: Open) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(TWO)
    log_in(one, first)
    one.aside(first.release)
    log_in(two, second)


def test_the_next_process_of_a_workspace_waits_for_nobody(open_as: Open) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(replace(ONE, token="new", pid=12))
    account = log_in(one, first)
    assert two.write(lambda tx: second.resume(tx, "wechaty")) == (account, "bot")
    unproven = replace(TWO, token="x", place="")
    other, third = open_as(unproven)
    with pytest.raises(AccountHeld):
        log_in(other, third)


def test_a_new_account_lets_go_of_the_old_one(open_as: Open) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(replace(TWO, endpoint="gate:2"))
    log_in(one, first, "old")
    log_in(one, first, "new")
    log_in(two, second, "old")


def test_an_account_that_moved_to_another_gateway_does_not_hold_up_its_old_workspace(
    open_as: Open,
) -> None:
    (one, first), (two, second) = open_as(ONE), open_as(replace(TWO, endpoint="gate:2"))
    log_in(one, first)
    one.aside(first.release)
    log_in(two, second)
    again, third = open_as(replace(ONE, token="again"))
    assert again.write(lambda tx: third.resume(tx, "wechaty")) is None


def test_a_database_from_before_there_were_leases_is_resumed(open_as: Open) -> None:
    one, first = open_as(ONE)
    assert one.write(lambda tx: first.resume(tx, "wechaty")) is None
    account = one.write(
        lambda tx: account_id(tx, channel="wechaty", external_id="bot", name="", now=1)
    )
    assert one.write(lambda tx: first.resume(tx, "wechaty")) == (account, "bot")


def test_rows_that_another_process_has_in_hand_are_passed_over(postgres_url: str) -> None:
    one, two = Store(postgres_url), Store(postgres_url)
    one.write(
        lambda tx: [
            account_id(tx, channel="c", external_id=name, name="", now=1) for name in ("a", "b")
        ]
    )

    def claim(tx: Tx) -> list[str]:
        end = claiming(tx.connection)
        rows = fetch(tx.connection, f"SELECT external_id FROM account ORDER BY 1 LIMIT 1{end}")  # noqa: S608
        return [row[0] for row in rows]

    assert one.write(lambda tx: (claim(tx), two.write(claim))) == (["a"], ["b"])
    one.close()
    two.close()


def test_ids_of_a_transaction_under_way_hold_up_nobody(postgres_url: str) -> None:
    one, two = Store(postgres_url), Store(postgres_url)
    mine, theirs = one.write(lambda tx: (tx.new_id(), two.write(lambda other: other.new_id())))
    assert abs(theirs - mine) == 1_000
    one.close()
    two.close()
