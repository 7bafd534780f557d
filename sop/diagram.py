"""An SOP as a text diagram: how one comes in, the steps one below the other, who stands where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sop.engine import Phase
from sop.facets import (
    branch_lines,
    late_words,
    onward_words,
    reply_lines,
    sop_facets,
    timeout_words,
    when,
)
from sop.sequences import Sop, Step
from sop.wording import MOST, condition_words

Standing = Mapping[str, Mapping[Phase, int]]  # step → phase → how many
_WAITS = {Phase.REPLY: "在等回复", Phase.WAIT: "在等事情发生"}


def diagram(sop: Sop, standing: Standing | None = None) -> list[str]:
    """The lines of the diagram."""
    facets = sop_facets(sop)
    facets.pop("标题", None)
    lines = [heading(sop), *(f"{name}：{words}" for name, words in facets.items()), ""]
    for n, step in enumerate(sop.steps):
        here = (standing or {}).get(step.id, {})
        lines.append(f"● {_name(step)}{_crowd(sop, here)}")
        lines += [f"│   {line}" for line in _body(step, first=n == 0)]
    return [*lines, "■ 走完"]


def heading(sop: Sop) -> str:
    """`新好友七天培育（new-friend）`, or the id alone."""
    return f"{sop.title}（{sop.id}）" if sop.title else sop.id


def counted(sop: Sop, number: int) -> str:
    """So many of those who walk it."""
    return f"{number} 个群" if sop.for_ == "group" else f"{number} 人"


def _name(step: Step) -> str:
    return f"{step.id}　{step.title}" if step.title else step.id


def _crowd(sop: Sop, here: Mapping[Phase, int]) -> str:
    total = sum(here.values())
    if not total:
        return ""
    waits = [f"{here[phase]} {words}" for phase, words in _WAITS.items() if here.get(phase)]
    return f"　【{'，'.join([counted(sop, total), *waits])}】"


def _body(step: Step, *, first: bool) -> Iterator[str]:
    condition = f"（条件：{condition_words(step.if_)}）" if step.if_ else ""
    does = "" if step.choose else onward_words(step)
    replies = reply_lines(step, most=MOST)
    does = "，".join(x for x in (does, *replies[:1]) if x) or ("看情况" if step.choose else "")
    colon = "：" if replies or step.choose else ""
    yield f"{when(step, first=first)}{condition}{f' → {does}{colon}' if does else ''}"
    yield from (f"    {line}" for line in (*branch_lines(step), *replies[1:]))
    if step.wait_until is not None:
        yield f"    没等到 → {timeout_words(step.wait_until)}"
    if step.window is not None:
        yield f"    只在 {step.window} 发"
    if step.late is not None:
        yield f"    {late_words(step.late)}"
