"""Cross-checks: what is written well, but names something that is not there or makes no sense."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from pydantic import BaseModel

from sop.actions import AddTag, GroupPlace, HandOff, Match, Notify, RemoveTag, SetAttribute
from sop.check_rules import rule_mistakes
from sop.conditions import HasTag, InGroup, InStage, OneOrMany, many
from sop.definitions import STAGES, Definitions, GroupRule, Rule, Settings
from sop.load import Loaded, keep_one, problem_at
from sop.mistakes import Mistake, one_of
from sop.problems import Problem, did_you_mean
from sop.source import Path

Node = tuple[Path, BaseModel]
Explain = Callable[[str], str | None]

_PLACEHOLDER = re.compile(
    r"(?<![A-Za-z0-9_/.])(?:TODO|FIXME|TBD)(?![A-Za-z0-9_])"
    r"|(?<![A-Za-z0-9])[xX×]{3,}(?![A-Za-z0-9])"
    r"|[【\[<＜〈《][^】\]>＞〉》\n]{0,20}(?:填|替换|待定|待补|占位)[^】\]>＞〉》\n]{0,20}[】\]>＞〉》]"
    r"|[<＜【]你的[^>＞】\n]{0,20}[>＞】]"
)
_BAD_IN_TAG = re.compile(r"[\s\x00-\x1f\x7f\\:*?\"<>|,，、：？＂]")


def check(
    loaded: Loaded,
    *,
    template_names: Collection[str],
    inline_problem: Explain,
    regex_problem: Explain,
) -> list[Problem]:
    """Every cross-mistake in what could be loaded, in the order of the files.

    `inline_problem` and `regex_problem` say in Chinese why a text cannot be used, or None.
    """
    found: list[Mistake] = []
    if loaded.settings:
        found += _operators(loaded.settings)
        found += _placeholders(loaded.settings, loaded)
    if loaded.definitions:
        nodes = list(_nodes(loaded.definitions, ()))
        found += _placeholders(loaded.definitions, loaded)
        found += _repeated(nodes, loaded)
        found += _tag_names(loaded.definitions)
        found += _tags(nodes, loaded.definitions) if "tags" not in loaded.broken else ()
        found += _stages(nodes)
        found += _templates(nodes, template_names)
        found += _inline(nodes, inline_problem)
        found += _matches(nodes, regex_problem)
        found += _language(loaded.definitions)
        found += rule_mistakes(loaded.definitions)
    return sorted(problem_at(loaded.where(m.path, key=m.at_key), m) for m in found)


def _nodes(value: object, path: Path) -> Iterator[Node]:
    """Every model inside, with its path; keys as they are written in YAML."""
    if isinstance(value, BaseModel):
        yield path, value
        for name, info in type(value).model_fields.items():
            yield from _nodes(getattr(value, name), (*path, info.alias or name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _nodes(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _nodes(item, (*path, key))


def _each(value: OneOrMany | None, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts of a value written alone or as a list, with their paths."""
    if isinstance(value, str):
        yield path, value
    elif value is not None:
        yield from (((*path, index), text) for index, text in enumerate(value))


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
            yield (*path, key), key, True
            yield from _texts(item, (*path, key))


def _placeholders(value: Settings | Definitions, loaded: Loaded) -> Iterator[Mistake]:
    for path, text, is_key in _texts(value, ()):
        found = _PLACEHOLDER.search(text)
        if found and not loaded.secret(path):
            message, hint = "还留着没有替换的占位文字", "换成真正的内容"
            yield Mistake(path, message, found=found[0], hint=hint, at_key=is_key)


def _inline(nodes: Iterable[Node], explain: Explain) -> Iterator[Mistake]:
    for path, node in nodes:
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


def _matches(nodes: Iterable[Node], explain: Explain) -> Iterator[Mistake]:
    for path, node in nodes:
        if not isinstance(node, Match):
            continue
        for at, pattern in _each(node.regex, (*path, "regex")):
            if problem := explain(pattern):
                yield Mistake(at, problem)
        for key in ("any", "all", "none", "like"):
            for at, word in _each(getattr(node, key), (*path, key)):
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


# --- names ---------------------------------------------------------------------------------------


def _repeated(nodes: Iterable[Node], loaded: Loaded) -> Iterator[Mistake]:
    """The same id twice in one list, and the same group name pattern twice."""
    seen: dict[tuple[Path, str], Path] = {}
    for path, node in nodes:
        key = "match" if isinstance(node, GroupRule) else "id"
        name = getattr(node, key, None)
        if not isinstance(name, str):
            continue
        at = (*path, key)
        first = seen.setdefault((path[:-1], name), at)
        if first != at:
            yield Mistake(at, f"{key}: {name} 写了两次", hint=keep_one(loaded.where(first)))


