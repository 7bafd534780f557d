"""`siyu sop migrate`: who is under way goes to the current version, after showing what it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bot.by_hand import facts_of, no_such_sop
from bot.cli.chinese import Command
from bot.cli.common import emit_json, json_option, now_ms, opened, show, workspace_option
from bot.workspace import Workspace
from sop.diagram import counted, heading
from sop.difference import difference
from sop.engine import Facts, Phase
from sop.errors import SiyuError
from sop.moving import How, how_words
from sop.sequences import Sop
from sop.versions import digest
from storage import migration
from storage.migration import Shift, Undone
from storage.progress import versions
from storage.store import Store

_PHASES = {Phase.STEP: "", Phase.REPLY: "（在等回复）", Phase.WAIT: "（在等事情发生）"}


@dataclass(frozen=True, slots=True)
class _Group:
    """Those of one version who stand alike and go the same way."""

    digest: str
    step: str
    phase: Phase
    how: How
    to: str | None
    at_once: bool  # due as soon as they are moved


@click.command(cls=Command)
@click.argument("sop_id", metavar="SOP")
@workspace_option
@json_option
@click.option("--yes", is_flag=True, help="真的换；不写就只是预演，什么都不动")
@click.option("--undo", is_flag=True, help="退回上一次：没再往前走的，回到原来站的地方")
def migrate(sop_id: str, root: Path, as_json: bool, yes: bool, undo: bool) -> None:
    """把还在旧版本上的人换到文件里现在的版本。先预演给你看，加 --yes 才真的换。"""
    now = now_ms()
    with opened(root) as (workspace, store):
        sop, facts = _sop(workspace, sop_id), facts_of(workspace)
        if undo:
            _report_undo(sop, _undo(store, sop, facts, now), as_json)
            return
        with store.read() as connection:
            shifts = migration.plan(connection, sop, facts=facts, now=now)
            known = {d: kept.sop for d, kept in versions(connection, sop_id).items()}
        groups = Counter(_group(shift, now) for shift in shifts)
        if yes:
            shifts = _migrate(store, sop, facts, now)
    if as_json:
        emit_json(_as_dict(sop, known, groups, moved=len(shifts) if yes else 0, applied=yes))
    else:
        show(_lines(sop, known, groups))
        show(_closing(sop, len(shifts), applied=yes))


def _sop(workspace: Workspace, sop_id: str) -> Sop:
    for one in workspace.definitions.sops:
        if one.id == sop_id:
            return one
    raise no_such_sop(sop_id, [one.id for one in workspace.definitions.sops])


def _group(shift: Shift, now: int) -> _Group:
    walk, to = shift.enrolled.walk, shift.moved.walk
    changed = shift.moved.how is not How.STAYS
    return _Group(
        digest=shift.enrolled.digest,
        step=walk.step,
        phase=walk.phase,
        how=shift.moved.how,
        to=to.step if to else None,
        at_once=changed and to is not None and to.due_at is not None and to.due_at <= now,
    )


# --- doing -----------------------------------------------------------------------------------


def _migrate(store: Store, sop: Sop, facts: Facts, now: int) -> list[Shift]:
    batch = store.write(lambda tx: tx.new_id())
    moved: list[Shift] = []
    while some := store.write(lambda tx: migration.migrate(tx, sop, batch, facts=facts, now=now)):
        moved += some
    return moved


def _undo(store: Store, sop: Sop, facts: Facts, now: int) -> Undone:
    with store.read() as connection:
        batch = migration.last_migration(connection, sop.id)
    if batch is None:
        raise SiyuError(f"{sop.id} 没有可以退回的换版本。")
    total = Undone()
    while (
        some := store.write(lambda tx: migration.undo(tx, batch, facts=facts, now=now))
    ).looked_at:
        total += some
    return total


# --- telling ---------------------------------------------------------------------------------


def _lines(sop: Sop, known: dict[str, Sop], groups: Counter[_Group]) -> Iterator[str]:
    yield f"{heading(sop)}：现在的版本是 {digest(sop)[:6]}"
    for one in dict.fromkeys(group.digest for group in groups):
        inside = {g: count for g, count in groups.items() if g.digest == one}
        yield ""
        yield f"旧版本 {one[:6]}，{counted(sop, sum(inside.values()))}在途。改了什么："
        yield from (f"  {line}" for line in difference(known[one], sop))
        yield "他们会这样："
        yield from (f"  {line}" for line in _groups(sop, known[one], inside))


def _groups(sop: Sop, old: Sop, groups: dict[_Group, int]) -> Iterator[str]:
    order = {step.id: n for n, step in enumerate(old.steps)}
    for group in sorted(groups, key=lambda g: (order.get(g.step, -1), g.phase, g.how)):
        words = how_words(group.how, group.step, group.to)
        soon = "，马上到时间（误了点的按 late）" if group.at_once else ""
        where = f"停在 {group.step}{_PHASES[group.phase]}"
        yield f"{where} {counted(sop, groups[group])} → {words}{soon}"


def _closing(sop: Sop, moved: int, *, applied: bool) -> Iterator[str]:
    yield ""
    if not moved:
        yield "没有人在旧版本上，不用换。"
    elif applied:
        yield f"换好了：{counted(sop, moved)}。后悔了：siyu sop migrate {sop.id} --undo"
    else:
        yield "这是预演，什么都没动。走过的步骤不会再走一遍。"
        yield f"确认要换：siyu sop migrate {sop.id} --yes"


def _report_undo(sop: Sop, undone: Undone, as_json: bool) -> None:
    if as_json:
        emit_json(
            {
                "sop": sop.id,
                "restored": undone.restored,
                "relocated": undone.relocated,
                "left": undone.left,
            }
        )
        return
    lines = [f"退回了：{counted(sop, undone.restored)}回到原来站的地方。"]
    if undone.relocated:
        lines.append(f"{counted(sop, undone.relocated)}已经往前走了，在旧版本里接着走，不会重复。")
    if undone.left:
        lines.append(f"{counted(sop, undone.left)}在这期间已经走完或退出，没有动。")
    show([*lines, "文件还是新的：新进来的人走新版本；想再换，还是 siyu sop migrate。"])


def _as_dict(
    sop: Sop, known: dict[str, Sop], groups: Counter[_Group], *, moved: int, applied: bool
) -> dict[str, Any]:
    return {
        "sop": sop.id,
        "digest": digest(sop),
        "applied": applied,
        "moved": moved,
        "versions": [
            {
                "digest": one,
                "active": sum(count for g, count in groups.items() if g.digest == one),
                "difference": difference(known[one], sop),
                "groups": [
                    {
                        "step": g.step,
                        "phase": g.phase,
                        "count": count,
                        "how": g.how,
                        "to": g.to,
                        "at_once": g.at_once,
                    }
                    for g, count in groups.items()
                    if g.digest == one
                ],
            }
            for one in dict.fromkeys(g.digest for g in groups)
        ],
    }
