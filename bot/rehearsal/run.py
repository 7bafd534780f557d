"""One rehearsal from beginning to end, in a scratch database that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.channels.simulator import SELF_ID
from bot.garbage import rarely_collected
from bot.model import CannedModel, Model
from bot.rehearsal.answered import answered
from bot.rehearsal.asking import ask_around
from bot.rehearsal.broadcasts import broadcasts, objected
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
from sop.times import DAY, MINUTE
from sop.timing import local_moment
from storage.people import account_id
from storage.questions import asked_since
from storage.real_people import copy_people, real_people
from storage.rehearsal import read_ledger
from storage.store import Store, Tx, reading

FEW = 500  # people who may act on any minute
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
    workspace: Workspace,
    plan: Plan,
    *,
    progress: Callable[[float], None],
    keep: Path | None = None,
) -> dict[str, Any]:
    """Rehearse, and return the report. `progress` hears the part that is done, 0 to 1.

    The scratch database is `scratch.db` in the folder `keep`; without one it is thrown away.

    Raises `NotFound` for an unknown SOP.
    """
    workspace = _remembering(_narrowed(workspace, plan.sops), plan.days)
    times = _times(plan, workspace.settings.zone)
    with rarely_collected(), _folder(keep) as folder:
        store = Store("sqlite:///scratch.db", root=folder, scratch=True)
        try:
            cast = _cast(workspace, plan, times, store)
            stage = Stage(workspace, store, start=times.start, alone=True, make_model=_canned)
            span = times.end - times.start
            await Play(
                stage, cast, times, progress=lambda now: progress((now - times.start) / span)
            ).run()
            with store.read() as connection:
                ledger = read_ledger(connection, start=times.start)
                sent = broadcasts(connection, workspace, times)
                asked = asked_since(connection, since=times.start)
        finally:
            store.close()
        found = report(Findings(workspace, times, ledger))
    found["warnings"] = [*found["warnings"], *objected(sent, workspace, times)]
    head = {
        "start": plan.start.isoformat(),
        "days": plan.days,
        "seed": plan.seed,
        "contacts": len(cast.parts),
    }
    return {**head, **found, **sent, **answered(asked, workspace)}


def _times(plan: Plan, zone: ZoneInfo) -> Times:
    return Times(
        start=local_moment(plan.start, 0, zone),
        end=local_moment(plan.start + timedelta(days=plan.days), 0, zone),
        days=plan.days,
        zone=zone,
        grain=MINUTE if plan.contacts <= FEW else 20 * MINUTE,
    )


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="siyu-rehearsal-") as folder:
        yield Path(folder)


def _remembering(workspace: Workspace, days: int) -> Workspace:
    """The workspace, forgetting nothing of a long rehearsal before its report."""
    keep = max(workspace.settings.keep, (days + 1) * DAY)
    return replace(workspace, settings=workspace.settings.model_copy(update={"keep": keep}))


def _narrowed(workspace: Workspace, names: Sequence[str]) -> Workspace:
    """The workspace with just these SOPs, pushes and Moments in play."""
    definitions = workspace.definitions
    known = [
        *(sop.id for sop in definitions.sops),
        *(push.id for push in definitions.pushes),
        *(moment.id for moment in definitions.moments),
    ]
    if not known:
        raise SiyuError("工作区里还没有 SOP，也没有群发和朋友圈，没有什么可以彩排")
    for name in names:
        if name not in known:
            raise NotFound(f"没有 SOP、群发或朋友圈叫「{name}」。{did_you_mean(name, known)}")
    if not names:
        return workspace
    kept = {
        "sops": tuple(sop for sop in definitions.sops if sop.id in names),
        "pushes": tuple(push for push in definitions.pushes if push.id in names),
        "moments": tuple(moment for moment in definitions.moments if moment.id in names),
    }
    return replace(workspace, definitions=definitions.model_copy(update=kept))


def _canned(workspace: Workspace) -> Model | None:
    """No rehearsal asks a real model: one of our own stands in where one is configured."""
    return CannedModel() if workspace.settings.answers.model is not None else None


def _cast(workspace: Workspace, plan: Plan, times: Times, store: Store) -> Cast:
    rehearsal = _read(plan.people) if plan.people else workspace.definitions.rehearsal
    if not rehearsal.people:
        rehearsal = _read(BUILT_IN)
    real: list[RealPerson] = []
    if plan.from_db:
        real = _copied(workspace, store, now=times.start)
    cast = draw_cast(rehearsal, times, count=plan.contacts, seed=plan.seed, real=tuple(real))
    ask_around(cast, workspace.knowledge.entries, times, seed=plan.seed)
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
    sops = [sop.id for sop in workspace.definitions.sops]
    with reading(workspace.settings.storage, root=workspace.root) as connection:

        def copy(tx: Tx) -> None:
            account = account_id(
                tx, channel=workspace.settings.channel.kind, external_id=SELF_ID, name="", now=now
            )
            copy_people(connection, tx, account, sops=sops, now=now)

        store.write(copy)
        return [RealPerson(row[1], row[2]) for row in real_people(connection)]
