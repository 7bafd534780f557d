"""Editing an SOP under way: nobody is touched until `migrate`, nobody repeats a step, and undo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bot.doors import Entry
from bot.happening import Me
from bot.heart import Heart
from sop.engine import Facts, Phase, State
from sop.times import DAY, MINUTE
from sop.versions import digest
from storage import enrollments as rows
from storage.due import next_due
from storage.migration import BATCH, OVER, Undone, last_migration, migrate, plan, undo
from storage.people import account_id
from storage.progress import overdue, pause_sop, progress, resume_sop, standing, versions
from storage.sql import fetch, insert_rows
from storage.store import Store, Tx
from storage.tables import Attribute, Contact
from tests.support import at, workspace

START = at("2026-03-02 09:00")
FIRST = """
sops:
  - id: nf
    title: 新友
    again: always
    steps:
      - {id: hello, after: 1m, do: [{say: a}]}
      - id: ask
        day: 1
        at: "10:00"
        do: [{say: b}]
        reply: {within: 24h, cases: [{match: {any: [要]}, do: [{say: c}]}]}
      - {id: gone, day: 3, at: "10:00", do: [{say: c}]}
      - {id: last, day: 5, at: "10:00", do: [{say: d}]}
"""
SECOND = """
sops:
  - id: nf
    title: 新友
    again: always
    priority: 5
    steps:
      - {id: new, after: 1h, do: [{say: d}]}
      - {id: hello, after: 5m, do: [{say: a}]}
      - {id: ask, day: 1, at: "10:00", do: [{say: b}]}
      - {id: more, day: 4, at: "10:00", do: [{say: c}]}
      - {id: last, day: 5, at: "10:00", do: [{say: d}]}
