"""The documentation: every command and option is in it, every link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bot.cli.main import siyu

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
CLI = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
_EVERYWHERE = {"--help", "--workspace"}


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


COMMANDS = dict(_commands(siyu, "siyu"))


def _sections() -> dict[str, str]:
    parts = re.split(r"^### `(.+)`$", CLI, flags=re.MULTILINE)
    return {name: re.split(r"^## ", text, flags=re.MULTILINE)[0] for name, text in
            zip(parts[1::2], parts[2::2], strict=True)}  # fmt: skip


def test_every_command_is_documented_and_no_other() -> None:
    assert set(_sections()) == set(COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_option_is_documented_and_no_other(name: str) -> None:
    options = {
        opt
        for param in COMMANDS[name].params
        if isinstance(param, click.Option)
        for opt in param.opts
    }
    told = set(re.findall(r"^\| `(--[a-z-]+)`", _sections()[name], flags=re.MULTILINE))
    assert told == options - _EVERYWHERE


def test_options_of_every_command_are_documented() -> None:
    common = CLI.split("\n## ")[1]
    for option in (*_EVERYWHERE, *(opt for param in siyu.params for opt in param.opts)):
        assert f"`{option}`" in common


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                yield page.relative_to(ROOT).as_posix(), link


@pytest.mark.parametrize(("page", "link"), list(_links()))
def test_links_lead_somewhere(page: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert anchor in map(_anchor, headings)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"}
    assert [page for page in sorted(pages) if f"({page})" not in index] == []


def test_both_readmes_say_the_same() -> None:
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")
    )
    for text in (english, chinese):
        assert len(text.splitlines()) <= 120

    def shape(text: str) -> tuple[list[str], list[str], int]:
        commands = re.findall(r"^(?:make|siyu|\.venv|source|cd|export|\.ci)[^#\n]*", text, re.M)
        return (
            re.findall(r"^#+(?= )", text, flags=re.MULTILINE),
            [command.strip() for command in commands],
            len(re.findall(r"^- \*\*", text, flags=re.MULTILINE)),
        )

    assert shape(english) == shape(chinese)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/guide.zh-CN.md"])
def test_commands_that_are_mentioned_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"(?:^|`|bin/)siyu ([a-z]+(?: [a-z]+)?)", text, flags=re.MULTILINE)
    assert found
    for words in found:
        first = words.split()[0]
        group = siyu.commands.get(first)
        assert group is not None, first
        if isinstance(group, click.Group) and not group.invoke_without_command:
            assert words.split()[1] in group.commands
