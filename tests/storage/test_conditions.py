"""A condition's SQL against an oracle that loops over plain data and knows no SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sqlalchemy import text

from sop.conditions import Condition
from sop.definitions import STAGES
from storage.conditions import passing
from storage.sql import insert_rows
from storage.store import Store, Tx
from storage.tables import Attribute, Contact, Event, Group, Member, Tag, Tagging
from tests.support import DAY

NOW = 1_000 * DAY
CONDITION: TypeAdapter[Any] = TypeAdapter(Condition)
TAGS = ["宝妈", "意向/低", "意向/高", "意向二/高", "100%/_", "100%"]
ASKED = [*TAGS, "意向", "没有人有"]
KINDS = ["message", "friend_added", "order"]
SPANS = {"1h": DAY // 24, "1d": DAY, "7d": 7 * DAY}


@dataclass
class Someone:
    """A contact as plain data."""

    friend: bool | None
    stage: str
    last: int | None
    tags: list[tuple[str, int | None]]  # with when they expire
    attributes: dict[str, str]
    events: list[tuple[str, int, bool]]  # kind, when, whether from ourselves
    groups: dict[str, bool] = field(default_factory=dict)  # by tag; whether still in it


TIMES = st.sampled_from(
    [NOW - ago for ago in (0, 1, DAY // 24 - 1, DAY // 24, DAY // 24 + 1, DAY, 7 * DAY, 8 * DAY)]
)
EXPIRY = st.one_of(st.none(), st.sampled_from([NOW - 1, NOW, NOW + 1]))
PERSON = st.builds(
    Someone,
    friend=st.sampled_from([True, False, None]),
    stage=st.sampled_from(STAGES),
    last=st.one_of(st.none(), TIMES),
    tags=st.lists(st.tuples(st.sampled_from(TAGS), EXPIRY), max_size=3, unique_by=lambda t: t[0]),
    attributes=st.dictionaries(
        st.sampled_from(["城市", "孩子"]), st.sampled_from(["杭州", "2", ""]), max_size=2
    ),
    events=st.lists(st.tuples(st.sampled_from(KINDS), TIMES, st.booleans()), max_size=4),
    groups=st.dictionaries(st.sampled_from(TAGS), st.booleans(), max_size=2),
)
NAMES = st.one_of(st.sampled_from(ASKED), st.lists(st.sampled_from(ASKED), min_size=1, max_size=2))
COUNT = st.fixed_dictionaries(
    {"of": st.sampled_from(KINDS)},
    optional={
        "within": st.sampled_from(list(SPANS)),
        "at_most": st.integers(0, 3),
        "at_least": st.integers(1, 3),
    },
).filter(lambda count: "at_most" in count or "at_least" in count)
LEAF = st.one_of(
    NAMES.map(lambda names: {"tag": names}),
    st.sampled_from(STAGES).map(lambda stage: {"stage": stage}),
    st.lists(st.sampled_from(STAGES), min_size=1, max_size=3).map(lambda s: {"stage": s}),
    st.tuples(st.sampled_from(["within", "before"]), st.sampled_from(list(SPANS))).map(
        lambda pair: {"last_message": dict([pair])}
    ),
    COUNT.map(lambda count: {"count": count}),
    st.dictionaries(
        st.sampled_from(["城市", "孩子"]),
        st.one_of(st.sampled_from(["杭州", 2, ""]), st.just(["杭州", 2])),
        min_size=1,
    ).map(lambda wanted: {"attribute": wanted}),
    st.booleans().map(lambda friend: {"friend": friend}),
    NAMES.map(lambda names: {"in_group": names}),
)
WRITTEN = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        inner.map(lambda c: {"not": c}),
        st.lists(inner, min_size=1, max_size=3).map(lambda c: {"all": c}),
        st.lists(inner, min_size=1, max_size=3).map(lambda c: {"any": c}),
    ),
    max_leaves=5,
)


# --- the oracle ----------------------------------------------------------------------------------


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def names_tag(wanted: Any, tag: str) -> bool:
    """Whether one of the names is the tag, or the group of the tag."""
    return any(name in (tag, tag.split("/")[0]) for name in many(wanted))


def holds(who: Someone, condition: dict[str, Any]) -> bool:
    ((key, value),) = condition.items()
    match key:
        case "tag":
            return any(names_tag(value, tag) for tag, end in who.tags if end is None or end > NOW)
        case "stage":
            return who.stage in many(value)
        case "not":
            return not holds(who, value)
        case "all":
            return all(holds(who, inner) for inner in value)
        case "any":
            return any(holds(who, inner) for inner in value)
        case "last_message":
            ((how, span),) = value.items()
            recent = who.last is not None and who.last > NOW - SPANS[span]
            return recent if how == "within" else not recent
        case "count":
            found = sum(
                kind == value["of"]
                and not own
                and ("within" not in value or time > NOW - SPANS[value["within"]])
                for kind, time, own in who.events
            )
            return bool(value.get("at_least", 0) <= found <= value.get("at_most", found))
        case "attribute":
            return all(
                who.attributes.get(name) in [str(one) for one in many(wanted)]
                for name, wanted in value.items()
            )
        case "friend":
            return (who.friend is True) is value
        case "in_group":
            return any(names_tag(value, tag) for tag, there in who.groups.items() if there)
    raise AssertionError(key)


# --- the same people in a database ---------------------------------------------------------------

TAG_IDS = {name: 10_900 + n for n, name in enumerate(TAGS)}
ROOM_IDS = {name: 10_800 + n for n, name in enumerate(TAGS)}
CONTACT_COLUMNS = (
    "id", "account_id", "external_id", "name", "alias", "friend", "stage", "first_seen_at",
    "last_message_at",
)  # fmt: skip
ROOM_COLUMNS = (
    "id", "account_id", "external_id", "name", "kind", "owner_external_id", "gone", "first_seen_at",
)  # fmt: skip
EVENT_COLUMNS = (
    "id", "account_id", "kind", "at", "recorded_at", "contact_id", "type", "text", "from_self",
)  # fmt: skip


def store_people(people: list[Someone], tx: Tx) -> None:
    put = partial(insert_rows, tx.connection)
    for table in ("contact", "tag", "tagging", "attribute", "event", "room", "member"):
        tx.connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
    put(Tag, ("id", "name"), [(id_, name) for name, id_ in TAG_IDS.items()])
    rooms = [(id_, 1, name, name, "", "", False, 0) for name, id_ in ROOM_IDS.items()]
    put(Group, ROOM_COLUMNS, rooms)
    everyone = list(enumerate(people, 1))
    put(
        Contact,
        CONTACT_COLUMNS,
        [(n, 1, str(n), "", "", who.friend, who.stage, 0, who.last) for n, who in everyone],
    )
    tagged = [(ROOM_IDS[name], TAG_IDS[name], "", 0, None) for name in TAGS]
    tagged += [(n, TAG_IDS[name], "", 0, end) for n, who in everyone for name, end in who.tags]
    put(Tagging, ("subject_id", "tag_id", "source", "at", "expires_at"), tagged)
    attributes = [(n, k, v, "", 0) for n, who in everyone for k, v in who.attributes.items()]
    put(Attribute, ("subject_id", "key", "value", "source", "at"), attributes)
    members = [
        (ROOM_IDS[name], n, None if there else 5, 0)
        for n, who in everyone
        for name, there in who.groups.items()
    ]
    put(Member, ("group_id", "contact_id", "left_at", "messages"), members)
    events = [(n, *event) for n, who in everyone for event in who.events]
    put(
        Event,
        EVENT_COLUMNS,
        [
            (20_000 + i, 1, kind, at, 0, n, "", "", own)
            for i, (n, kind, at, own) in enumerate(events)
        ],
    )


@pytest.fixture
def opened(url: str) -> Iterator[Store]:
    """An open database of each kind."""
    store = Store(url)
    yield store
    store.close()


def ask(condition: Any, ids: list[int], tx: Tx) -> set[int]:
    return passing(tx.connection, condition, ids, now=NOW)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    people=st.lists(PERSON, min_size=1, max_size=4),
    conditions=st.lists(WRITTEN, min_size=4, max_size=8),
)
def test_a_condition_means_what_it_says(
    opened: Store, people: list[Someone], conditions: list[dict[str, Any]]
) -> None:
    opened.write(partial(store_people, people))
    ids = list(range(1, len(people) + 1))
    for written in conditions:
        found = opened.write(partial(ask, CONDITION.validate_python(written), ids))
        assert found == {n for n in ids if holds(people[n - 1], written)}, written


def test_who_never_wrote_has_not_written_lately(opened: Store) -> None:
    silent = Someone(None, STAGES[0], None, [], {}, [])
    opened.write(partial(store_people, [silent]))
    condition = CONDITION.validate_python({"not": {"last_message": {"within": "7d"}}})
    assert opened.write(partial(ask, condition, [1])) == {1}


def test_nobody_asked_for_is_nobody_found(opened: Store) -> None:
    condition = CONDITION.validate_python({"friend": False})
    assert opened.write(partial(ask, condition, [])) == set()


def test_thousands_can_be_asked_for_at_once(opened: Store) -> None:
    people = [Someone(None, STAGES[0], None, [], {}, []) for _ in range(3_000)]
    opened.write(partial(store_people, people))
    condition = CONDITION.validate_python({"not": {"tag": "宝妈"}})
    ids = list(range(1, 3_001))
    assert opened.write(partial(ask, condition, ids)) == set(ids)
