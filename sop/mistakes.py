"""pydantic's errors → sentences a community manager understands, at paths of the YAML file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sop.conditions import CONDITION_KEYS
from sop.events import INTERNAL, EventKind
from sop.problems import did_you_mean
from sop.rules import EVENT_NAMES
from sop.sequences import WEEKDAYS
from sop.source import Path
from sop.times import parse_duration
from sop.trails import Model, Trail, fits, keys_of, members_of, tags_of, walk


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a value; `at_key` when the key itself is wrong, not what it holds."""

    path: Path
    message: str
    expected: str = ""
    found: str = ""
    hint: str = ""
    at_key: bool = False
    warning: bool = False


SECRETS: tuple[Path, ...] = (
    ("channel", "token"),
    ("answers", "model", "key"),
    ("answers", "embeddings", "key"),
)
"""Settings whose value is never shown, wherever it came from."""


def show_value(value: object) -> str:
    """A value as an operator would recognise it; never more than a glimpse."""
    match value:
        case None:
            return "空的"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value}（数字）"
        case str():
            text = _hide_password(value)
            return (text if len(text) <= 40 else text[:40] + "…") or "空的文字"
        case list() | tuple():
            return f"一个列表（{len(value)} 项）"
        case dict():
            return f"一组设置（{'、'.join(map(str, list(value)[:5])) or '空的'}）"
        case _:
            return ""


def mistakes(
    error: ValidationError, model: Model, value: object, *, secrets: Mapping[Path, str]
) -> list[Mistake]:
    """Every mistake that the error tells of, each place once."""
    found: dict[tuple[Path, str], Mistake] = {}
    for details in error.errors(include_url=False):
        trail = walk(model, details["loc"], value)
        empty_after_errors = details["type"] == "too_short" and details["input"]
        if empty_after_errors or not all(fits(value, *branch) for branch in trail.branches):
            continue
        mistake = _explain(details, trail)
        if (name := secrets.get(mistake.path)) and not mistake.at_key:
            mistake = replace(mistake, found=hidden(name), hint="")
        elif any(mistake.path[: len(secret)] == secret for secret in SECRETS) and mistake.found:
            mistake = replace(mistake, found="（不显示）", hint="")
        same = found.get((mistake.path, mistake.message))
        if same and mistake.expected not in same.expected:
            mistake = replace(same, expected=f"{same.expected} 或 {mistake.expected}")
        found[mistake.path, mistake.message] = mistake
    return [one for one in found.values() if not _misspelt(one, found.values())]


def one_of(choices: Iterable[str]) -> str:
    """What there is to choose from, as an `expected`."""
    every = list(choices)
    return "、".join(every) + (" 里选一个" if len(every) > 1 else "")


def _misspelt(missing: Mistake, others: Iterable[Mistake]) -> bool:
    """Whether a missing key is there under a wrong spelling, which has its own line."""
    name = missing.message.removeprefix(_MISSING)
    return name != missing.message and any(
        other.at_key and other.path[:-1] == missing.path and name in other.hint for other in others
    )


def hidden(name: str) -> str:
    """What is shown in place of a value from the environment."""
    return f"环境变量 {name} 的值（不显示）"


def _hide_password(text: str) -> str:
    scheme, slashes, rest = text.partition("://")
    if slashes and "@" in rest:
        return f"{scheme}://…@{rest.rpartition('@')[2]}"
    return re.sub(r":[^\s:]*@", ":…@", text)


# --- the sentences -------------------------------------------------------------------------------

_MISSING = "少写了 "
_TYPES = {
    "string_type": "文字",
    "int_type": "整数",
    "int_parsing": "整数",
    "int_from_float": "整数",
    "int_parsing_size": "整数",
    "float_type": "数字",
    "float_parsing": "数字",
    "bool_type": "true 或 false",
    "bool_parsing": "true 或 false",
    "tuple_type": "一个列表，如 [甲, 乙]，或者每行一个 - 开头",
    "dict_type": "一组“键: 值”",
    "model_type": "一组“键: 值”",
    "model_attributes_type": "一组“键: 值”",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "不能小于 {}"),
    "greater_than": ("gt", "要大于 {}"),
    "less_than_equal": ("le", "不能大于 {}"),
    "less_than": ("lt", "要小于 {}"),
}


