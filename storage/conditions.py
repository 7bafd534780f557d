"""A condition's one meaning: an SQL expression over contacts.

The same expression answers "who is in this audience" and "do these contacts pass", so the two can
never disagree (DESIGN §2).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    exists,
    not_,
    or_,
    select,
)
from sqlalchemy import false as never

from sop.conditions import (
    Ago,
    All,
    Any_,
    Condition,
    Count,
    Counted,
    HasAttribute,
    HasTag,
    InGroup,
    InStage,
    IsFriend,
    LastMessage,
    Not,
    many,
)
from storage.sql import dialect_of, fetch, table_of
from storage.tables import Attribute, Contact, Event, Group, Member, Tag, Tagging

CONTACT = table_of(Contact)
ROOM = table_of(Group)
ARMS = 60  # SQLite takes 500 terms of a compound SELECT; more only makes longer statements
IDS = 400  # ids an arm asks about
CLAUSES = 2_000
Moment = int | ColumnElement[int]
_NOW = object()
_CLAUSES: dict[tuple[int, str, str], tuple[Condition, Clause]] = {}  # holds each condition's id
_EVENT = table_of(Event)
_TAG = table_of(Tag)
_TAGGING = table_of(Tagging)
_MEMBER = table_of(Member)
_ATTRIBUTE = table_of(Attribute)


def compiled(condition: Condition, *, now: Moment, subject: Table = CONTACT) -> ColumnElement[bool]:
    """The expression that is true for the contacts the condition holds for.

    Over `ROOM` it is about groups; the loader lets only conditions that have a meaning there pass.
    """
    match condition:
        case HasTag():
            return _tagged(subject.c.id, many(condition.tag), now)
        case InStage():
            return CONTACT.c.stage.in_(many(condition.stage))
        case Not():
            return not_(compiled(condition.not_, now=now, subject=subject))
        case All():
            return and_(*(compiled(inner, now=now, subject=subject) for inner in condition.all))
        case Any_():
            return or_(*(compiled(inner, now=now, subject=subject) for inner in condition.any))
        case LastMessage():
            return _ago(CONTACT.c.last_message_at, condition.last_message, now)
        case Counted():
            return _counted(condition.count, now, subject)
        case HasAttribute():
            return and_(*(_has_attribute(k, v) for k, v in condition.attribute.items()))
        case IsFriend():
            return CONTACT.c.friend.is_(True) if condition.friend else CONTACT.c.friend.is_not(True)
        case InGroup():
            return exists().where(
                _MEMBER.c.contact_id == CONTACT.c.id,
                _MEMBER.c.left_at.is_(None),
                _tagged(_MEMBER.c.group_id, many(condition.in_group), now),
            )
        case _:
            assert_never(condition)


def answers(
    connection: Connection,
    asked: Sequence[tuple[Condition, Collection[int]]],
    *,
    now: int,
    groups: bool = False,
) -> list[set[int]]:
    """For each condition, which of its contacts (or groups) it holds for; one statement for all."""
    out: list[set[int]] = [set() for _ in asked]
    subject = ROOM if groups else CONTACT
    arms: list[tuple[str, list[Any]]] = []
    for n, (condition, ids) in enumerate(asked):
        known = list(ids)
        for start in range(0, len(known), IDS):
            some = known[start : start + IDS]
            clause = clause_of(connection, condition, subject=subject)
            marks = ", ".join("?" for _ in some)
            sql = f"SELECT {n}, id FROM {subject.name} WHERE id IN ({marks}) AND {clause.sql}"  # noqa: S608
            arms.append((sql, [*some, *clause.params(now)]))
    for start in range(0, len(arms), ARMS):
        page = arms[start : start + ARMS]
        params = [value for _, values in page for value in values]
        for n, id_ in fetch(connection, " UNION ALL ".join(sql for sql, _ in page), *params):
            out[n].add(id_)
    return out


def passing(
    connection: Connection, condition: Condition, contacts: Collection[int], *, now: int
) -> set[int]:
    """Which of `contacts` the condition holds for."""
    return answers(connection, [(condition, contacts)], now=now)[0]


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition as `?` text for a WHERE, made once; only the time in it changes."""

    sql: str
    _params: tuple[Any, ...]

    def params(self, now: int) -> list[Any]:
        """The values of its `?`, at `now`."""
        return [now if value is _NOW else value for value in self._params]


def clause_of(connection: Connection, condition: Condition, *, subject: Table = CONTACT) -> Clause:
    """The text of `compiled`: making it anew for each question took most of the engine's time."""
    key = (id(condition), subject.name, dialect_of(connection))
    if key not in _CLAUSES:
        if len(_CLAUSES) >= CLAUSES:
            _CLAUSES.clear()
        _CLAUSES[key] = (condition, _clause(connection, condition, subject))
    return _CLAUSES[key][1]


def _clause(connection: Connection, condition: Condition, subject: Table) -> Clause:
    make: Any = type(connection.dialect)
    dialect = make(paramstyle="qmark")
    now = bindparam("now", _NOW, type_=BigInteger())
    # Compiled inside of a whole query, or the inner ones would not refer to its table.
    query = select(subject.c.id).where(compiled(condition, now=now, subject=subject))
    made: Any = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    _, _, where = str(made).partition("\nWHERE ")
    return Clause(f"({where})", tuple(made.params[name] for name in made.positiontup or ()))


def _tagged(
    subject: ColumnElement[int], names: tuple[str, ...], now: Moment
) -> ColumnElement[bool]:
    if not names:
        return never()
    named: list[ColumnElement[bool]] = [_TAG.c.name.in_(names)]
    # A bare group name stands for every tag of the group.
    named += [
        _TAG.c.name.startswith(f"{name}/", autoescape=True) for name in names if "/" not in name
    ]
    return exists().where(
        _TAGGING.c.subject_id == subject,
        _TAGGING.c.tag_id.in_(select(_TAG.c.id).where(or_(*named))),
        or_(_TAGGING.c.expires_at.is_(None), _TAGGING.c.expires_at > now),
    )


def _ago(at: ColumnElement[int], ago: Ago, now: Moment) -> ColumnElement[bool]:
    if ago.within is not None:
        # Without the first half, `not` would be NULL for who never wrote, and hold for nobody.
        return and_(at.is_not(None), at > now - ago.within)
    return or_(at.is_(None), at <= now - (ago.before or 0))


def _counted(count: Count, now: Moment, subject: Table) -> ColumnElement[bool]:
    about = _EVENT.c.group_id if subject is ROOM else _EVENT.c.contact_id
    happened = [
        about == subject.c.id,
        _EVENT.c.kind == count.of.value,
        _EVENT.c.from_self.is_(False),
    ]
    if count.within is not None:
        happened.append(_EVENT.c.at > now - count.within)

    def more_than(number: int) -> ColumnElement[bool]:
        # Stops at the row that decides, where COUNT would read them all (FINDINGS §2).
        return (
            select(_EVENT.c.id).where(*happened).correlate(subject).limit(1).offset(number).exists()
        )

    bounds = []
    if count.at_least is not None:
        bounds.append(more_than(count.at_least - 1))
    if count.at_most is not None:
        bounds.append(not_(more_than(count.at_most)))
    return and_(*bounds)


def _has_attribute(key: str, value: str | int | tuple[str | int, ...]) -> ColumnElement[bool]:
    values = [str(v) for v in (value if isinstance(value, tuple) else (value,))]
    return exists().where(
        _ATTRIBUTE.c.subject_id == CONTACT.c.id,
        _ATTRIBUTE.c.key == key,
        _ATTRIBUTE.c.value.in_(values),
    )
