"""Checks of the guard of groups."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sop.conditions import many
from sop.definitions import Definitions
from sop.guarding import Guard
from sop.mistakes import Mistake
from sop.nodes import each
from sop.source import Path

_AT: Path = ("guard",)
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


def guard_mistakes(definitions: Definitions) -> Iterator[Mistake]:
    """What the guard cannot do as it is written."""
    guard = definitions.guard
    if guard is not None:
        yield from _place(guard)
        yield from _words(guard)
        yield from _links(guard)
        yield from _deeds(guard)


def _place(guard: Guard) -> Iterator[Mistake]:
    if guard.where is not None and guard.where.group_tag is None and guard.where.kind is None:
        expected = "如 where: {group_tag: 福利群} 或 where: {kind: 转化}；所有群都管就不写 where"
        yield Mistake((*_AT, "where"), "where 没有说是哪些群", expected)


def _words(guard: Guard) -> Iterator[Mistake]:
    allowed = {word.casefold() for word in many(guard.allow.words)}
    for path, value in (
        ((*_AT, "words"), guard.words),
        ((*_AT, "watch"), guard.watch),
        ((*_AT, "allow", "words"), guard.allow.words),
    ):
        for at, word in each(value, path):
            if not word.strip():
                yield Mistake(at, "词是空的", hint="写上字，或者删掉这一项")
            elif re.search("[，、]", word):
                parts = ", ".join(one.strip() for one in re.split("[，、]", word) if one.strip())
                hint = f"用英文逗号隔开：[{parts}]"
                yield Mistake(at, "中文逗号不会把词分开，这里是一整个词", found=word, hint=hint)
            elif len(word.strip()) == 1:
                hint = "写长一点，一个字的词到处都是"
                yield Mistake(at, "一个字的词太短，会误伤", found=word, hint=hint)
            elif path[-2:] != ("allow", "words") and word.casefold() in allowed:
                message = f"{word} 既写进了 {path[-1]}，又写进了 allow.words"
                yield Mistake(at, message, hint="删掉一处")


def _links(guard: Guard) -> Iterator[Mistake]:
    for at, link in each(guard.allow.links, (*_AT, "allow", "links")):
        host = re.sub(r"^https?://", "", link.strip().casefold()).split("/")[0].lstrip(".")
        if not _HOST.fullmatch(link.strip().casefold().lstrip(".")):
            hint = f"只写域名：{host}" if _HOST.fullmatch(host) else ""
            expected = "域名，如 xiaoman.shop，它下面的网址都算"
            yield Mistake(at, "这里要写域名", expected, link, hint)


def _deeds(guard: Guard) -> Iterator[Mistake]:
    if guard.mode == "auto" and guard.strikes == 1:
        yield Mistake(
            (*_AT, "strikes"),
            "第一次就自己移出群，不提醒也不问",
            hint="写 2 或更多，先给人一次机会",
            warning=True,
        )
    elif guard.mode != "shadow" and guard.strikes > 1 and guard.say is None:
        yield Mistake(
            (*_AT, "mode"),
            "没有写 say：记了一次，本人也不知道",
            hint="写一个模板，如 say: guard/warn",
            warning=True,
        )
    if guard.mode == "auto" and guard.per_day == 0:
        message = "per_day: 0，就是从不自己移，mode: auto 等于 confirm"
        yield Mistake(
            (*_AT, "per_day"), message, hint="写一个数，或者用 mode: confirm", warning=True
        )
