"""What operators do to walks by hand: put somebody into an SOP, take somebody out."""

from __future__ import annotations

from collections.abc import Collection

from bot.almanac import ChineseAlmanac
from bot.doors import Doors, Entry
from bot.happening import Me
from bot.sops import Sops, Version
from bot.walk_facts import WalkFacts
from bot.workspace import Workspace
from sop.engine import Facts, State
from sop.errors import NotFound, SiyuError
from storage.apply import write_notes
from storage.groups import housed
from storage.search import Found
from storage.store import Tx


def facts_of(workspace: Workspace) -> Facts:
    """The facts that hold for everybody."""
    return _walk_facts(workspace, Sops(workspace.definitions)).plain()


def doors_of(workspace: Workspace) -> Doors:
    """The doors of a workspace, for a command beside the running bot."""
    sops = Sops(workspace.definitions)
    return Doors(sops, _walk_facts(workspace, sops))


def _walk_facts(workspace: Workspace, sops: Sops) -> WalkFacts:
    return WalkFacts(workspace.settings, sops, ChineseAlmanac(workspace.settings.calendar))


def no_such_sop(name: str, known: Collection[str]) -> NotFound:
    """What to answer when there is no SOP of that name."""
    names = f"有：{'、'.join(known)}" if known else "一个也没有"
    return NotFound(f"没有「{name}」这个 SOP。{names}")


def let_in(tx: Tx, doors: Doors, who: Found, sop: str, *, because: str, now: int) -> str:
    """Put somebody into an SOP; returns why not, or an empty string."""
    version = doors.sops.current.get(sop)
    if version is None:
        raise no_such_sop(sop, doors.sops.current)
    in_group = version.sop.for_ == "group"
    if who.is_group != in_group:
        walkers = "群" if in_group else "联系人"
        raise SiyuError(f"{sop} 是给{walkers}走的，{who.label} 不是{walkers}")
    entry = Entry(
        group_id=_membership(tx, doors, version, who, now)
        if version.sop.for_ == "member"
        else None,
        version=version,
        way=None,
        subject_id=who.id,
        in_group=in_group,
        event_id=None,
        because=because,
        by_hand=True,
    )
    notes = doors.enter(tx, Me(who.account_id, ""), [entry], now=now)
    write_notes(tx, [(note, None) for note, _ in notes], now=now)
    return notes[0][0].because if notes else ""


def _membership(tx: Tx, doors: Doors, version: Version, who: Found, now: int) -> int:
    """The one group as whose member somebody is meant; never a guess between two."""
    groups = doors.groups_of(tx, version, who.id, now=now)
    if not groups:
        raise SiyuError(f"{who.label} 不在 {version.sop.id} 说的群里")
    if len(groups) > 1:
        known = housed(tx.connection, groups)
        names = "、".join(known[group].name for group in groups)
        raise SiyuError(f"{who.label} 在好几个这样的群里（{names}），说不准是哪一个")
    return groups[0]


def take_out(tx: Tx, doors: Doors, who: Found, sop: str, *, because: str, now: int) -> bool:
    """Take somebody out of an SOP, not to come back by itself; False when not in it."""
    return bool(doors.leave(tx, sop, [who.id], State.REMOVED, because, now=now))