"""
SHORT = "sops: [{id: nf, title: 新友, again: always, steps: [{id: hello, after: 1m}]}]"


@dataclass
class Shop:
    """A heart without a world: contacts walk, nothing is sent."""

    root: Path
    store: Store
    heart: Heart
    me: Me
    now: int = START

    def edit(self, definitions: str) -> None:
        self.heart = Heart(workspace(self.root, definitions))

    def people(self, count: int) -> list[int]:
        def work(tx: Tx) -> list[int]:
            ids = [tx.new_id() for _ in range(count)]
            insert_rows(
                tx.connection,
                Contact,
                ("id", "account_id", "external_id", "name", "alias", "friend", "stage",
                 "first_seen_at"),
                [(id_, self.me.id, f"wx{id_}", "", "", True, "引入期", START) for id_ in ids],
            )  # fmt: skip
            return ids

        return self.store.write(work)

    def enter(self, ids: list[int]) -> None:
        version = self.heart.sops.current["nf"]
        entries = [
            Entry(
                version=version, way=None, subject_id=id_, in_group=False, event_id=None,
                because="测试",
            )
            for id_ in ids
        ]  # fmt: skip
        self.store.write(lambda tx: self.heart.doors.enter(tx, self.me, entries, now=self.now))

    def walk(self, until: int) -> None:
        due: int | None = self.now
        while due is not None and due <= until:
            self.now = max(self.now, due)
            due = self.store.write(self._walk)
        self.now = until

    def _walk(self, tx: Tx) -> int | None:
        self.heart.walk(tx, self.me, now=self.now)
        return next_due(tx, self.me.id)

    @property
    def facts(self) -> Facts:
        settings = self.heart.settings
        return Facts(zone=settings.zone, almanac=self.heart.almanac, quiet=settings.hours.quiet)

    def migrate(self) -> int:
        batch = self.store.write(lambda tx: tx.new_id())
        sop, moved = self.heart.sops.current["nf"].sop, 0
        while shifts := self.store.write(
            lambda tx: migrate(tx, sop, batch, facts=self.facts, now=self.now)
        ):
            assert len(shifts) <= BATCH
            moved += len(shifts)
        return moved

    def undo(self) -> Undone:
        with self.store.read() as connection:
            batch = last_migration(connection, "nf")
        assert batch is not None
        total = Undone()
        while (
            some := self.store.write(lambda tx: undo(tx, batch, facts=self.facts, now=self.now))
        ).looked_at:
            total += some
        return total

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in fetch(connection, sql, *params)]

    def table(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT * FROM enrollment ORDER BY id")

    def steps(self) -> dict[tuple[str, str], int]:
        found = self.rows(
            "SELECT step, phase, COUNT(*) FROM enrollment WHERE state = 'active'"
            " GROUP BY step, phase"
        )
        return {(step, phase): count for step, phase, count in found}

    def repeated(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT enrollment_id, step FROM steprun WHERE outcome = 'done'"
            " GROUP BY enrollment_id, step HAVING COUNT(*) > 1"
        )


def shop_at(root: Path, url: str) -> Iterator[Shop]:
    store = Store(url)
    try:
        account = store.write(
            lambda tx: account_id(tx, channel="simulator", external_id="me", name="小满", now=START)
        )
        yield Shop(root, store, Heart(workspace(root, FIRST)), Me(account, "me"))
    finally:
        store.close()


@pytest.fixture
def shop(tmp_path: Path, url: str) -> Iterator[Shop]:
    yield from shop_at(tmp_path / "workspace", url)


@pytest.fixture
def big_shop(tmp_path: Path, sqlite_url: str) -> Iterator[Shop]:
    yield from shop_at(tmp_path / "workspace", sqlite_url)


def spread(shop: Shop, count: int) -> None:
    """People at every step and in every phase of the first version."""
    shop.enter(shop.people(count))
    shop.walk(START + 2 * DAY)  # they stand before `gone`
    shop.enter(shop.people(count))
    shop.walk(START + 3 * DAY - MINUTE + 2 * 60 * MINUTE)  # these wait for a reply
    shop.enter(shop.people(count))  # and these are before `hello`


@pytest.mark.slow
def test_five_thousand_under_way(big_shop: Shop) -> None:
    shop = big_shop
    spread(shop, 1_700)
    there = {("hello", "step"): 1_700, ("ask", "reply"): 1_700, ("last", "step"): 1_700}
    assert shop.steps() == there
    before = shop.table()

    shop.edit(SECOND)
    shop.walk(shop.now)
    assert shop.table() == before  # nobody is touched by an edit

    assert shop.migrate() == 5_100
    assert shop.migrate() == 0
    current = digest(shop.heart.sops.current["nf"].sop)
    assert {row[0] for row in shop.rows("SELECT DISTINCT digest FROM enrollment")} == {current}
    assert shop.steps() == {
        ("hello", "step"): 1_700, ("more", "step"): 1_700, ("last", "step"): 1_700,
    }  # fmt: skip

    assert shop.undo() == Undone(5_100, 5_100, 0, 0)
    assert shop.table() == before

    shop.migrate()
    shop.walk(shop.now + 30 * DAY)
    assert {row[0] for row in shop.rows("SELECT DISTINCT state FROM enrollment")} == {"done"}
    assert shop.repeated() == []


def test_the_plan_is_what_is_done_and_touches_nothing(shop: Shop) -> None:
    spread(shop, 3)
    before = shop.table()
    shop.edit(SECOND)
    sop = shop.heart.sops.current["nf"].sop
    with shop.store.read() as connection:
        shifts = plan(connection, sop, facts=shop.facts, now=shop.now)
    assert shop.table() == before
    planned = {s.enrolled.walk.id: s.moved.walk for s in shifts}
    shop.migrate()
    done = {
        e.walk.id: e.walk
        for e in shop.store.write(lambda tx: rows.active(tx, list(planned))).values()
    }
    assert done == planned
    assert shop.rows("SELECT DISTINCT priority FROM enrollment") == [(5,)]


def test_undo_relocates_who_went_on_and_leaves_who_is_through(shop: Shop) -> None:
    spread(shop, 2)
    shop.edit(SECOND)
    shop.migrate()
    shop.walk(shop.now + 2 * 60 * MINUTE)  # those before `hello` have done it
    assert ("ask", "step") in shop.steps()
    shop.enter(shop.people(1))
    assert shop.undo() == Undone(6, 4, 2, 0)
    shop.edit(FIRST)
    old = shop.heart.sops.current["nf"].digest
    found = dict(shop.rows("SELECT digest, COUNT(*) FROM enrollment GROUP BY digest"))
    assert found.pop(old) == 6
    assert list(found.values()) == [1]  # who entered the new version stays in it
    shop.walk(shop.now + 30 * DAY)
    assert {row[0] for row in shop.rows("SELECT DISTINCT state FROM enrollment")} == {"done"}
    assert shop.repeated() == []


def test_undo_leaves_who_ended_meanwhile(shop: Shop) -> None:
    spread(shop, 1)
    shop.edit(SECOND)
    shop.migrate()
    shop.walk(shop.now + 30 * DAY)
    assert shop.undo() == Undone(3, 0, 0, 3)
    assert shop.steps() == {}


def test_who_has_nothing_left_ends_and_undo_lets_them_go_on(shop: Shop) -> None:
    spread(shop, 1)
    before = shop.table()
    shop.edit(SHORT)
    shop.migrate()
    assert shop.steps() == {("hello", "step"): 1}
    ended = shop.rows("SELECT subject_id, reason FROM enrollment WHERE state = 'done'")
    assert [reason for _, reason in ended] == [OVER, OVER]
    shop.enter([ended[0][0]])  # came again meanwhile: the old walk stays ended
    assert shop.undo() == Undone(3, 2, 0, 1)
    kept = [row for row in shop.table() if row[0] in {row[0] for row in before}]
    assert len([pair for pair in zip(before, kept, strict=True) if pair[0] == pair[1]]) == 2


def test_a_step_put_off_has_not_moved(shop: Shop) -> None:
    spread(shop, 1)
    shop.edit(SECOND)
    shop.migrate()
    ids = [row[0] for row in shop.rows("SELECT id FROM enrollment")]

    def put_off(tx: Tx) -> None:
        walks = [enrolled.walk for enrolled in rows.active(tx, ids).values()]
        rows.stand(tx, [replace(walk, waiting="人工接管", due_at=shop.now + DAY) for walk in walks])

    shop.store.write(put_off)
    assert shop.undo() == Undone(3, 3, 0, 0)


def test_birthdays_are_known_to_a_new_version(shop: Shop) -> None:
    (who,) = shop.people(1)
    shop.enter([who])
    shop.store.write(
        lambda tx: insert_rows(
            tx.connection,
            Attribute,
            ("subject_id", "key", "value", "source", "at"),
            [(who, "生日", "5月4日", "", START)],
        )
    )
    shop.edit("sops: [{id: nf, steps: [{id: hello, birthday: 生日, at: '10:00', do: [{say: a}]}]}]")
    shop.migrate()
    assert shop.rows("SELECT due_at FROM enrollment") == [(at("2026-05-04 10:00"),)]


def test_every_move_leaves_a_trace(shop: Shop) -> None:
    spread(shop, 1)
    shop.edit(SECOND)
    shop.migrate()
    assert shop.rows("SELECT because FROM trace WHERE outcome = 'done' ORDER BY id") == [
        ("SOP 新友 换版本：留在 last，时间不变",),
        ("SOP 新友 换版本：ask 不再等回复，接着走 more",),
        ("SOP 新友 换版本：留在 hello，时间按新版本重新算",),
    ]


def test_progress_counts_versions_steps_and_states(shop: Shop) -> None:
    spread(shop, 2)
    old = shop.heart.sops.current["nf"].digest
    shop.edit(SECOND)
    new = shop.heart.sops.current["nf"].digest
    shop.enter(shop.people(1))
    ended = shop.rows("SELECT MIN(id) FROM enrollment")[0][0]
    shop.store.write(lambda tx: rows.end(tx, [(ended, State.GOAL, "成了")], now=shop.now))
    with shop.store.read() as connection:
        found = progress(connection)["nf"]
        where = standing(connection, "nf")
        kept = versions(connection, "nf")
    assert (found.active, found.states[State.GOAL], found.older(new)) == (6, 1, 5)
    assert where[new] == {"new": {Phase.STEP: 1}}
    assert where[old]["ask"] == {Phase.REPLY: 2}
    assert list(kept) == [old, new]


def test_pausing_stands_still_and_says_what_is_overdue(shop: Shop) -> None:
    shop.enter(shop.people(2))
    assert shop.store.write(lambda tx: pause_sop(tx, "nf", now=shop.now))
    assert not shop.store.write(lambda tx: pause_sop(tx, "nf", now=shop.now))
    shop.walk(START + DAY)
    assert shop.steps() == {("hello", "step"): 2}
    with shop.store.read() as connection:
        assert progress(connection)["nf"].paused_since == START
    assert shop.store.write(lambda tx: overdue(tx, "nf", now=shop.now)) == 2
    assert shop.store.write(lambda tx: resume_sop(tx, "nf"))
    assert not shop.store.write(lambda tx: resume_sop(tx, "nf"))
    shop.walk(shop.now)
    assert shop.rows("SELECT COUNT(*) FROM steprun WHERE outcome = 'done'") == [(2,)]
