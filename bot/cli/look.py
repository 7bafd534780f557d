"""Commands that read: `contacts`, `contact`, `explain`, `status`, and the outbox."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bot.cli.common import emit_json, json_option, one_line, opened, short_time, workspace_option
from sop.errors import NotFound, SiyuError
from storage import outbox as box
from storage import story
from storage.circuit import close_all_circuits
from storage.search import find
from storage.words import OUTCOMES, PURPOSES, STATES


def _now() -> int:
    return time.time_ns() // 1_000_000


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Table) -> None:
    Console(soft_wrap=False).print(table)


@click.command()
@workspace_option
@json_option
@click.option("--tag", "tag", help="只看带这个标签的人")
def contacts(root: Path, as_json: bool, tag: str | None) -> None:
    """列出联系人和他们的标签。"""
    with opened(root) as (workspace, store), store.read() as connection:
        rows = story.contacts(connection, zone=workspace.settings.zone, now=_now())
    if tag is not None:
        rows = [row for row in rows if any(t["name"] == tag for t in row["tags"])]
    if as_json:
        emit_json(rows)
    elif not rows:
        click.echo("还没有联系人。" if tag is None else f"没有人带「{tag}」这个标签。")
    else:
        table = _table("编号", "名字", "生命周期", "标签", "上次说话")
        for row in rows:
            name = row["name"] + (f"（{row['alias']}）" if row["alias"] else "")
            tags = "、".join(t["name"] for t in row["tags"])
            table.add_row(
                f"#{row['id']}", name, row["stage"], tags, short_time(row["last_message_at"])
            )
        _print(table)


@click.command()
@click.argument("name", metavar="名字")
@workspace_option
@json_option
def contact(name: str, root: Path, as_json: bool) -> None:
    """看一个人（或一个群）：标签从哪来、最近说了什么。"""
    with opened(root) as (workspace, store), store.read() as connection:
        zone, now = workspace.settings.zone, _now()
        found = find(connection, name)
        if as_json:
            emit_json(story.detail(connection, found, zone=zone, now=now))
            return
        click.echo(story.portrait(connection, found, zone=zone, now=now))
        for tag in story.detail(connection, found, zone=zone, now=now)["tags"]:
            because = f"，因为 {tag['evidence']}" if tag["evidence"] else ""
            until = f"，到 {short_time(tag['expires_at'])} 失效" if tag["expires_at"] else ""
            click.echo(
                f"  「{tag['name']}」{short_time(tag['at'])} 来自 {tag['source']}{because}{until}"
            )


@click.command()
@click.argument("name", metavar="名字")
@workspace_option
@json_option
def explain(name: str, root: Path, as_json: bool) -> None:
    """从头讲一个人（或群）的故事：发生了什么，发了什么，什么没发，各是为什么。"""
    with opened(root) as (workspace, store), store.read() as connection:
        found = find(connection, name)
        rows = story.explain(connection, found, zone=workspace.settings.zone)
    if as_json:
        emit_json(rows)
        return
    click.echo(found.label)
    for row in rows:
        outcome = OUTCOMES.get(row["outcome"], row["outcome"])
        said = "" if row["outcome"] == "happened" else f"［{outcome}］"
        click.echo(f"{short_time(row['at'])}  {said}{row['what']}")
        if row["because"]:
            click.echo(f"             {row['because']}")


@click.command()
@workspace_option
@json_option
def status(root: Path, as_json: bool) -> None:
    """机器人现在怎么样：账号、好友、发件箱、人工接管。"""
    with opened(root) as (workspace, store), store.read() as connection:
        if as_json:
            emit_json(story.status(connection, zone=workspace.settings.zone, now=_now()))
            return
        click.echo(workspace.settings.community)
        for line in story.status_lines(connection, now=_now()):
            click.echo(line)


@click.group(invoke_without_command=True)
@workspace_option
@json_option
@click.option(
    "--state", "states", multiple=True, type=click.Choice(list(STATES)), help="只看这种状态"
)
@click.option("--last", default=50, show_default=True, help="只看最近多少条；0 是全部")
@click.pass_context
def outbox(
    context: click.Context, root: Path, as_json: bool, states: tuple[str, ...], last: int
) -> None:
    """发件箱：每条要发的消息，发了没有，为什么。"""
    context.obj = root
    if context.invoked_subcommand is not None:
        return
    with opened(root) as (workspace, store), store.read() as connection:
        rows = story.outbox(
            connection,
            zone=workspace.settings.zone,
            states=states,
            limit=0 if as_json and not states else last,
        )
    if as_json:
        emit_json(rows)
    elif not rows:
        click.echo("发件箱是空的。")
    else:
        _print_outbox(rows)


def _print_outbox(rows: list[dict[str, Any]]) -> None:
    table = _table("编号", "时间", "给谁", "状态", "内容", "原因")
    for row in rows:
        who = row.get("contact") or row.get("group") or {}
        table.add_row(
            str(row["id"]),
            short_time(row["created_at"]),
            ("群 " if "group" in row else "") + (who["name"] or who["external_id"]),
            STATES[row["state"]],
            f"{PURPOSES[row['purpose']]}：{one_line(row['text'], 40)}",
            row["reason"] or row["because"],
        )
    _print(table)
    if any(row["state"] == "unknown" for row in rows):
        click.echo(
            "「不确定」的，请到手机上看看对方收到没有，然后：siyu outbox settle 编号 sent|failed"
        )


@outbox.command()
@click.argument("number", metavar="编号", type=int)
@click.argument(
    "how", metavar="sent|failed|resend", type=click.Choice(["sent", "failed", "resend"])
)
@click.pass_obj
def settle(root: Path, number: int, how: str) -> None:
    """给「不确定」的消息下结论：sent 收到了，failed 没收到，resend 没收到并且再发一次。"""
    with opened(root) as (_, store):
        state = store.write(lambda tx: box.settle_by_hand(tx, number, how, now=_now()))
        if state is None:
            raise NotFound(f"发件箱里没有 {number} 号")
        if state != "unknown":
            raise SiyuError(
                f"{number} 号的状态是「{STATES[state]}」，只有「不确定」的才需要下结论。"
            )
    done = {"sent": "记为已发出", "failed": "记为没发出去", "resend": "已经重新排队，会再发一次"}
    click.echo(f"好的，{number} 号{done[how]}。")


@outbox.command()
@click.pass_obj
def resume(root: Path) -> None:
    """接连发送失败、账号被保护性停发以后，确认没问题了，马上恢复发送。"""
    with opened(root) as (_, store):
        closed = store.write(close_all_circuits)
    click.echo("好的，恢复发送。" if closed else "发送本来就是正常的。")


COMMANDS = (contacts, contact, explain, outbox, status)
