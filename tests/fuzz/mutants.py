"""Real files, spoilt in every way that a hand, an editor or an enemy spoils them. By seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "sop" / "starter"
_BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)

ODD = [
    "\x00",
    "\x07",
    "\x1b[31m",
    "\x85",
    "\u200b",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\ufffe",
    "\U0001f600",
    "　",
    "\t",
    "\r",
    "\r\n",
    "“",
    "：",
    "，",
    "－",
    "ﬁ",
    "é",
    "\ud7ff",
    "\U0010ffff",
    "｛",
    "🤷🏽‍♀️",
    "ا",
    "%",
    "\\",
]
VALUES = [
    "null",
    "~",
    "true",
    "yes",
    "-1",
    "0",
    "1e999",
    "99999999999999999999999",
    ".nan",
    "-.inf",
    "0x7f",
    "2026-02-30",
    "25:61",
    "10:00",
    "[]",
    "{}",
    "[[[[[[[[1]]]]]]]]",
    "!!python/object/apply:os.system [id]",
    "!env NOBODY_SET_THIS",
    "!env",
    "!!binary aGk=",
    "!!set {a, b}",
    "*nobody",
    "&a [*a]",
    "<<",
    "'",
    '"',
    "|",
    ">-",
    "@所有人",
    "`x`",
    "'{{ 7*7 }}'",
    "{{ x }}",
    "'(a+)+$'",
    "'[', '('",
    "'" + "长" * 5000 + "'",
    "[" * 60 + "]" * 60,
    "'\\u0000'",
    '"\\x00"',
    '"\\ud800"',
    "小满家",
    "after 30d",
    "1000000000d",
    "-5m",
    "0s",
    "13:00-02:00",
    "every",
    "100%",
    "⅓",
    "１２",
    "{a: 1, a: 2}",
    "? x",
    "- - - x",
    "%YAML 9.9",
    "--- x",
    "...",
]
JINJA = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{% raw %}",
    "{{ name.__class__ }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ 'a' * 10**9 }}",
    "{% for a in text %}{% for b in text %}x{% endfor %}{% endfor %}",
    "{% include 'a.j2' %}",
    "{% include '../../siyu.yaml' %}",
    "{% import 'os' as os %}",
    "{% extends 'x' %}",
    "{{ range(10**9)|join }}",
    "{{ name|attr('__init__') }}",
    "{% set a = 'ab' %}" + "{% set a = a ~ a %}" * 40,
    "{{ lipsum() }}",
    "{{ self }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ 9**9**9 }}",
    "{{ name|nofilter }}",
    "{{ nobody }}",
    "{{ 'x'|center(999999999) }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ tags|map('upper') }}",
    "---\nimage: ../siyu.yaml\n---\n",
    "---\nimage: https://127.0.0.1/a\n---\n",
    "---\nimage: &a [*a]\n---\n",
    "---\n[\n---\n",
    "---\nlink: {}\n---\n",
    "\n---\n" * 30,
    "{{ (" * 200,
    "{{ '%999999999d' % 1 }}",
    "{{ now.strftime('%c' * 99999) }}",
    "{% if 1 %}" * 300,
    "【这里填店名】",
    "TODO",
    "{name}",
    "{{ 1/0 }}",
    "{{ text }}",
    "{{ vars['x']['y'] }}",
    "{{ -1|abs }}",
    "{% do x %}",
    "{{ joiner }}",
    "{% for a in tags recursive %}",
]


def yaml_seeds() -> list[tuple[str, str]]:
    """(name in a workspace, text): the starter's files, and the examples of the documentation."""
    out = [(str(p.relative_to(STARTER)), p.read_text("utf-8")) for p in STARTER.rglob("*.yaml")]
    for page in sorted((ROOT / "docs").glob("*.md")):
        for text in _BLOCK.findall(page.read_text("utf-8")):
            out.append(("siyu.yaml" if "community:" in text else "example.yaml", text))
    return sorted(out)


