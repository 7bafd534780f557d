"""Pushes on a screen: for whom, what a run came to, what a dry run says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from bot.rehearsal.reasons import reason_of
from sop.conditions import many
from sop.pushes import Push, ToAudience
from storage.push_report import PushReport
from storage.runs import RunRow
from storage.story import iso

STATES = {
    "running": "正在发",
    "paused": "暂停中",
    "done": "发完了",
    "cancelled": "取消了",
}


def whom(push: Push) -> str:
    """Whom a push is for, in a few words."""
    if isinstance(push.to, ToAudience):
        return f"人群 {push.to.audience}"
    groups = push.to.groups
    tags = "、".join(many(groups.tag)) if groups.tag is not None else ""
    return "群 " + " ".join(filter(None, [tags, f"（{groups.kind}）" if groups.kind else ""]))


def by_heading(reasons: Mapping[str, int]) -> dict[str, int]:
    """Sentences with numbers and names in them, put together under a few headings."""
    out: dict[str, int] = {}
    for sentence, count in reasons.items():
        label = reason_of(sentence).label
        out[label] = out.get(label, 0) + count
    return out


def report_dict(run: RunRow, found: PushReport, zone: ZoneInfo) -> dict[str, Any]:
    """One run as data."""
    return {
        "planned_at": iso(run.planned_at, zone),
        "by": run.begun_by,
        "state": run.state,
        "reason": run.reason,
        "started_at": iso(run.started_at, zone),
        "ended_at": iso(run.ended_at, zone),
        "last_sent_at": iso(found.last_sent_at, zone),
        "meant": found.meant,
        "sent": found.sent,
        "unknown": found.unknown,
        "failed": found.failed,
        "on_its_way": found.on_its_way,
        "waiting": found.waiting,
        "withheld": by_heading(found.withheld),
        "withheld_all": found.withheld_all,
        "replied_24h": found.replied[0],
        "replied_72h": found.replied[1],
        "tags": found.tags,
        "left_7d": found.left,
    }


def report_lines(run: Mapping[str, Any]) -> Iterator[str]:
    """One run for people."""
    by = f"（{run['by']}）" if run["by"] else ""
    why = f"，{run['reason']}" if run["reason"] else ""
    yield f"── {_when(run['planned_at'])}{by} {STATES.get(run['state'], run['state'])}{why}"
    yield f"  该收到 {run['meant']}，发出 {run['sent']}" + "".join(
        f"，{label} {run[key]}"
        for key, label in (
            ("unknown", "不确定"), ("failed", "没发出去"), ("on_its_way", "在发件箱"),
            ("waiting", "还没轮到"), ("withheld_all", "没有发"),
        )
        if run[key]
    )  # fmt: skip
    for label, count in run["withheld"].items():
        yield f"    没有发 {count}：{label}"
    yield f"  回话：24 小时内 {run['replied_24h']}，72 小时内 {run['replied_72h']}"
    if run["tags"]:
        tags = "，".join(f"{tag} {count}" for tag, count in run["tags"].items())
        yield f"  七天内加上的标签：{tags}"
    yield f"  七天内删好友或退群：{run['left_7d']}"


def dry_run_lines(push: Push, found: Mapping[str, Any]) -> Iterator[str]:
    """What a dry run says."""
    when = "到点" if push.at else "现在"
    yield f"{push.label}（{push.id}），发给{whom(push)}"
    yield f"{when}开始：{_when(found['begin'])}（只是试算，什么也没有发）"
    yield f"该收到 {found['meant']}，能发 {found['reached']}"
    for label, count in found["withheld"].items():
        yield f"  收不到 {count}：{label}"
    for label, count in found["put_off"].items():
        yield f"  要等等 {count}：{label}"
    if found["in_time"]:
        yield f"按账号的节奏，{_when(found['finished'])} 发完 {found['in_time']}"
    short = found["reached"] - found["in_time"]
    if short:
        yield f"  轮不到 {short}：within 之内发不完。人群拆小些，或者把 within 写长些"
    if found["sample"]:
        yield f"比如：{'、'.join(found['sample'])}"


def _when(iso_time: str | None) -> str:
    return (iso_time or "")[:16].replace("T", " ")
