"""`siyu audience`: who is in an audience, and how many of them could be reached today."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from bot.audiences import WITHHELD, Known, known
from bot.cli.chinese import Command
from bot.cli.common import emit_json, json_option, now_ms, opened, show, workspace_option
from bot.cli.table import columns, table
from bot.workspace import Workspace
from sop.definitions import Audience
from sop.errors import NotFound
from sop.problems import did_you_mean
from sop.wording import condition_words
from storage.audiences import size
from storage.people import account_ids
from storage.store import Store
from storage.story import iso

SAMPLE = 10


@click.command(cls=Command)
@click.argument("name", metavar="[人群]", required=False)
@click.option(
    "--sample",
    default=SAMPLE,
    metavar="人数",
    type=click.IntRange(0, 1_000),
    help=f"列出几个人看看（默认 {SAMPLE}）",
)
@workspace_option
@json_option
def audience(name: str | None, sample: int, root: Path, as_json: bool) -> None:
    """人群里有多少人、都是谁、今天还能找到多少。不写名字就列出所有人群。"""
    with opened(root) as (workspace, store):
        if name is None:
            _every(workspace, store, as_json)
        else:
            _one(workspace, store, wanted(workspace, name), sample, as_json)


def wanted(workspace: Workspace, name: str) -> Audience:
    """The audience of that name."""
    found = workspace.definitions.audience(name)
    if found is not None:
        return found
    names = [one.id for one in workspace.definitions.audiences]
    hint = did_you_mean(name, names) or f"有：{'、'.join(names) or '一个也没有'}"
    raise NotFound(f"没有叫「{name}」的人群。{hint}")


def _every(workspace: Workspace, store: Store, as_json: bool) -> None:
    now = now_ms()
    with store.read() as connection:
        accounts = account_ids(connection)
        rows = [
            {
                "id": one.id,
                "words": condition_words(one.condition),
                "count": sum(size(connection, one.condition, account=account, now=now)
                             for account in accounts),
            }
            for one in workspace.definitions.audiences
        ]  # fmt: skip
    if as_json:
        emit_json(rows)
    elif not rows:
        show(["还没有人群。写在 YAML 的 audiences 里，例子在 siyu init 建出来的 calendar.yaml。"])
    else:
        lines = [(str(r["id"]), str(r["count"]), str(r["words"])) for r in rows]
        show(table([("人群", "人数", "条件"), *lines], width=columns()))


def _one(workspace: Workspace, store: Store, wanted: Audience, sample: int, as_json: bool) -> None:
    settings = workspace.settings
    with store.read() as connection:
        found = known(connection, wanted, settings, now=now_ms(), most=sample)
    if as_json:
        emit_json(_as_data(wanted, found, settings.zone))
    else:
        show(_screen(wanted, found, settings.zone))


def _as_data(wanted: Audience, found: Known, zone: ZoneInfo) -> dict[str, Any]:
    keys = ("id", "name", "alias", "stage", "last_message_at")
    return {
        "id": wanted.id,
        "words": condition_words(wanted.condition),
        "count": found.count,
        "reachable": found.reachable,
        "today": found.today,
        "withheld": found.withheld,
        "sample": [
            dict(zip(keys, (*one[:4], iso(one[4], zone)), strict=True)) for one in found.sample
        ],
    }


def _screen(wanted: Audience, found: Known, zone: ZoneInfo) -> Iterator[str]:
    yield f"{wanted.id}：{found.count} 人"
    yield f"条件：{condition_words(wanted.condition)}"
    yield f"现在能找的：{found.reachable} 人"
    if found.today < found.reachable:
        yield f"账号今天还发得出 {found.today} 条，剩下的要等明天"
    if found.withheld:
        yield f"找不了的：{sum(found.withheld.values())} 人"
        yield from (f"  {WITHHELD[why]}：{count} 人" for why, count in found.withheld.items())
    if found.sample:
        yield f"最近说过话的 {len(found.sample)} 位："
        heading = ("编号", "名字", "生命周期", "上次说话")
        yield from table([heading, *(_row(one, zone) for one in found.sample)], width=columns())


def _row(one: tuple[int, str, str, str, int | None], zone: ZoneInfo) -> tuple[str, ...]:
    id_, name, alias, stage, last = one
    at = datetime.fromtimestamp(last / 1000, zone).strftime("%Y-%m-%d %H:%M") if last else ""
    return (f"#{id_}", name + (f"（{alias}）" if alias else ""), stage, at)


COMMANDS = (audience,)
