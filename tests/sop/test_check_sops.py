"""What the loader says about SOPs agrees with how they are walked, and a good one passes.

The screens of single mistakes are in `tests/golden/mistakes`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.workspace import inspect_workspace
from sop.almanac import Birthday
from sop.check_flow import Flow, flow_mistakes
from sop.definitions import STAGES, Definitions
from sop.engine import Facts, Move, Phase, Walk, advance, begin, happened, questions, replied
from sop.events import EventKind
from sop.load import load
from sop.sequences import Sop
from sop.times import DAY, Late

NEW_FRIEND = """
sops:
  - id: new-friend
    title: 新好友七天培育
    enter: {on: friend_added}
    again: never
    exit: [{tag: 已购买}, {on: friend_removed}]
    goal: {tag: 已购买, within: 14d}
    steps:
      - id: hello
        after: 1m
        do: [{say: sop/new-friend/hello}]
      - id: value
        day: 1
        at: "10:00"
        do: [{say: sop/new-friend/value}]
      - id: ask
        day: 3
        at: "20:00"
        if: {stage: [引入期, 成长期]}
        do: [{say: sop/new-friend/ask}]
        reply:
          within: 24h
          cases:
            - match: {any: [要, 想要, 好的]}
              do: [{tag: 意向/高}, {say: sop/new-friend/coupon}]
            - match: {any: [不用, 不需要]}
              do: [{tag: 意向/低}]
              then: exit
          none: {do: [{tag: 沉默}]}
      - id: last
        day: 7
        at: "19:30"
        choose:
          - if: {tag: 意向/高}
            do: [{say: sop/new-friend/offer}]
          - do: [{say: sop/new-friend/bye}]
