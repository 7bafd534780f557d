"""A rehearsal's report for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.plain import with_reason
from bot.push_screen import report_lines
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
FEW = 8  # entries, and gaps, that are shown; all of them are in the JSON


def screen(report: Report) -> Iterator[str]:
    """The lines of the whole report."""
    titles = {row["sop"]: row["title"] for row in report["funnel"]}
    titles |= {f"push:{row['push']}": f"群发 {row['title']}" for row in report.get("pushes", [])}
    titles |= {
        f"moment:{row['moment']}": f"朋友圈 {row['title']}" for row in report.get("moments", [])
    }
    yield from _calendar(report["per_day"], titles)
    yield from _funnel(report["funnel"])
    yield from _pushes(report.get("pushes", []))
    yield from _moments(report.get("moments", []))
    yield from _answers(report.get("answers", {}))
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


def _pushes(rows: list[Report]) -> Iterator[str]:
    if not rows:
        return
    yield "━━ 群发 ━━"
    for row in rows:
        if "withheld" not in row:
            yield f"{row['title']} {row['planned_at'][5:16].replace('T', ' ')}：{row['reason']}"
            continue
        first, *rest = report_lines(row)
        yield f"{row['title']} {first.removeprefix('── ')}"
        yield from rest
    yield ""


def _moments(rows: list[Report]) -> Iterator[str]:
    if not rows:
        return
    yield "━━ 朋友圈 ━━"
    for row in rows:
        at = row["at"][5:16].replace("T", " ")
        why = "" if row["state"] == "done" else f"（没有发成：{row['reason']}）"
        yield f"{at}  {row['pillar']} {row['title']}{why}"
    yield ""


def _answers(found: Report) -> Iterator[str]:
    if not found.get("asked"):
        return
    yield "━━ 没有规则接的问题 ━━"
    told = [f"照知识答 {found['entries']}", f"转给人 {found['handed']}"]
    told += [
        f"{name} {found[key]}"
        for key, name in (("model", "模型照知识说"), ("dropped", "没再答"), ("waiting", "还在等"))
        if found[key]
    ]
    yield f"{found['people']} 个人问了 {found['asked']} 句：{'，'.join(told)}"
    if found["why_handed"]:
        why = "，".join(f"{because} {count}" for because, count in found["why_handed"].items())
        yield f"    为什么转给人：{why}"
    for row in found["by_entry"][:FEW]:
        yield f"    答得上：{row['question']} {row['times']}"
    for row in found["gaps"][:FEW]:
        near = f"，最像 {row['nearest']}（{row['score']:.2f}）" if row["nearest"] else ""
        asked = " / ".join(" ".join(text.split())[:30] for text in row["questions"][:2])
        yield f"    没答上：{asked}，{row['people']} 人 {row['times']} 次{near}"
    yield ""


def _withheld(rows: list[Report]) -> Iterator[str]:
    yield "━━ 什么没有照原样发，为什么 ━━"
    for row in rows:
        told = "，".join(f"{name} {row[key]}" for key, name in _COUNTS.items() if row[key])
        yield f"{row['label']}：{told}，碰到 {row['people']} 个人（群）"
        for one in row["examples"][:1]:
            yield f"    比如 {one['at']} {one['who']}，{with_reason(one['what'], one['because'])}"
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
