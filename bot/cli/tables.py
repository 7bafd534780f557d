"""`siyu import` and `siyu export`: people and orders from tables, and people into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import click

from bot.cli.audience import wanted
from bot.cli.chinese import Command
from bot.cli.common import emit_json, json_option, now_ms, opened, show, workspace_option
from bot.exporting import export as write_export
from bot.importing import Importer, Report, Wish
from bot.sheets import write_sheet
from sop.importing import LABELS

SHOWN = 20


def _asked(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Any:
    """`列名=字段` each, as a mapping."""
    out = {}
    for one in given:
        name, equals, field = one.rpartition("=")
        if not equals or not name.strip():
            raise click.UsageError(
                f"--column 要写成 列名=字段，比如 客户号=微信号，现在是「{one}」"
            )
        out[name.strip()] = field.strip()
    return out


@click.command("import", cls=Command)
@click.argument("path", metavar="文件", type=click.Path(path_type=Path, readable=False))
@click.option("--yes", is_flag=True, help="真的导入；不写就只是预演")
@click.option("--new", is_flag=True, help="微信号不认识的就新建（在网关认出来以前不算好友）")
@click.option("--by", default="", metavar="资料", help="按这一项资料认人，比如 会员号")
@click.option(
    "--column",
    "asked",
    multiple=True,
    metavar="列名=字段",
    callback=_asked,
    help="说明一列是什么，可以写好几次；字段写 不要 就不看这一列",
)
@click.option("--sheet", default="", metavar="表名", help="Excel 里的哪张表（默认第一张）")
@click.option(
    "--report",
    metavar="文件",
    type=click.Path(path_type=Path, readable=False),
    help="把没有导的每一行和原因写进这个文件（.csv 或 .xlsx）",
)
@workspace_option
@json_option
def import_(
    path: Path,
    yes: bool,
    new: bool,
    by: str,
    asked: Mapping[str, str],
    sheet: str,
    report: Path | None,
    root: Path,
    as_json: bool,
) -> None:
    """从 CSV 或 Excel 导入人的资料、标签，或者订单。先预演，加 --yes 才真的导。"""
    wish = Wish(path=path, asked=asked, by=by, sheet=sheet, create=new, apply=yes)
    with opened(root) as (workspace, store):
        importer = Importer(workspace, store, wish, now=now_ms())
        try:
            found = importer.run()
            if report is not None:
                _write_report(found, report)
            if as_json:
                emit_json(_as_data(found))
            else:
                show(_screen(found, wish, told=report is not None))
        finally:
            importer.close()


def _write_report(found: Report, path: Path) -> None:
    with write_sheet(path) as put:
        put(["行", "为什么没有导"])
        for line, because in found.staging.refusals():
            put([str(line), because])


def _as_data(found: Report) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": found.kind, "applied": found.applied, "rows": found.rows}
    keys: tuple[str, ...]
    if found.kind == "contacts":
        keys = ("new_people", "changed", "unchanged", "tags", "values")
    else:
        keys = ("new_people", "orders", "refunds", "order_rows", "known_orders", "known_rows",
                "old")  # fmt: skip
        data["amount"] = f"{found.cents / 100:.2f}"
    data |= {key: getattr(found, key) for key in keys}
    data["ignored_columns"] = list(found.named.ignored)
    data["refused"] = [{"line": n, "because": why} for n, why in found.staging.refusals()]
    return data


# --- the screen ------------------------------------------------------------------------------


def _screen(found: Report, wish: Wish, *, told: bool) -> Iterator[str]:
    what = "人的资料" if found.kind == "contacts" else "订单"
    yield f"{wish.path.name}：{found.rows} 行，是{what}"
    yield f"  列：{'，'.join(_columns(found))}"
    if found.named.ignored:
        yield f"  没用到的列：{'、'.join(found.named.ignored)}"
    yield "做了：" if found.applied else "会做："
    yield from (f"  {line}" for line in _deeds(found))
    yield from _refusals(found, told=told)
    if not found.rows:
        yield "只有列名，下面一行也没有：没有什么可导的。"
    elif not found.applied:
        yield "这是预演，什么都没有改。看着没问题，就再加上 --yes。"


def _columns(found: Report) -> Iterator[str]:
    named = found.named
    for field, n in named.fields.items():
        yield f"{named.headings[n]} → {LABELS[field]}"
    for key, n in named.values.items():
        use = "按它认人" if key == named.by else f"资料「{key}」"
        yield f"{named.headings[n]} → {use}"


def _deeds(found: Report) -> Iterator[str]:
    if found.new_people:
        yield f"新建 {found.new_people} 人（在网关认出来以前不算好友，不会给他们发消息）"
    if found.kind == "contacts":
        yield f"改 {found.changed} 人：补上 {found.tags} 个标签、{found.values} 项资料"
        if found.unchanged:
            yield f"{found.unchanged} 人已经是这样，不用改"
        return
    money = f"{found.cents / 100:,.2f} 元"
    yield f"{found.orders} 个订单、{found.refunds} 笔退款（{found.order_rows} 行），合计 {money}"
    if found.old:
        yield (
            f"其中 {found.old} 个是旧的：条件里会数到，规则照样贴标签、SOP 的目标和退出照算，"
            "但不会因此说话，也不会开始 SOP"
        )
    if found.known_orders:
        yield f"{found.known_orders} 个以前导过（{found.known_rows} 行），不重复导"


def _refusals(found: Report, *, told: bool) -> Iterator[str]:
    if not found.refused:
        return
    yield f"不导的：{found.refused} 行"
    if found.refused > SHOWN:
        kinds = Counter(_kind(because) for _, because in found.staging.refusals())
        yield from (f"  {count} 行：{why}" for why, count in kinds.most_common(SHOWN))
    for line, because in islice(found.staging.refusals(), SHOWN):
        yield f"  第 {line} 行  {because}"
    if found.refused > SHOWN and not told:
        yield f"  ……还有 {found.refused - SHOWN} 行，用 --report 不导.csv 全部写出来"


def _kind(because: str) -> str:
    """A reason without what is peculiar to one row."""
    head = because.partition("：")[0]
    for mark in "「（":
        before, found, rest = head.partition(mark)
        if found:
            _, _, after = rest.partition({"「": "」", "（": "）"}[mark])
            head = f"{before}…{after}" if mark == "「" else before
    return "同一个订单的别的行有问题，整单不导" if head.startswith("同一个订单的第") else head


@click.command("export", cls=Command)
@click.argument("path", metavar="文件", type=click.Path(path_type=Path, readable=False))
@click.option("--audience", metavar="人群", help="只导出这个人群（默认所有人）")
@workspace_option
def export(path: Path, audience: str | None, root: Path) -> None:
    """把人导出成 .csv 或 .xlsx：标签、资料、订单数、消费。"""
    with opened(root) as (workspace, store):
        condition = wanted(workspace, audience).condition if audience is not None else None
        zone = workspace.settings.zone
        count = write_export(store, path, audience=condition, zone=zone, now=now_ms())
    show([f"导出 {count} 人到 {path}"])


COMMANDS = (import_, export)
