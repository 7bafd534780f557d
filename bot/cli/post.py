"""The outbox: `outbox`, and what an operator decides about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from bot.cli.chinese import Command, Group
from bot.cli.common import (
    emit_json,
    json_option,
    now_ms,
    one_line,
    opened,
    short_time,
    show,
    workspace_option,
)
from bot.cli.table import columns, table
from sop.errors import NotFound, SiyuError
from storage import outbox as box
from storage import story
from storage.circuit import close_all_circuits
from storage.words import PURPOSES, STATES

_HEADING = ("编号", "时间", "给谁", "状态", "内容")
_WAYS = {"sent": "记为已发出", "failed": "记为没发出去", "resend": "重新排队，会再发一次"}


@click.group(cls=Group, invoke_without_command=True)
@workspace_option
@json_option
@click.option(
    "--state",
    "states",
    metavar="状态",
    multiple=True,
    type=click.Choice(list(STATES)),
    help="只看这种状态，可以写好几次：" + "、".join(f"{k}（{v}）" for k, v in STATES.items()),
)
@click.option("--last", metavar="条数", default=50, help="只看最近多少条，默认 50；0 是全部")
@click.pass_context
def outbox(
    context: click.Context, root: Path, as_json: bool, states: tuple[str, ...], last: int
) -> None:
    """发件箱：每条要发的消息，发了没有，为什么。"""
    if context.invoked_subcommand is not None:
        return
    with opened(root) as (workspace, store), store.read() as connection:
        rows = story.outbox(
            connection,
            zone=workspace.settings.zone,
            now=now_ms(),
            states=states,
            limit=0 if as_json and not states else max(last, 0),
        )
    if as_json:
        emit_json(rows)
    elif not rows:
        show(["没有这样的消息。" if states else "发件箱是空的。"])
    else:
        show(_list(rows, columns()))


def _list(rows: list[dict[str, Any]], width: int | None) -> Iterator[str]:
    yield from table([_HEADING, *(_row(row, width) for row in rows)], width=width)
    if any(row["state"] == "unknown" for row in rows):
        yield "「不确定」的，请到手机上看看对方收到没有，然后写：siyu outbox settle 编号 sent"
        yield "（sent 收到了，failed 没收到，resend 没收到、再发一次）"


def _row(row: dict[str, Any], width: int | None) -> tuple[str, ...]:
    who = row.get("contact") or row.get("group") or {}
    text = one_line(row["text"], 40) if width else " ".join(row["text"].split())
    why = row["reason"] or ("" if width else row["because"])
    return (
        str(row["id"]),
        short_time(row["created_at"]),
        ("群 " if "group" in row else "") + (who["name"] or who["external_id"]),
        STATES[row["state"]],
        f"{PURPOSES[row['purpose']]}：{text}" + (f"（{why}）" if why else ""),
    )


@outbox.command(cls=Command)
@click.argument("number", metavar="编号", type=int)
@click.argument("how", metavar="sent|failed|resend", type=click.Choice(list(_WAYS)))
@workspace_option
def settle(root: Path, number: int, how: str) -> None:
    """给「不确定」的消息下结论：sent 收到了，failed 没收到，resend 没收到、再发一次。"""
    with opened(root) as (_, store):
        state = store.write(lambda tx: box.settle_by_hand(tx, number, how, now=now_ms()))
    if state is None:
        raise NotFound(f"发件箱里没有 {number} 号。用 siyu outbox 看看都有哪些。")
    if state != "unknown":
        raise SiyuError(f"{number} 号的状态是「{STATES[state]}」，只有「不确定」的才需要下结论。")
    click.echo(f"好的，{number} 号{_WAYS[how]}。")


@outbox.command(cls=Command)
@workspace_option
def resume(root: Path) -> None:
    """接连发送失败、账号被保护性停发以后，确认没问题了，马上恢复发送。"""
    with opened(root) as (_, store):
        closed = store.write(lambda tx: close_all_circuits(tx, now=now_ms()))
    click.echo("好的，恢复发送。" if closed else "发送本来就是正常的。")


COMMANDS = (outbox,)
