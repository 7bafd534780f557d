"""One rehearsal from beginning to end, in a scratch database that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bot.channels.simulator import SELF_ID
from bot.rehearsal.cast import Cast, RealPerson, Times, draw_cast
from bot.rehearsal.findings import Findings
from bot.rehearsal.play import Play, prepare
from bot.rehearsal.report import report
from bot.stage import Stage
from bot.workspace import Workspace, show_problems
from sop.errors import DefinitionError, NotFound, SiyuError, refusal
from sop.load import SETTINGS_FILE, load
from sop.problems import did_you_mean
from sop.rehearsal import Rehearsal
from sop.source import decode
from sop.timing import local_moment
from storage.people import account_id
from storage.rehearsal import copy_people, read_ledger, real_people
from storage.store import Store, Tx

BUILT_IN = Path(__file__).with_name("people.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to rehearse: with no `sops`, all of them."""

    sops: Sequence[str]
    contacts: int
    days: int
    seed: int
    start: date
    from_db: bool = False
    people: Path | None = None


async def rehearse_workspace(
    workspace: Workspace, plan: Plan, *, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Rehearse, and return the report. `progress` hears the part that is done, 0 to 1.

    Raises `NotFound` for an unknown SOP.
    """
    workspace = _narrowed(workspace, plan.sops)
    zone = workspace.settings.zone
    times = Times(
        start=local_moment(plan.start, 0, zone),
        end=local_moment(plan.start + timedelta(days=plan.days), 0, zone),
        days=plan.days,
        zone=zone,
    )
    with tempfile.TemporaryDirectory(prefix="siyu-rehearsal-") as folder:
        store = Store("sqlite:///scratch.db", root=Path(folder), scratch=True)
        try:
            cast = _cast(workspace, plan, times, store)
            stage = Stage(workspace, store, start=times.start, alone=True)
            span = times.end - times.start
            await Play(
                stage, cast, times, progress=lambda now: progress((now - times.start) / span)
            ).run()
            with store.read() as connection:
                ledger = read_ledger(connection, start=times.start)
        finally:
            store.close()
    found = report(Findings(workspace, times, ledger))
    head = {
        "start": plan.start.isoformat(),
        "days": plan.days,
        "seed": plan.seed,
        "contacts": len(cast.parts),
    }
    return {**head, **found}


def _narrowed(workspace: Workspace, names: Sequence[str]) -> Workspace:
    """The workspace with just these SOPs in play."""
    known = [sop.id for sop in workspace.definitions.sops]
    if not known:
        raise SiyuError("工作区里还没有 SOP，没有什么可以彩排")
    for name in names:
        if name not in known:
            raise NotFound(f"没有 SOP「{name}」。{did_you_mean(name, known)}")
    if not names:
        return workspace
    kept = tuple(sop for sop in workspace.definitions.sops if sop.id in names)
    definitions = workspace.definitions.model_copy(update={"sops": kept})
    return replace(workspace, definitions=definitions)


def _cast(workspace: Workspace, plan: Plan, times: Times, store: Store) -> Cast:
    rehearsal = _read(plan.people) if plan.people else workspace.definitions.rehearsal
    if not rehearsal.people:
        rehearsal = _read(BUILT_IN)
    real: list[RealPerson] = []
    if plan.from_db:
        real = _copied(workspace, store, now=times.start)
    cast = draw_cast(rehearsal, times, count=plan.contacts, seed=plan.seed, real=tuple(real))
    store.write(
        lambda tx: prepare(
            tx, cast, workspace.definitions, channel=workspace.settings.channel.kind,
            now=times.start,
        )
    )  # fmt: skip
    return cast


def _read(file: Path) -> Rehearsal:
    """The cast that a file describes."""
    try:
        text = decode(file.name, file.read_bytes())
    except OSError as error:
        raise SiyuError(f"{file} 打不开：{refusal(error)}") from error
    loaded = load({SETTINGS_FILE: "community: 彩排", file.name: text}, env={})
    if loaded.problems or loaded.definitions is None:
        raise DefinitionError(show_problems(loaded.problems))
    return loaded.definitions.rehearsal


def _copied(workspace: Workspace, store: Store, *, now: int) -> list[RealPerson]:
    """Take the workspace's real friends along; its database is only read."""
    source = Store(workspace.settings.storage, root=workspace.root)
    try:
        with source.read() as connection:
            people = [RealPerson(row[1], row[2]) for row in real_people(connection)]

            def copy(tx: Tx) -> None:
                account = account_id(
                    tx, channel=workspace.settings.channel.kind, external_id=SELF_ID, name="",
                    now=now,
                )  # fmt: skip
                copy_people(connection, tx, account, now=now)

            store.write(copy)
    finally:
        source.close()
    return people
