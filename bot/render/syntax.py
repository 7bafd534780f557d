"""Jinja2's syntax errors in the operator's language."""

from __future__ import annotations

import re
from collections.abc import Callable

from sop.problems import did_you_mean

TAGS = ("if", "elif", "else", "endif", "for", "endfor", "set", "raw", "endraw")
_TOKENS = {
    "end of print statement": "}}",
    "begin of print statement": "{{",
    "end of statement block": "%}",
    "begin of statement block": "{%",
    "end of template": "文件结尾",
    "name": "名字",
    "string": "文字",
    "integer": "数字",
    "float": "数字",
}

Said = tuple[str, str, str]
"""The word that shows where, the message, the hint."""


def explain(message: str) -> Said:
    """What Jinja2 said about a mistake, for somebody who has never read its manual."""
    for pattern, say in _RULES:
        if found := re.match(pattern, message, re.DOTALL):
            return say(found)
    return "", f"模板语法有误：{message}", ""


def _token(name: str) -> str:
    return _TOKENS.get(name, name)


def _char(found: re.Match[str]) -> Said:
    char = found[1]
    return (
        char,
        f"{{{{ }}}} 或 {{% %}} 里面不能用字符 {char}",
        "里面的标点要用英文半角，文字要加引号",
    )


def _stray(found: re.Match[str]) -> Said:
    return found[1], f"这里的 {found[1]} 对不上", "检查括号和花括号是不是成对"


def _unclosed(found: re.Match[str]) -> Said:
    tag = found[1]
    return tag, f"{{% {tag} %}} 没有结束", f"在后面加上 {{% end{tag} %}}"


def _unknown_tag(found: re.Match[str]) -> Said:
    tag, needs = found[1], re.search(r"needs to be closed is '(\w+)'", found[0])
    hint = f"前面的 {{% {needs[1]} %}} 要先用 {{% end{needs[1]} %}} 结束" if needs else ""
    return tag, f"没有 {{% {tag} %}} 这种写法", hint or did_you_mean(tag, TAGS)


def _expected(found: re.Match[str]) -> Said:
    want, got = _token(found[1]), _token(found[2])
    return found[2], f"这里应该是 {want}，却写成了 {got}", ""


def _empty(found: re.Match[str]) -> Said:
    return "", f"{_token(found[1])} 前面少写了内容", ""


_RULES: tuple[tuple[str, Callable[[re.Match[str]], Said]], ...] = (
    (r"unexpected char '(.)'", _char),
    (r"Unexpected end of template\..*needs to be closed is '(\w+)'", _unclosed),
    (r"unexpected end of template", lambda _: ("", "{{ 或 {% 没有结束", "补上 }} 或 %}")),
    (r"Encountered unknown tag '(\w+)'.*", _unknown_tag),
    (r"Expected an expression, got '(.+?)'", _empty),
    (r"[Ee]xpected token '(.+?)', got '(.+?)'", _expected),
    (r"unexpected '(.+?)'", _stray),
    (r"Missing end of comment tag", lambda _: ("{#", "注释 {# 没有用 #} 结束", "")),
    (r"Missing end of raw directive", lambda _: ("raw", "{% raw %} 没有用 {% endraw %} 结束", "")),
    (r"tag name expected", lambda _: ("{%", "{% 后面要写 if、for 或 set", "")),
    (r"can't assign to", lambda _: ("", "这个名字不能用来 set 或 for", "")),
)
