"""Why did a step of an SOP (or a rule) not reach somebody? The one reason that counts, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from sop.conditions import Condition
from sop.definitions import Rule
from sop.engine import State
from sop.facets import enter_words
from sop.sequences import Sop
from sop.wording import condition_words, event_words, match_words, parts
from storage.conditions import answers
from storage.holds import open_holds, why_queued
from storage.search import Found
from storage.sql import fetch
from storage.walked import (
    Ran,
    Walked,
    clock,
    ending_words,
    paused,
    run_words,
    runs_of,
    waits_for,
    walks_of,
)
from storage.words import STATES


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a question is about, and when and where it is asked."""

    connection: Connection
    who: Found
    zone: ZoneInfo
    now: int

    def failing(self, condition: Condition) -> list[str]:
        """The parts of a condition that do not hold now, in words."""
        wanted = parts(condition)
        held = answers(
            self.connection,
            [(part, [self.who.id]) for part in wanted],
            now=self.now,
            groups=self.who.is_group,
        )
        return [condition_words(p) for p, ids in zip(wanted, held, strict=True) if not ids]

    def clock(self, at: int | None) -> str:
        """A moment in the workspace's time zone."""
        return clock(at, self.zone)


def why_not(asked: Asked, sop: Sop, step: str) -> list[str]:
    """What became of a step of `sop` (its current version) for somebody, in a sentence or a few."""
    walks = [w for w in walks_of(asked.connection, asked.who.id) if w.version.id == sop.id]
    if not walks:
        return list(_never_in(asked, sop))
    walk = walks[-1]
    runs = [run for run in runs_of(asked.connection, [walk]) if run.step == step]
    if runs:
        return list(_ran(asked, walk, runs))
    return list(_not_run(asked, walk, step))


# --- not in ----------------------------------------------------------------------------------


def _never_in(asked: Asked, sop: Sop) -> Iterator[str]:
    refused = _last_trace(asked, "sop", sop.id)
    if refused is not None:
        at, because = refused
        yield f"没有进过这个 SOP：{asked.clock(at)} 到了门口，{because}。"
    else:
        ways = "；".join(map(enter_words, sop.entries)) or "只能手动或由规则拉进来"
        yield f"没有进过这个 SOP。进来的路：{ways}。"
    for enter in sop.entries:
        missing = asked.failing(enter.if_) if enter.if_ is not None else []
        if missing:
            yield f"现在看，这些不成立：{'；'.join(missing)}。"
    if sop.id in paused(asked.connection):
        yield "这个 SOP 暂停着，不进人。"


# --- in, and not yet there -------------------------------------------------------------------


def _not_run(asked: Asked, walk: Walked, step: str) -> Iterator[str]:
    if step in (json.loads(walk.past) if walk.past else ()):
        yield "换版本之前已经走过这一步，不会再走。"
    elif walk.state is not State.ACTIVE:
        when = asked.clock(walk.ended_at)
        yield f"还没走到这一步，{when} 就结束了：{ending_words(walk)}。停在 {walk.step}。"
    elif walk.version.step(step) is None:
        yield f"走的是旧版本，那一版里没有 {step} 这一步，现在停在 {walk.step}。"
        yield f"想换到新版本：siyu sop migrate {walk.version.id}"
    elif walk.step == step:
        yield f"站在这一步：{_waits(asked, walk)}。"
        yield from _foreseen(asked, walk)
    elif _behind(walk, step):
        yield f"走的路没有经过这一步，现在已经到了 {walk.step}：{_waits(asked, walk)}。"
    else:
        yield f"还没走到，现在停在 {walk.step}：{_waits(asked, walk)}。"


def _waits(asked: Asked, walk: Walked) -> str:
    still = walk.version.id in paused(asked.connection)
    return waits_for(walk, zone=asked.zone, now=asked.now, paused=still)


def _behind(walk: Walked, step: str) -> bool:
    ids = [one.id for one in walk.version.steps]
    return walk.step in ids and ids.index(step) < ids.index(walk.step)


