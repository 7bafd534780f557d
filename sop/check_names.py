"""Checks of names: what is written twice, and what is named but not there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from pydantic import BaseModel

from sop.actions import AddTag, GroupPlace, Invitation, RemoveTag
from sop.conditions import HasTag, InGroup, InStage, Membership, OneOrMany, many
from sop.core import CorePeople
from sop.definitions import Definitions, GroupRule, Rule
from sop.guarding import Allowed
from sop.knowledge import Faq
from sop.load import Loaded, keep_one
from sop.mistakes import Mistake, one_of
from sop.nodes import Node, each, nodes
from sop.problems import did_you_mean
from sop.pushes import AtFestival, GroupsWith, MomentPlan, ToAudience
from sop.rehearsal import Persona
from sop.sequences import (
    EnterAudience,
    EnterFestival,
    EnterStage,
    EnterTag,
    Goal,
    Onward,
    Sop,
    Step,
)
from sop.source import Path

_SAYING = ("before", "waiting", "member", "full")
_BAD_IN_TAG = re.compile(r"[\s\x00-\x1f\x7f\\:*?\"<>|,，、：？＂]")


def name_mistakes(
    every: Iterable[Node],
    loaded: Loaded,
    definitions: Definitions,
    templates: Collection[str],
    festivals: Collection[str] | None,
) -> Iterator[Mistake]:
    """Every name that is given twice or not at all.

    What could not be read declares nothing, so the names of a broken kind are left alone.
    """
    yield from _repeated(every, loaded)
    yield from _tag_names(definitions)
    sops = [sop.id for sop in definitions.sops]
    audiences = [audience.id for audience in definitions.audiences]
    for path, node in every:
        if "tags" not in loaded.broken:
            yield from _tag_uses(path, node, definitions)
        if "stages" not in loaded.broken:
            yield from _stage_uses(path, node, definitions.stage_names())
        if "audiences" not in loaded.broken:
            yield from _audience_uses(path, node, audiences)
        if "sops" not in loaded.broken:
            yield from _sop_uses(path, node, sops)
        yield from _festival_uses(path, node, festivals)
        yield from _template_uses(path, node, templates)
        if "groups" not in loaded.broken:
            yield from _group_uses(path, node, definitions)
    for n, sop in enumerate(definitions.sops):
        yield from _goto_uses(("sops", n), sop)


def _repeated(every: Iterable[Node], loaded: Loaded) -> Iterator[Mistake]:
    """The same id twice in one list, and the same group name pattern twice."""
    seen: dict[tuple[Path, str], Path] = {}
    for path, node in every:
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


def _tag_uses(path: Path, node: BaseModel, definitions: Definitions) -> Iterator[Mistake]:
    exact = False
    match node:
        case HasTag(tag=value) | EnterTag(tag=value) | Goal(tag=value) | Rule(tag=value):
            key = "tag"
        case GroupsWith(tag=value):
            key = "tag"
            for at, name in each(node.without, (*path, "without")):
                yield from _tag_use(at, name, definitions, exact=False)
        case Persona():
            for name in node.tags:
                yield from _tag_use((*path, "tags", name), name, definitions, exact=True)
            return
        case MomentPlan(visible_to=value):
            key = "visible_to"
        case CorePeople(tag=value):
            key = "tag"
        case Allowed(tags=value):
            key = "tags"
        case InGroup(in_group=value):
            key = "in_group"
        case (
            GroupPlace(group_tag=value) | Membership(group_tag=value) | Invitation(group_tag=value)
        ):
            key = "group_tag"
        case RemoveTag(untag=value):
            key = "untag"
        case AddTag(tag=value):
            key, exact = "tag", True
            yield from _rivals((*path, key), value, definitions)
        case GroupRule(tags=value):
            key, exact = "tags", True
        case Faq(tag=value):
            key, exact = "tag", True
            yield from _rivals((*path, key), value, definitions)
        case _:
            return
    if value == () and not isinstance(node, GroupRule | Allowed | Faq):
        yield Mistake((*path, key), f"{key} 不能是空的", hint="写上标签，或者删掉这一行")
    for at, name in each(value, (*path, key)):
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


def _stage_uses(path: Path, node: BaseModel, stages: tuple[str, ...]) -> Iterator[Mistake]:
    if not isinstance(node, InStage | EnterStage | Rule):
        return
    for at, stage in each(node.stage, (*path, "stage")):
        if stage not in stages:
            message = f"没有叫 {stage} 的生命周期"
            yield Mistake(at, message, one_of(stages), hint=did_you_mean(stage, stages))
    if node.stage == ():
        yield Mistake((*path, "stage"), "stage 不能是空的", hint="写上生命周期，或者删掉这一行")


def _festival_uses(path: Path, node: BaseModel, known: Collection[str] | None) -> Iterator[Mistake]:
    if not isinstance(node, EnterFestival | Step | AtFestival):
        return
    for at, name in each(node.festival, (*path, "festival")):
        if known is not None and name not in known:
            message, hint = f"日历里没有叫 {name} 的节日", did_you_mean(name, known)
            expected = "节日或节气的名字，如 春节、端午、中秋、国庆、双十一、冬至"
            yield Mistake(at, message, expected, hint=hint)
    if node.festival == ():
        yield Mistake((*path, "festival"), "festival 不能是空的", hint="写上节日，或者删掉这一行")


def _audience_uses(path: Path, node: BaseModel, known: Collection[str]) -> Iterator[Mistake]:
    if isinstance(node, EnterAudience | ToAudience) and node.audience not in known:
        hint = did_you_mean(node.audience, known) or f"先在 audiences 里写一个 id: {node.audience}"
        yield Mistake((*path, "audience"), f"没有叫 {node.audience} 的人群", hint=hint)


def _sop_uses(path: Path, node: BaseModel, known: Collection[str]) -> Iterator[Mistake]:
    for key in ("enroll", "leave", "in_sop", "finished_sop"):
        value = getattr(node, key, None)
        if value == ():
            yield Mistake((*path, key), f"{key} 不能是空的", hint="写上 SOP，或者删掉这一行")
        for at, name in each(value, (*path, key)):
            if name not in known:
                hint = did_you_mean(name, known) or f"先在 sops 里写一个 id: {name}"
                yield Mistake(at, f"没有叫 {name} 的 SOP", hint=hint)


def _goto_uses(path: Path, sop: Sop) -> Iterator[Mistake]:
    known = [step.id for step in sop.steps]
    for at, node in nodes(sop, path):
        if isinstance(node, Onward) and node.goto is not None and node.goto not in known:
            hint = did_you_mean(node.goto, known)
            message = f"这个 SOP 里没有叫 {node.goto} 的步骤"
            yield Mistake((*at, "goto"), message, one_of(known), hint=hint)


def _template_uses(path: Path, node: BaseModel, known: Collection[str]) -> Iterator[Mistake]:
    for key in _SAYING if isinstance(node, Invitation) else ("say", "template"):
        name = getattr(node, key, None)
        if isinstance(name, str) and name not in known:
            hint = did_you_mean(name, known) or f"新建文件 templates/{name}.j2，写上要说的话"
            yield Mistake((*path, key), f"没有叫 {name} 的模板", hint=hint)


def _group_uses(path: Path, node: BaseModel, definitions: Definitions) -> Iterator[Mistake]:
    """A group by its name, which has to be one of those that `groups` speaks of."""
    if not isinstance(node, Invitation) or node.group is None:
        return
    if definitions.group_rule(node.group) is None:
        known = [rule.match for rule in definitions.groups]
        hint = did_you_mean(node.group, known) or f"先在 groups 里写上：- match: {node.group}"
        message = f"groups 里没有哪一条说的是「{node.group}」"
        yield Mistake((*path, "group"), message, hint=hint)
