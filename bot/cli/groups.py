"""Groups as members of the house: `siyu groups`, `show`, `bind`, `unbind`, `same`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bot.bindings import Bindings, label
from bot.cli.chinese import Command, Group
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
from bot.group_commands import STATES
from bot.happening import Me
from bot.heart import Heart
from sop.errors import SiyuError
from storage.apply import Changes, apply
from storage.groups import Housed, housed
from storage.house import groups_of, members_of
from storage.people import account_external_id
from storage.search import Found
from storage.store import Tx

_HEADING = ("编号", "群名", "状态", "用途", "人数", "邀请中", "上限", "标签")
_MEMBERS = ("编号", "名字", "进群时间", "谁拉的", "说过", "上次说话")
_ALL = "siyu groups 看看都有哪些群"
BY = "运营"


@click.group(cls=Group, invoke_without_command=True)
@workspace_option
@json_option
@click.pass_context
def groups(context: click.Context, root: Path, as_json: bool) -> None:
    """所有的群：用途、标签、多少人、还有多少位置、是不是绑定好的。"""
    if context.invoked_subcommand is not None:
        return
    with opened(root) as (workspace, store), store.read() as connection:
        rows = groups_of(
            connection, workspace.definitions.groups, zone=workspace.settings.zone, now=now_ms()
        )
    if as_json:
        emit_json(rows)
    elif not rows:
        show(["还没有群。机器人进了群，这里就有了。"])
    else:
        show(table([_HEADING, *map(_row, rows)], width=columns()))
        if any(row["binding"] == "asked" for row in rows):
            show(
                ["「等你认」的：是自己的群写 siyu groups bind 群名，不是写 siyu groups unbind 群名"]
            )


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    state = "不在群里了" if row["gone"] else STATES[row["binding"]]
    lost = "（名单里没有）" if row["missing_since"] and not row["gone"] else ""
    counts = (row["members"], row["invited"], row["capacity"])
    tags = "、".join(row["tags"])
    name = row["name"] or row["external_id"]
    return f"#{row['id']}", name, state + lost, row["kind"], *map(str, counts), tags


@groups.command("show", cls=Command)
@name_argument
@workspace_option
@json_option
def show_(name: str, root: Path, as_json: bool) -> None:
    """一个群里都有谁：什么时候进的、谁拉的、说过几句、上次什么时候说话。"""
    with opened(root) as (workspace, store), store.read() as connection:
        zone, now = workspace.settings.zone, now_ms()
        found = _group(seek(connection, name, else_=_ALL))
        (row,) = groups_of(
            connection, workspace.definitions.groups, zone=zone, now=now, ids=[found.id]
        )
        people = members_of(connection, found.id, zone=zone)
    if as_json:
        emit_json({**row, "people": people})
        return
    show(table([_HEADING, _row(row)], width=columns()))
    here = [one for one in people if one["left_at"] is None]
    show(["", f"现在 {len(here)} 人，走了 {len(people) - len(here)} 人"])
    if here:
        show(table([_MEMBERS, *map(_member, here)], width=columns()))


def _member(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"#{one['id']}",
        one["name"],
        short_time(one["joined_at"]) or "一直在",
        one["inviter"] or "",
        str(one["messages"]),
        short_time(one["last_seen_at"]),
    )


@groups.command(cls=Command)
@name_argument
@workspace_option
def bind(name: str, root: Path) -> None:
    """认下一个群：从现在起按 groups 里写的给它用途和标签。"""
    group = _change(root, name, lambda all_, tx, one: all_.bind(tx, one, by=BY, now=now_ms()))
    show([f"好的，{label(group)} 是自己的群了。"])


@groups.command(cls=Command)
@name_argument
@workspace_option
def unbind(name: str, root: Path) -> None:
    """不管一个群：按群名给的用途和标签都拿掉，以后也不再按群名认它。"""
    group = _change(root, name, lambda all_, tx, one: all_.leave(tx, one, by=BY))
    show([f"好的，{label(group)} 不管了。"])


@groups.command(cls=Command)
@name_argument
@workspace_option
def same(name: str, root: Path) -> None:
    """重新登录以后群换了编号：说明这个新编号就是原来那个同名的群，记录接着用。"""

    def move(bindings: Bindings, tx: Tx, group: Housed) -> Changes:
        return bindings.same(tx, group, by=BY, now=now_ms())[1]

    group = _change(root, name, move)
    show([f"好的，{group.name} 就是原来那个，标签、成员、记录都接着用。"])


def _change(root: Path, name: str, what: Callable[[Bindings, Tx, Housed], Changes]) -> Housed:
    """Let an operator's word about a group take effect, with whatever its tags set off."""
    with opened(root) as (workspace, store):

        def work(tx: Tx) -> Housed:
            found = _group(seek(tx.connection, name, else_=_ALL))
            group = housed(tx.connection, [found.id])[found.id]
            heart = Heart(workspace)
            me = Me(group.account_id, account_external_id(tx, group.account_id))
            changes = apply(tx, me.id, what(Bindings(workspace), tx, group), now=now_ms())
            heart.changed(tx, me, changes, now=now_ms())
            return group

        return store.write(work)


def _group(found: Found) -> Found:
    if not found.is_group:
        raise SiyuError(f"{found.label} 不是群。用 {_ALL}。")
    return found


COMMANDS = (groups,)
