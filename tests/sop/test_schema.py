"""The published JSON Schemas accept what the loader accepts, and editors get Chinese notes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sop.definitions import STAGES
from sop.events import INTERNAL, EventKind, MessageType
from sop.schema import json_schema
from sop.sequences import WEEKDAYS
from sop.source import read_source

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "sop/starter"
DOCS = ROOT / "docs/yaml.md"
SETTINGS = """
community: 小满家
timezone: Asia/Shanghai
channel: {kind: wechaty, endpoint: 127.0.0.1:8788, token: !env WECHATY_TOKEN}
storage: sqlite:///data/siyu.db
operators: [wxid_boss]
hours: {quiet: "22:00-08:30"}
limits:
  contact: {per_day: 2, per_week: 6}
  account: {per_hour: 60, per_day: 400, gap: 6s-20s, reply_gap: 1s-3s}
takeover: 2h
"""
CONVERSATIONS = """
tags:
  意向: {values: [低, 中, 高], one_of: true}
  宝妈:
groups:
  - match: "小满福利群*"
    kind: 转化
    tags: [转化群]
rules:
  - id: 欢迎
    on: friend_added
    do: [{say: welcome}]
  - id: ask-price
    on: message
    where: private
    match: {any: [价格, 多少钱, 怎么卖]}
    if: {not: {tag: 同行}}
    do: [{tag: 意向/中}, {say: keyword/price}]
    cooldown: 10m
  - id: join-welcome
    on: group_joined
    where: {group_tag: 转化群}
    gather: 30s
    do: [{say: welcome_group}]
words:
stages:
  流失期: {friend: false}
audiences:
  - id: 高意向未购
    all: [{tag: 意向/高}, {not: {tag: 已购买}}, {last_message: {within: 7d}}]
sops:
  - id: new-friend
    title: 新好友七天培育
    enter: {on: friend_added}
    again: after 30d
    exit: [{tag: 已购买}, {on: friend_removed}]
    goal: {tag: 已购买, within: 14d}
    window: "09:00-21:00"
    late: skip after 2h
    steps:
      - id: 问一问
        day: 3
        at: "20:00"
        if: {stage: [引入期, 成长期]}
        do: [{say: sop/new-friend/ask}]
        reply:
          within: 24h
          cases:
            - match: {any: [要, 想要, 好的]}
              do: [{tag: 意向/高}, {enroll: first-order}]
              goto: last
            - match: {any: [不用, 不需要]}
              then: exit
          none: {do: [{tag: 沉默}]}
      - id: last
        weekday: [tue, thu]
        at: "19:30"
        choose:
          - if: {tag: 意向/高}
            do: [{say: sop/new-friend/offer}]
          - goto: 问一问
  - id: room
    for: group
    enter: [{tag: 训练营}, {date: 2026-12-01}, {festival: 春节, days: -3}]
    steps:
      - {id: a, wait_until: {on: group_joined, within: 1d}, do: [{say: hi}], then: exit}
"""


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """The part of JSON Schema that ours use; an unknown keyword fails the test."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if not isinstance(value, dict) and "type" in schema and schema["type"] == "object":
        return False
    return all(_holds(key, rule, value, schema, root) for key, rule in schema.items())


