"""A condition's one meaning: an SQL expression over contacts.

The same expression answers "who is in this audience" and "do these contacts pass", so the two can
never disagree (DESIGN §2).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import assert_never

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, or_, select
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
from storage.sql import table_of
from storage.tables import Attribute, Contact, Event, Member, Tag, Tagging

CONTACT = table_of(Contact)
_EVENT = table_of(Event)
_TAG = table_of(Tag)
_TAGGING = table_of(Tagging)
_MEMBER = table_of(Member)
_ATTRIBUTE = table_of(Attribute)


def compiled(condition: Condition, *, now: int) -> ColumnElement[bool]:
    """The expression over `contact` that is true for the contacts the condition holds for."""
    match condition:
        case HasTag():
            return _tagged(CONTACT.c.id, many(condition.tag), now)
        case InStage():
            return CONTACT.c.stage.in_(many(condition.stage))
        case Not():
            return not_(compiled(condition.not_, now=now))
        case All():
            return and_(*(compiled(inner, now=now) for inner in condition.all))
        case Any_():
            return or_(*(compiled(inner, now=now) for inner in condition.any))
        case LastMessage():
            return _ago(CONTACT.c.last_message_at, condition.last_message, now)
        case Counted():
            return _counted(condition.count, now)
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


def passing(
    connection: Connection, condition: Condition, contacts: Collection[int], *, now: int
) -> set[int]:
    """Which of `contacts` the condition holds for."""
    if not contacts:
        return set()
    query = select(CONTACT.c.id).where(CONTACT.c.id.in_(contacts), compiled(condition, now=now))
    return set(connection.execute(query).scalars())


def _tagged(subject: ColumnElement[int], names: tuple[str, ...], now: int) -> ColumnElement[bool]:
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


def _ago(at: ColumnElement[int], ago: Ago, now: int) -> ColumnElement[bool]:
    if ago.within is not None:
        return at > now - ago.within
    return or_(at.is_(None), at <= now - (ago.before or 0))


def _counted(count: Count, now: int) -> ColumnElement[bool]:
    happened = [
        _EVENT.c.contact_id == CONTACT.c.id,
        _EVENT.c.kind == count.of.value,
        _EVENT.c.from_self.is_(False),
    ]
    if count.within is not None:
        happened.append(_EVENT.c.at > now - count.within)

    def more_than(number: int) -> ColumnElement[bool]:
        # Stops at the row that decides, where COUNT would read them all (FINDINGS §2).
        return (
            select(_EVENT.c.id).where(*happened).correlate(CONTACT).limit(1).offset(number).exists()
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