def _explain(details: ErrorDetails, trail: Trail) -> Mistake:
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    found = show_value(given)
    name, path = trail.name, trail.path
    match kind:
        case "extra_forbidden":
            return _unknown_key(trail)
        case "missing":
            return Mistake(path[:-1], f"{_MISSING}{name}")
        case "one_of_keys":
            return _one_of_keys(details["msg"].split(), given, trail)
        case "union_tag_invalid" | "union_tag_not_found":
            return _unknown_kind(context, given, trail)
        case "literal_error" | "enum":
            return _unknown_choice(_choices(trail.annotation), given, trail)
        case "too_short" | "string_too_short":
            return Mistake(path, f"{name} 不能是空的", found=found)
        case "string_too_long":
            most = f"至多 {context['max_length']} 个字"
            return Mistake(path, f"{name} 太长了", most, found)
        case "string_pattern_mismatch":
            message = f"{name} 写得不对"
            return Mistake(path, message, trail.description, found, _text_hint(given))
        case "siyu":
            return _own(details, trail)
        case _ if kind in _BOUNDS:
            bound, sentence = _BOUNDS[kind]
            return Mistake(path, f"{name} {sentence.format(context[bound])}", found=found)
        case _:
            wanted = _TYPES.get(kind, trail.description)
            if kind in ("model_type", "model_attributes_type") and trail.models:
                wanted += f"，键有 {'、'.join(keys_of(trail.models[-1]))}"
            return Mistake(path, f"{name} 写得不对", wanted, found, _type_hint(kind, given))


def _own(details: ErrorDetails, trail: Trail) -> Mistake:
    """A mistake our own models found; their `key` names the one of a mapping's that is wrong."""
    given, context = details["input"], details.get("ctx", {})
    expected = str(context.get("expected", ""))
    message = details["msg"] if details["msg"] != "写法不对" else f"{trail.name} 写得不对"
    if isinstance(given, dict):
        path = (*trail.path, context["key"]) if context.get("key") in given else trail.path
        return Mistake(path, message, expected, at_key=path != trail.path)
    return Mistake(trail.path, message, expected, show_value(given), _text_hint(given, expected))


def _unknown_key(trail: Trail) -> Mistake:
    key = str(trail.path[-1])
    *outer, model = trail.models
    hint = did_you_mean(key, keys_of(model))
    if key in CONDITION_KEYS and "all" in keys_of(model):
        hint = f"条件写进 all 里：all: [{{{key}: …}}]"
    nearly = any(key in known for known in keys_of(model))
    if not nearly and any(key in keys_of(around) for around in outer):
        hint = f"{key} 要往外写一层：左边和外面那一层的键对齐"
    return Mistake(
        trail.path, f"不认识的写法 {key}", one_of(keys_of(model)), hint=hint, at_key=True
    )


_CHOICES = (("say", "动作"), ("cron", "时间"), ("groups", "对象"), ("audience", "进入方式"))


def _one_of_keys(keys: list[str], given: object, trail: Trail) -> Mistake:
    what = next((name for key, name in _CHOICES if key in keys), "条件")
    expected = one_of(keys)
    if not isinstance(given, dict):
        message, hint = f"这里要写一个{what}", _colon_hint(given)
        if "cron" in keys:
            hint = '写成 {on: 2026-12-12 10:00}，或者 {cron: "0 10 * * mon"}'
        elif isinstance(given, str) and given and not hint:
            hint = f"是不是想写 {{{_likely_key(keys, given)}: {given}}}？"
        if isinstance(given, list):
            hint = "几个条件要一起写成 all: [ … ]（都满足）或 any: [ … ]（满足一个）"
        return Mistake(trail.path, message, expected, show_value(given), hint)
    present = [key for key in keys if key in given]
    if present:
        message = f"一个{what}里写了 {' 和 '.join(present)}，只能写一个"
        return Mistake(trail.path, message, hint=_split_hint(what, present))
    if not given:
        return Mistake(trail.path, f"这里要写一个{what}", expected, "空的")
    key = str(next(iter(given)))
    hint = did_you_mean(key, keys)
    return Mistake((*trail.path, key), f"不认识的{what} {key}", expected, hint=hint, at_key=True)