def template_seeds() -> list[tuple[str, str]]:
    """(name below templates/, text) of the starter."""
    home = ROOT / "templates"
    return sorted((str(p.relative_to(home)), p.read_text("utf-8")) for p in home.rglob("*.j2"))


def spoil(text: str, chance: random.Random, *, bits: list[str], tree: bool) -> bytes:
    """A text after one to four accidents."""
    ways: list[Callable[[str, random.Random, list[str]], str]] = [_chars, _lines, _tokens]
    for _ in range(chance.randint(1, 4)):
        if tree and chance.random() < 0.3:
            text = _tree(text, chance)
        else:
            text = chance.choice(ways)(text, chance, bits)
    data = text[:200_000].encode("utf-8", "surrogatepass")
    return _bytes(data, chance) if chance.random() < 0.15 else data


def _bytes(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(4):
            case 0:
                out[at:at] = bytes([chance.randrange(256)])
            case 1:
                del out[at : at + chance.randint(1, 20)]
            case 2:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                out = out[:at]
    return bytes(out)


def _chars(text: str, chance: random.Random, bits: list[str]) -> str:
    at = chance.randrange(len(text) + 1)
    far = min(len(text), at + chance.randint(1, 30))
    match chance.randrange(4):
        case 0:
            return text[:at] + chance.choice(ODD) + text[at:]
        case 1:
            return text[:at] + text[far:]
        case 2:
            return text[:at] + chance.choice(bits) + text[at:]
        case _:
            return text[:far] + text[at:]


def _lines(text: str, chance: random.Random, bits: list[str]) -> str:
    lines = text.split("\n")
    at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(to, lines[at])
        case 2:
            lines[at], lines[to] = lines[to], lines[at]
        case 3:
            lines[at] = " " * chance.randrange(9) + lines[at].lstrip()
        case 4:
            lines[at] = "\t" + lines[at]
        case _:
            lines.insert(at, chance.choice(bits))
    return "\n".join(lines)


def _tokens(text: str, chance: random.Random, bits: list[str]) -> str:
    """A word, a value or a mark becomes something else."""
    found = list(re.finditer(r"[\w/.]+|[^\s\w]", text))
    if not found:
        return chance.choice(bits)
    old = chance.choice(found)
    return text[: old.start()] + chance.choice(bits) + text[old.end() :]


def _tree(text: str, chance: random.Random) -> str:
    """The YAML's structure is changed: keys, types, depth, size."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    holders: list[Any] = []
    _walk(value, holders, set())
    if not holders:
        return text
    _change(chance.choice(holders), chance)
    try:
        return str(yaml.safe_dump(value, allow_unicode=True, sort_keys=False))
    except (yaml.YAMLError, RecursionError):
        return text


def _walk(value: Any, into: list[Any], seen: set[int]) -> None:
    if isinstance(value, dict | list) and value and id(value) not in seen:
        seen.add(id(value))  # an alias may lead back to where it stands
        into.append(value)
        for one in value.values() if isinstance(value, dict) else value:
            _walk(one, into, seen)


def _change(holder: Any, chance: random.Random) -> None:
    key = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
    old = holder[key]
    match chance.randrange(7):
        case 0:
            del holder[key]
        case 1:
            holder[key] = chance.choice(
                [None, True, -1, 10**30, 1.5, "", "x" * 9999, [], {}, [old], {"x": old}]
            )
        case 2 if isinstance(holder, dict):
            word = str(key)
            holder[word[:-1] or "x"] = holder.pop(key)
        case 3 if isinstance(holder, dict):
            holder[chance.choice(["", "say", "1", "x y", "on", "é"])] = old
        case 4 if isinstance(holder, list):
            holder.extend([old] * chance.choice([1, 2, 300]))
        case 5:
            for _ in range(chance.choice([3, 39, 80])):
                old = [old] if chance.random() < 0.5 else {"do": old}
            holder[key] = old
        case _:
            holder[key] = {"all": [old, {"not": old}]}
