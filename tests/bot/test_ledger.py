"""Properties of the ledger: it adds up, a replay changes nothing, nor does the order of a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.happening import Happening
from bot.wording import Wording
from sop.decisions import Decision
from sop.events import Event, EventKind
from sop.point_decisions import GivePoints, RecordCheckIn
from storage.apply import apply
from storage.sql import fetch, insert_rows
from storage.store import Store, Tx
from storage.tables import Contact
from tests.support import DAY, HOUR, START, workspace

RULES = """
tags: {等级: {values: [甲, 乙], one_of: true}}
points:
  per_day: 10
  check_in: {points: 2, streaks: {3: 5}, catch_up: {days: 2, per_month: 3, cost: 1}}
  levels: {等级/甲: 0, 等级/乙: 12}
rules: []
"""
TABLES = ("ledger", "score", "checkin", "tagging", "contact", "trace")
PEOPLE = (101, 102)


@dataclass(frozen=True)
class Deed:
    """Something that is worth points: who, on which day, at what hour, and what."""

    id: str
    who: int
    day: int
    hour: int
    what: str  # in | fill | a number of points

    @property
    def at(self) -> int:
        return START + self.day * DAY + self.hour * HOUR


DEEDS = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.integers(0, 4),
        st.integers(0, 9),
        st.sampled_from(["in", "in", "3", "8", "-4"]),
    ),
    max_size=12,
).map(lambda found: [Deed(f"m{n}", *deed) for n, deed in enumerate(found)])


@pytest.fixture
def books(tmp_path: Path, url: str) -> Iterator[Books]:
    store = Store(url)
    yield Books(store, Wording(workspace(tmp_path / "workspace", RULES)))
    store.close()


@dataclass(frozen=True)
class Books:
    """A database with two people, and the engine's way into it."""

    store: Store
    wording: Wording

    def empty(self) -> None:
        def work(tx: Tx) -> None:
            for table in TABLES:
                tx.connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608
            columns = ("id", "account_id", "external_id", "name", "alias", "stage", "first_seen_at")
            rows = [(who, 1, f"w{who}", "", "", "引入期", 0) for who in PEOPLE]
            insert_rows(tx.connection, Contact, columns, rows)

        self.store.write(work)

    def take(self, deeds: Sequence[Deed], *, now: int = 0) -> None:
        """Let deeds be booked in one transaction, a wave of one event after the other."""

        def work(tx: Tx) -> None:
            for deed in deeds:
                self._one(tx, deed, now or deed.at)

        self.store.write(work)

    def _one(self, tx: Tx, deed: Deed, now: int) -> None:
        event = Event(kind=EventKind.MESSAGE, at=deed.at, external_id=deed.id)
        happening = Happening(event=event, id=tx.new_id(), contact_id=deed.who, group_id=None)
        changes = self.wording.changes(tx, 1, [(decision(deed), happening)], now=now)
        apply(tx, 1, changes, now=now)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in fetch(connection, sql)]

    @property
    def balances(self) -> list[tuple[object, ...]]:
        return self.rows("SELECT id, balance, earned, streak, days FROM score ORDER BY id")

    def add_up(self) -> None:
        """Every sum is that of the ledger, every streak that of the days, every level as earned."""
        for who, balance, earned, streak, days in self.balances:
            mine = self.rows(f"SELECT kind, amount FROM ledger WHERE contact_id = {who}")  # noqa: S608
            assert balance == sum(int(str(amount)) for _, amount in mine)
            spent = sum(int(str(amount)) for kind, amount in mine if kind == "spend")
            assert earned == int(str(balance)) - spent
            found = self.rows(f"SELECT day FROM checkin WHERE contact_id = {who}")  # noqa: S608
            there = {int(str(day)) for (day,) in found}
            assert days == len(there)
            last = max(there, default=0)
            assert streak == next((n for n in range(99) if last - n not in there), 0) * bool(there)
            tags = self.rows(
                "SELECT tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id"  # noqa: S608
                f" WHERE subject_id = {who}"
            )
            level = "等级/乙" if int(str(earned)) >= 12 else "等级/甲"
            moved = [amount for kind, amount in mine if kind != "spend" and amount]
            assert tags == ([(level,)] if moved else [])


def decision(deed: Deed) -> Decision:
    if deed.what in ("in", "fill"):
        return RecordCheckIn(
            contact_id=deed.who, at=deed.at, missed=deed.what == "fill", source="rule:in",
            because="",
        )  # fmt: skip
    amount = int(deed.what)
    return GivePoints(
        contact_id=deed.who, amount=amount, reason="好事" if amount > 0 else "坏事",
        source="rule:do", because="", at=deed.at, kind="earn" if amount > 0 else "fine",
        per_day=9 if amount > 0 else None,
    )  # fmt: skip


OFTEN = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@OFTEN
@given(deeds=DEEDS)
def test_the_books_add_up(books: Books, deeds: list[Deed]) -> None:
    books.empty()
    books.take(sorted(deeds, key=lambda deed: deed.at))
    books.add_up()


@OFTEN
@given(deeds=DEEDS, data=st.data())
def test_a_replay_changes_nothing(books: Books, deeds: list[Deed], data: st.DataObject) -> None:
    books.empty()
    now = START + 5 * DAY
    books.take(deeds, now=now)
    before = books.balances, books.rows("SELECT key, amount FROM ledger ORDER BY id")
    books.take(data.draw(st.permutations(deeds)), now=now)
    again = data.draw(st.lists(st.sampled_from(deeds))) if deeds else []
    books.take(again, now=now)
    assert before == (books.balances, books.rows("SELECT key, amount FROM ledger ORDER BY id"))
    books.add_up()


@OFTEN
@given(deeds=DEEDS.map(lambda d: [one for one in d if one.what != "-4"]), data=st.data())
def test_the_order_within_a_day_does_not_matter(
    books: Books, deeds: list[Deed], data: st.DataObject
) -> None:
    """Fines are left out: they stop at what there is, so they depend on what came before."""
    books.empty()
    books.take(sorted(deeds, key=lambda deed: deed.day), now=START + 5 * DAY)
    before = books.balances
    books.empty()
    shuffled = data.draw(st.permutations(deeds))
    books.take(sorted(shuffled, key=lambda deed: deed.day), now=START + 5 * DAY)
    assert books.balances == before


@OFTEN
@given(deeds=DEEDS, data=st.data())
def test_made_up_days_and_late_messages_in_any_order_add_up(
    books: Books, deeds: list[Deed], data: st.DataObject
) -> None:
    books.empty()
    filled = [Deed(f"f{n}", who, day, 9, "fill") for n, (who, day) in enumerate(
        data.draw(st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(0, 4)), max_size=4))
    )]  # fmt: skip
    books.take(data.draw(st.permutations([*deeds, *filled])), now=START + 5 * DAY)
    books.add_up()


def test_a_crash_before_the_end_leaves_nothing(books: Books) -> None:
    books.empty()
    deeds = [Deed("m1", 101, 0, 0, "in"), Deed("m2", 101, 0, 1, "8")]

    def work(tx: Tx) -> None:
        for deed in deeds:
            books._one(tx, deed, deed.at)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        books.store.write(work)
    assert books.rows("SELECT * FROM ledger") == books.balances == []
    books.take(deeds)
    assert books.balances == [(101, 10, 10, 1, 1)]
