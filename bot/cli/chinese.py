"""click in Chinese: help pages that fit a terminal of double-width characters, and plain errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import click
from rich.cells import cell_len

_HEADINGS = {"Options": "选项", "Commands": "命令"}
_HANGING = "，。；：、！？）」』…"  # never at the beginning of a line


def wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most `width` columns; words of the Latin kind stay whole."""
    lines = [""]
    for token in re.findall(r"[!-~]+|\s|.", text):
        if lines[-1] and token not in _HANGING and cell_len(lines[-1] + token) > width:
            lines.append("")
        lines[-1] += token if lines[-1] else token.lstrip()
    return [line.rstrip() for line in lines]


class _Help(click.HelpFormatter):
    """click's help page, measured in columns instead of characters."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The first line."""
        super().write_usage(prog, args, "用法：" if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        """The name of a section."""
        self.write(f"{'':>{self.current_indent}}{_HEADINGS.get(heading, heading)}：\n")

    def write_text(self, text: str) -> None:
        """A paragraph."""
        indent = " " * self.current_indent
        for line in wrap(" ".join(text.split()), self.width - len(indent) - 2):
            self.write(f"{indent}{line}\n")

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 26, col_spacing: int = 2
    ) -> None:
        """Terms and what they mean; a long term has a line of its own."""
        rows = list(rows)
        column = min(max(cell_len(term) for term, _ in rows), col_max) + col_spacing
        for term, meaning in rows:
            self.write(" " * self.current_indent + term)
            gap = column - cell_len(term)
            start = self.current_indent + column
            self.write(" " * gap if gap >= col_spacing else "\n" + " " * start)
            self.write(f"\n{' ' * start}".join(wrap(meaning, self.width - start - 2)) + "\n")


class _Context(click.Context):
    formatter_class = _Help


class _Chinese(click.Command):
    context_class = _Context

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"options_metavar": "[选项]", **options})

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, explained."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = "显示这份说明"
        return option

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; click's parser forgets whose options it was reading when it complains."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class Command(_Chinese):
    """A command whose help and errors are Chinese."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what is too much in our own words."""
        ctx.allow_extra_args = True
        super().parse_args(ctx, args)
        if ctx.args:
            raise click.UsageError(f"「{' '.join(ctx.args)}」是多出来的", ctx)
        return ctx.args


class Group(_Chinese, click.Group):
    """A group of such commands."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"subcommand_metavar": "命令 …", **options})


def complaint(error: click.UsageError) -> str:
    """What is wrong with a command line, and what to do about it."""
    command = error.ctx.command_path if error.ctx else "siyu"
    return f"{_what(error).strip()}。怎么写：{command} --help"


def _what(error: click.UsageError) -> str:
    match error:
        case click.NoSuchCommand():
            return f"没有「{error.command_name}」这个命令{_perhaps(error.possibilities)}"
        case click.NoSuchOption(option_name="-v" | "--verbose"):
            return "-v 要写在命令前面，比如 siyu -v run"
        case click.NoSuchOption():
            return f"没有 {error.option_name} 这个选项{_perhaps(error.possibilities)}"
        case click.BadOptionUsage():
            return f"{error.option_name} 后面{_after(error)}"
        case click.MissingParameter():
            return f"少写了{_name(error.param)}"
        case click.BadParameter():
            return f"{_name(error.param)}{_should(error)}"
        case _:
            return error.message.rstrip("。.")


def _perhaps(possibilities: Iterable[str] | None) -> str:
    likely = "、".join(possibilities or ())
    return f"，是不是想写 {likely}" if likely else ""


def _after(error: click.BadOptionUsage) -> str:
    known = error.ctx.command.params if error.ctx else []
    flag = any(getattr(p, "is_flag", False) and error.option_name in p.opts for p in known)
    return "不用写内容" if flag else "要写内容"


def _name(param: click.Parameter | None) -> str:
    if param is None:
        return ""
    return (
        f" {param.opts[0]} "
        if isinstance(param, click.Option)
        else f"「{param.human_readable_name}」"
    )


def _should(error: click.BadParameter) -> str:
    match error.param.type if error.param else None:
        case click.Choice() as choice:
            return f"只能写 {'、'.join(choice.choices)} 里的一个"
        case click.IntRange(min=int() as least, max=int() as most):
            return f"要写 {least} 到 {most} 的整数"
        case click.types.IntParamType():
            return "要写一个整数"
        case _:
            return error.message.rstrip("。.")
