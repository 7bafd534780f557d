"""The guard of groups: what it did, whom it counts strikes against, what it thinks of a text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from bot.cli.chinese import Command, Group
from bot.cli.common import (
    emit_json,
    json_option,
    now_ms,
    open_workspace,
    opened,
    short_time,
    show,
    workspace_option,
)
from bot.cli.table import columns, table
from bot.guarding import Guarding
from bot.guarding.by_hand import undo as take_back
from bot.guarding.telling import deed
from sop.errors import NotFound
from sop.guarding import Finding, Guard, Level
from storage import guarding as rows
from storage.guarding import Act
from storage.store import Tx
from storage.story import iso

_HEADING = ("编号", "时间", "群", "谁", "分", "怎么办了", "说了什么")
_LEVELS = {Level.FINE: "不算广告", Level.ALERT: "会告诉运营", Level.ACT: "会记一次"}


@click.group(cls=Group, invoke_without_command=True)
@workspace_option
@json_option
@click.option("--last", metavar="件数", default=20, help="只看最近多少件，默认 20")
@click.pass_context
def guard(context: click.Context, root: Path, as_json: bool, last: int) -> None:
    """群管：最近做了什么，记了谁几次，黑名单里有谁。"""
    if context.invoked_subcommand is not None:
        return
    with opened(root) as (workspace, store), store.read() as connection:
        zone = workspace.settings.zone
        found = _everything(connection, zone, max(last, 1))
    if as_json:
        emit_json(found)
        return
    if workspace.definitions.guard is None:
        show(["还没有写 guard，没有群在管。例子在 siyu init 建出来的 guard.yaml。"])
    show(_screen(found))


def _everything(connection: Any, zone: ZoneInfo, last: int) -> dict[str, Any]:
    now = now_ms()
    return {
        "acts": [_act(act, zone) for act in rows.acts(connection, limit=last)],
        "strikes": [
            {"contact": id_, "name": name, "strikes": count, "until": iso(until, zone)}
            for id_, name, count, until in rows.struck(connection, now=now)
        ],
        "blacklist": [
            {"contact": id_, "name": name, "since": iso(at, zone), "because": because}
            for id_, name, at, because in rows.all_blacklisted(connection)
        ],
    }


def _act(act: Act, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "id": act.id,
        "at": iso(act.at, zone),
        "group": act.group,
        "contact": act.contact_id,
        "name": act.name,
        "said": act.said,
        "points": act.points,
        "reasons": list(act.reasons),
        "sentence": act.sentence,
        "state": act.state,
        "shadow": act.shadow,
        "strikes": act.strikes,
        "settled": act.settled,
        "did": deed(act),
    }


def _screen(found: dict[str, Any]) -> Iterator[str]:
    if found["acts"]:
        lines = [
            (str(a["id"]), short_time(a["at"]), a["group"], a["name"], str(a["points"]), a["did"],
             f"{a['said']}（{'，'.join(a['reasons'])}）")
            for a in reversed(found["acts"])
        ]  # fmt: skip
        yield from table([_HEADING, *lines], width=columns())
        yield "弄错了的：siyu guard undo 编号"
    else:
        yield "群管还没做过什么。"
    for one in found["strikes"]:
        until = short_time(one["until"])
        yield f"{one['name']} #{one['contact']} 记了 {one['strikes']} 次，到 {until} 作废"
    for one in found["blacklist"]:
        yield f"黑名单：{one['name']} #{one['contact']}，{one['because']}"


@guard.command(cls=Command)
@click.argument("text", metavar="文字")
@workspace_option
@json_option
def test(text: str, root: Path, as_json: bool) -> None:
    """看看一句话会得几分，各是为什么。只看字面；新人、刷屏这些要真在群里才知道。"""
    workspace = open_workspace(root)
    finding = Guarding(workspace).weigh(text)
    settings = workspace.definitions.guard or Guard()
    if as_json:
        emit_json(_finding(finding))
        return
    show([f"{finding.points} 分：{_LEVELS[finding.level]}"
          f"（{settings.alert} 分告诉运营，{settings.act} 分记一次）"])  # fmt: skip
    show(f"  {reason.sentence}" for reason in finding.reasons)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "points": finding.points,
        "level": finding.level.value,
        "reasons": [
            {"kind": reason.kind.value, "found": list(reason.found), "points": reason.points,
             "sentence": reason.sentence}
            for reason in finding.reasons
        ],
    }  # fmt: skip


@guard.command(cls=Command)
@click.argument("number", metavar="编号", type=int)
@workspace_option
def undo(root: Path, number: int) -> None:
    """撤销一件事：不记那一次，从黑名单里拿掉，还没移的就不移了。"""

    def work(tx: Tx) -> str:
        act = rows.act_of(tx.connection, number)
        if act is None:
            raise NotFound(f"没有 {number} 号。用 siyu guard 看看都有哪些。")
        return take_back(tx, act, "运营", now=now_ms())

    with opened(root) as (_, store):
        answer = store.write(work)
    click.echo(f"{answer}。")


COMMANDS = (guard,)
