"""Help pages and tables: Chinese, and within the width of a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from rich.cells import cell_len

from bot.cli.chinese import wrap
from bot.cli.main import siyu as root
from bot.cli.table import table
from tests.bot.cli.conftest import Siyu, open_shop
from tests.support import write

ENGLISH = (
    "Usage",
    "Options",
    "Commands",
    "Show",
    "exit",
    "default",
    "INTEGER",
    "TEXT",
    "DIRECTORY",
)


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        yield from (
            _commands(command, (*path, name))
            if isinstance(command, click.Group)
            else [(*path, name)]
        )


@pytest.mark.parametrize("path", list(_commands(root)), ids=" ".join)
def test_help_is_chinese_and_fits(siyu: Siyu, path: tuple[str, ...]) -> None:
    page = siyu(*path, "--help").lines
    assert page[0].startswith(f"用法：{' '.join(('siyu', *path))} [选项]")
    assert not [line for line in page if any(word in line for word in ENGLISH)]
    assert max(map(cell_len, page)) <= 80
    assert siyu(*path, "-h").lines == page


def test_no_words_at_all_are_a_cry_for_help(siyu: Siyu) -> None:
    assert siyu().lines == siyu("--help").lines


def test_wrapping() -> None:
    assert wrap("一二三四五", 6) == ["一二三", "四五"]
    assert wrap("一二三，四五", 6) == ["一二三，", "四五"]
    assert wrap("用 siyu-check 看", 10) == ["用", "siyu-check", "看"]
    assert wrap("", 10) == [""]


ROWS = [
    ("编号", "名字", "标签"),
    ("#1", "小雨", "意向、VIP、老客、活跃、群友"),
    ("#12", "x" * 30, ""),
]


def test_a_table_on_a_terminal() -> None:
    lines = list(table(ROWS, width=50))
    assert max(map(cell_len, lines)) <= 50
    assert lines[0] == "编号  名字                  标签"
    assert lines[1].startswith("#1    小雨                  意向、")
    assert lines[2].startswith(" " * 28)
    assert lines[-1] == f"#12   {'x' * 19}…"


def test_a_table_in_a_pipe() -> None:
    lines = list(table(ROWS, width=None))
    assert len(lines) == 3
    assert lines[1].endswith("意向、VIP、老客、活跃、群友")
    assert lines[2].endswith("x" * 30)


WARMUP = """
limits:
  account:
    per_hour: 60
    per_day: 400
    warmup: [{until: 3d, per_hour: 2, per_day: 2}]
"""


@pytest.mark.parametrize(("since", "waits"), [("", False), ("    since: 2999-01-01\n", True)])
def test_a_chat_is_not_held_back_by_the_youth_of_its_account(
    siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, since: str, waits: bool
) -> None:
    monkeypatch.chdir(open_shop(tmp_path, WARMUP + since))
    out = siyu("chat", lines="多少钱\n/+10m\n多少钱\n/+10m\n多少钱\n").out
    assert ("养号期" in out) is waits
    assert out.count("→ 小雨：59 一包") == (0 if waits else 3)


def test_a_chat_says_why_the_bot_is_silent(
    siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(open_shop(tmp_path))
    out = siyu("chat", lines="今天天气不错\n/真人 我来了\n好的呀\n").out
    assert out.count("（机器人没说话：") == 2
    assert "（机器人没说话：没有一条规则要回这句话）" in out
    assert "（机器人没说话：已由人工接管，" in out


def test_what_a_rule_answers_is_not_said_to_be_handed_over(
    siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(open_shop(tmp_path))
    write(tmp_path / "faq.yaml", "faq: [{id: x, question: 拆开了还能退吗, answer: 能退}]")
    lines = siyu("ask", "这个多少钱").lines
    assert "这些规则先看到了里面的词，轮不到知识来答：price" in lines
    assert lines[-1].startswith("要是轮到知识：拿不准，转给人")
    assert siyu("ask", "拆开了还能退吗").lines[-2].startswith("够像，")


def test_asking_shows_figures_that_fall_and_says_what_was_compared(
    siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(open_shop(tmp_path))
    write(
        tmp_path / "faq.yaml",
        "faq:\n"
        "  - {id: a, question: 拆开了还能退吗, also: [包装打开过又封上了的能不能退], answer: 能}\n"
        "  - {id: b, question: 退, answer: 退}\n"
        "  - {id: c, question: 包装盒打开了, answer: 没事}\n",
    )
    told = json.loads(siyu("ask", "包装打开了还能退吗", "--json").out)
    covered = [one["covered"] for one in told["ranked"]]
    assert len(covered) == 3
    assert covered == sorted(covered, reverse=True)
    assert told["how"] == ""
    out = siyu("ask", "包装打开了还能退吗").out
    assert "对上几成" in out
    assert "第一条像 " in out
    assert "只比了词" not in out


def test_asking_goes_by_words_where_no_server_of_embeddings_is(
    siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = "answers: {embeddings: {url: http://127.0.0.1:1/v1, name: tiny, key: s3cret}}"
    monkeypatch.chdir(open_shop(tmp_path, nobody))
    write(tmp_path / "faq.yaml", "faq: [{id: x, question: 拆开了还能退吗, answer: 能退}]")
    ended = siyu("ask", "拆开了还能退吗")
    assert "只比了词：连不上向量服务" in ended.lines
    assert ended.lines[-2].startswith("够像，")
    assert "s3cret" not in ended.out + ended.err


def test_with_no_model_configured_nothing_mentions_one_or_a_key(
    siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    siyu("init", str(tmp_path / "shop"))
    monkeypatch.chdir(tmp_path / "shop")
    for words in (
        ("check",), ("ask", "拆开了还能退吗"), ("ask", "你们老板贵姓"), ("gaps",),
        ("rehearse", "--contacts", "5", "--days", "3"),
    ):  # fmt: skip
        ended = siyu(*words)
        assert ended.status == 0, ended.err
        for told in ("钥匙", "模型", "向量", "api_key", "API"):
            assert told not in ended.out + ended.err, (words, told)


def test_who_has_no_model_does_not_load_its_client() -> None:
    code = (
        "import sys, bot.cli.main, bot.live, bot.cli.ask, bot.asker\n"
        "sys.exit(bool({'openai', 'httpx2'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
