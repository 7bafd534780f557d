"""SOPs under way: `siyu sop list`, `show`, `pause`, `resume`, `enroll`, `remove`, `migrate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from bot.by_hand import doors_of, let_in, no_such_sop, take_out
from bot.cli.chinese import Command, Group
from bot.cli.common import (
    emit_json,
    json_option,
    now_ms,
    opened,
    seek,
    short_time,
    show,
    workspace_option,
)
from bot.cli.migrate import migrate
from bot.cli.table import columns, table
from bot.doors import Doors
from bot.workspace import Workspace
from sop.diagram import counted, diagram
from sop.engine import State
from sop.errors import SiyuError
from sop.facets import step_facets
from sop.sequences import Sop
from sop.versions import digest
from storage.progress import (
    Kept,
    Progress,
    Standing,
    overdue,
    pause_sop,
    progress,
    resume_sop,
    standing,
    versions,
)
from storage.search import Found
from storage.store import Store, Tx
from storage.story import iso

_HEADING = ("SOP", "版本", "在途", "旧版本", "走完", "达成", "退出", "移出", "标题")
_ENDS = (State.DONE, State.GOAL, State.EXITED, State.REMOVED)


@click.group(cls=Group)
def sop() -> None:
    """按时间一步步走的 SOP：都走到哪了，暂停、拉人、换版本。"""


def sop_argument(command: Any) -> Any:
    """The SOP a command is about."""
    return click.argument("sop_id", metavar="SOP")(command)


# --- looking ---------------------------------------------------------------------------------


@sop.command("list", cls=Command)
@workspace_option
@json_option
def list_(root: Path, as_json: bool) -> None:
    """列出所有 SOP：各有多少人在途、走完、达成、退出，多少人还在旧版本。"""
    with opened(root) as (workspace, store), store.read() as connection:
        found = progress(connection)
    rows = [_overview(one, found.get(one.id, Progress())) for one in workspace.definitions.sops]
    known = {row["id"] for row in rows}
    rows += [_gone(id_, one) for id_, one in found.items() if id_ not in known and one.active]
    if as_json:
        emit_json(rows)
    elif not rows:
        show(["还没有 SOP。写在 YAML 的 sops 里，例子在 siyu init 建出来的 sop 文件夹。"])
    else:
        show(table([_HEADING, *map(_row, rows)], width=columns()))


def _overview(one: Sop, found: Progress) -> dict[str, Any]:
    version = digest(one)
    return {
        "id": one.id,
        "title": one.title,
        "for": one.for_,
        "in_files": True,
        "paused": found.paused_since is not None,
        "digest": version,
        "active": found.active,
        "older": found.older(version),
        **{state.value: found.states.get(state, 0) for state in _ENDS},
    }


def _gone(id_: str, found: Progress) -> dict[str, Any]:
    """An SOP that is no longer in the files, while some still walk it."""
    return {
        "id": id_,
        "title": "（文件里已经没有，在途的会照旧走完）",
        "for": None,
        "in_files": False,
        "paused": found.paused_since is not None,
        "digest": None,
        "active": found.active,
        "older": found.active,
        **{state.value: found.states.get(state, 0) for state in _ENDS},
    }


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    counts = (row[name] for name in ("active", "older", *(s.value for s in _ENDS)))
    title = f"{row['title']}{'（暂停中）' if row['paused'] else ''}"
    return row["id"], (row["digest"] or "")[:6], *map(str, counts), title


@sop.command("show", cls=Command)
@sop_argument
@workspace_option
@json_option
def show_(sop_id: str, root: Path, as_json: bool) -> None:
    """画出一个 SOP：每一步什么时候做什么，各停着多少人；旧版本上的人也列出来。"""
    with opened(root) as (workspace, store), store.read() as connection:
        where, kept = standing(connection, sop_id), versions(connection, sop_id)
        paused = progress(connection).get(sop_id, Progress()).paused_since
    zone = workspace.settings.zone
    current = _current(workspace, sop_id, kept)
    older = {d: steps for d, steps in where.items() if d != digest(current)}
    if as_json:
        rows = [
            _version(found, where.get(d, {}), iso(at, zone), d == digest(current))
            for d, found, at in _walked(current, kept, where)
        ]
        emit_json({"id": sop_id, "paused": iso(paused, zone), "versions": rows})
        return
    if paused is not None:
        show([f"（从 {short_time(iso(paused, zone))} 起暂停，siyu sop resume {sop_id} 恢复）"])
    show([f"版本 {digest(current)[:6]}", *diagram(current, where.get(digest(current), {}))])
    for one, steps in older.items():
        since = short_time(iso(kept[one].at, zone))
        show(["", *_older(one, kept[one].sop, steps, since)])
    if older:
        show(["", f"旧版本上的人会照旧走完。想让他们换到新版本：siyu sop migrate {sop_id}"])


def _current(workspace: Workspace, sop_id: str, kept: dict[str, Kept]) -> Sop:
    found = next((one for one in workspace.definitions.sops if one.id == sop_id), None)
    if found is not None:
        return found
    if not kept:
        raise no_such_sop(sop_id, [one.id for one in workspace.definitions.sops])
    return list(kept.values())[-1].sop


def _walked(
    current: Sop, kept: dict[str, Kept], where: dict[str, Standing]
) -> Iterator[tuple[str, Sop, int | None]]:
    """The current version, and the others that somebody still walks."""
    first = kept.get(digest(current))
    yield digest(current), current, first.at if first else None
    for one, found in kept.items():
        if one != digest(current) and one in where:
            yield one, found.sop, found.at


def _version(one: Sop, where: Standing, since: str | None, current: bool) -> dict[str, Any]:
    return {
        "digest": digest(one),
        "current": current,
        "since": since,
        "active": sum(sum(phases.values()) for phases in where.values()),
        "steps": [
            {"id": step.id, "says": step_facets(step), "standing": where.get(step.id, {})}
            for step in one.steps
        ],
    }


def _older(one: str, walked: Sop, steps: Standing, since: str) -> Iterator[str]:
    total = sum(sum(phases.values()) for phases in steps.values())
    yield f"旧版本 {one[:6]}（{since} 开始用）：还有 {counted(walked, total)}"
    for step in walked.steps:
        here = sum(steps.get(step.id, {}).values())
        if here:
            yield f"  停在 {step.id}：{counted(walked, here)}"


# --- pausing ---------------------------------------------------------------------------------


@sop.command(cls=Command)
@sop_argument
@workspace_option
def pause(sop_id: str, root: Path) -> None:
    """暂停一个 SOP：不再进人，在途的停在原地，直到 siyu sop resume。"""
    with opened(root) as (workspace, store):
        _known(workspace, store, sop_id)
        changed = store.write(lambda tx: pause_sop(tx, sop_id, now=now_ms()))
    already = "" if changed else "，本来就停着"
    click.echo(f"好的，{sop_id} 暂停了{already}。恢复：siyu sop resume {sop_id}")


@sop.command(cls=Command)
@sop_argument
@workspace_option
def resume(sop_id: str, root: Path) -> None:
    """恢复一个暂停的 SOP；停的时候误了点的步骤，按 late 补发或跳过。"""

    def work(tx: Tx) -> tuple[bool, int]:
        return resume_sop(tx, sop_id), overdue(tx, sop_id, now=now_ms())

    with opened(root) as (workspace, store):
        _known(workspace, store, sop_id)
        changed, late = store.write(work)
    if not changed:
        click.echo(f"{sop_id} 本来就没有暂停。")
        return
    note = f"有 {late} 个在途的误了点，会按 late 补发或跳过。" if late else ""
    click.echo(f"好的，{sop_id} 接着走。{note}")


def _known(workspace: Workspace, store: Store, sop_id: str) -> None:
    with store.read() as connection:
        kept = versions(connection, sop_id)
    _current(workspace, sop_id, dict(kept))


# --- by hand ---------------------------------------------------------------------------------


@sop.command(cls=Command)
@sop_argument
@click.argument("names", metavar="名字…", nargs=-1, required=True)
@workspace_option
def enroll(sop_id: str, names: tuple[str, ...], root: Path) -> None:
    """把人（或群）拉进一个 SOP。已经在里面的、SOP 暂停时，不会重复拉。"""

    def one(tx: Tx, doors: Doors, who: Found) -> tuple[bool, str]:
        why = let_in(tx, doors, who, sop_id, because="运营用命令拉进来的", now=now_ms())
        return not why, f"没有进去：{why}" if why else f"进了 {sop_id}"

    _each(root, names, one)


@sop.command(cls=Command)
@sop_argument
@click.argument("names", metavar="名字…", nargs=-1, required=True)
@workspace_option
def remove(sop_id: str, names: tuple[str, ...], root: Path) -> None:
    """把人（或群）移出一个 SOP，以后也不会自动再进来。"""

    def one(tx: Tx, doors: Doors, who: Found) -> tuple[bool, str]:
        if take_out(tx, doors, who, sop_id, because="运营用命令移出的", now=now_ms()):
            return True, f"移出了 {sop_id}，以后不会自动再进来"
        return False, f"本来就不在 {sop_id} 里"

    _each(root, names, one)


def _each(
    root: Path, names: tuple[str, ...], one: Callable[[Tx, Doors, Found], tuple[bool, str]]
) -> None:
    """Do it for each name; a name that cannot be done does not keep the others from it."""
    failed = False
    with opened(root) as (workspace, store):
        doors = doors_of(workspace)
        for name in names:
            try:
                with store.read() as connection:
                    who = seek(connection, name)
                good, told = store.write(lambda tx, who=who: one(tx, doors, who))  # type: ignore[misc]
                show([f"{who.label}：{told}"])
            except SiyuError as error:
                good = False
                show([f"{name}：{error}"])
            failed = failed or not good
    if failed:
        raise click.exceptions.Exit(1)


sop.add_command(migrate)
COMMANDS = (sop,)
