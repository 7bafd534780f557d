"""Templates of honest operators: choice by tag, bubbles, filters, problems."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from bot.render import SAMPLE_FACTS, Templates
from sop.errors import RenderError
from sop.messages import Body, Text

PRIVATE, GROUP, NAMELESS = SAMPLE_FACTS


def say(text: str, facts: Any = PRIVATE, **variables: Any) -> tuple[Body, ...]:
    templates = Templates({"a.j2": text}, variables=variables)
    assert not templates.problems, templates.problems[0].lines()
    return templates.render("a", tags=[], facts=facts)


def said(text: str, facts: Any = PRIVATE, **variables: Any) -> str:
    (body,) = say(text, facts, **variables)
    assert isinstance(body, Text)
    return body.text


def screen(files: dict[str, str], **options: Any) -> list[str]:
    """The screen lines of all problems."""
    problems = Templates(files, **options).problems
    return [line for problem in problems for line in problem.lines()]


class TestChoice:
    FILES: ClassVar = {
        "welcome/default.j2": "你好",
        "welcome/宝妈.j2": "宝妈你好",
        "welcome/同行.j2": "同行你好",
        "welcome/意向/高.j2": "贵客你好",
        "sop/new-friend/hello.j2": "来啦",
        "bye.j2": "再见",
        "bye/宝妈.j2": "宝妈再见",
    }
    TAGS = ("同行", "宝妈", "意向/高", "意向/低")

    def choose(self, name: str, *tags: str) -> str:
        return Templates(self.FILES, tag_order=self.TAGS).choose(name, tags)

    def test_a_folder_answers_with_the_file_of_a_carried_tag(self) -> None:
        assert self.choose("welcome", "宝妈") == "welcome/宝妈.j2"

    def test_without_a_fitting_tag_the_default_answers(self) -> None:
        assert self.choose("welcome", "意向/低") == "welcome/default.j2"
        assert self.choose("welcome") == "welcome/default.j2"

    def test_the_longer_tag_path_is_the_more_specific(self) -> None:
        assert self.choose("welcome", "同行", "宝妈", "意向/高") == "welcome/意向/高.j2"

    def test_ties_go_by_the_order_of_the_yaml_not_of_the_contact(self) -> None:
        assert self.choose("welcome", "宝妈", "同行") == "welcome/同行.j2"

    def test_a_file_may_be_the_default_of_the_folder_beside_it(self) -> None:
        assert self.choose("bye") == "bye.j2"
        assert self.choose("bye", "宝妈") == "bye/宝妈.j2"

    def test_names_are_files_and_folders_with_a_default(self) -> None:
        names = Templates(self.FILES, tag_order=self.TAGS).names()
        assert {"welcome", "bye", "sop/new-friend/hello"} <= names
        assert not {"sop", "sop/new-friend", "welcome/default"} & names

    def test_an_unknown_name_says_what_was_meant(self) -> None:
        with pytest.raises(RenderError, match="没有叫 welcom 的模板。是不是想写 welcome"):
            self.choose("welcom")

    def test_two_defaults_are_an_error_and_an_unknown_tag_a_warning(self) -> None:
        files = {"hi.j2": "嗨", "hi/default.j2": "嗨", "hi/宝马.j2": "嗨"}
        twice, unknown = Templates(files, tag_order=["宝妈"]).problems
        assert (twice.file, twice.warning) == ("templates/hi.j2", False)
        assert (unknown.file, unknown.warning) == ("templates/hi/宝马.j2", True)
        assert unknown.hint == "是不是想写 宝妈？"


class TestBubbles:
    def test_a_line_of_dashes_splits_and_blank_bubbles_vanish(self) -> None:
        bodies = say("\n一\n---\n\n---\n  二 \n两行\n---\n")
        assert [body.text for body in bodies if isinstance(body, Text)] == ["一", "二 \n两行"]

    def test_a_condition_may_reach_over_bubbles(self) -> None:
        text = "{% if '宝妈' in tags %}\n一\n---\n二\n{% endif %}\n---\n三"
        assert len(say(text)) == 3
        assert len(say(text, NAMELESS)) == 1

    def test_a_line_with_only_a_tag_leaves_no_blank_line(self) -> None:
        assert said("一\n  {% if stage %}\n二\n  {% endif %}\n三") == "一\n二\n三"

    def test_saying_nothing_is_legal(self) -> None:
        assert say("{% if group %}大家好{% endif %}") == ()

    def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(self) -> None:
        assert len(say("\ufeff一\r\n---\r\n二")) == 2

    def test_a_bubble_too_long_names_its_line(self) -> None:
        templates = Templates({"a.j2": "短\n---\n\n{{ text ~ text }}\n{{ text ~ text }}"})
        assert not templates.problems
        with pytest.raises(RenderError, match=r"templates/a\.j2:2：这一条有 \d+ 个字，超过 2000"):
            templates.render("a", tags=[], facts={**PRIVATE, "text": "长" * 999})

    def test_a_loop_cannot_make_a_flood_of_messages(self) -> None:
        templates = Templates({"a.j2": "{% for m in members %}\n{{ m }}\n---\n{% endfor %}"})
        with pytest.raises(RenderError, match="超过 20 条"):
            templates.render("a", tags=[], facts={**GROUP, "members": ["小雨"] * 21})


class TestFilters:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{{ now|greeting }}，今天{{ now|date }}{{ now|weekday }}", "早上好，今天11月21日周六"),
            ("{{ now|time }} {{ now.hour }}点", "09:30 9点"),
            ("{{ tags|join('、') }}共{{ tags|length }}个", "宝妈、意向/高共2个"),
            ("{{ attributes.城市|default('本地') }}", "本地"),
            ("{{ ''|default('空') }}{{ 0|default('空') }}", "空0"),
            ("{{ text|truncate(4) }}", "这个多…"),
            ("{{ text|replace('多少钱', '什么价') }}", "这个什么价呀"),
            ("{{ vars.单价 * 3 }}元", "59.7元"),
            ("{{ (vars.单价 * 3)|round }}元", "60元"),
            ("{{ '7'|int + 1 }}", "8"),
            ("{{ '小 雨'|urlencode }}", "%E5%B0%8F%20%E9%9B%A8"),
            ("{{ {'成长期': '老朋友'}[stage]|default('新朋友') }}", "老朋友"),
            ("{{ tags|first|default }}{{ tags|last|default }}{{ '  x '|trim }}", "宝妈意向/高x"),
            ("{% for tag in tags %}{{ loop.index }}{{ tag }} {% endfor %}", "1宝妈 2意向/高"),
            ("{% set who = name ~ '姐' %}{{ who }}", "王小雨姐"),
            ("{{ '老客' if '宝妈' in tags else '新客' }}", "老客"),
        ],
    )
    def test_it_reads_as_expected(self, text: str, expected: str) -> None:
        assert said(text, 单价=19.9) == expected

    @pytest.mark.parametrize(
        ("hour", "words"),
        [
            *((0, "夜深了"), (5, "早上好"), (11, "中午好"), (13, "下午好")),
            *((18, "晚上好"), (23, "夜深了")),
        ],
    )
    def test_greeting_follows_the_hour(self, hour: int, words: str) -> None:
        facts = {**PRIVATE, "now": PRIVATE["now"].replace(hour=hour)}
        assert said("{{ now|greeting }}", facts) == words

    def test_pick_varies_by_contact_and_place_but_never_by_chance(self) -> None:
        templates = Templates({"a.j2": "{{ ['甲', '乙']|pick }}{{ ['甲', '乙']|pick }}"})

        def render(seed: int) -> tuple[Body, ...]:
            return templates.render("a", tags=[], facts={**PRIVATE, "seed": seed})

        assert all(render(seed) == render(seed) for seed in range(20))
        assert len({render(seed) for seed in range(40)}) == 4


class TestNames:
    def test_the_friendliest_known_name_wins(self) -> None:
        assert said("{{ name }}") == "王小雨"
        assert said("{{ name }}", GROUP) == "小雨"
        assert said("{{ name }}", NAMELESS) == "亲"

    def test_the_operators_variables_may_have_chinese_keys(self) -> None:
        assert (
            said("{{ vars.店铺地址 }}{{ vars['几号'] }}", 店铺地址="米糕巷", 几号=12) == "米糕巷12"
        )


class TestProblems:
    @pytest.mark.parametrize(
        ("text", "lines"),
        [
            (
                "你好\n{{ nickname，}}",
                [
                    "templates/a.j2:2:12  {{ }} 或 {% %} 里面不能用字符 ，",
                    "    提示：里面的标点要用英文半角，文字要加引号",
                ],
            ),
            (
                "你好\n\n{% if stage %}在",
                ["templates/a.j2:3:4  {% if %} 没有结束", "    提示：在后面加上 {% endif %}"],
            ),
            (
                "{% if stage %}在{% endfi %}",
                [
                    "templates/a.j2:1:19  没有 {% endfi %} 这种写法",
                    "    提示：前面的 {% if %} 要先用 {% endif %} 结束",
                ],
            ),
            (
                "你好 {{ 昵称 }}",
                [
                    "templates/a.j2:1:7  模板里没有叫 昵称 的内容",
                    "    提示：请写 {{ nickname }}",
                ],
            ),
            (
                "地址 {{ vars.店铺地 }}",
                [
                    "templates/a.j2:1:12  没有叫 店铺地 的变量",
                    "    提示：是不是想写 店铺地址？",
                ],
            ),
            (
                "好\n{{ members|first }}",
                [
                    "templates/a.j2:2:1  这里没有 第一个（列表是空的）（用“私聊”试渲染时）",
                    "    提示：不一定有的内容请写成 …|default('别的文字')，"
                    "或先用 {% if … is defined %} 判断",
                ],
            ),
            (
                "好\n\n{{ tags }}",
                ["templates/a.j2:3:1  列表不能直接输出；请写成 …|join('、')（用“私聊”试渲染时）"],
            ),
            (
                "{{ name|random }}",
                ["templates/a.j2:1:9  没有叫 random 的过滤器", "    提示：请用 pick"],
            ),
            ("{{ name|truncate }}", ["templates/a.j2:1:9  过滤器 truncate 的参数不对"]),
            ("{{ 1 / 0 }}", ["templates/a.j2:1:1  不能除以 0（用“私聊”试渲染时）"]),
            (" \n{# 以后再写 TODO #}\n---\n", ["templates/a.j2:1:1  模板是空的，什么也不会发"]),
            (
                "欢迎来到【这里填店名】，我是{nickname}\n{# TODO #}价格 xx元",
                [
                    "templates/a.j2:1:5  还留着没有替换的占位文字",
                    "    实际：【这里填店名】",
                    "    提示：换成真正要发的内容",
                    "templates/a.j2:1:15  还留着没有替换的占位文字",
                    "    实际：{nickname}",
                    "    提示：插入内容请写两层英文花括号，例如 {{ name }}",
                    "templates/a.j2:2:14  还留着没有替换的占位文字",
                    "    实际：xx元",
                    "    提示：换成真正要发的内容",
                ],
            ),
        ],
    )
    def test_the_screen_says_where_and_what_to_do(self, text: str, lines: list[str]) -> None:
        assert screen({"a.j2": text}, variables={"店铺地址": "米糕巷"}) == lines

    def test_a_placeholder_in_a_variable_is_found_too(self) -> None:
        (problem,) = Templates({"a.j2": "在{{ vars.址 }}"}, variables={"址": "TODO"}).problems
        assert (problem.found, problem.hint.startswith("检查 siyu.yaml")) == ("TODO", True)

    @pytest.mark.parametrize(
        "text",
        ["【小满家】开门啦", "XXL 有货，3×2 一箱", "【请填写您的地址】", "https://a.cn/xx/TODO"],
    )
    def test_honest_text_is_no_placeholder(self, text: str) -> None:
        assert screen({"a.j2": text}) == []

    def test_problems_of_all_files_come_sorted_and_the_good_ones_still_render(self) -> None:
        templates = Templates({"b.j2": "{{ b }}", "a.j2": "{{ a }}", "c.j2": "好", "d.md": "#"})
        files = [(problem.file, problem.warning) for problem in templates.problems]
        assert files == [
            ("templates/a.j2", False),
            ("templates/b.j2", False),
            ("templates/d.md", True),
        ]
        assert templates.render("c", tags=[], facts=PRIVATE) == (Text(text="好"),)
        with pytest.raises(RenderError, match=r"templates/a\.j2 有错误"):
            templates.render("a", tags=[], facts=PRIVATE)


class TestInline:
    templates = Templates({}, variables={"店": "总店"})

    def test_it_renders_one_text(self) -> None:
        assert self.templates.inline_problem("{{ name }} 想买，在{{ vars.店 }}") is None
        assert self.templates.render_inline("{{ name }} 想买", PRIVATE) == "王小雨 想买"

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("{{ nam }}", "模板里没有叫 nam 的内容（是不是想写 name 或 nickname？）"),
            ("{{ name|a }}{{ name|b }}", "没有叫 a 的过滤器；没有叫 b 的过滤器"),
            (" ", "这里是空的，什么也不会发"),
            ("{name} 想买", "还留着没有替换的占位文字“{name}”"),
            ("{{ attributes.城市 }}", "这里没有 城市（用“私聊”试渲染时）"),
            ("长" * 2001, "超过 2000 个字"),
        ],
    )
    def test_what_cannot_be_used_is_said_in_one_sentence(self, text: str, sentence: str) -> None:
        assert sentence in (self.templates.inline_problem(text) or "")

    def test_a_bad_one_cannot_be_rendered(self) -> None:
        with pytest.raises(RenderError, match="模板里没有叫 nam 的内容"):
            self.templates.render_inline("{{ nam }}", PRIVATE)
