"""A rehearsal's report for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from bot.rehearsal.report import KIND_NAMES
from bot.tale import tale

_WHAT = {
    "held": "推迟",
    "dropped": "没发",
    "failed": "失败",
    "skipped": "跳过步骤",
    "withheld": "没执行",
}
STORY = 60  # lines of one person's story


def screen(report: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the whole report."""
    yield from _calendar(report["per_day"])
    yield from _funnel(report["funnel"])
    yield from _withheld(report["withheld"])
    yield from _collisions(report["collisions"])
    yield from _sample(report["sample"])
    yield from _warnings(report["warnings"])


def _calendar(days: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "━━ 每天会发多少 ━━"
    most = max((_all(day) for day in days), default=1)
    for day in days:
        when = date.fromisoformat(day["date"])
        bar = "▇" * max(1, round(20 * _all(day) / most))
        sops = "，".join(f"{k[4:]} {v}" for k, v in day.items() if k.startswith("sop:"))
        yield (
            f"{when:%m-%d} 周{'一二三四五六日'[when.weekday()]}  触达 {day.get('touch', 0):>4}"
            f"  回复 {day.get('reply', 0):>4}  {bar}"
        )
        if sops:
            yield f"         {sops}"
    yield ""


def _all(day: Mapping[str, Any]) -> int:
    return sum(day.get(kind, 0) for kind in ("touch", "reply", "notice"))


def _funnel(funnel: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "━━ 每个 SOP 走得怎么样 ━━"
    for id_, sop in funnel.items():
        yield (
            f"{sop['title']}（{id_}）：进来 {sop['entered']}，走完 {sop['done']}，"
            f"达成 {sop['goal']}，退出 {sop['exited']}，还在走 {sop['active']}"
        )
        for step, numbers in sop["steps"].items():
            skipped = "，".join(f"{KIND_NAMES[k]} {n}" for k, n in numbers["skipped"].items())
            line = f"    {step}：走到 {numbers['reached']}，发出 {numbers['sent']}"
            line += f"，跳过（{skipped}）" if skipped else ""
            line += f"，回复 {numbers['replied']}" if numbers["replied"] else ""
            line += f"，没等到 {numbers['timeout']}" if numbers["timeout"] else ""
            yield line
    yield ""


def _withheld(withheld: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    yield "━━ 什么没有照原样发，为什么 ━━"
    for kind, counts in withheld.items():
        told = "，".join(f"{_WHAT[what]} {count}" for what, count in counts.items())
        yield f"{KIND_NAMES[kind]}：{told}"
    if not withheld:
        yield "没有"
    yield ""


def _collisions(collisions: list[Mapping[str, Any]]) -> Iterator[str]:
    if not collisions:
        return
    yield "━━ 抢同一天的触达 ━━"
    for pair in collisions[:12]:
        yield f"{pair['loser']} 让给了 {pair['winner']}：{pair['times']} 次"
    yield ""


def _sample(sample: Mapping[str, Any]) -> Iterator[str]:
    if not sample:
        return
    yield f"━━ 其中一个人：{sample['name']} ━━"
    lines = list(tale(sample["story"]))
    yield from lines[:STORY]
    if len(lines) > STORY:
        yield f"……还有 {len(lines) - STORY} 行，--json 里是全部"
    yield ""


def _warnings(warnings: list[str]) -> Iterator[str]:
    yield "━━ 提醒 ━━"
    yield from (f"• {line}" for line in warnings)
    if not warnings:
        yield "没有要提醒的"
