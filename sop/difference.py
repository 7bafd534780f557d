"""What changed between two versions of an SOP, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sop.facets import sop_facets, step_facets, when
from sop.sequences import Sop, Step
from sop.wording import actions_words

_NOTHING = "（没有）"


def difference(old: Sop, new: Sop) -> list[str]:
    """The differences, a line each: the whole, steps that are new, gone, changed, moved."""
    lines = [
        *_changed(sop_facets(old), sop_facets(new), ""),
        *_new(old, new),
        *_gone(old, new),
        *(line for step in new.steps for line in _step(old.step(step.id), step)),
        *_order(old, new),
    ]
    return lines or ([] if old == new else ["有细节改动"])


def _new(old: Sop, new: Sop) -> Iterator[str]:
    for n, step in enumerate(new.steps):
        if old.step(step.id) is None:
            place = f"在 {new.steps[n - 1].id} 之后" if n else "在最前面"
            yield f"＋ 新增 {step.id}（{place}）：{_brief(step)}"


def _gone(old: Sop, new: Sop) -> Iterator[str]:
    for step in old.steps:
        if new.step(step.id) is None:
            yield f"－ 删掉 {step.id}：{_brief(step)}"


def _step(old: Step | None, new: Step) -> Iterator[str]:
    if old is None or old == new:
        return
    lines = list(_changed(step_facets(old), step_facets(new), f"{new.id} 的"))
    yield from lines or [f"～ {new.id} 有细节改动"]


def _changed(old: Mapping[str, str], new: Mapping[str, str], whose: str) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, _NOTHING), new.get(name, _NOTHING)
        if before != after:
            yield f"～ {whose}{name}：{before} 改成 {after}"


def _order(old: Sop, new: Sop) -> Iterator[str]:
    before = [step.id for step in old.steps if new.step(step.id) is not None]
    after = [step.id for step in new.steps if old.step(step.id) is not None]
    if before != after:
        yield f"～ 步骤的先后：{'、'.join(before)} 改成 {'、'.join(after)}"


def _brief(step: Step) -> str:
    does = actions_words(step.do)
    return f"{when(step)}{f'，{does}' if does else ''}"
