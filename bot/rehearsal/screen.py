"""A rehearsal's report for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.rehearsal.calendar import RULES
from bot.rehearsal.reasons import REASONS

_LABELS = {reason.key: reason.label for reason in REASONS}
_COUNTS = {
    "skipped": "跳过步骤",
    "dropped": "不发了",
    "waiting": "还在等",
    "put_off": "推迟",
    "rules": "规则没执行",
    "entries": "没进 SOP",
}
_MARKS = {
    "sent": "我：",
    "withheld": "✗ 没有发：",
    "held": "… 先放一放：",
    "skipped": "✗ 跳过：",
    "entered": "▶ 走进 ",
    "ended": "■ ",
    "happened": "· ",
}
Report = Mapping[str, Any]


def screen(report: Report) -> Iterator[str]:
    """The lines of the whole report."""
    titles = {row["sop"]: row["title"] for row in report["funnel"]}
    yield from _calendar(report["per_day"], titles)
    yield from _funnel(report["funnel"])
    yield from _withheld(report["withheld"])
    yield from _collisions(report["collisions"], titles)
    yield from _sample(report["sample"])
    yield from _warnings(report["warnings"])


def _calendar(days: list[Report], titles: Mapping[str, str]) -> Iterator[str]:
    yield "━━ 每天会发多少 ━━"
    for day in days:
        weekday = "一二三四五六日"[day["weekday"] - 1]
        who = [
            f"{titles.get(sop, '规则' if sop == RULES else sop)} {n}"
            for sop, n in day["by_sop"].items()
        ]
        line = f"{day['date'][5:]} 周{weekday}  主动 {day['touches']:>4}  回复 {day['replies']:>4}"
        line += f"  新好友 {day['joined']:>3}  来信 {day['heard']:>4}"
        yield f"{line}  {'，'.join(who)}".rstrip()
    yield ""


def _funnel(rows: list[Report]) -> Iterator[str]:
    yield "━━ 每个 SOP 走成什么样 ━━"
    for sop in rows:
        carried = f"（另有 {sop['carried']} 个开演前就在走）" if sop["carried"] else ""
        yield (
            f"{sop['title']}：进来 {sop['entered']}{carried}，走完 {sop['done']}，"
            f"达成 {sop['goal']}，退出 {sop['exited'] + sop['removed']}，还在走 {sop['active']}"
        )
        if sop["refused"]:
            yield f"    没让进：{_reasons(sop['refused'])}"
        for step in sop["steps"]:
            yield f"    {_step(step)}"
    yield ""


def _step(step: Report) -> str:
    parts = [f"到 {step['reached']}", f"发出 {step['sent']}"]
    for key, name in (
        ("answered", "接话"), ("replied", "回了"), ("timeout", "没等到"), ("queued", "还没发"),
        ("standing", "停在这里"), ("exited", "从这里退出"), ("goal", "在这里达成"),
    ):  # fmt: skip
        if step[key]:
            parts.append(f"{name} {step[key]}")
    for key, name in (("skipped", "跳过"), ("dropped", "不发了")):
        if step[key]:
            parts.append(f"{name}（{_reasons(step[key])}）")
    title = f" {step['title']}" if step["title"] else ""
    return f"{step['step']}{title}：{'，'.join(parts)}"


def _reasons(counts: Mapping[str, int]) -> str:
    return "，".join(f"{_LABELS[key]} {count}" for key, count in counts.items())


def _withheld(rows: list[Report]) -> Iterator[str]:
    yield "━━ 什么没有照原样发，为什么 ━━"
    for row in rows:
        told = "，".join(f"{name} {row[key]}" for key, name in _COUNTS.items() if row[key])
        yield f"{row['label']}：{told}，碰到 {row['people']} 个人（群）"
        for one in row["examples"][:1]:
            yield f"    比如 {one['at']} {one['who']}，{one['what']}：{one['because']}"
    if not rows:
        yield "没有"
    yield ""


def _collisions(rows: list[Report], titles: Mapping[str, str]) -> Iterator[str]:
    if not rows:
        return
    yield "━━ 两个 SOP 同一天找同一个人 ━━"
    for row in rows:
        first, second = (titles.get(row[key], row[key]) for key in ("first", "second"))
        yield (
            f"「{first}」和「{second}」：{row['days']} 回，{row['people']} 个人。"
            f"两条都发了 {row['both_sent']}，前者先说 {row['first_won']}，"
            f"后者先说 {row['second_won']}，都没发成 {row['neither']}"
        )
    yield ""


def _sample(found: Report | None) -> Iterator[str]:
    if found is None:
        return
    yield f"━━ 其中一个人：{found['who']} ━━"
    for line in found["lines"]:
        text = " ".join(line["text"].split())
        mark = _MARKS.get(line["kind"], f"{found['who']}：")
        because = f"（{line['because']}）" if line["because"] else ""
        yield f"{line['at'][5:]}  {mark}{text}{because}"
    yield ""


def _warnings(rows: list[Report]) -> Iterator[str]:
    yield "━━ 有经验的运营会皱眉的地方 ━━"
    yield from (f"• {row['text']}" for row in rows)
    if not rows:
        yield "没有"
