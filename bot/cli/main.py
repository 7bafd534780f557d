"""The `siyu` command and how its errors read: one plain line that says what to do."""

from __future__ import annotations

import logging
import sys

import click

from bot.cli import look, play, serve, write
from sop.errors import SiyuError

_KNOWN = "用 siyu --help 看看有哪些命令和选项。"


@click.group(context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100})
@click.version_option(package_name="siyu", prog_name="siyu", message="%(prog)s %(version)s")
@click.option("--verbose", "-v", is_flag=True, help="多说一些运行细节（不含聊天内容）")
def siyu(verbose: bool) -> None:
    """Siyu（私域）：一个替你运营微信的机器人。先 siyu demo 看一眼，再 siyu init 建自己的。"""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


for _module in (write, look, serve, play):
    for _command in _module.COMMANDS:
        siyu.add_command(_command)


def run() -> None:
    """Entry point. A user's mistake ends with status 2, one line, and no traceback."""
    try:
        siyu.main(standalone_mode=False)
    except SiyuError as error:
        _stop(str(error))
    except click.NoSuchOption as error:
        _stop(f"没有 {error.option_name} 这个选项。{_KNOWN}")
    except click.MissingParameter as error:
        name = error.param.human_readable_name if error.param else ""
        _stop(f"少写了 {name}。{_KNOWN}")
    except click.BadParameter as error:
        name = error.param.human_readable_name if error.param else ""
        _stop(f"{name} 写得不对：{error.message}")
    except click.UsageError as error:
        _stop(f"不认识这个命令的写法（{error.message}）。{_KNOWN}")
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our pipe left; Python would complain at exit
        sys.exit(0)


def _stop(message: str) -> None:
    click.echo(message, err=True)
    sys.exit(2)
