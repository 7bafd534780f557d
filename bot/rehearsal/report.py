"""What a rehearsal came to, as plain data: every number is read from the scratch database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bot.rehearsal.cast import Times
from bot.rehearsal.warnings import warnings
from bot.workspace import Workspace
from storage import rehearsal as log
from storage.search import Found
from storage.telling import explain

KINDS = (
    ("person_limit", "触达"),
    ("account_limit", "账号"),
    ("person_limit", "每人每"),
    ("quiet", "免打扰"),
    ("quiet", "发送时段"),
    ("human", "人工"),
    ("human", "已转"),
    ("condition", "条件"),
    ("cooldown", "冷却"),
    ("unreachable", "好友"),
    ("unreachable", "群里"),
    ("left", "离开 SOP"),
    ("reentry", "再走"),
    ("reentry", "走完还不到"),
    ("reentry", "里面了"),
    ("answered", "接住"),
    ("late", "晚了"),
    ("late", "不合时宜"),
    ("late", "过期"),
    ("late", "太旧"),
)
KIND_NAMES = {
    "person_limit": "到了每人的触达上限",
    "account_limit": "到了账号的发送上限",
    "quiet": "免打扰或不在发送时段",
    "human": "人工接管",
    "condition": "条件不满足",
    "cooldown": "规则在冷却",
    "unreachable": "不是好友或不在群里",
    "left": "已经离开 SOP",
    "reentry": "不能再进同一个 SOP",
    "answered": "SOP 已经接住这句话",
    "late": "太晚了，不再发",
    "other": "其他",
}


def report(
    connection: Connection, workspace: Workspace, times: Times, *, chosen: Sequence[str]
) -> dict[str, Any]:
    """`per_day`, `funnel`, `withheld`, `collisions`, `warnings`, `sample` of a finished rehearsal.

    `chosen` are the ids of the SOPs that took part.
    """
    sent = log.sent(connection)
    funnel = _funnel(connection, workspace, chosen)
    return {
        "per_day": _per_day(sent, times),
        "funnel": funnel,
        "withheld": _withheld(connection),
        "collisions": _collisions(connection),
        "warnings": warnings(workspace, times, sent=sent, funnel=funnel,
                             held=log.holds(connection)),
        "sample": _sample(connection, times),
    }  # fmt: skip


def kind_of(reason: str) -> str:
    """What kind of reason a sentence gives."""
    return next((kind for kind, word in KINDS if word in reason), "other")


def _per_day(sent: Sequence[log.Sent], times: Times) -> list[dict[str, Any]]:
    days: dict[str, Counter[str]] = defaultdict(Counter)
    for message in sent:
        day = datetime.fromtimestamp(message.at / 1000, times.zone).date().isoformat()
        days[day][message.purpose] += 1
        if message.source.startswith("sop:"):
            days[day][message.source.partition("/")[0]] += 1
    return [{"date": day, **dict(sorted(counts.items()))} for day, counts in sorted(days.items())]


def _funnel(
    connection: Connection, workspace: Workspace, chosen: Sequence[str]
) -> dict[str, dict[str, Any]]:
    walks = log.walks(connection)
    runs = log.runs(connection)
    standing = log.standing(connection)
    said = log.said_by_step(connection)
    out: dict[str, dict[str, Any]] = {}
    for sop in workspace.definitions.sops:
        if sop.id not in chosen:
            continue
        states = walks.get(sop.id, {})
        out[sop.id] = {
            "title": sop.title or sop.id,
            "entered": sum(states.values()),
            **{state: states.get(state, 0) for state in ("active", "done", "goal", "exited")},
            "steps": {
                step.id: _step(
                    runs.get((sop.id, step.id), []),
                    standing.get((sop.id, step.id), 0),
                    said.get(f"sop:{sop.id}/{step.id}", 0),
                )
                for step in sop.steps
            },
        }
    return out


def _step(runs: Sequence[log.StepRuns], standing: int, sent: int) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for run in runs:
        outcomes[run.outcome] += run.count
        if run.outcome == "skipped":
            skipped[kind_of(run.because)] += run.count
    return {
        "reached": outcomes["done"] + outcomes["skipped"] + standing,
        "done": outcomes["done"],
        "sent": sent,
        "skipped": dict(sorted(skipped.items())),
        "replied": outcomes["replied"],
        "timeout": outcomes["timeout"],
        "standing": standing,
    }


def _withheld(connection: Connection) -> dict[str, dict[str, int]]:
    """By kind of reason: put off (and done later, or not), dropped, skipped, not done."""
    out: dict[str, Counter[str]] = defaultdict(Counter)
    for what, reason, count in log.withheld(connection):
        out[kind_of(reason)][what] += count
    return {kind: dict(sorted(counts.items())) for kind, counts in sorted(out.items())}


def _collisions(connection: Connection) -> list[dict[str, Any]]:
    """Touches that had to give way on a full day: who lost it to whom, and how often."""
    pairs: Counter[tuple[str, str]] = Counter()
    for hold in log.holds(connection):
        winner = hold.reason.partition("上一条来自 ")[2].partition("）")[0]
        if winner and winner.partition("/")[0] != hold.source.partition("/")[0]:
            pairs[hold.source, winner] += 1
    return [
        {"loser": loser, "winner": winner, "times": times}
        for (loser, winner), times in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _sample(connection: Connection, times: Times) -> dict[str, Any]:
    """The whole story of the person who heard and said most."""
    chosen = log.liveliest(connection)
    if chosen is None:
        return {}
    who = Found(chosen.id, chosen.name, "", chosen.external_id, False, chosen.account_id)
    return {"name": chosen.name, "story": explain(connection, who, zone=times.zone)}
