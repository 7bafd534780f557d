"""What a template may contain: an allow-list over its syntax tree, and the rewriting of the rest.

Jinja2's sandbox stops code, not waste: strings multiplied a billion times, loops in loops, reads of
methods. So only the nodes below pass, and what remains is rewritten so that it pays for its work.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jinja2 import nodes

from bot.render.facts import NAMES
from bot.render.filters import CONCAT, EACH, FILTERS, NUMBER_LIMIT, TESTS
from sop.problems import did_you_mean

DEPTH_LIMIT = 60

ALLOWED: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const),
    *(nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword),
    *(nodes.If, nodes.For, nodes.Assign, nodes.CondExpr),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos),
    *(nodes.Concat, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test),
)
SAID: dict[type[nodes.Node], str] = {
    nodes.Include: "{% include %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from %}",
    nodes.Extends: "{% extends %}",
    nodes.Block: "{% block %}",
    nodes.Macro: "{% macro %}",
    nodes.CallBlock: "{% call %}",
    nodes.FilterBlock: "{% filter %}",
    nodes.With: "{% with %}",
    nodes.AssignBlock: "{% set %}…{% endset %}",
    nodes.Scope: "{% autoescape %}",
    nodes.NSRef: "给对象的属性赋值",
    nodes.Pow: "乘方 **",
    nodes.Call: "函数调用",
}
CHINESE_NAMES = {
    "昵称": "nickname",
    "备注": "remark",
    "名字": "name",
    "姓名": "name",
    "称呼": "name",
    "标签": "tags",
    "阶段": "stage",
    "群名": "group",
    "成员": "members",
    "时间": "now",
    "社群": "community",
    "内容": "text",
    "关键词": "keyword",
}
FILTER_HINTS = {"random": "pick", "count": "length", "d": "default"}
_TEXTS = (nodes.Concat, nodes.List, nodes.Tuple, nodes.Dict)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Mistake(NamedTuple):
    """What is wrong with a node, and the word in its line that shows where."""

    line: int
    word: str
    message: str
    hint: str = ""
    expected: str = ""


def mistakes(tree: nodes.Template, variables: Mapping[str, Any]) -> list[Mistake]:
    """Everything in the tree that a template may not contain."""
    found: list[Mistake] = []
    known = {*NAMES, *_assigned(tree)}
    for node, depth, loops in _walk(tree):
        if depth > DEPTH_LIMIT:
            return [*found, Mistake(node.lineno, "", "这一段写得太复杂了，请拆开")]
        if not isinstance(node, ALLOWED):
            found.append(_refused(node))
            continue
        if isinstance(node, nodes.For):
            found.extend(_loop(node, loops))
        found.extend(_of(node, known | {"loop"} if loops else known, variables))
    return found


def _walk(tree: nodes.Template) -> Iterator[tuple[nodes.Node, int, int]]:
    """Nodes in order, with their depth and loops around them; what is refused hides its inside.

    It keeps its own stack, since a hostile tree is deeper than Python's.
    """
    stack: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while stack:
        node, depth, loops = stack.pop()
        yield node, depth, loops
        if isinstance(node, ALLOWED) and depth <= DEPTH_LIMIT:
            inner = loops + isinstance(node, nodes.For)
            children = [(child, depth + 1, inner) for child in node.iter_child_nodes()]
            stack.extend(reversed(children))


def _assigned(tree: nodes.Template) -> set[str]:
    names = (node for node, *_ in _walk(tree) if isinstance(node, nodes.Name))
    return {name.name for name in names if name.ctx == "store"}


def _of(node: nodes.Node, known: set[str], variables: Mapping[str, Any]) -> Iterator[Mistake]:
    """The mistakes of one allowed node."""
    match node:
        case nodes.Name():
            yield from _name(node, known)
        case nodes.Getattr():
            yield from _entry(node, node.attr, variables)
        case nodes.Getitem(arg=nodes.Const(value=str() as entry)):
            yield from _entry(node, entry, variables)
        case nodes.Filter():
            yield from _filter(node)
        case nodes.Test() if node.name not in TESTS:
            message = f"没有“is {node.name}”这种判断"
            yield Mistake(node.lineno, node.name, message, expected="、".join(TESTS))
        case nodes.Const(value=str() as value) if _CONTROL.search(value):
            yield Mistake(node.lineno, "\\", "文字里不能有控制字符")
        case nodes.Const(value=int() | float() as value) if abs(value) > NUMBER_LIMIT:
            yield Mistake(node.lineno, "", "数字太大了")
        case nodes.Mul() | nodes.Div() | nodes.FloorDiv() | nodes.Mod():
            if _is_text(node.left) or _is_text(node.right):
                message = f"文字和列表不能用 {node.operator} 计算"
                yield Mistake(node.lineno, node.operator, message, "拼接文字请用 ~")


def _refused(node: nodes.Node) -> Mistake:
    said = SAID.get(type(node), type(node).__name__)
    if not isinstance(node, nodes.Call):
        word = said.split()[1] if said.startswith("{%") else "**"
        return Mistake(node.lineno, word, f"模板里不能用 {said}")
    word = _called(node.node)
    hint = "请用过滤器，例如 {{ tags|join('、') }}"
    if word in FILTERS and isinstance(node.node, nodes.Getattr):
        hint = f"请写成 …|{word}"
    return Mistake(node.lineno, word, f"模板里不能用 {said}", hint)


def _called(node: nodes.Node) -> str:
    return str(getattr(node, "attr", "") or getattr(node, "name", "") or "(")


def _loop(node: nodes.For, loops: int) -> Iterator[Mistake]:
    if loops:
        yield Mistake(node.lineno, "for", "循环里不能再套循环")
    if node.recursive:
        yield Mistake(node.lineno, "recursive", "循环不能写 recursive")


def _name(node: nodes.Name, known: set[str]) -> Iterator[Mistake]:
    name = node.name
    if name.startswith("_"):
        yield Mistake(node.lineno, name, f"名字不能以下划线开头：{name}")
    elif node.ctx == "load" and name not in known:
        alias = CHINESE_NAMES.get(name)
        hint = f"请写 {{{{ {alias} }}}}" if alias else did_you_mean(name, known)
        expected = "" if hint else "、".join(NAMES)
        yield Mistake(node.lineno, name, f"模板里没有叫 {name} 的内容", hint, expected)


def _entry(
    node: nodes.Getattr | nodes.Getitem, entry: str, variables: Mapping[str, Any]
) -> Iterator[Mistake]:
    if entry.startswith("_"):
        yield Mistake(node.lineno, entry, f"不能读取以下划线开头的内容：{entry}")
    elif isinstance(node.node, nodes.Name) and node.node.name == "vars" and entry not in variables:
        hint = did_you_mean(entry, variables) or "请在 siyu.yaml 的 vars 下面加上它"
        yield Mistake(node.lineno, entry, f"没有叫 {entry} 的变量", hint)


def _filter(node: nodes.Filter) -> Iterator[Mistake]:
    name = node.name
    if name not in FILTERS:
        near = FILTER_HINTS.get(name)
        hint = f"请用 {near}" if near else did_you_mean(name, FILTERS)
        expected = "" if hint else "、".join(FILTERS)
        yield Mistake(node.lineno, name, f"没有叫 {name} 的过滤器", hint, expected)
    elif node.dyn_args or node.dyn_kwargs or not _fits(node):
        yield Mistake(node.lineno, name, f"过滤器 {name} 的参数不对")


def _fits(node: nodes.Filter) -> bool:
    # `pick` takes the context and its place in the template, which no template writes.
    implied = 3 if node.name == "pick" else 1
    given = [None] * (implied + len(node.args))
    try:
        inspect.signature(FILTERS[node.name]).bind(
            *given, **{str(keyword.key): None for keyword in node.kwargs}
        )
    except TypeError:
        return False
    return True


def _is_text(node: nodes.Node) -> bool:
    match node:
        case nodes.Const():
            return isinstance(node.value, str)
        case nodes.Add():
            return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, _TEXTS)


def says_something(tree: nodes.Template) -> bool:
    """Whether any way through the template could print more than blanks."""
    for node in tree.find_all(nodes.Output):
        for child in node.nodes:
            match child:
                case nodes.TemplateData(data=text) | nodes.Const(value=str() as text):
                    if re.sub(r"\x1e\d+\x1f", "", text).strip():
                        return True
                case _:
                    return True
    return False


def rewrite(tree: nodes.Template) -> None:
    """Loops pay for their turns, `~` is bounded, and every `pick` learns its place."""
    for loop in list(tree.find_all(nodes.For)):
        weight = 1 + sum(1 for _ in loop.find_all(nodes.Node))
        loop.iter = _hidden(loop.iter, EACH, nodes.Const(weight))
    picks = [node for node in tree.find_all(nodes.Filter) if node.name == "pick"]
    for ordinal, pick in enumerate(picks):
        pick.args.append(nodes.Const(ordinal, lineno=pick.lineno))
    _rewrite_concats(tree)


def _rewrite_concats(node: nodes.Node) -> None:
    for field, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            _rewrite_concats(value)
            setattr(node, field, _bounded(value))
        elif isinstance(value, list):
            for child in value:
                if isinstance(child, nodes.Node):
                    _rewrite_concats(child)
            value[:] = [_bounded(child) for child in value]


def _bounded(node: Any) -> Any:
    if not isinstance(node, nodes.Concat):
        return node
    return _hidden(nodes.List(node.nodes, lineno=node.lineno), CONCAT)


def _hidden(value: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(args), [], None, None, lineno=value.lineno)
