"""Importing people and orders from a table: looked at as a whole first, done only when asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.happening import Me
from bot.heart import Heart
from bot.past import PastHeart
from bot.sheets import Row, SheetError, read_sheet
from bot.workspace import Workspace
from sop.acting import give_tag
from sop.decisions import Note
from sop.definitions import Definitions
from sop.errors import SiyuError
from sop.events import Event, EventKind, Person
from sop.importing import (
    Columns,
    Kind,
    Refused,
    columns,
    order_line,
    person,
)
from storage.apply import Changes, Value, apply
from storage.imports import (
    ORDER_ID,
    Difference,
    accounts_here,
    differences,
    identify,
    known_orders,
    whose,
)
from storage.people import upsert_contacts
from storage.staging import Order, Staging
from storage.store import Store, Tx

BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the operator asked for."""

    path: Path
    asked: Mapping[str, str]
    by: str = ""
    sheet: str = ""
    create: bool = False
    apply: bool = False


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import does, or would do; `rows` is refused + taken + already there."""

    kind: Kind
    named: Columns
    staging: Staging
    rows: int = 0
    new_people: int = 0
    tags: int = 0
    values: int = 0
    changed: int = 0  # people
    unchanged: int = 0  # people
    orders: int = 0
    order_rows: int = 0
    refunds: int = 0
    cents: int = 0
    old: int = 0  # orders that begin nothing any more
    known_orders: int = 0
    known_rows: int = 0
    applied: bool = False

    @property
    def refused(self) -> int:
        """How many rows are not taken."""
        return self.staging.refused()


class Importer:
    """One file on its way into one account."""

    def __init__(self, workspace: Workspace, store: Store, wish: Wish, *, now: int) -> None:
        self._workspace = workspace
        self._store = store
        self._wish = wish
        self._now = now
        self._staging = Staging()
        self._source = f"import:{wish.path.name}"
        self._me = self._account()

    def run(self) -> Report:
        """Read the file, compare it with what is stored, and do it if that was asked for."""
        report = self._read()
        self._identify()
        report.new_people = len(self._staging.fresh())
        if self._wish.apply:
            self._create()
        if report.kind == "contacts":
            self._people(report)
        else:
            self._orders(report)
        report.applied = self._wish.apply
        return report

    def close(self) -> None:
        """Forget the rows."""
        self._staging.close()

    def _account(self) -> Me:
        with self._store.read() as connection:
            here = accounts_here(connection, self._workspace.settings.channel.kind)
        if not here:
            raise SiyuError("还没有账号登录过，不知道导给谁。先 siyu run 登录一次，再来导入。")
        return Me(*here[0])

    # --- reading ------------------------------------------------------------------------------

    def _read(self) -> Report:
        with read_sheet(self._wish.path, sheet=self._wish.sheet) as rows:
            heading = next(rows, None)
            if heading is None or heading.trouble:
                raise SheetError(f"{self._wish.path.name} 是空的，或者第一行不是列名。")
            named = columns(_headings(heading), asked=self._wish.asked, by=self._wish.by)
            report = Report(kind=named.kind, named=named, staging=self._staging)
            for row in rows:
                report.rows += 1
                self._take(row, named)
        self._staging.all_in()
        return report

    def _take(self, row: Row, named: Columns) -> None:
        if row.trouble:
            self._staging.refuse(row.line, row.trouble)
        elif named.kind == "orders":
            zone = self._workspace.settings.zone
            one = order_line(row.cells, named, zone=zone, now=self._now)
            if isinstance(one, Refused):
                self._staging.refuse(row.line, one.because, one.order)
            else:
                self._staging.order(row.line, one)
        else:
            self._take_person(row, named)

    def _take_person(self, row: Row, named: Columns) -> None:
        one = person(row.cells, named)
        if isinstance(one, Refused):
            self._staging.refuse(row.line, one.because)
        elif why := _wrong_tags(one.tags, self._workspace.definitions):
            self._staging.refuse(row.line, why)
        else:
            self._staging.person(row.line, one)

    def _identify(self) -> None:
        wish, staging = self._wish, self._staging
        with self._store.read() as connection:
            for asked in staging.asked():
                found = identify(connection, self._me.id, asked, by=wish.by, create=wish.create)
                for fresh in (False, True):
                    some = [f for f in found if f.fresh is fresh]
                    staging.found(
                        [(f.who, f.contact, f.external, f.trouble) for f in some], fresh=fresh
                    )
        staging.all_found()

    # --- writing ------------------------------------------------------------------------------

    def _create(self) -> None:
        """The people who are not known yet; they are no friends until the gateway says so."""
        fresh = self._staging.fresh()
        for start in range(0, len(fresh), BATCH):
            some = fresh[start : start + BATCH]
            persons = [Person(external_id=e, name=n, alias=a, friend=False) for e, n, a in some]

            def create(tx: Tx, persons: list[Person] = persons) -> dict[str, int]:
                upsert_contacts(tx, self._me.id, persons, now=self._now, trust_friend=False)
                return whose(tx.connection, self._me.id, [p.external_id for p in persons])

            ids = self._store.write(create)
            self._staging.created([(id_, external) for external, id_ in ids.items()])

    def _people(self, report: Report) -> None:
        for rows in self._staging.people():
            if self._wish.apply:
                done = self._store.write(lambda tx, rows=rows: self._change(tx, rows))  # type: ignore[misc]
            else:
                with self._store.read() as connection:
                    done = differences(connection, rows, now=self._now)
            for one in done:
                report.tags += len(one.tags)
                report.values += len(one.values)
                report.changed += bool(one.tags or one.values or one.row.contact is None)
                report.unchanged += not (one.tags or one.values or one.row.contact is None)

    def _change(self, tx: Tx, rows: Any) -> list[Difference]:
        found = differences(tx.connection, rows, now=self._now)
        changes = Changes()
        for one in found:
            for change in self._changes(one):
                changes.add(change, None)
        apply(tx, self._me.id, changes, now=self._now)
        return found

    def _changes(self, one: Difference) -> Iterator[Any]:
        subject = one.row.contact
        if subject is None or not (one.tags or one.values):
            return
        definitions = self._workspace.definitions
        for tag in one.tags:
            yield give_tag(
                definitions, subject_id=subject, tag=tag, source=self._source, now=self._now
            )
        for key, value in one.values:
            yield Value(subject_id=subject, key=key, value=value, source=self._source)
        said = [f"标签「{tag}」" for tag in one.tags] + [f"{k}：{v[:40]}" for k, v in one.values]
        because = f"{self._wish.path.name} 第 {one.row.line} 行：{'，'.join(said)}"
        yield Note(subject_id=subject, what="导入", outcome="done", because=because)

    def _orders(self, report: Report) -> None:
        hearts = (Heart(self._workspace), PastHeart(self._workspace))
        for orders in self._staging.orders():
            new = self._new_orders(report, orders)
            stale = self._now - self._workspace.settings.stale
            for past in (False, True):
                some = [order for order in new if (order.at < stale) is past]
                report.old += len(some) if past else 0
                self._tell(hearts[past], some)

    def _new_orders(self, report: Report, orders: list[Order]) -> list[Order]:
        with self._store.read() as connection:
            known = known_orders(connection, self._me.id, orders)
        new = []
        for order in orders:
            before = known.get(order.key)
            if order.key not in known:
                new.append(order)
                report.orders += order.cents >= 0
                report.refunds += order.cents < 0
                report.cents += order.cents
                report.order_rows += order.lines
            elif before != order.cents:
                self._staging.refuse_order(order.key, _other_sum(before, order.cents))
            else:
                report.known_orders += 1
                report.known_rows += order.lines
        return new

    def _tell(self, heart: Heart, orders: list[Order]) -> None:
        """Let the bot hear of orders, as if a shop's system reported them."""
        for start in range(0, len(orders) if self._wish.apply else 0, BATCH):
            events = [self._event(order) for order in orders[start : start + BATCH]]
            self._store.write(
                lambda tx, events=events: heart.take(tx, self._me, events, now=self._now)  # type: ignore[misc]
            )

    def _event(self, order: Order) -> Event:
        return Event(
            kind=EventKind.REFUND if order.cents < 0 else EventKind.ORDER,
            at=order.at,
            external_id=ORDER_ID + order.key,
            contact=Person(external_id=order.external),
            data={
                "amount": order.cents,
                "item": order.item,
                "lines": order.lines,
                "source": self._source,
                "line": order.line,
            },
        )


def _headings(row: Row) -> list[str]:
    cells = [" ".join(cell.split()) for cell in row.cells]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _wrong_tags(tags: tuple[str, ...], definitions: Definitions) -> str:
    known = definitions.tag_names()
    for tag in tags:
        if tag not in known:
            return f"没有登记的标签「{tag[:40]}」，先写进 tags"
    for group, spec in definitions.tags.items():
        mine = [tag for tag in tags if tag.partition("/")[0] == group]
        if spec.one_of and len(mine) > 1:
            return f"「{group}」这一组一个人只能有一个，这里写了 {len(mine)} 个"
    return ""


def _other_sum(before: int | None, now: int) -> str:
    was = "没有金额" if before is None else f"{before / 100:.2f}"
    return f"这个订单以前导过，金额不一样（原来 {was}，现在 {now / 100:.2f}），没有改"
