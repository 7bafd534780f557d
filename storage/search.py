"""Finding a contact or a group by what an operator typed: never a guess between two."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from sop.errors import Ambiguous, NotFound
from storage.sql import fetch

SHOWN = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A contact or group that fits what was typed."""

    id: int
    name: str
    alias: str
    external_id: str
    is_group: bool
    account_id: int

    @property
    def label(self) -> str:
        """How a list shows it: `小雨（备注 王小雨）#12`."""
        alias = f"（备注 {self.alias}）" if self.alias else ""
        return f"{'群 ' if self.is_group else ''}{self.name or self.external_id}{alias} #{self.id}"


def find(
    connection: Connection, typed: str, *, groups: bool = True, account: int | None = None
) -> Found:
    """The one contact (or group) that `typed` names, of one `account` or of all.

    `#12` is an id. A full name, remark or gateway id wins over a part of a name. Raises `NotFound`,
    or `Ambiguous` with the choices when several fit.
    """
    typed = typed.strip()
    for wanted in (_by_id, _exact, _partial):
        hits = [
            hit
            for hit in wanted(connection, typed)
            if (groups or not hit.is_group) and account in (None, hit.account_id)
        ]
        if len(hits) == 1:
            return hits[0]
        if hits:
            shown = "\n".join(f"  {hit.label}" for hit in hits[:SHOWN])
            more = f"\n  ……共 {len(hits)} 个" if len(hits) > SHOWN else ""
            raise Ambiguous(
                f"叫「{typed}」的有好几个，请用 # 后面的编号说明是哪一个：\n{shown}{more}",
                choices=hits,
            )
    raise NotFound(f"没有找到「{typed}」")


_COLUMNS = """
    SELECT id, name, alias, external_id, 0, account_id FROM contact WHERE {where}
    UNION ALL SELECT id, name, '', external_id, 1, account_id FROM room WHERE {room}
    ORDER BY 1 LIMIT 50
"""


def _rows(connection: Connection, where: str, room: str, *params: object) -> list[Found]:
    sql = _COLUMNS.format(where=where, room=room)
    return [
        Found(r[0], r[1], r[2], r[3], bool(r[4]), r[5]) for r in fetch(connection, sql, *params)
    ]


def _by_id(connection: Connection, typed: str) -> list[Found]:
    number = typed.removeprefix("#")
    if not typed.startswith("#") or not number.isdecimal() or len(number) > 18:
        return []
    return _rows(connection, "id = ?", "id = ?", int(number), int(number))


def _exact(connection: Connection, typed: str) -> list[Found]:
    where, room = "name = ? OR alias = ? OR external_id = ?", "name = ? OR external_id = ?"
    return _rows(connection, where, room, typed, typed, typed, typed, typed)


def _partial(connection: Connection, typed: str) -> list[Found]:
    if not typed:
        return []
    escaped = typed.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    like = f"%{escaped.lower()}%"
    return _rows(
        connection,
        "LOWER(name) LIKE ? ESCAPE '\\' OR LOWER(alias) LIKE ? ESCAPE '\\'",
        "LOWER(name) LIKE ? ESCAPE '\\'",
        like,
        like,
        like,
    )
