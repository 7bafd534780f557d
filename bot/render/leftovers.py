"""Text that somebody meant to replace before it reaches a customer."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CODE = re.compile(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
# Narrow on purpose: 【小满家】, 【请填写您的地址】 and 【替换装】 are honest words to a customer.
_MARKS = (
    r"(?:这里|此处|在此)[^】\]>〉》\n]{0,6}填|待(?:填|补)|占位|替换(?:成|为|这)|改成(?:你|自)"
    r"|填(?:写|上|入)?(?:你的|您的)?(?:店|品牌|公司|商品|产品|内容|价格|金额|名称)"
)
_PLACEHOLDER = re.compile(
    rf"[【\[<〈《][^】\]>〉》\n]{{0,20}}(?:{_MARKS})[^】\]>〉》\n]{{0,20}}[】\]>〉》]"
    r"|(?<![A-Za-z0-9_/.])(?:TODO|FIXME|TBD)(?![A-Za-z0-9_])"
    r"|(?<![A-Za-z0-9_/.])[xX×]{2,}(?![A-Za-z0-9_])[\u4e00-\u9fff]{0,2}"
)
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|｛.*?｝|\{\s*[^\W\d]\w*\s*\}")
_BRACES_HINT = "插入内容请写两层英文花括号，例如 {{ name }}"


def in_source(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Line, column, what was found and a hint, for each leftover in a template's text."""
    spoken = _COMMENT.sub(_blank, text)
    for found in _PLACEHOLDER.finditer(spoken):
        yield *_position(text, found.start()), found[0], "换成真正要发的内容"
    for found in _BRACES.finditer(_CODE.sub(_blank, text)):
        yield *_position(text, found.start()), found[0], _BRACES_HINT


def in_output(text: str) -> str:
    """The first leftover in a text as a customer would read it, or an empty string."""
    found = _PLACEHOLDER.search(text) or _BRACES.search(text)
    return found[0] if found else ""


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _position(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")
