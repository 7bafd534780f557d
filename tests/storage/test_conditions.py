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
from storage.audiences import members, size
from storage.conditions import answers
from storage.sql import insert_rows
from storage.store import Store, Tx
from storage.tables import (
    Attribute,
    Contact,
    Enrollment,
    Event,
    Group,
    Member,
    Tag,
    Tagging,
)
from storage.tables_points import Score
from tests.support import DAY

NOW = 1_000 * DAY
CONDITION: TypeAdapter[Any] = TypeAdapter(Condition)
TAGS = ["宝妈", "意向/低", "意向/高", "意向二/高", "100%/_", "100%"]
ASKED = [*TAGS, "意向", "没有人有"]
KINDS = ["message", "friend_added", "order", "refund"]
SOPS = ["new-friend", "camp"]
ENDS = ["active", "done", "goal", "exited", "removed"]
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
    groups: dict[str, tuple[bool, int | None]] = field(default_factory=dict)  # by tag: there, since
    walks: dict[str, str] = field(default_factory=dict)  # state by SOP
    score: tuple[int, int, int, int] | None = None  # balance, days in a row, until when, invited


TIMES = st.sampled_from(
    [NOW - ago for ago in (0, 1, DAY // 24 - 1, DAY // 24, DAY // 24 + 1, DAY, 7 * DAY, 8 * DAY)]
)
EXPIRY = st.one_of(st.none(), st.sampled_from([NOW - 1, NOW, NOW + 1]))
SCORE = st.tuples(
    st.sampled_from([-3, 0, 1, 3]),
    st.integers(0, 3),
    st.sampled_from([NOW - 1, NOW, NOW + 1]),
    st.integers(0, 3),
)
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
    groups=st.dictionaries(
        st.sampled_from(TAGS), st.tuples(st.booleans(), st.one_of(st.none(), TIMES)), max_size=2
    ),
    walks=st.dictionaries(st.sampled_from(SOPS), st.sampled_from(ENDS), max_size=2),
    score=st.one_of(st.none(), SCORE),
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
AGO = st.tuples(st.sampled_from(["within", "before"]), st.sampled_from(list(SPANS))).map(
    lambda pair: dict([pair])
)
MEMBERSHIP = st.fixed_dictionaries(
    {}, optional={"group_tag": NAMES, "kind": st.sampled_from(["转化", "服务"]), "joined": AGO}
).filter(bool)
WALKED = st.one_of(st.sampled_from(SOPS), st.just(SOPS))
SPENDING = st.fixed_dictionaries(
    {},
    optional={
        "within": st.sampled_from(list(SPANS)),
        "at_most": st.sampled_from([0, 12.5, 30]),
        "at_least": st.sampled_from([0, 12.5, 13, 25]),
    },
).filter(lambda spending: "at_most" in spending or "at_least" in spending)
AMOUNT = st.fixed_dictionaries(
    {},
    optional={
        "at_least": st.sampled_from([-2, 0, 1, 3]),
        "at_most": st.sampled_from([-2, -1, 0, 2, 3]),
    },
).filter(bool)
LEAF = st.one_of(
    st.tuples(st.sampled_from(["points", "streak", "invited"]), AMOUNT).map(
        lambda pair: dict([pair])
    ),
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
    MEMBERSHIP.map(lambda groups: {"member_of": groups}),
    WALKED.map(lambda sops: {"in_sop": sops}),
    WALKED.map(lambda sops: {"finished_sop": sops}),
    SPENDING.map(lambda spending: {"spent": spending}),
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


def kind_of(tag: str) -> str:
    """The kind of the group that carries the tag."""
    return "转化" if TAGS.index(tag) % 2 else ""


def ago(time: int | None, wanted: dict[str, str]) -> bool:
    ((how, span),) = wanted.items()
    recent = time is not None and time > NOW - SPANS[span]
    return recent if how == "within" else not recent


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
            return ago(who.last, value)
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
            return any(names_tag(value, tag) for tag, (there, _) in who.groups.items() if there)
        case "member_of":
            return any(
                names_tag(value.get("group_tag", tag), tag)
                and value.get("kind") in (None, kind_of(tag))
                and ("joined" not in value or ago(since, value["joined"]))
                for tag, (there, since) in who.groups.items()
                if there
            )
        case "in_sop":
            return any(who.walks.get(sop) == "active" for sop in many(value))
        case "finished_sop":
            return any(who.walks.get(sop) in ("done", "goal") for sop in many(value))
        case "points" | "streak" | "invited":
            balance, streak, until, invited = who.score or (0, 0, NOW, 0)
            running = streak if until > NOW else 0
            have = {"points": balance, "streak": running, "invited": invited}[key]
            return bool(value.get("at_least", have) <= have <= value.get("at_most", have))
        case "spent":
            total = sum(
                PRICE[kind]
                for kind, time, _ in who.events
                if "within" not in value or time > NOW - SPANS[value["within"]]
            )
            return bool(value.get("at_least", total) <= total <= value.get("at_most", total))
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
    "amount",
)  # fmt: skip
WALK_COLUMNS = (
    "id", "account_id", "sop", "digest", "subject_id", "in_group", "state", "step", "phase",
    "priority", "entered_at", "since", "waiting", "because", "reason",
)  # fmt: skip
PRICE = {"order": 12.5, "refund": -5.25, "message": 0, "friend_added": 0}


def store_people(people: list[Someone], tx: Tx) -> None:
    put = partial(insert_rows, tx.connection)
    for table in (
        "contact",
        "tag",
        "tagging",
        "attribute",
        "event",
        "room",
        "member",
        "enrollment",
        "score",
    ):
        tx.connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
    put(Tag, ("id", "name"), [(id_, name) for name, id_ in TAG_IDS.items()])
    rooms = [(id_, 1, name, name, kind_of(name), "", False, 0) for name, id_ in ROOM_IDS.items()]
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
        (ROOM_IDS[name], n, since, None if there else 5, 0)
        for n, who in everyone
        for name, (there, since) in who.groups.items()
    ]
    put(Member, ("group_id", "contact_id", "joined_at", "left_at", "messages"), members)
    walks = [(n, sop, state) for n, who in everyone for sop, state in who.walks.items()]
    put(
        Enrollment,
        WALK_COLUMNS,
        [
            (30_000 + i, 1, sop, "", n, False, state, "s", "step", 0, 0, 0, "", "", "")
            for i, (n, sop, state) in enumerate(walks)
        ],
    )
    put(
        Score,
        ("id", "account_id", "balance", "streak", "streak_until", "invited", "earned", "days"),
        [(n, 1, *who.score, 0, 0) for n, who in everyone if who.score is not None],
    )
    events = [(n, *event) for n, who in everyone for event in who.events]
    put(
        Event,
        EVENT_COLUMNS,
        [
            (20_000 + i, 1, kind, at, 0, n, "", "", own, round(PRICE[kind] * 100) or None)
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
    return answers(tx.connection, [(condition, ids)], now=NOW)[0]


def sought(condition: Any, tx: Tx) -> set[int]:
    connection = tx.connection
    found = members(connection, condition, account=1, now=NOW, friends=False)
    assert len(found) == len(set(found)) == size(connection, condition, account=1, now=NOW)
    return set(found)


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
        expected = {n for n in ids if holds(people[n - 1], written)}
        assert found == expected, written
        # Started from the rarest part, it is the same people.
        assert opened.write(partial(sought, CONDITION.validate_python(written))) == expected


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
