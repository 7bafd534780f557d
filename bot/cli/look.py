"""Commands that read: `contacts`, `contact`, `status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bot.cli.chinese import Command
from bot.cli.common import (
    emit_json,
    json_option,
    name_argument,
    now_ms,
    opened,
    seek,
    short_time,
    show,
    workspace_option,
)
from bot.cli.table import columns, table
from bot.lock import running
from bot.plain import source_name
from storage import story
from storage.lease import leases

_HEADING = ("编号", "名字", "生命周期", "上次说话", "标签")


@click.command(cls=Command)
@workspace_option
@json_option
@click.option("--tag", metavar="标签", help="只看带这个标签的人，比如 意向/高")
def contacts(root: Path, as_json: bool, tag: str | None) -> None:
    """列出联系人和他们的标签。"""
    with opened(root) as (workspace, store), store.read() as connection:
        rows = story.contacts(connection, zone=workspace.settings.zone, now=now_ms())
    if tag is not None:
        rows = [row for row in rows if any(t["name"] == tag for t in row["tags"])]
    if as_json:
        emit_json(rows)
    elif not rows:
        show(["还没有联系人。" if tag is None else f"没有人带「{tag}」这个标签。"])
    else:
        show(table([_HEADING, *map(_row, rows)], width=columns()))


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"#{row['id']}",
        row["name"] + (f"（{row['alias']}）" if row["alias"] else ""),
        row["stage"],
        short_time(row["last_message_at"]),
        "、".join(tag["name"] for tag in row["tags"]),
    )


@click.command(cls=Command)
@name_argument
@workspace_option
@json_option
def contact(name: str, root: Path, as_json: bool) -> None:
    """看一个人（或一个群）：最近说了什么，标签是从哪来的。"""
    with opened(root) as (workspace, store), store.read() as connection:
        zone, now = workspace.settings.zone, now_ms()
        found = seek(connection, name)
        detail = story.detail(connection, found, zone=zone, now=now)
        portrait = story.portrait(connection, found, zone=zone, now=now)
    if as_json:
        emit_json(detail)
        return
    show([portrait])
    if detail["tags"]:
        show(["标签是从哪来的：", *map(_origin, detail["tags"])])


def _origin(tag: dict[str, Any]) -> str:
    because = f"，因为{tag['evidence']}" if tag["evidence"] else ""
    until = f"，到 {short_time(tag['expires_at'])} 失效" if tag["expires_at"] else ""
    source = source_name(tag["source"])
    return f"  「{tag['name']}」{short_time(tag['at'])} 来自{source}{because}{until}"


@click.command(cls=Command)
@workspace_option
@json_option
def status(root: Path, as_json: bool) -> None:
    """机器人现在怎么样：账号、好友、发件箱、人工接管。"""
    pid = running(root)
    with opened(root) as (workspace, store), store.read() as connection:
        if as_json:
            found = story.status(connection, zone=workspace.settings.zone, now=now_ms())
            held = leases(connection, zone=workspace.settings.zone)
            emit_json({"running": pid is not None, **found, "held_by": held})
            return
        alive = f"正在运行（进程号 {pid}）" if pid else "没有在运行，下面是它停下时的样子"
        show([f"{workspace.settings.community}：{alive}"])
        show(story.status_lines(connection, now=now_ms()))
        show(
            f"账号「{one['name']}」由 {one['host']} 上的进程 {one['pid']} 管着"
            f"（工作区 {one['workspace']}）"
            for one in leases(connection, zone=workspace.settings.zone)
        )


COMMANDS = (contacts, contact, status)
