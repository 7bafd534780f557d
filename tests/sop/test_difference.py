"""What the difference of two versions says, and that it never says nothing about a change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from sop.difference import difference
from sop.sequences import Sop

BASE: dict[str, Any] = {
    "id": "s",
    "title": "三步",
    "steps": [
        {"id": "a", "after": "1m", "do": [{"say": "a"}]},
        {"id": "b", "day": 3, "at": "20:00", "do": [{"say": "b"}]},
        {"id": "c", "after": "1d", "do": [{"say": "c"}]},
    ],
}


def versions(edit: str, value: Any) -> tuple[Sop, Sop]:
    """The base, and the base with what `edit` leads to changed; None takes it out."""
    new = deepcopy(BASE)
    *path, last = [int(x) if x.isdecimal() else x for x in edit.split(".")]
    at: Any = new
    for key in path:
        at = at[key]
    if value is None:
        del at[last]
    elif isinstance(at, list) and isinstance(last, int) and last <= len(at):
        at.insert(last, value)
    else:
        at[last] = value
    return Sop.model_validate(BASE), Sop.model_validate(new)


def test_the_same_has_no_difference() -> None:
    sop = Sop.model_validate(BASE)
    assert difference(sop, sop) == []


@pytest.mark.parametrize(
    ("edit", "value", "line"),
    [
        ("title", "四步", "～ 标题：三步 改成 四步"),
        ("again", "always", "～ 能不能再来：一个人只走一次 改成 走完可以再来"),
        ("exit", [{"tag": "x"}], "～ 提前结束：（没有） 改成 带标签「x」"),
        ("late", "skip after 2h", "～ 晚了怎么办：（没有） 改成 晚过 2 小时就跳过"),
        ("priority", 3, "～ 优先级：（没有） 改成 3"),
        ("steps.1.day", 4, "～ b 的时间：第 3 天 20:00 改成 第 4 天 20:00"),
        ("steps.1.if", {"tag": "x"}, "～ b 的条件：（没有） 改成 带标签「x」"),
        ("steps.1.do", [{"say": "z"}], "～ b 的做什么：说 b 改成 说 z"),
        ("steps.1", None, "－ 删掉 b：第 3 天 20:00，说 b"),
        (
            "steps.2",
            {"id": "n", "after": "2h", "do": [{"say": "n"}]},
            "＋ 新增 n（在 b 之后）：上一步之后 2 小时，说 n",
        ),
        ("steps.0", {"id": "n", "do": []}, "＋ 新增 n（在最前面）：紧接着上一步"),
        ("steps.1.id", "x", "＋ 新增 x（在 a 之后）：第 3 天 20:00，说 b"),
    ],
)
def test_a_change(edit: str, value: Any, line: str) -> None:
    assert line in difference(*versions(edit, value))


def test_steps_that_change_places() -> None:
    new = deepcopy(BASE)
    new["steps"].reverse()
    assert difference(Sop.model_validate(BASE), Sop.model_validate(new)) == [
        "～ 步骤的先后：a、b、c 改成 c、b、a"
    ]


def test_one_more_keyword_of_many_is_named_in_full() -> None:
    def asking(words: list[str]) -> Sop:
        reply = {"within": "1d", "cases": [{"match": {"any": words}}]}
        return Sop.model_validate({"id": "s", "steps": [{"id": "a", "reply": reply}]})

    many = [f"词{n}" for n in range(12)]
    (line,) = difference(asking(many), asking([*many, "新词"]))
    assert "「新词」" in line


def test_what_has_no_words_of_its_own_is_still_a_difference() -> None:
    old = Sop.model_validate({"id": "s", "steps": [{"id": "a", "late": "skip after 60000ms"}]})
    new = Sop.model_validate({"id": "s", "steps": [{"id": "a", "late": "skip after 60001ms"}]})
    assert difference(old, new) == ["～ a 有细节改动"]
    assert difference(
        Sop.model_validate({"id": "s", "late": "skip after 60000ms", "steps": [{"id": "a"}]}),
        Sop.model_validate({"id": "s", "late": "skip after 60001ms", "steps": [{"id": "a"}]}),
    ) == ["有细节改动"]