def _holds(key: str, rule: Any, value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    match key:
        case "type":
            kinds = {
                "object": dict,
                "array": list,
                "string": str,
                "boolean": bool,
                "integer": int,
                "number": int | float,
                "null": type(None),
            }
            return isinstance(value, kinds[rule]) and (
                rule == "boolean" or not isinstance(value, bool)
            )
        case "const":
            return bool(value == rule)
        case "enum":
            return value in rule
        case "pattern":
            return not isinstance(value, str) or re.search(rule, value) is not None
        case "maxLength":
            return not isinstance(value, str) or len(value) <= rule
        case "minLength" | "minItems" | "minProperties":
            return not hasattr(value, "__len__") or len(value) >= rule
        case "minimum" | "maximum" | "exclusiveMinimum":
            if not isinstance(value, int | float):
                return True
            within = {"minimum": value >= rule, "maximum": value <= rule}
            return bool(within.get(key, value > rule))
        case "anyOf":
            return any(fits(value, one, root) for one in rule)
        case "oneOf":
            return sum(fits(value, one, root) for one in rule) == 1
        case "items":
            return not isinstance(value, list) or all(fits(one, rule, root) for one in value)
        case "required":
            return set(rule) <= set(value)
        case "properties":
            return all(fits(value[name], one, root) for name, one in rule.items() if name in value)
        case "additionalProperties":
            known = schema.get("properties", {})
            rest = [one for name, one in value.items() if name not in known]
            return not rest if rule is False else all(fits(one, rule, root) for one in rest)
        case "$defs" | "$schema" | "description" | "default" | "title" | "discriminator":
            return True
    raise AssertionError(key)


def valid(kind: Any, text: str) -> bool:
    schema = json_schema(kind)
    source = read_source("a.yaml", text, env={"WECHATY_TOKEN": "abc"})
    return fits(source.value, schema, schema)


def test_the_examples_of_the_design_are_valid() -> None:
    assert valid("settings", SETTINGS)
    assert valid("definitions", CONVERSATIONS)


@pytest.mark.parametrize("path", sorted(STARTER.rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_starter_is_valid(path: Path) -> None:
    kind = "settings" if path.name == "siyu.yaml" else "definitions"
    assert valid(kind, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("settings", "comunity: 小满家\n"),
        ("settings", SETTINGS + "stale: 5min\n"),
        ("definitions", "rule: []\n"),
        ("definitions", CONVERSATIONS.replace("friend_added", "friend_add")),
        ("definitions", CONVERSATIONS.replace("{not: {tag: 同行}}", "{tag: 同行, stage: 成长期}")),
        ("definitions", CONVERSATIONS.replace("[{say: welcome}]", "[{sya: welcome}]")),
        ("definitions", CONVERSATIONS.replace("[tue, thu]", "[周二]")),
        ("definitions", CONVERSATIONS.replace("after 30d", "30d")),
        ("definitions", CONVERSATIONS.replace("days: -3", "days: -300")),
        ("definitions", CONVERSATIONS.replace("date: 2026-12-01", "date: 12月1日")),
        ("definitions", CONVERSATIONS.replace("then: exit", "then: 结束")),
        ("definitions", CONVERSATIONS.replace("friend_removed", "sop_step")),
    ],
)
def test_mistakes_are_invalid(kind: str, text: str) -> None:
    assert not valid(kind, text)


@pytest.mark.parametrize("kind", ["settings", "definitions"])
def test_operators_read_no_milliseconds_and_no_english(kind: Any) -> None:
    schema = json_schema(kind)
    text = json.dumps(schema, ensure_ascii=False)
    assert "7200000" not in text
    notes = re.findall(r'"description": "([^"]*)"', text)
    assert notes
    assert all(re.search("[\u4e00-\u9fff]", note) for note in notes)


def documented() -> dict[str, set[str]]:
    """The keys in the tables of docs/yaml.md, by the model their comment names."""
    parts = re.split(r"<!-- model: (\w+) -->", DOCS.read_text(encoding="utf-8"))[1:]
    tables = zip(
        parts[::2], (re.split(r"^#|\n\n(?!\|)", p.lstrip())[0] for p in parts[1::2]), strict=True
    )
    return {
        model: set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) for model, table in tables
    }


def test_every_key_is_documented_and_no_other() -> None:
    models: dict[str, set[str]] = {}
    for kind, root in (("settings", "Settings"), ("definitions", "Definitions")):
        schema = json_schema(kind)  # type: ignore[arg-type]
        for name, part in {root: schema, **schema["$defs"]}.items():
            if "properties" in part:
                models[name] = set(part["properties"])
    assert documented() == models


@pytest.mark.parametrize(
    "word", [*sorted(set(EventKind) - INTERNAL), *MessageType, *STAGES, *WEEKDAYS]
)
def test_every_word_to_choose_from_is_documented(word: str) -> None:
    assert f"`{word}`" in DOCS.read_text(encoding="utf-8")