def _foreseen(asked: Asked, walk: Walked) -> Iterator[str]:
    condition = walk.at.if_ if walk.at else None
    missing = asked.failing(condition) if condition is not None else []
    if missing:
        yield f"照现在的样子，到时候会跳过，因为这些不成立：{'；'.join(missing)}。"


# --- it had its turn -------------------------------------------------------------------------


def _ran(asked: Asked, walk: Walked, runs: list[Ran]) -> Iterator[str]:
    last = next((run for run in reversed(runs) if run.outcome == "done"), runs[-1])
    when = asked.clock(last.at)
    if last.outcome == "done":
        yield from _done(asked, walk, last)
    elif last.outcome == "skipped":
        yield f"{when} 轮到这一步，跳过了：{run_words(walk, last)}。"
        step = walk.version.step(last.step)
        missing = asked.failing(step.if_) if step and step.if_ else []
        if missing and last.because == "条件 if 不满足":
            yield f"现在看，这些仍然不成立：{'；'.join(missing)}。"
    else:
        yield f"{when}：{last.because}。"


def _done(asked: Asked, walk: Walked, run: Ran) -> Iterator[str]:
    messages = fetch(
        asked.connection,
        "SELECT state, reason, text, sent_at, due_at, account_id FROM outbox"
        " WHERE conversation_id = ? AND source = ? AND event_id = ? AND created_at = ? ORDER BY id",
        asked.who.id,
        f"sop:{walk.version.id}/{run.step}",
        walk.id,
        run.at,
    )
    yield from (_message(asked, row) for row in messages)
    if not messages:
        broken = fetch(
            asked.connection,
            "SELECT what, because FROM trace WHERE subject_id = ? AND event_id = ? AND at = ?"
            " AND outcome IN ('failed', 'withheld') ORDER BY id",
            asked.who.id,
            walk.id,
            run.at,
        )
        yield from (f"{asked.clock(run.at)} {what} 没有成：{because}" for what, because in broken)
        if not broken:
            yield f"{asked.clock(run.at)} 已经做了这一步（{run.because}），它没有对他说话。"


def _message(asked: Asked, row: Any) -> str:
    state, own, text, sent_at, due_at, account = row
    reason = why_queued(open_holds(asked.connection), state, own, due_at, account, asked.now)
    said = f"「{' '.join(text.split())[:40]}」"
    match state:
        case "sent":
            return f"{asked.clock(sent_at)} 已经发了{said}。"
        case "queued":
            why = f"，因为{reason}" if reason else ""
            return f"{said}在发件箱里排队，最早 {asked.clock(due_at)} 发{why}。"
        case _:
            why = f"：{reason}" if reason else ""
            return f"{said}{STATES[state]}{why}。"


# --- rules -----------------------------------------------------------------------------------


def why_not_rule(asked: Asked, rule: Rule) -> list[str]:
    """Why a rule did not run the last time it might have."""
    last = _last_trace(asked, "rule", rule.id)
    if last is None:
        match = f"，{match_words(rule.match)}" if rule.match else ""
        return [f"这条规则等的事还没有发生过：{event_words(rule.on)}{match}。"]
    at, because = last
    out = [f"最近一次是 {asked.clock(at)}：{because}。"]
    if rule.if_ is not None and because == "条件 if 不满足":
        missing = asked.failing(rule.if_)
        out.append(f"条件是：{condition_words(rule.if_)}。")
        out += [f"现在看，这些不成立：{'；'.join(missing)}。"] if missing else []
    return out


def _last_trace(asked: Asked, key: str, name: str) -> tuple[int, str] | None:
    rows = fetch(
        asked.connection,
        "SELECT at, because, refs FROM trace WHERE subject_id = ? ORDER BY id DESC",
        asked.who.id,
    )
    for at, because, refs in rows:
        known = refs if isinstance(refs, dict) else json.loads(refs) if refs else {}
        if known.get(key) == name:
            return at, because
    return None
