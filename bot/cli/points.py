"""Commands about points: `points`, `invites`."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from bot.cli.chinese import Command
from bot.cli.common import (
    emit_json,
    json_option,
    now_ms,
    opened,
    seek,
    short_time,
    show,
    workspace_option,
)
from bot.cli.table import columns, table
from bot.workspace import Workspace
from sop.errors import SiyuError
from sop.point_actions import BoardKind
from sop.scores import month_of
from sop.timing import local_day
from storage import scorebook
from storage.boards import Asked, Placed, board
from storage.scored import score_lines
from storage.search import Found

_EVERYBODY = 1 << 30
_VALUES: dict[BoardKind, str] = {
    "month": "这个月的积分",
    "total": "累计积分",
    "streak": "连续签到",
    "invites": "邀请人数",
}
_STATES = {"counted": "算", "left": "退群了，不算"}


@click.command(cls=Command)
@click.argument("name", metavar="[名字]", required=False)
@workspace_option
@json_option
@click.option("--month", metavar="年-月", help="看哪个月的排行，比如 2026-11（默认这个月）")
@click.option(
    "--board",
    "kind",
    metavar="month|total|streak",
    type=click.Choice(["month", "total", "streak"]),
    default="month",
    help="按什么排：month 一个月的积分，total 累计积分，streak 连续签到",
)
def points(name: str | None, root: Path, as_json: bool, month: str | None, kind: BoardKind) -> None:
    """积分排行；写上名字，就看这个人的积分是怎么来的。"""
    with opened(root) as (workspace, store), store.read() as connection:
        zone, now = workspace.settings.zone, now_ms()
        if name is None:
            asked = _asked(workspace, month, now)
            _show_board(board(connection, kind, asked, top=_EVERYBODY), kind, as_json)
            return
        who = _person(seek(connection, name))
        entries = scorebook.entries(connection, who.id, zone=zone)
        if as_json:
            emit_json({"id": who.id, "name": who.name, **scorebook.standing(
                connection, who.id, now=now), "entries": entries})  # fmt: skip
            return
        show([who.label, *(score_lines(connection, who.id, now=now) or ["还没有积分。"])])
    rows = [(short_time(e["at"]), f"{e['amount']:+d}", e["reason"], e["because"]) for e in entries]
    show(table([("时间", "积分", "事由", "缘由"), *rows], width=columns()) if rows else [])


@click.command(cls=Command)
@click.argument("name", metavar="[名字]", required=False)
@workspace_option
@json_option
def invites(name: str | None, root: Path, as_json: bool) -> None:
    """邀请排行；写上名字，就看这个人邀请了谁，哪些算，哪些不算。"""
    with opened(root) as (workspace, store), store.read() as connection:
        zone = workspace.settings.zone
        if name is None:
            asked = _asked(workspace, None, now_ms())
            _show_board(board(connection, "invites", asked, top=_EVERYBODY), "invites", as_json)
            return
        who = _person(seek(connection, name))
        rows = scorebook.invitations(connection, zone=zone, inviter=who.id)
    if as_json:
        emit_json(rows)
    elif not rows:
        show([f"{who.label} 还没有邀请过谁。"])
    else:
        counted = sum(row["state"] == "counted" for row in rows)
        show([f"{who.label} 邀请了 {len(rows)} 位，{counted} 位算数"])
        heading = ("时间", "谁", "算不算", "进了哪个群")
        show(table([heading, *map(_row, rows)], width=columns()))


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    who = f"{row['invitee']['name']} #{row['invitee']['id']}"
    return short_time(row["at"]), who, _STATES[row["state"]], row["group"]["name"]


def _show_board(found: list[Placed], kind: BoardKind, as_json: bool) -> None:
    if as_json:
        emit_json(
            [
                {"place": p.place, "id": p.contact_id, "name": p.name, "value": p.value}
                for p in found
            ]
        )
    elif not found:
        show(["还没有人上榜。"])
    else:
        rows = [(str(p.place), f"#{p.contact_id}", p.name, str(p.value)) for p in found]
        show(table([("名次", "编号", "名字", _VALUES[kind]), *rows], width=columns()))


def _asked(workspace: Workspace, month: str | None, now: int) -> Asked:
    settings = workspace.settings
    day = _month(month) if month is not None else local_day(now, settings.zone)
    return Asked(
        account_id=None,
        month=month_of(day, settings.zone),
        now=now,
        without=settings.operators,
    )


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007
    except ValueError:
        raise SiyuError(f"月份要写成 2026-11 这样，这里写的是 {text}") from None


def _person(who: Found) -> Found:
    if who.is_group:
        raise SiyuError(f"积分记在人身上，{who.label} 不是一个人。")
    return who


COMMANDS = (points, invites)