def _likely_key(keys: list[str], given: str) -> str:
    if "on" in keys:
        return "on" if given in list(EventKind) else "tag"
    return keys[0]


def _split_hint(what: str, present: list[str]) -> str:
    if what in ("时间", "对象"):
        return "只留一个"
    if what == "条件" and "on" not in present:
        return f"写成 all: [{', '.join(f'{{{key}: …}}' for key in present)}]"
    split = "拆成几项，每项前面一个 -"
    if what == "进入方式" and "on" in present:
        return f"只写 {present[1]} 就够了；想两种都能进，{split}"
    return f"发生一个就算的话，{split}" if what == "条件" else split


def _unknown_kind(context: Mapping[str, Any], given: object, trail: Trail) -> Mistake:
    key = str(context["discriminator"]).strip("'")
    tags = [tag for member in members_of(trail.annotation) for tag in tags_of(member)]
    value = given.get(key) if isinstance(given, dict) else None
    if value is None:
        return Mistake(trail.path, f"{_MISSING}{key}", expected=f"{key}: {' 或 '.join(tags)}")
    hint = did_you_mean(str(value), tags)
    return Mistake((*trail.path, key), f"{key} 没有这个选项", one_of(tags), show_value(value), hint)


def _unknown_choice(choices: list[str], given: object, trail: Trail) -> Mistake:
    choices = [choice for choice in choices if choice not in INTERNAL]
    hint = did_you_mean(given, choices) if isinstance(given, str) else ""
    shown = choices
    if choices == list(WEEKDAYS):
        hint = hint or _weekday_hint(given)
    if trail.annotation is EventKind:
        shown = [f"{kind}（{EVENT_NAMES[EventKind(kind)]}）" for kind in choices]
    return Mistake(trail.path, f"{trail.name} 没有这个选项", one_of(shown), show_value(given), hint)


def _weekday_hint(given: object) -> str:
    found = next((n for n, day in enumerate("一二三四五六日") if day in str(given)), None)
    found = 6 if found is None and "天" in str(given) else found
    return "" if found is None else f"是不是想写 {WEEKDAYS[found]}？"


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        values = get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        values = tuple(member.value for member in annotation)
    else:
        values = ()
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in values]


def _type_hint(kind: str, given: object) -> str:
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f'要当文字用，请加引号："{str(given).lower() if isinstance(given, bool) else given}"'
    if kind == "tuple_type" and isinstance(given, dict):
        return "列表的每一项前面要加 - 和一个空格"
    if kind == "tuple_type" and isinstance(given, str) and given:
        return f"只有一项也要写成列表：[{given}]"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return _colon_hint(given)
    return _text_hint(given)


def _colon_hint(given: object) -> str:
    if isinstance(given, str) and "：" in given:
        return "冒号要用英文的 : ，后面空一格"
    if isinstance(given, str) and ":" in given:
        return "冒号后面要空一格"
    return ""


def _text_hint(given: object, expected: str = "") -> str:
    if isinstance(given, str) and given[:1] in "“”‘’「" and given:
        return '引号要用英文的 " "'
    if expected.startswith("一段时间"):
        return "s 秒，m 分钟，h 小时，d 天，w 周"
    if isinstance(given, str) and _is_span(given):
        for opening in ("skip after", "after"):
            if f"{opening} " in expected:
                return f"是不是想写 {opening} {given}？"
    return ""


def _is_span(text: str) -> bool:
    try:
        return parse_duration(text) > 0
    except ValueError:
        return False