def _tag_names(definitions: Definitions) -> Iterator[Mistake]:
    for group, spec in definitions.tags.items():
        path: Path = ("tags", group)
        yield from _tag_name(path, group, at_key=True)
        for index, value in enumerate(spec.values):
            yield from _tag_name((*path, "values", index), value)
            if value in spec.values[:index]:
                yield Mistake((*path, "values", index), f"{value} 写了两次", hint="删掉一个")
        if spec.one_of and not spec.values:
            hint = "写上 values: [甲, 乙]，或者去掉 one_of"
            yield Mistake((*path, "one_of"), "one_of 要和 values 一起写", hint=hint, at_key=True)


def _tag_name(path: Path, name: str, *, at_key: bool = False) -> Iterator[Mistake]:
    bad = _BAD_IN_TAG.search(name)
    if not name.strip():
        yield Mistake(path, "标签名是空的", hint="写上名字，或者删掉这一项", at_key=at_key)
    elif "/" in name:
        hint = "组写在左边，组里的名字写进 values，如 意向: {values: [低, 中, 高]}"
        yield Mistake(path, f"标签名 {name} 里不能有 /", hint=hint, at_key=at_key)
    elif bad:
        what = "空格" if bad[0].isspace() else bad[0]
        yield Mistake(path, f"标签名“{name}”里不能有{what}", hint="去掉它", at_key=at_key)
    elif name.startswith(".") or name == "default":
        hint = "换个名字：模板要用标签名当文件名"
        yield Mistake(path, f"标签不能叫 {name}", hint=hint, at_key=at_key)


def _tags(nodes: Iterable[Node], definitions: Definitions) -> Iterator[Mistake]:
    for path, node in nodes:
        yield from _tag_uses(path, node, definitions)


def _tag_uses(path: Path, node: BaseModel, definitions: Definitions) -> Iterator[Mistake]:
    exact = False
    match node:
        case HasTag(tag=value):
            key = "tag"
        case Rule(tag=value):
            key = "tag"
        case InGroup(in_group=value):
            key = "in_group"
        case GroupPlace(group_tag=value):
            key = "group_tag"
        case RemoveTag(untag=value):
            key = "untag"
        case AddTag(tag=value):
            key, exact = "tag", True
            yield from _rivals((*path, key), value, definitions)
        case GroupRule(tags=value):
            key, exact = "tags", True
        case _:
            return
    if value == () and not isinstance(node, GroupRule):
        yield Mistake((*path, key), f"{key} 不能是空的", hint="写上标签，或者删掉这一行")
    for at, name in _each(value, (*path, key)):
        yield from _tag_use(at, name, definitions, exact=exact)


def _tag_use(path: Path, name: str, definitions: Definitions, *, exact: bool) -> Iterator[Mistake]:
    known = definitions.tag_names()
    if name in known or (not exact and name in definitions.tags):
        return
    group, _, value = name.partition("/")
    spec = definitions.tags.get(group)
    if spec and not value:
        expected = one_of(f"{group}/{one}" for one in spec.values)
        yield Mistake(path, f"{name} 是一组标签，要写出是哪一个", expected)
        return
    hint = did_you_mean(name, known if exact else {**dict.fromkeys(known), **definitions.tags})
    if not hint:
        line = f"{group}: {{values: [{value}]}}" if value else f"{name}: {{}}"
        hint = f"新标签先在 tags 里登记：{line}"
    yield Mistake(path, f"没有叫 {name} 的标签", hint=hint)


def _rivals(path: Path, value: OneOrMany, definitions: Definitions) -> Iterator[Mistake]:
    """Two tags of a group that keeps one."""
    groups = [name.partition("/")[0] for name in many(value)]
    for group, spec in definitions.tags.items():
        if spec.one_of and groups.count(group) > 1:
            message = f"{group} 这一组一个人只能有一个，这里一次给了 {groups.count(group)} 个"
            yield Mistake(path, message, hint="留下一个，或者去掉这一组的 one_of: true")


def _stages(nodes: Iterable[Node]) -> Iterator[Mistake]:
    for path, node in nodes:
        if not isinstance(node, InStage | Rule):
            continue
        for at, stage in _each(node.stage, (*path, "stage")):
            if stage not in STAGES:
                message = f"没有叫 {stage} 的生命周期"
                yield Mistake(at, message, one_of(STAGES), hint=did_you_mean(stage, STAGES))
        if node.stage == ():
            yield Mistake((*path, "stage"), "stage 不能是空的", hint="写上生命周期，或者删掉这一行")


def _templates(nodes: Iterable[Node], names: Collection[str]) -> Iterator[Mistake]:
    for path, node in nodes:
        name = getattr(node, "say", None)
        if isinstance(name, str) and name not in names:
            hint = did_you_mean(name, names) or f"新建文件 templates/{name}.j2，写上要说的话"
            yield Mistake((*path, "say"), f"没有叫 {name} 的模板", hint=hint)
