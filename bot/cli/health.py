"""`siyu health`: how the account is, what it may still send, and what went wrong lately."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from bot.cli.chinese import Command
from bot.cli.common import emit_json, json_option, now_ms, opened, show, workspace_option
from bot.health import standing
from sop.definitions import Settings
from sop.health import Level, stage
from sop.sending import day_start
from sop.times import DAY, show_duration
from storage.circuit import Circuit
from storage.health_report import accounts, by_kind, days, latest_signals
from storage.story import iso
from storage.words import PURPOSES

DAYS = 7
SIGNALS = 5
_LEVELS: dict[Level, str] = {
    "ok": "正常",
    "slow": "放慢中",
    "trial": "试发中",
    "stopped": "停发中",
}
_SIGNALS = {"logout": "被退出登录", "slow": "放慢", "stopped": "停发", "resumed": "恢复"}
_KINDS = {
    "accept": "通过好友",
    "invite": "邀请进群",
    "remove": "移出群",
    "moment": "朋友圈",
}
_BARS = "▁▂▃▄▅▆▇█"


@click.command(cls=Command)
@workspace_option
@json_option
def health(root: Path, as_json: bool) -> None:
    """账号体检：现在能发多少、发了什么、最近出过什么事。"""
    with opened(root) as (workspace, store), store.read() as connection:
        now, settings = now_ms(), workspace.settings
        found = [_account(connection, row, settings, now=now) for row in accounts(connection)]
    if as_json:
        emit_json(found)
    elif not found:
        show(["还没有账号登录过。"])
    else:
        for one in found:
            show(_screen(one))


def _account(connection: Any, row: Any, settings: Settings, *, now: int) -> dict[str, Any]:
    id_, name, state, openings, until, because = row
    how = standing(connection, id_, settings, now=now)
    circuit = Circuit(0, openings, until, because)
    midnights = [day_start(now, settings.zone, days=-n) for n in reversed(range(DAYS))]
    young = stage(settings.limits.account, how.age)
    level: Level = "slow" if how.slow else "ok"
    level = "trial" if circuit.on_trial else level
    level = "stopped" if circuit.holds(now) else level
    reason = because if level in ("stopped", "trial") else how.condition.care_because
    until = until if level in ("stopped", "trial") else how.condition.care_until
    return {
        "account": name,
        "state": state,
        "level": level,
        "because": reason if level != "ok" else "",
        "until": iso(until, settings.zone) if level != "ok" else None,
        "age_days": None if how.age is None else how.age // DAY,
        "warmup": None if young is None else show_duration(young.until),
        "hour": {"used": how.ledger.hour, "budget": how.budget.per_hour},
        "today": {"used": how.ledger.day, "budget": how.budget.per_day},
        "kinds": [
            {"kind": kind, "purpose": purpose, "count": count}
            for (kind, purpose), count in by_kind(
                connection, id_, since=midnights[-1], now=now
            ).items()
        ],
        "days": [
            {"day": _day(day.since, settings.zone), "left": day.left, "bad": day.bad}
            for day in days(connection, id_, midnights, now=now)
        ],
        "signals": [
            {"at": iso(at, settings.zone), "kind": kind, "because": why}
            for at, kind, why in latest_signals(connection, id_, most=SIGNALS)
        ],
    }


def _screen(one: dict[str, Any]) -> Iterator[str]:
    login = {"login": "已登录", "logout": "已退出登录", "offline": "不在线"}[one["state"]]
    yield f"{one['account']}：{_LEVELS[one['level']]}（{login}）"
    if one["level"] != "ok":
        yield f"  为什么：{one['because']}，到 {_clock(one['until'])}"
        yield "  看看手机上微信有没有提示；没事就写 siyu outbox resume，马上恢复"
    yield f"  号龄：{_age(one)}"
    yield f"  这一小时：{one['hour']['used']} / {one['hour']['budget']}"
    yield f"  今天：{one['today']['used']} / {one['today']['budget']}{_kinds(one)}"
    yield f"  七天：{_trend(one['days'])}"
    for signal in one["signals"]:
        yield f"  {_clock(signal['at'])} {_SIGNALS[signal['kind']]}：{signal['because']}"


def _age(one: dict[str, Any]) -> str:
    if one["age_days"] is None:
        return "不知道，按老号算"
    if one["warmup"] is None:
        return f"{one['age_days']} 天"
    return f"{one['age_days']} 天，养号期（不满 {one['warmup']}）"


def _kinds(one: dict[str, Any]) -> str:
    parts: dict[str, int] = {}
    for row in one["kinds"]:
        name = _KINDS.get(row["kind"], PURPOSES[row["purpose"]])
        parts[name] = parts.get(name, 0) + row["count"]
    return f"（{'，'.join(f'{name} {count}' for name, count in parts.items())}）" if parts else ""


def _trend(rows: list[dict[str, Any]]) -> str:
    most = max(row["left"] for row in rows) or 1
    bars = "".join(_BARS[row["left"] * (len(_BARS) - 1) // most] for row in rows)
    bad = sum(row["bad"] for row in rows)
    counts = "、".join(str(row["left"]) for row in rows)
    return f"{bars} {counts}" + (f"；没发成或不确定 {bad}" if bad else "")


def _day(moment: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(moment / 1000, zone).date().isoformat()


def _clock(moment: str | None) -> str:
    return datetime.fromisoformat(moment).strftime("%m-%d %H:%M") if moment else ""


COMMANDS = (health,)
