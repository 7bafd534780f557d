"""Front blocks of templates: attachments, mentions, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from bot.render import SAMPLE_FACTS, Templates
from sop.errors import RenderError
from sop.messages import Body, Link, Media, MiniProgram, Text

PRIVATE, GROUP, _ = SAMPLE_FACTS


def say(
    text: str, facts: Any = PRIVATE, *, media: tuple[str, ...] = (), **variables: Any
) -> tuple[Body, ...]:
    templates = Templates({"a.j2": text}, variables=variables, media=media)
    assert not templates.problems, templates.problems[0].lines()
    return templates.render("a", tags=[], facts=facts)


def screen(files: dict[str, str], **options: Any) -> list[str]:
    """The screen lines of all problems."""
    problems = Templates(files, **options).problems
    return [line for problem in problems for line in problem.lines()]


class TestFrontBlock:
    MEDIA = ("media/hi.png", "media/价目表.pdf")

    def test_attachments_follow_the_text_in_the_order_written(self) -> None:
        front = "---\nfile: media/价目表.pdf\nimage: [hi.png, 'https://a.cn/b.png']\n---\n你好"
        assert say(front, media=self.MEDIA) == (
            Text(text="你好"),
            Media(kind="file", path="media/价目表.pdf"),
            Media(kind="image", path="media/hi.png"),
            Media(kind="image", url="https://a.cn/b.png"),
        )

    def test_first_puts_them_before_the_text(self) -> None:
        first, second = say("---\nimage: hi.png\nfirst: true\n---\n你好", media=self.MEDIA)
        assert (first.kind, second.kind) == ("image", "text")

    def test_a_template_may_be_attachments_only(self) -> None:
        assert len(say("---\nvideo: hi.png\n---\n", media=self.MEDIA)) == 1

    def test_values_are_templates_too(self) -> None:
        text = """---
link:
  url: "https://a.cn/?u={{ nickname|urlencode }}"
  title: "{{ name }}的专属券"
  description: |
    到{{ vars.店 }}用
  thumbnail: hi.png
mini_program: {app_id: wx1, title: "{{ community }}", page_path: pages/a}
---
"""
        assert say(text, media=self.MEDIA, 店="总店") == (
            Link(
                url="https://a.cn/?u=%E5%B0%8F%E9%9B%A8",
                title="王小雨的专属券",
                description="到总店用",
                thumbnail="media/hi.png",
            ),
            MiniProgram(app_id="wx1", title="小满家", page_path="pages/a"),
        )

    def test_a_path_made_of_facts_reaches_known_files_only(self) -> None:
        text = "---\nimage: \"{{ text|default('hi.png') }}\"\n---\n"
        templates = Templates({"a.j2": text}, media=self.MEDIA)
        assert templates.problems  # the sample text is no file
        with pytest.raises(RenderError, match=r"没有这个文件：media/\.\./siyu.yaml"):
            templates.render("a", tags=[], facts={**PRIVATE, "text": "../siyu.yaml"})

    @pytest.mark.parametrize(
        ("mention", "ids"),
        [
            ("sender", ("wxid_sample",)),
            ("members", ("wxid_sample", "wxid_other")),
            ("all", ("@all",)),
            ("[sender, wxid_boss]", ("wxid_sample", "wxid_boss")),
        ],
    )
    def test_mention_is_on_the_first_bubble_of_a_group(
        self, mention: str, ids: tuple[str, ...]
    ) -> None:
        text = f"---\nmention: {mention}\n---\n一\n---\n二"
        assert say(text, GROUP) == (Text(text="一", mentions=ids), Text(text="二"))
        assert say(text, PRIVATE) == (Text(text="一"), Text(text="二"))

    def test_all_its_mistakes_show_at_once(self) -> None:
        text = """---
image: missing.png
imgae: hi.png
link: {url: "ftp://a.cn", titel: 券}
mention: sendr
video: {{ name }}
first: maybe
image: hi.png
---
你好 {{ nme }}
"""
        assert screen({"a.j2": text}, media=["media/missin.png", "media/hi.png"]) == [
            "templates/a.j2:2:8  没有这个文件：media/missing.png",
            "    位置：image",
            "    提示：是不是想写 media/missin.png 或 media/hi.png？",
            "templates/a.j2:3:1  附件区没有“imgae”这一项",
            "    位置：imgae",
            "    应为：image、file、voice、video、link、mini_program、mention、first",
            "    提示：是不是想写 image？",
            "templates/a.j2:4:7  link 缺少“title”",
            "    位置：link",
            "    应为：url、title、description、thumbnail",
            "templates/a.j2:4:13  网址要以 https:// 或 http:// 开头，中间不能有空格",
            "    位置：link.url",
            "templates/a.j2:4:27  附件区没有“titel”这一项",
            "    位置：link.titel",
            "    应为：url、title、description、thumbnail",
            "    提示：是不是想写 title？",
            "templates/a.j2:5:10  mention 只能写这三个词之一，或成员编号的列表",
            "    位置：mention",
            "    应为：sender、members、all",
            "    实际：sendr",
            "    提示：是不是想写 sender？",
            "templates/a.j2:6:8  这里应该是一段文字",
            "    位置：video",
            "    提示：含有 {{ }} 的值要整个加上英文引号",
            "templates/a.j2:7:8  first 只能是 true 或 false",
            "    位置：first",
            "templates/a.j2:8:1  “image”写了两次",
            "    位置：image",
            "templates/a.j2:10:7  模板里没有叫 nme 的内容",
            "    提示：是不是想写 name 或 nickname？",
        ]

    def test_a_mistake_inside_a_value_has_its_own_line(self) -> None:
        text = "---\nlink:\n  url: https://a.cn\n  title: '给{{ nikname }}的券'\n---\n你好"
        first = screen({"a.j2": text})[0]
        assert first == "templates/a.j2:4:15  模板里没有叫 nikname 的内容"

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("---\nimage: hi.png\n", "templates/a.j2:1:1  开头的附件区没有结束"),
            ("---\ntitle: {{ name }}的\n---\n", "templates/a.j2:2:18  开头的附件区 YAML 写错了"),
            ("---\n- image\n---\n好", "templates/a.j2:2:1  这里应该是“名称: 值”"),
            ("---\nimage:\n---\n好", "templates/a.j2:2:7  这里是空的"),
        ],
    )
    def test_a_broken_block_is_explained(self, text: str, line: str) -> None:
        assert screen({"a.j2": text})[0] == line
