"""Rules as a pure function: facts in, decisions out, the same every time."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sop.acting import give_tag
from sop.decisions import Gather, GiveTag, Note, Rest, SetValue, Speak, StepBack, TakeTag, Tell
from sop.definitions import Definitions, Rule
from sop.events import Event, EventKind, MessageType, Person
from sop.rules import EVENT_NAMES, RuleBook, Situation, decide, subject_of

NOW = 1_000_000


def book(*rules: dict[str, Any], tags: dict[str, Any] | None = None) -> RuleBook:
    written = [{"id": f"r{n}", "on": "message"} | rule for n, rule in enumerate(rules)]
    return RuleBook(Definitions.model_validate({"tags": tags or {}, "rules": written}))


def situation(kind: EventKind = EventKind.MESSAGE, **facts: Any) -> Situation:
    event = {
        name: facts.pop(name) for name in ("text", "type", "mentions_self", "data") if name in facts
    }
    known: dict[str, Any] = {"event_id": 7, "contact_id": 1, "group_id": None, "matched": {}}
    return Situation(
        event=Event(
            kind=kind, at=NOW, external_id="e1", contact=Person(external_id="amy"), **event
        ),
        **(known | facts),
    )


def run(rules: RuleBook, about: Situation, **facts: Any) -> list[Any]:
    candidates = rules.candidates(about)
    known: dict[str, Any] = {
        "passing": {c.rule.id for c in candidates},
        "resting": {},
        "takeover": 60_000,
        "now": NOW,
    }
    return decide(about, candidates, book=rules, **(known | facts))


def kinds(decisions: list[Any]) -> list[type]:
    return [type(decision) for decision in decisions]


def test_the_same_facts_give_the_same_decisions() -> None:
    rules = book({"do": [{"say": "a"}, {"tag": "x"}]}, {"do": [{"notify": "n"}]})
    about = situation()
    assert run(rules, about) == run(rules, about)


def test_every_action_becomes_its_decision_in_its_order() -> None:
    rules = book(
        {
            "do": [
                {"tag": ["a", "b"]},
                {"untag": "c"},
                {"set": {"k": 5, "gone": None}},
                {"say": "t"},
                {"notify": "n"},
                {"hand_off": "h"},
            ]
        }
    )
    assert kinds(run(rules, situation())) == [
        Note, GiveTag, GiveTag, TakeTag, SetValue, SetValue, Speak, Tell, StepBack, Tell
    ]  # fmt: skip


def test_rules_without_text_and_with_text_keep_the_order_of_the_file() -> None:
    rules = book(
        {"do": [{"say": "0"}]},
        {"match": {"any": "x"}, "do": [{"say": "1"}]},
        {"do": [{"say": "2"}]},
        {"match": {"any": "y"}, "do": [{"say": "3"}]},
    )
    found = rules.candidates(situation(matched={"r3": ("y",), "r1": ("x",), "unknown": ()}))
    assert [candidate.rule.id for candidate in found] == ["r0", "r1", "r2", "r3"]


def test_words_matched_by_a_rule_for_another_event_do_not_run_it() -> None:
    rules = book({"on": "friend_request", "match": {"any": "x"}, "do": [{"accept": True}]})
    assert rules.candidates(situation(matched={"r0": ("x",)})) == []
    about = situation(EventKind.FRIEND_REQUEST, matched={"r0": ("x",)})
    assert len(rules.candidates(about)) == 1


def test_a_type_of_message_may_be_one_of_several() -> None:
    rules = book({"match": {"type": ["image", "video"]}, "do": [{"say": "a"}]})
    assert rules.candidates(situation()) == []
    assert len(rules.candidates(situation(type=MessageType.VIDEO))) == 1


@pytest.mark.parametrize(("wanted", "fits"), [("意向", True), ("意向/高", True), ("意", False)])
def test_a_rule_on_a_tag_hears_of_the_tag_or_its_group(wanted: str, fits: bool) -> None:
    rules = book({"on": "tag_added", "tag": wanted, "do": [{"say": "a"}]})
    about = situation(EventKind.TAG_ADDED, data={"tag": "意向/高"})
    assert bool(rules.candidates(about)) is fits


def test_a_silence_is_the_business_of_the_rule_that_noticed_it() -> None:
    rules = book(
        {"on": "silent", "for": "3d", "do": [{"say": "a"}]},
        {"on": "silent", "for": "9d", "do": [{"say": "b"}]},
    )
    found = rules.candidates(situation(EventKind.SILENT, data={"rule": "r1"}))
    assert [candidate.rule.id for candidate in found] == ["r1"]


def test_words_to_a_person_who_did_something_are_a_reply_others_a_touch() -> None:
    for kind, purpose in (
        (EventKind.MESSAGE, "reply"),
        (EventKind.FRIEND_ADDED, "reply"),
        (EventKind.TAG_ADDED, "touch"),
        (EventKind.STAGE_CHANGED, "touch"),
    ):
        rules = book({"on": kind.value, "do": [{"say": "a"}]})
        (speak,) = [d for d in run(rules, situation(kind)) if isinstance(d, Speak)]
        assert speak.purpose == purpose


def test_a_cooldown_is_the_conversations() -> None:
    rules = book({"cooldown": "1m", "where": "anywhere", "do": [{"say": "a"}]})
    for group, subject in ((None, 1), (5, 5)):
        about = situation(group_id=group)
        assert subject_of(about) == subject
        (rest,) = [d for d in run(rules, about) if isinstance(d, Rest)]
        assert (rest.subject_id, rest.until) == (subject, NOW + 60_000)


def test_a_rule_that_rests_says_why_it_did_nothing() -> None:
    rules = book({"match": {"any": "x"}, "cooldown": "1m", "do": [{"say": "a"}]})
    found = run(rules, situation(matched={"r0": ("x",)}), resting={"r0": NOW + 1})
    assert kinds(found) == [Note]
    assert (found[0].outcome, "cooldown" in found[0].because) == ("withheld", True)


def test_a_rule_for_every_message_leaves_no_trace_of_each_one_it_lets_pass() -> None:
    rules = book({"if": {"tag": "x"}, "do": [{"say": "a"}]})
    assert run(rules, situation(), passing=set()) == []


def test_gathering_waits_and_does_nothing_yet() -> None:
    rules = book({"on": "group_joined", "gather": "30s", "cooldown": "1m", "do": [{"say": "a"}]})
    found = run(rules, situation(EventKind.GROUP_JOINED, group_id=5))
    assert kinds(found) == [Gather]
    assert (found[0].group_id, found[0].contact_id, found[0].span) == (5, 1, 30_000)


def test_silence_withholds_words_and_nothing_else() -> None:
    rules = book({"do": [{"say": "a"}, {"tag": "x"}, {"notify": "n"}]})
    found = run(rules, situation(silenced="人工接管"))
    assert kinds(found) == [Note, Note, GiveTag, Tell]
    assert found[1].outcome == "withheld" and found[1].because == "人工接管"


def test_words_in_private_go_to_the_person() -> None:
    rules = book({"where": "group", "do": [{"say": "a", "to": "private"}, {"say": "b"}]})
    spoken = [d for d in run(rules, situation(group_id=5)) if isinstance(d, Speak)]
    assert [(s.conversation_id, s.in_group) for s in spoken] == [(1, False), (5, True)]


def test_what_concerns_nobody_does_nothing_and_raises_nothing() -> None:
    rules = book(
        {
            "where": "anywhere",
            "do": [{"say": "a"}, {"tag": "x"}, {"untag": "x"}, {"set": {"k": 1}}],
        }
    )
    assert run(rules, situation(contact_id=None)) == []


def test_a_tag_knows_what_it_excludes_and_when_it_ends() -> None:
    definitions = Definitions.model_validate(
        {
            "tags": {
                "意向": {"values": ["低", "中", "高"], "one_of": True, "expires": "1h"},
                "多选": {"values": ["a", "b"]},
            },
            "rules": [],
        }
    )

    def given(tag: str, span: int | None = None) -> tuple[tuple[str, ...], int | None]:
        give = give_tag(definitions, subject_id=1, tag=tag, source="s", now=NOW, span=span)
        return give.replaces, give.expires_at

    assert given("意向/中") == (("意向/低", "意向/高"), NOW + 3_600_000)
    assert given("意向/中", 5) == (("意向/低", "意向/高"), NOW + 5)
    assert given("多选/a") == ((), None)
    assert given("没写过") == ((), None)


def test_every_event_has_a_name_on_the_screen() -> None:
    assert set(EVENT_NAMES) == set(EventKind)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on": "friend_added", "match": {"any": "x"}},
        {"on": "message", "gather": "30s"},
        {"on": "message", "tag": "x"},
        {"on": "silent"},
        {"on": "message", "for": "3d"},
        {"on": "message", "do": []},
        {"on": "message", "wehre": "private"},
        {"on": "message", "id": "a b"},
    ],
)
def test_a_rule_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"id": "r", "do": [{"say": "a"}]} | wrong)
