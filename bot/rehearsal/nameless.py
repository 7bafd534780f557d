"""Templates that read badly to somebody whose name we do not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bot.rehearsal.findings import Findings
from sop.actions import Say
from sop.errors import RenderError
from sop.messages import summary
from sop.sequences import Onward, Sop

_MARK = "〔某某〕"
_NO_NAME = "亲"  # what `name` falls back to
_DANGLING = (
    (re.compile(r"^\s*[，、。！!,~～：:]", re.MULTILINE), "开头多了一个标点"),
    (re.compile(r"[，、,][，、。！,]"), "两个标点挤在一起"),
    (re.compile(r"「」|“”|《》|（）"), "引号里是空的"),
)
_WITH_NAME = (
    (re.compile(f"{_MARK}.*{_MARK}", re.DOTALL), f"一句里叫了两回「{_NO_NAME}」"),
    (re.compile(f"{_MARK}[家爱戚自手们]"), f"「{_NO_NAME}」跟后面的字连成了别的词"),
)


def nameless(found: Findings) -> list[tuple[str, str, str]]:
    """(template, what is wrong, how it reads) for each template of the SOPs and rules."""
    out: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    for say in _said(found):
        for tags in ((), *((tag,) for tag in found.workspace.definitions.tag_names())):
            file = found.workspace.templates.choose(say, tags)
            if file not in seen:
                seen.add(file)
                out += [(file, why, text) for why, text in _read(found, say, tags)][:1]
    return out


def _read(found: Findings, say: str, tags: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for nickname, checks in (("", _DANGLING), (_MARK, _WITH_NAME)):
        for text in _bubbles(found, say, tags, nickname):
            for pattern, why in checks:
                if pattern.search(text):
                    yield why, text.replace(_MARK, _NO_NAME)


def _bubbles(found: Findings, say: str, tags: tuple[str, ...], nickname: str) -> list[str]:
    facts: dict[str, Any] = {
        "nickname": nickname,
        "tags": list(tags),
        "group": "本群",
        "now": datetime.fromtimestamp(found.times.start / 1000, found.times.zone),
        "community": found.workspace.settings.community,
        "text": "在吗",
        "seed": 1,
    }
    try:
        bodies = found.workspace.templates.render(say, tags=tags, facts=facts)
    except RenderError:
        return []  # `siyu check` tells of it
    return [summary(body) for body in bodies if body.kind == "text"]


def _said(found: Findings) -> list[str]:
    definitions = found.workspace.definitions
    says = [a.say for sop in found.sops for way in _ways(sop) for a in way.do if isinstance(a, Say)]
    says += [a.say for rule in definitions.rules for a in rule.do if isinstance(a, Say)]
    return list(dict.fromkeys(says))


def _ways(sop: Sop) -> Iterator[Onward]:
    for step in sop.steps:
        yield step
        yield from step.choose
        if step.reply:
            yield from step.reply.cases
            yield step.reply.none
        if step.wait_until:
            yield step.wait_until.none
