"""A condition's one meaning: an SQL expression over contacts.

The same expression answers "who is in this audience" and "do these contacts pass", so the two can
never disagree (DESIGN §2).
"""

from __future__ import annotations

from collections import defaultdict
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
    func,
    not_,
    or_,
    select,
)
from sqlalchemy import false as never

from sop.conditions import (
    Ago,
    All,
    Amount,
    Any_,
    Condition,
    Count,
    Counted,
    FinishedSop,
    HasAttribute,
    HasInvited,
    HasPoints,
    HasStreak,
    HasTag,
    InGroup,
    InSop,
    InStage,
    IsFriend,
    LastMessage,
    MemberOf,
    Membership,
    Not,
    OneOrMany,
    Spending,
    Spent,
    many,
)
from sop.events import EventKind
from storage.sql import dialect_of, fetch_in, table_of
from storage.tables import Attribute, Contact, Enrollment, Event, Group, Member, Tag, Tagging
from storage.tables_points import Score

CONTACT = table_of(Contact)
ROOM = table_of(Group)
CLAUSES = 2_000
Moment = int | ColumnElement[int]
_NOW = object()
_CLAUSES: dict[tuple[int, str, str], tuple[Condition, Clause]] = {}  # holds each condition's id
_EVENT = table_of(Event)
_TAG = table_of(Tag)
_TAGGING = table_of(Tagging)
_MEMBER = table_of(Member)
_ATTRIBUTE = table_of(Attribute)
_SCORE = table_of(Score)
_WALK = table_of(Enrollment)
PAID = (EventKind.ORDER.value, EventKind.REFUND.value)
CENTS = 100


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
        case HasPoints() | HasStreak() | HasInvited():
            return _scored(condition, now)
        case MemberOf():
            return _member_of(condition.member_of, now)
        case InSop():
            return _walks(subject, condition.in_sop, ("active",))
        case FinishedSop():
            return _walks(subject, condition.finished_sop, ("done", "goal"))
        case Spent():
            return _spent(condition.spent, now)
        case _:
            assert_never(condition)


def _scored(condition: HasPoints | HasStreak | HasInvited, now: Moment) -> ColumnElement[bool]:
    match condition:
        case HasPoints():
            return _amount(condition.points, _SCORE.c.balance)
        case HasStreak():
            return _amount(condition.streak, _SCORE.c.streak, _SCORE.c.streak_until > now)
        case HasInvited():
            return _amount(condition.invited, _SCORE.c.invited)


def answers(
    connection: Connection,
    asked: Sequence[tuple[Condition, Collection[int]]],
    *,
    now: int,
    groups: bool = False,
) -> list[set[int]]:
    """For each condition, which of its contacts (or groups) it holds for.

    One statement for all who are asked about the same condition; its text stays prepared.
    """
    subject = ROOM if groups else CONTACT
    everybody: dict[int, set[int]] = defaultdict(set)
    conditions = {id(condition): condition for condition, _ in asked}
    for condition, ids in asked:
        everybody[id(condition)].update(ids)
    holding: dict[int, set[int]] = {}
    for key, condition in conditions.items():
        clause = clause_of(connection, condition, subject=subject)
        sql = f"SELECT id FROM {subject.name} WHERE {clause.sql} AND id IN {{in}}"  # noqa: S608
        rows = fetch_in(connection, sql, everybody[key], *clause.params(now))
        holding[key] = {row[0] for row in rows}
    return [holding[id(condition)].intersection(ids) for condition, ids in asked]


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


def _amount(
    amount: Amount, value: ColumnElement[int], *also: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Who is on no book has 0, so each bound asks for what would break it or make it."""

    def some(holds: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(_SCORE.c.id == CONTACT.c.id, holds, *also)

    low, high = amount.at_least, amount.at_most
    bounds = []
    if low is not None:
        bounds.append(some(value >= low) if low > 0 else not_(some(value < low)))
    if high is not None:
        bounds.append(some(value <= high) if high < 0 else not_(some(value > high)))
    return and_(*bounds)


def _member_of(groups: Membership, now: Moment) -> ColumnElement[bool]:
    where = [_MEMBER.c.contact_id == CONTACT.c.id, _MEMBER.c.left_at.is_(None)]
    if groups.group_tag is not None:
        where.append(_tagged(_MEMBER.c.group_id, many(groups.group_tag), now))
    if groups.kind is not None:
        where += [ROOM.c.id == _MEMBER.c.group_id, ROOM.c.kind == groups.kind]
    if groups.joined is not None:
        where.append(_ago(_MEMBER.c.joined_at, groups.joined, now))
    return exists().where(*where)


def _walks(subject: Table, sops: OneOrMany, states: tuple[str, ...]) -> ColumnElement[bool]:
    return exists().where(
        _WALK.c.subject_id == subject.c.id, _WALK.c.sop.in_(many(sops)), _WALK.c.state.in_(states)
    )


def _spent(spending: Spending, now: Moment) -> ColumnElement[bool]:
    paid = [_EVENT.c.contact_id == CONTACT.c.id, _EVENT.c.kind.in_(PAID)]
    if spending.within is not None:
        paid.append(_EVENT.c.at > now - spending.within)
    total = (
        select(func.coalesce(func.sum(_EVENT.c.amount), 0))
        .where(*paid)
        .correlate(CONTACT)
        .scalar_subquery()
    )
    bounds = []
    if spending.at_least is not None:
        bounds.append(total >= round(spending.at_least * CENTS))
    if spending.at_most is not None:
        bounds.append(total <= round(spending.at_most * CENTS))
    return and_(*bounds)


def _has_attribute(key: str, value: str | int | tuple[str | int, ...]) -> ColumnElement[bool]:
    values = [str(v) for v in (value if isinstance(value, tuple) else (value,))]
    return exists().where(
        _ATTRIBUTE.c.subject_id == CONTACT.c.id,
        _ATTRIBUTE.c.key == key,
        _ATTRIBUTE.c.value.in_(values),
    )
