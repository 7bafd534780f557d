"""The `siyu` command and how its errors read: what is wrong and what to do, on one plain line."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import import_module

import click
from click.exceptions import NoArgsIsHelpError

from bot.cli.chinese import Group, complaint
from bot.discreet import discreet, log_to_stderr
from bot.plain import visible
from sop.errors import SiyuError, refusal
from storage.trouble import trouble_of

_MODULES = {
    "ask": ("ask", "gaps"),
    "audience": ("audience",),
    "explain": ("explain",),
    "groups": ("groups",),
    "guard": ("guard",),
    "health": ("health",),
    "look": ("contacts", "contact", "status"),
    "moments": ("moments",),
    "play": ("demo", "chat"),
    "points": ("points", "invites"),
    "post": ("outbox",),
    "push": ("push",),
    "rehearse": ("rehearse",),
    "serve": ("run", "doctor"),
    "sop": ("sop",),
    "tables": ("import", "export"),
    "write": ("init", "check", "schema"),
}
_HOME = {command: module for module, commands in _MODULES.items() for command in commands}


class _Commands(Mapping[str, click.Command]):
    """Each is imported when it is asked for: all of them take a second."""

    def __getitem__(self, name: str) -> click.Command:
        found: tuple[click.Command, ...] = import_module(f"bot.cli.{_HOME[name]}").COMMANDS
        return next(command for command in found if command.name == name)

    def __iter__(self) -> Iterator[str]:
        return iter(_HOME)

    def __len__(self) -> int:
        return len(_HOME)


@click.group(
    cls=Group, commands=_Commands(), context_settings={"help_option_names": ["--help", "-h"]}
)
@click.version_option(package_name="siyu", message="%(prog)s %(version)s", help="显示版本")
@click.option("--verbose", "-v", is_flag=True, help="多说一些运行细节（不含聊天内容）")
def siyu(verbose: bool) -> None:
    """Siyu（私域）：一个替你运营微信的机器人。先 siyu demo 看一眼，再 siyu init 建自己的。"""
    log_to_stderr(logging.INFO if verbose else logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


def run() -> None:
    """Entry point. A user's mistake ends with status 2 and no traceback, ours with status 1."""
    _speak_unicode()
    os.umask(0o077)  # what we write, people's data and perhaps a token, is for its owner alone
    try:
        sys.exit(siyu.main(prog_name="siyu", standalone_mode=False))
    except NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
    except click.UsageError as error:
        _stop(complaint(error))
    except SiyuError as error:
        _stop(str(error))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        _explain_crash(error)


def _speak_unicode() -> None:
    """Never fail for a character that the terminal cannot show, nor for one that it sends."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = stream.encoding.lower() in ("ascii", "us-ascii", "ansi_x3.4-1968")
            stream.reconfigure(
                encoding="utf-8" if ascii_only else stream.encoding, errors="replace"
            )


def _explain_crash(error: Exception) -> None:
    trouble = trouble_of(error)
    if trouble is not None:
        _stop(str(trouble))
    if isinstance(error, OSError) and error.filename is not None:
        _stop(f"{error.filename}：{refusal(error)}")
    if logging.getLogger().isEnabledFor(logging.INFO):
        click.echo(discreet(error), err=True)
        sys.exit(1)
    handle, path = tempfile.mkstemp(prefix="siyu-error-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(discreet(error) + "\n")
    _stop(f"程序自己出错了（{type(error).__name__}），这是我们的问题。细节写在 {path}", status=1)


def _stop(message: str, *, status: int = 2) -> None:
    click.echo(visible(message), err=True)
    sys.exit(status)
