"""Cross-checks: what is written well, but names something that is not there or makes no sense."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from pydantic import BaseModel

from sop.actions import HandOff, Match, Notify, SetAttribute
from sop.check_answers import answer_mistakes
from sop.check_calendar import calendar_mistakes
from sop.check_guard import guard_mistakes
from sop.check_names import name_mistakes
from sop.check_points import point_mistakes
from sop.check_rules import node_mistakes, rule_mistakes
from sop.check_sops import sop_mistakes
from sop.check_walkers import people_mistakes
from sop.definitions import Definitions, Settings
from sop.load import Loaded, problem_at
from sop.mistakes import Mistake
from sop.nodes import Node, each, nodes
from sop.planning import Planner
from sop.problems import Problem
from sop.source import Path

Explain = Callable[[str], str | None]

_PLACEHOLDER = re.compile(
    r"(?<![A-Za-z0-9_/.])(?:TODO|FIXME|TBD)(?![A-Za-z0-9_])"
    r"|(?<![A-Za-z0-9])[xX×]{3,}(?![A-Za-z0-9])"
    r"|[【\[<＜〈《][^】\]>＞〉》\n]{0,20}(?:填|替换|待定|待补|占位)[^】\]>＞〉》\n]{0,20}[】\]>＞〉》]"
    r"|[<＜【]你的[^>＞】\n]{0,20}[>＞】]"
)


def check(
    loaded: Loaded,
    *,
    template_names: Collection[str],
    inline_problem: Explain,
    regex_problem: Explain,
    festivals: Collection[str] | None = None,
    moment_problem: Explain = lambda _name: None,
    planner: Planner | None = None,
) -> list[Problem]:
    """Every cross-mistake in what could be loaded, in the order of the files.

    `inline_problem` and `regex_problem` say in Chinese why a text cannot be used, or None;
    `moment_problem` why a template makes no Moment. `festivals` are the names the calendar knows,
    `planner` knows when things come; None when nobody can tell.
    """
    found: list[Mistake] = []
    settings, definitions = loaded.settings, loaded.definitions
    if settings:
        found += _operators(settings)
        found += _placeholders(settings, loaded)
    if definitions:
        every = list(nodes(definitions, ()))
        found += _placeholders(definitions, loaded)
        found += name_mistakes(every, loaded, definitions, template_names, festivals)
        found += _inline(every, inline_problem)
        found += _matches(every, regex_problem)
        found += _language(definitions)
        found += node_mistakes(every)
        found += rule_mistakes(definitions)
        found += guard_mistakes(definitions)
        found += answer_mistakes(every, loaded, settings, definitions, inline_problem)
        found += people_mistakes(definitions)
        found += point_mistakes(definitions, every, broken=loaded.broken)
        quiet = settings.hours.quiet if settings else None
        found += sop_mistakes(definitions, quiet)
        found += calendar_mistakes(
            definitions, planner=planner, quiet=quiet, moment_problem=moment_problem
        )
    return sorted(problem_at(loaded.where(m.path, key=m.at_key), m) for m in found)


# --- texts ---------------------------------------------------------------------------------------


def _operators(settings: Settings) -> Iterator[Mistake]:
    if not settings.operators:
        yield Mistake(
            ("operators",),
            "operators 是空的，没有人会收到提醒",
            hint="把运营的微信号写进去，如 operators: [wxid_…]",
            warning=True,
        )


def _texts(value: object, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """Every text and every free key inside; inline templates are left to their own check."""
    if isinstance(value, str):
        yield path, value, False
    elif isinstance(value, BaseModel):
        if isinstance(value, Notify | HandOff | SetAttribute):
            return
        for name, info in type(value).model_fields.items():
            yield from _texts(getattr(value, name), (*path, info.alias or name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, str(key)), str(key), True
            yield from _texts(item, (*path, str(key)))


def _placeholders(value: Settings | Definitions, loaded: Loaded) -> Iterator[Mistake]:
    for path, text, is_key in _texts(value, ()):
        found = _PLACEHOLDER.search(text)
        if found and not loaded.secret(path):
            message, hint = "还留着没有替换的占位文字", "换成真正的内容"
            yield Mistake(path, message, found=found[0], hint=hint, at_key=is_key)


def _inline(every: Iterable[Node], explain: Explain) -> Iterator[Mistake]:
    for path, node in every:
        texts: dict[Path, object] = {}
        if isinstance(node, Notify):
            texts[(*path, "notify")] = node.notify
        elif isinstance(node, HandOff):
            texts[(*path, "hand_off")] = node.hand_off
        elif isinstance(node, SetAttribute):
            texts = {(*path, "set", key): value for key, value in node.set.items()}
        for at, text in texts.items():
            if isinstance(text, str) and (problem := explain(text)):
                yield Mistake(at, f"这段文字发不出去：{problem}")


def _matches(every: Iterable[Node], explain: Explain) -> Iterator[Mistake]:
    for path, node in every:
        if not isinstance(node, Match):
            continue
        for at, pattern in each(node.regex, (*path, "regex")):
            if problem := explain(pattern):
                yield Mistake(at, problem)
        for key in ("any", "all", "none", "like"):
            for at, word in each(getattr(node, key), (*path, key)):
                yield from _keyword(at, word)


def _keyword(at: Path, word: str) -> Iterator[Mistake]:
    if not word.strip():
        yield Mistake(at, "关键词是空的", hint="写上字，或者删掉这一项")
    elif "，" in word or "、" in word:
        parts = ", ".join(part.strip() for part in re.split("[，、]", word) if part.strip())
        hint = f"想写几个词，就用英文逗号隔开：[{parts}]"
        yield Mistake(
            at, "中文逗号不会把词分开，这里是一整个词", found=word, hint=hint, warning=True
        )


def _language(definitions: Definitions) -> Iterator[Mistake]:
    for index, word in enumerate(definitions.words):
        if not word.strip():
            yield Mistake(("words", index), "词是空的", hint="写上字，或者删掉这一项")
    for word, others in definitions.synonyms.items():
        path: Path = ("synonyms", word)
        if not word.strip():
            yield Mistake(path, "近义词的词头是空的", hint="写上字，或者删掉这一行", at_key=True)
        if not others:
            yield Mistake(path, f"{word} 没有写近义词", hint="写成列表，如 多少钱: [什么价, 咋卖]")
        for index, other in enumerate(others):
            if not other.strip():
                yield Mistake((*path, index), "近义词是空的", hint="写上字，或者删掉这一项")