"""
TAGS = "tags: {已购买: {}, 沉默: {}, 意向: {values: [低, 中, 高], one_of: true}}\n"
SETTINGS = 'community: 小满家\noperators: [wxid_boss]\nhours: {quiet: "22:00-08:30"}\n'


def test_the_example_of_the_design_is_without_a_mistake(tmp_path: Path) -> None:
    names = ["hello", "value", "ask", "coupon", "offer", "bye"]
    files = {
        "siyu.yaml": SETTINGS,
        "tags.yaml": TAGS,
        "sop/new-friend.yaml": NEW_FRIEND,
        **{f"templates/sop/new-friend/{name}.j2": "你好呀\n" for name in names},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    workspace, problems = inspect_workspace(tmp_path, env={})
    assert problems == ()
    assert workspace
    assert [sop.id for sop in workspace.definitions.sops] == ["new-friend"]


def mistakes(*steps: dict[str, Any], **more: Any) -> list[str]:
    sop = Sop.model_validate({"id": "a", "exit": [{"on": "order"}], "steps": steps, **more})
    return [mistake.message for mistake in flow_mistakes(Flow(sop, ("sops", 0)))]


def say(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "do": [{"say": "hi"}], **more}


@pytest.mark.parametrize(
    "timing",
    [
        {"after": "1s"},
        {"weekday": "mon", "at": "10:00"},
        {"workday": True, "at": "10:00"},
        {"festival": "春节", "at": "10:00"},
        {"on": "message"},
        {"wait_until": {"on": "message", "within": "1d"}},
    ],
)
def test_a_round_with_a_rest_is_fine(timing: dict[str, Any]) -> None:
    assert mistakes(say("a", **timing), say("b", goto="a")) == []


@pytest.mark.parametrize(
    "timing",
    [
        {},
        {"after": "0s"},
        {"day": 3, "at": "10:00"},
        {"day": 3, "at": "10:00", "workday": True},
        {"date": "2026-12-01", "at": "10:00"},
        {"birthday": "生日", "at": "10:00"},
        {"wait_until": {"if": {"tag": "新客"}, "within": "1d"}},
    ],
)
def test_a_round_that_may_take_no_time_is_not(timing: dict[str, Any]) -> None:
    assert any("没完没了" in one for one in mistakes(say("a", **timing), say("b", goto="a")))


def test_a_day_that_is_over_gives_no_rest_even_with_an_answer_to_wait_for() -> None:
    """Who comes back late skips the step, and with it the waiting for an answer."""
    reply = {"within": "2h", "cases": [{"match": {"any": ["好"]}}]}
    steps = [say("a", day=1, at="10:00", reply=reply), say("b", goto="a")]
    assert any("没完没了" in one for one in mistakes(*steps))
    assert mistakes(say("a", reply=reply), steps[1]) == []


def test_only_who_always_leaves_makes_the_next_step_unreachable() -> None:
    assert mistakes(say("a", then="exit"), say("b")) == ["b 永远走不到"]
    some = {"if": {"tag": "新客"}}
    assert mistakes(say("a", then="exit", **some), say("b")) == []
    branches = {"id": "a", "choose": [{**some, "then": "exit"}]}
    assert mistakes(branches, say("b")) == []
    case = {"match": {"any": ["好"]}, "then": "exit"}
    assert mistakes(say("a", reply={"within": "1d", "cases": [case]}), say("b")) == []
    wait = {"on": "message", "within": "1d", "none": {"then": "exit"}}
    assert mistakes(say("a", wait_until=wait), say("b")) == []
    assert mistakes(say("a", wait_until=wait, then="exit"), say("b")) == ["b 永远走不到"]


def test_days_in_order_pass_whatever_lies_between() -> None:
    assert mistakes(say("a", after="1d"), say("b", day=1, at="00:00")) == []
    assert mistakes(say("a", after="1d1m"), say("b", day=1, at="00:00")) != []
    assert mistakes(say("a", after="2d"), say("b", day=1, at="10:00", workday=True)) == []
    assert mistakes(say("a", day=2, at="10:00"), say("b", day=2, at="10:00")) == []


def test_stages_are_the_declared_ones_and_the_first() -> None:
    assert Definitions().stage_names() == STAGES
    own = Definitions.model_validate({"stages": {"老客": {"tag": "已购买"}}})
    assert own.stage_names() == ("引入期", "老客")


def test_names_of_a_broken_kind_are_not_missed_everywhere() -> None:
    text = (
        "audiences: [{id: 老客}]\nstages: {老客: 很老}\n"
        "sops:\n  - {id: a, steps: []}\n"
        "  - id: b\n    enter: [{audience: 老客}, {stage: 老客}]\n"
        "    steps: [{id: a, do: [{enroll: a}]}]\n"
    )
    loaded = load({"siyu.yaml": SETTINGS, "sop.yaml": text}, env={})
    assert len(loaded.problems) == 3
    assert loaded.broken == {"audiences", "stages", "sops"}
    assert loaded.definitions
    assert [sop.id for sop in loaded.definitions.sops] == ["b"]


# --- the loader and the engine agree -------------------------------------------------------------


class Days:
    """A calendar with one festival, on which people always work."""

    def is_workday(self, day: date) -> bool:
        return True

    def festivals(self) -> Collection[str]:
        return ["春节"]

    def festival(self, name: str, year: int) -> date:
        return date(year, 2, 1)

    def birthday(self, born: Birthday, year: int) -> date:
        return date(year, born.month, born.day)


IDS = ["a", "b", "c", "d"]
TIMINGS: list[dict[str, Any]] = [
    {},
    {"after": "0s"},
    {"after": "1h"},
    {"day": 0, "at": "00:00"},
    {"day": 2, "at": "10:00"},
    {"weekday": "mon", "at": "10:00"},
    {"workday": True, "at": "10:00"},
    {"workday": True},
    {"festival": "春节", "at": "10:00"},
    {"birthday": "生日", "at": "10:00"},
    {"date": "2026-06-01", "at": "10:00"},
    {"on": "order"},
    {"wait_until": {"on": "order", "within": "1d"}},
    {"wait_until": {"if": {"tag": "t"}, "within": "1d"}},
    {"wait_until": {"if": {"tag": "t"}, "within": "0s", "none": {"goto": "a"}}},
]
WAYS: list[dict[str, Any]] = [{}, {"then": "exit"}, *({"goto": id_} for id_ in IDS)]
MAYBE: list[dict[str, Any]] = [{}, {"if": {"tag": "t"}}]


@st.composite
def some_sop(draw: st.DrawFn) -> Sop | None:
    """An SOP of a few steps, or None where the draw makes none."""
    steps = []
    for id_ in IDS[: draw(st.integers(1, 4))]:
        step: dict[str, Any] = {"id": id_, **draw(st.sampled_from(TIMINGS))}
        step |= draw(st.sampled_from(MAYBE))
        kind = draw(st.sampled_from(["do", "choose", "reply"]))
        if kind == "do":
            step |= {"do": [{"untag": "t"}], **draw(st.sampled_from(WAYS))}
        elif kind == "choose":
            way = st.tuples(st.sampled_from(MAYBE), st.sampled_from(WAYS))
            step["choose"] = [{**m, **w} for m, w in draw(st.lists(way, min_size=1, max_size=3))]
        else:
            case = {"match": {"any": ["好"]}, **draw(st.sampled_from(WAYS))}
            none = draw(st.sampled_from(WAYS))
            step["reply"] = {"within": "2h", "cases": [case], "none": none}
        steps.append(step)
    try:
        return Sop.model_validate({"id": "s", "steps": steps})
    except ValidationError:
        return None


class Story:
    """Somebody's walk through an SOP, by the real engine and a throw of dice."""

    def __init__(self, sop: Sop, seed: int) -> None:
        self.sop, self.dice = sop, Random(seed)  # noqa: S311
        self.now = 1_770_000_000_000
        self.at_once = self.longest = 0
        self.stood: set[str] = set()

    def walk(self, moves: int) -> None:
        move = begin(self.sop, id=1, now=self.now, facts=self.facts())
        for _ in range(moves):
            if move.walk is None:
                return
            self.stood.add(move.walk.step)
            move = self.step(move.walk)

    def facts(self, walk: Walk | None = None) -> Facts:
        asked = questions(self.sop, walk) if walk else {}
        holds = {name: self.dice.random() < 0.5 for name in asked}
        return Facts(
            zone=ZoneInfo("Asia/Shanghai"), almanac=Days(), quiet=None, holds=holds,
            birthday=self.dice.choice([None, Birthday(5, 1)]),
        )  # fmt: skip

    def step(self, walk: Walk) -> Move:
        if walk.phase is not Phase.STEP and self.dice.random() < 0.5:
            answer = self.answer(walk)
            if answer:
                return answer
        before = self.now
        self.now = max(self.now, walk.due_at if walk.due_at is not None else self.now + DAY)
        self.at_once = self.at_once + 1 if self.now == before else 0
        self.longest = max(self.longest, self.at_once)
        return advance(self.sop, walk, facts=self.facts(walk), now=self.now)

    def answer(self, walk: Walk) -> Move | None:
        """Something that the person did a moment later."""
        self.now, self.at_once = self.now + 1, 0
        step = self.sop.step(walk.step)
        facts = self.facts(walk)
        if step and step.reply and walk.phase is Phase.REPLY:
            return replied(self.sop, walk, step.reply.cases[0], (), facts=facts, now=self.now)
        return happened(self.sop, walk, EventKind.ORDER, facts=facts, now=self.now)


@given(sop=some_sop(), seed=st.integers(0, 1 << 16))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_an_sop_without_a_mistake_rests_in_every_round(sop: Sop | None, seed: int) -> None:
    if sop is None:
        return
    flow = Flow(sop, ("sops", 0))
    if any(not mistake.warning for mistake in flow_mistakes(flow)):
        return  # refused at load, for this or for another reason
    story = Story(sop, seed)
    story.walk(200)
    assert story.longest <= 3 * len(sop.steps)


@given(sop=some_sop(), seed=st.integers(0, 1 << 16))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_nobody_ever_stands_at_an_unreachable_step(sop: Sop | None, seed: int) -> None:
    if sop is None:
        return
    sop = sop.model_copy(
        update={"late": Late(1_000_000 * DAY)}
    )  # nobody is late, nothing is skipped
    reachable = {sop.steps[n].id for n in Flow(sop, ("sops", 0)).reachable if n < len(sop.steps)}
    story = Story(sop, seed)
    story.walk(100)
    assert story.stood <= reachable
