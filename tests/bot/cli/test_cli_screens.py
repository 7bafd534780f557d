"""Help pages and tables: Chinese, and within the width of a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from rich.cells import cell_len

from bot.cli.chinese import wrap
from bot.cli.main import siyu as root
from bot.cli.table import table
from tests.bot.cli.conftest import Siyu

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
