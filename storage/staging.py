"""A table under way to the database: its rows wait on the disk until all of them were read.

However long a file is, only a few hundred rows are in memory. What waits here is nobody's data yet:
it is gone with the process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sop.importing import OrderLine, Person, Who

PAGE = 500
_TABLES = """
CREATE TABLE line (line INTEGER PRIMARY KEY, key TEXT NOT NULL, digest TEXT NOT NULL,
    how TEXT NOT NULL, what TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,
    at INTEGER NOT NULL, cents INTEGER NOT NULL, item TEXT NOT NULL);
CREATE TABLE person (line INTEGER PRIMARY KEY, how TEXT NOT NULL, what TEXT NOT NULL,
    name TEXT NOT NULL, alias TEXT NOT NULL, tags TEXT NOT NULL, vals TEXT NOT NULL);
CREATE TABLE refused (line INTEGER PRIMARY KEY, because TEXT NOT NULL, key TEXT NOT NULL);
CREATE TABLE who (how TEXT NOT NULL, what TEXT NOT NULL, contact INTEGER, external TEXT NOT NULL
    DEFAULT '', trouble TEXT NOT NULL DEFAULT '', fresh INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL DEFAULT '', alias TEXT NOT NULL DEFAULT '', PRIMARY KEY (how, what));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All lines of one order together; `external` is whose it is."""

    key: str
    line: int
    lines: int
    at: int
    cents: int
    item: str
    external: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """A row about a person who is known (or new: then `contact` is None)."""

    line: int
    contact: int | None
    tags: tuple[str, ...]
    values: tuple[tuple[str, str], ...]


class Staging:
    """The rows of one file."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")
        self._db.execute("BEGIN")
        self._rows: dict[str, list[tuple[Any, ...]]] = {}

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    # --- taking rows in -----------------------------------------------------------------------

    def refuse(self, line: int, because: str, order: str = "") -> None:
        """A row that is not taken; `order` spoils the other lines of that order."""
        self._put("INSERT OR IGNORE INTO refused VALUES (?, ?, ?)", (line, because, order))

    def order(self, line: int, one: OrderLine) -> None:
        """A row about an order."""
        who = one.who
        row = (line, one.order, one.digest if not one.order else "", who.how, who.what, one.name,
               one.alias, one.at, one.cents, one.item)  # fmt: skip
        self._put("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def person(self, line: int, one: Person) -> None:
        """A row about a person."""
        row = (line, one.who.how, one.who.what, one.name, one.alias,
               json.dumps(one.tags), json.dumps(one.values))  # fmt: skip
        self._put("INSERT INTO person VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _put(self, sql: str, row: tuple[Any, ...]) -> None:
        rows = self._rows.setdefault(sql, [])
        rows.append(row)
        if len(rows) >= PAGE:
            self._flush()

    def _flush(self) -> None:
        for sql, rows in self._rows.items():
            self._db.executemany(sql, rows)
            rows.clear()

    def all_in(self) -> None:
        """Every row was read: find what belongs together, and who is asked for."""
        self._flush()
        self._db.execute("CREATE INDEX line_key ON line (key)")
        if self._one("SELECT EXISTS (SELECT 1 FROM line WHERE key = '')"):
            self._db.execute("CREATE INDEX line_digest ON line (digest, line)")
            self._number()
        for table in ("line", "person"):
            self._db.execute(
                "INSERT OR IGNORE INTO who (how, what, name, alias)"  # noqa: S608
                f" SELECT how, what, name, alias FROM {table} ORDER BY line"
            )
        self._db.execute("CREATE INDEX refused_key ON refused (key) WHERE key <> ''")
        self._refuse_lines(
            "SELECT line.line, '同一个订单的第 ' || MIN(r.line) || ' 行有问题，整单不导', ''"
            " FROM line"
            " JOIN refused r ON r.key = line.key AND r.key <> '' GROUP BY line.line"
        )

    def _number(self) -> None:
        """Lines without an order's number are orders of their own, twins told apart by a count."""
        self._db.execute(
            "CREATE TEMP TABLE numbered AS SELECT line AS l, digest || ':' || ROW_NUMBER() OVER"
            " (PARTITION BY digest ORDER BY line) AS k FROM line WHERE key = ''"
        )
        self._db.execute("CREATE INDEX temp.numbered_l ON numbered (l)")
        self._db.execute(
            "UPDATE line SET key = 'row:' || (SELECT k FROM numbered WHERE l = line) WHERE key = ''"
        )

    # --- who is meant -------------------------------------------------------------------------

    def asked(self) -> Iterator[list[Who]]:
        """Everybody the rows ask for, a page at a time, each page in one way."""
        for (how,) in self._db.execute("SELECT DISTINCT how FROM who").fetchall():
            last = ""
            while page := self._db.execute(
                "SELECT what FROM who WHERE how = ? AND what > ? ORDER BY what LIMIT ?",
                (how, last, PAGE),
            ).fetchall():
                last = page[-1][0]
                yield [Who(how, what) for (what,) in page]

    def found(self, answers: Sequence[tuple[Who, int | None, str, str]], *, fresh: bool) -> None:
        """Who they are: (who, contact, gateway id, trouble); `fresh`: to be created."""
        self._db.executemany(
            "UPDATE who SET contact = ?, external = ?, trouble = ?, fresh = ?"
            " WHERE how = ? AND what = ?",
            [(id_, ext, why, fresh, who.how, who.what) for who, id_, ext, why in answers],
        )

    def all_found(self) -> None:
        """Refuse the rows of who is not known, and what contradicts itself."""
        for table in ("line", "person"):
            self._refuse_lines(
                f"SELECT t.line, w.trouble, '' FROM {table} t JOIN who w USING (how, what)"  # noqa: S608
                " WHERE w.trouble <> ''"
            )
        self._refuse_lines(
            "SELECT line, '同一个订单号有不同的人', '' FROM line WHERE key IN (SELECT key FROM line"
            " JOIN who USING (how, what) GROUP BY key HAVING COUNT(DISTINCT external) > 1)"
        )
        self._refuse_lines(
            "SELECT p.line, '和第 ' || f.first || ' 行是同一个人', '' FROM person p"
            " JOIN who w USING (how, what) JOIN (SELECT external, MIN(line) AS first FROM person"
            " JOIN who USING (how, what) WHERE trouble = '' GROUP BY external) f"
            " ON f.external = w.external WHERE p.line > f.first AND w.trouble = ''"
        )

    def fresh(self) -> list[tuple[str, str, str]]:
        """Who is to be created: (gateway id, name, remark)."""
        return list(
            self._db.execute(
                "SELECT external, name, alias FROM who WHERE fresh AND (how, what) IN"
                " (SELECT how, what FROM line WHERE line NOT IN (SELECT line FROM refused)"
                " UNION SELECT how, what FROM person WHERE line NOT IN (SELECT line FROM refused))"
                " ORDER BY external"
            )
        )

    def created(self, ids: Sequence[tuple[int, str]]) -> None:
        """They are there now: (contact, gateway id) each."""
        self._db.executemany("UPDATE who SET contact = ?, fresh = 0 WHERE external = ?", ids)

    # --- what there is to do ------------------------------------------------------------------

    def orders(self) -> Iterator[list[Order]]:
        """The orders in the order of time, a page at a time."""
        self._db.execute("DROP TABLE IF EXISTS temp.whole")
        self._db.execute(
            "CREATE TEMP TABLE whole AS SELECT ROW_NUMBER() OVER (ORDER BY MIN(at), MIN(line))"
            " AS n, key, MIN(line) AS line, COUNT(*) AS lines, MIN(at) AS at, SUM(cents) AS cents,"
            " MAX(item) AS item, MAX(external) AS external FROM line JOIN who USING (how, what)"
            " WHERE line NOT IN (SELECT line FROM refused) GROUP BY key"
        )
        last = 0
        while page := self._db.execute(
            "SELECT * FROM temp.whole WHERE n > ? ORDER BY n LIMIT ?", (last, PAGE)
        ).fetchall():
            last = page[-1][0]
            names = ("key", "line", "lines", "at", "cents", "item", "external")
            yield [Order(**dict(zip(names, row[1:], strict=True))) for row in page]

    def refuse_order(self, key: str, because: str) -> None:
        """Refuse all lines of an order."""
        self._db.execute(
            "INSERT OR IGNORE INTO refused SELECT line, ?, '' FROM line WHERE key = ?",
            (because, key),
        )

    def people(self) -> Iterator[list[PersonRow]]:
        """The rows about people, a page at a time."""
        last = 0
        while page := self._db.execute(
            "SELECT p.line, w.contact, p.tags, p.vals FROM person p JOIN who w USING (how, what)"
            " WHERE p.line > ? AND p.line NOT IN (SELECT line FROM refused)"
            " ORDER BY p.line LIMIT ?",
            (last, PAGE),
        ).fetchall():
            last = page[-1][0]
            yield [
                PersonRow(line=line, contact=contact, tags=tuple(json.loads(tags)),
                          values=tuple((k, v) for k, v in json.loads(values)))
                for line, contact, tags, values in page
            ]  # fmt: skip

    def refusals(self) -> Iterator[tuple[int, str]]:
        """Every refused row with its reason, in the order of the file."""
        self._flush()
        yield from self._db.execute("SELECT line, because FROM refused ORDER BY line")

    def refused(self) -> int:
        """How many rows are refused."""
        self._flush()
        return int(self._one("SELECT COUNT(*) FROM refused"))

    def _refuse_lines(self, select: str) -> None:
        self._db.execute(f"INSERT OR IGNORE INTO refused {select}")

    def _one(self, sql: str) -> Any:
        return self._db.execute(sql).fetchone()[0]
