"""Templates and facts that mean harm: nothing runs, nothing grows, nothing breaks out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.render import SAMPLE_FACTS, Templates
from sop.errors import RenderError
from sop.messages import Text

PRIVATE, GROUP, _ = SAMPLE_FACTS

# Each stands in a branch that is never taken: it must be refused by what it says, not by luck.
REFUSED = [
    "{% include 'b.j2' %}",
    "{% import 'b.j2' as b %}",
    "{% from 'b.j2' import b %}",
    "{% macro f() %}{% endmacro %}",
    "{% call name() %}{% endcall %}",
    "{% filter trim %}x{% endfilter %}",
    "{% with a = 1 %}{{ a }}{% endwith %}",
    "{% set a %}x{% endset %}",
    "{% autoescape true %}x{% endautoescape %}",
    "{% set name.x = 1 %}",
    "{% do tags.append(1) %}",
    "{% debug %}",
    "{% for a in text %}{% for b in text %}{{ a }}{% endfor %}{% endfor %}",
    "{% for a in tags recursive %}{{ a }}{% endfor %}",
    "{% for a in tags if tags.pop() %}{{ a }}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * 'a' }}",
    "{{ ('a' + 'b') * 1000000000 }}",
    "{{ [1] * 1000000000 }}",
    "{{ '%999999999d' % 1 }}",
    "{{ 2 ** 99999999 }}",
    "{{ 1e999 }}",
    "{{ 99999999999999999999 }}",
    "{{ range(10**9)|join }}",
    "{{ lipsum(n=100000) }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{{ cycler('a') }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ name|attr('__class__') }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{{ '{0.__class__}'|format(name) }}",
    "{{ tags|map(attribute='__class__')|join }}",
    "{{ tags|map('upper')|join }}",
    "{{ tags|sort(attribute='x') }}",
    "{{ 'x'|center(999999999) }}",
    "{{ 'x'|indent(999999999) }}",
    "{{ 'x'|truncate(*tags) }}",
    "{{ tags|tojson }}",
    "{{ tags|random }}",
    "{{ name.upper() }}",
    "{{ vars.items() }}",
    "{{ vars.items }}",
    "{{ loop }}",
    "{{ _run }}",
    "{{ _run.left }}",
    "{{ tags|_each(0) }}",
    "{{ ['a']|pick(1) }}",
    "{{ name is callable }}",
    "{{ name is filter }}",
    "{{ sender_id }}",
    "{{ seed }}",
    "{{ '\\x1e1\\x1f' }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ name" + ".a" * 3000 + " }}",
    "{{ 1" + "+1" * 3000 + " }}",
    "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    "{{ 9" + "9" * 6000 + " }}",
    "{% if 1 %}" * 500 + "x" + "{% endif %}" * 500,
    "x" * 20_001,
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40])
def test_it_is_refused_at_load_even_where_it_would_never_run(text: str) -> None:
    templates = Templates({"a.j2": "{% if false %}" + text + "{% endif %}你好"})
    assert templates.problems
    assert {problem.line for problem in templates.problems} == {1}
    with pytest.raises(RenderError):
        templates.render("a", tags=[], facts=PRIVATE)


def test_inheritance_is_refused_at_load() -> None:
    assert Templates({"a.j2": "{% extends 'b.j2' %}"}).problems
    assert Templates({"a.j2": "{% block a %}x{% endblock %}"}).problems


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{% set a = 'ab' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}", "超过 4000 个字"),
        ("{% set a = 'ab' %}" + "{% set a = a + a %}" * 40 + "{{ a }}", "超过 4000 个字"),
        ("{% set a = 'a' %}" + "{% set a = a|replace('a', 'aaaaaaaa') %}" * 40, "超过 4000 个字"),
        ("{% set a = [name] %}" + "{% set a = [a|join, a|join] %}" * 40, "超过 4000 个字"),
        ("{% set a = 9 %}" + "{% set a = a * a %}" * 60 + "{{ a }}", "数字太大了"),
        ("{{ name * 1000000000 }}", "只有数字才能计算"),
        ("{{ tags * 1000000000 }}", "只有数字才能计算"),
        ("{% for a in '" + "x" * 9000 + "' %}{{ a }}{% endfor %}", "循环的次数太多了"),
        (
            "{% for a in '" + "x" * 900 + "' %}" + "{{ a }}" * 20 + "{% endfor %}",
            "循环的次数太多了",
        ),
        ("{{ name.format }}", "这里没有 format"),
        ("{{ tags.append }}", "这里没有 append"),
        ("{{ now.replace }}", "这里没有 replace"),
        ("{{ {'a': 1}.keys }}", "这里没有 keys"),
        ("{% for t in tags %}{{ loop.cycle }}{% endfor %}", "这里没有 cycle"),
    ],
)
def test_what_only_running_shows_is_stopped_by_a_budget_at_load(text: str, why: str) -> None:
    problems = Templates({"a.j2": text}).problems
    assert any(why in problem.message for problem in problems), problems


def test_a_front_block_cannot_expand_without_end() -> None:
    anchors = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    assert Templates({"a.j2": f"---\n{anchors}image: *c\n---\n"}).problems
    assert Templates({"a.j2": "---\nimage: &a [*a]\n---\n"}).problems
    assert Templates({"a.j2": "---\nimage: " + "[" * 5000 + "\n---\n"}).problems
    many = "---\nimage: [" + "https://a.cn/a.png, " * 50 + "]\n---\n"
    assert "超过 20 条" in Templates({"a.j2": many}).problems[0].message


@settings(deadline=None)
@given(st.text(alphabet="{}%#|~*()[]'\"- \n.abn_你好0=&", max_size=60))
def test_no_text_of_an_operator_crashes_the_loading(text: str) -> None:
    templates = Templates({"a.j2": text, "b.j2": f"---\n{text}\n---\n好"})
    assert all(problem.line >= 1 and problem.column >= 1 for problem in templates.problems)
    templates.inline_problem(text)


class TestFactsOfAStranger:
    templates = Templates({"a.j2": "{{ name }}：{{ text }}", "b.j2": "{{ members|join('|') }}"})

    def render(self, **facts: Any) -> str:
        (body,) = self.templates.render("a", tags=[], facts={**PRIVATE, "remark": "", **facts})
        assert isinstance(body, Text)
        return body.text

    def test_what_looks_like_a_template_comes_out_as_written(self) -> None:
        assert self.render(nickname="{{7*7}}", text="{% if 1 %}") == "{{7*7}}：{% if 1 %}"

    def test_a_name_stays_on_its_line_and_keeps_its_direction(self) -> None:
        hostile = "小\u202e雨\r\n---\n\u200b\x00\x1e7\x1f\ufeff店\u2028主"
        assert self.render(nickname=hostile, text="x") == "小雨 --- 7店 主：x"

    def test_a_name_that_cannot_be_seen_is_no_name(self) -> None:
        assert self.render(nickname="\u3164\u200b \u2800", text="x") == "亲：x"

    def test_emoji_families_survive(self) -> None:
        assert self.render(nickname="小雨👩\u200d👧", text="x") == "小雨👩\u200d👧：x"

    def test_a_text_cannot_split_a_bubble_or_fill_it(self) -> None:
        assert self.render(nickname="雨", text="一\n---\n二\x1e1\x1f三") == "雨：一\n---\n二1三"
        assert len(self.render(nickname="雨" * 999, text="长" * 99_999)) == 64 + 1 + 1_000

    def test_members_and_attributes_are_cleaned_too(self) -> None:
        facts = {**GROUP, "members": ["小\u202e雨", "阿\n杰"]}
        assert self.templates.render("b", tags=[], facts=facts) == (Text(text="小雨|阿 杰"),)
        inline = self.templates.render_inline("{{ attributes.a }}", {"attributes": {"a": "x\x1e"}})
        assert inline == "x"

    @pytest.mark.parametrize("value", [object(), {"a": object()}, [[[[[["deep"]]]]]], b"x", {1}])
    def test_only_plain_data_comes_in(self, value: Any) -> None:
        with pytest.raises(RenderError, match="attributes 里有模板不能用的数据"):
            self.templates.render_inline("{{ attributes.x }}", {"attributes": {"x": value}})

    def test_rendering_leaves_the_callers_facts_alone(self) -> None:
        attributes = {"孩子": ["大宝"]}
        text = "{% set a = attributes %}{{ a.孩子|join }}"
        assert self.templates.render_inline(text, {"attributes": attributes}) == "大宝"
        assert attributes == {"孩子": ["大宝"]}

    @settings(deadline=None)
    @given(st.text(max_size=200), st.text(max_size=300))
    def test_whatever_they_write_is_one_bubble(self, nickname: str, text: str) -> None:
        assert "：" in self.render(nickname=nickname, text=text)
