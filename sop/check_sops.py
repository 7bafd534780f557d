"""Checks of what SOPs mean: who walks them, when they may speak, how they begin and end."""

from __future__ import annotations

from collections.abc import Iterator

from sop.actions import AddTag, Enroll, Invite, Say
from sop.check_flow import Edge, Flow, flow_mistakes, show_clock, ways
from sop.check_walkers import entries, walker_mistakes
from sop.conditions import HasTag, InStage, OneOrMany, many
from sop.definitions import Definitions
from sop.events import EventKind
from sop.mistakes import Mistake
from sop.sending import SPREAD
from sop.sequences import ALWAYS, Enter, EnterOn, EnterStage, EnterTag, Sop, Step
from sop.source import Path
from sop.times import DAY, HOUR, MINUTE, NEXT_WINDOW, Window, show_duration

_MINUTES_A_DAY = DAY // MINUTE


def sop_mistakes(definitions: Definitions, quiet: Window | None) -> Iterator[Mistake]:
    """Every SOP that cannot do what it says. `quiet` are the workspace's quiet hours."""
    flows = [Flow(sop, ("sops", n)) for n, sop in enumerate(definitions.sops)]
    for flow in flows:
        yield from flow_mistakes(flow)
        yield from _hours(flow, quiet)
        yield from _pointless(flow)
        yield from _self_made(flow)
        yield from walker_mistakes(flow.sop, flow.path, definitions)
    yield from _enrolling_rounds(flows)


# --- hours ---------------------------------------------------------------------------------------


def _hours(flow: Flow, quiet: Window | None) -> Iterator[Mistake]:
    sop = flow.sop
    if sop.window and _wait(0, sop.window, quiet) is None:
        yield _never_open((*flow.path, "window"), sop.window, quiet)
    for place, step in enumerate(flow.steps):
        window = step.window or sop.window
        if step.window and _wait(0, step.window, quiet) is None:
            yield _never_open(flow.at(place, "window"), step.window, quiet)
        elif step.at is not None and _talks(step):
            wait = _wait(step.at, window, quiet)
            if wait:
                yield _put_off(flow, place, wait, quiet)


def _wait(minute: int, window: Window | None, quiet: Window | None) -> int | None:
    """How many minutes after `minute` the next allowed one is; None when there is none."""
    for wait in range(_MINUTES_A_DAY):
        then = (minute + wait) % _MINUTES_A_DAY
        if (window is None or then in window) and (quiet is None or then not in quiet):
            return wait
    return None


def _never_open(path: Path, window: Window, quiet: Window | None) -> Mistake:
    message = f"window {window} 全在免打扰时段 {quiet} 里，永远发不出去"
    return Mistake(path, message, hint="换一个白天的时段，或者改 siyu.yaml 里的 hours.quiet")


def _put_off(flow: Flow, place: int, wait: int, quiet: Window | None) -> Mistake:
    step, sop = flow.steps[place], flow.sop
    at, late = step.at or 0, step.late or sop.late
    limit, span = late.limit if late else NEXT_WINDOW, wait * MINUTE
    then = show_clock((at + wait) % _MINUTES_A_DAY)
    if quiet and at in quiet:
        why = f"{show_clock(at)} 在免打扰时段 {quiet} 里"
    else:
        why = f"{show_clock(at)} 不在 window {step.window or sop.window} 里"
    if span + SPREAD <= limit:
        message, hint = f"{why}，会被推迟到 {then}", "到那时再发也行的话不用管；不行就改 at"
        return Mistake(flow.at(place, "at"), message, hint=hint, warning=True)
    message = f"{why}，等到 {then} 就超过 late 允许的 {show_duration(limit)}，会被跳过"
    hint = f"改 at，或者放宽成 late: skip after {(span + SPREAD) // HOUR + 1}h"
    return Mistake(flow.at(place, "late" if step.late else "at"), message, hint=hint, warning=True)


def _talks(step: Step) -> bool:
    return any(isinstance(action, Say | Invite) for way, _ in ways(step, ()) for action in way.do)


# --- beginnings and ends -------------------------------------------------------------------------


def _pointless(flow: Flow) -> Iterator[Mistake]:
    """Ends that hold from the beginning, or come with a step that was to lead somewhere."""
    sop, path = flow.sop, flow.path
    for at, tags, what in _tag_ends(sop, path):
        for _, enter in entries(sop, path):
            if isinstance(enter, EnterTag) and (tag := _common(tags, enter.tag)):
                yield _over_at_once(at, f"进来就是因为有标签 {tag}", what)
        yield from _ended_by_step(flow, at, tags, what)
    for n, rule in enumerate(sop.exit):
        for _, enter in entries(sop, path):
            if isinstance(rule, InStage) and isinstance(enter, EnterStage):
                stages = set(many(rule.stage)) & set(many(enter.stage))
                if stages:
                    why = f"进来就是因为到了 {sorted(stages)[0]}"
                    yield _over_at_once((*path, "exit", n, "stage"), why, "exit")


def _over_at_once(at: Path, why: str, what: str) -> Mistake:
    ends = "马上又退出" if what == "exit" else "马上就算达成"
    hint = f"改 {what}，或者改 enter，让两处不是同一件事"
    return Mistake(at, f"{why}，{ends}，一步也不会走", hint=hint, warning=True)


def _tag_ends(sop: Sop, path: Path) -> Iterator[tuple[Path, OneOrMany, str]]:
    """The tags that end the walk: where they are written, and as what."""
    for n, rule in enumerate(sop.exit):
        if isinstance(rule, HasTag):
            yield (*path, "exit", n, "tag"), rule.tag, "exit"
    if sop.goal and sop.goal.tag is not None:
        yield (*path, "goal", "tag"), sop.goal.tag, "goal"


def _ended_by_step(flow: Flow, at: Path, tags: OneOrMany, what: str) -> Iterator[Mistake]:
    """A step that everybody takes gives the tag that ends the walk."""
    for place, step in enumerate(flow.steps):
        if step.if_ or step.choose:
            continue
        given = [tag for act in step.do if isinstance(act, AddTag) for tag in many(act.tag)]
        found = _common(tags, tuple(given))
        if found and (what == "goal" or place + 1 < flow.end):
            ends = "就算达成目标" if what == "goal" else "就退出，后面的步骤走不到"
            message = f"走到 {step.id} 都会贴上 {found}，一贴{ends}"
            hint = f"从 {step.id} 的 do 里去掉它，或者换一个 {what}"
            yield Mistake(at, message, hint=hint, warning=True)


def _common(ends: OneOrMany, given: OneOrMany) -> str | None:
    """A tag of `given` that is one of `ends`, or of a group named there."""
    known = many(ends)
    return next((tag for tag in many(given) if {tag, tag.partition("/")[0]} & set(known)), None)


# --- round and round -----------------------------------------------------------------------------


def _self_made(flow: Flow) -> Iterator[Mistake]:
    """Steps that give the tag their own SOP waits for, and so begin it again and again."""
    sop = flow.sop
    wanted = [e for _, e in entries(sop, flow.path) if _waits_for_tags(e)]
    if sop.again != ALWAYS or not wanted:
        return
    for place, step in enumerate(flow.steps):
        for way, path in ways(step, flow.at(place)):
            for n, action in enumerate(way.do):
                if isinstance(action, AddTag) and any(_enters_by(e, action.tag) for e in wanted):
                    names = "、".join(many(action.tag))
                    message = f"贴上 {names} 又会进 {sop.id}，可能一遍一遍没完没了"
                    hint = "把 again 改成 never 或 after 30d，或者换一个标签"
                    yield Mistake((*path, "do", n, "tag"), message, hint=hint, warning=True)


def _waits_for_tags(enter: Enter) -> bool:
    return isinstance(enter, EnterTag) or (
        isinstance(enter, EnterOn) and enter.on is EventKind.TAG_ADDED
    )


def _enters_by(enter: Enter, tags: OneOrMany) -> bool:
    return not isinstance(enter, EnterTag) or _common(enter.tag, tags) is not None


def _enrolling_rounds(flows: list[Flow]) -> Iterator[Mistake]:
    """SOPs that send people round and round without a wait."""
    sent = {flow.sop.id: dict(_sends_at_once(flow)) for flow in flows}
    told: set[str] = set()
    for id_, targets in sent.items():
        for target, path in targets.items():
            circle = _way(sent, target, id_)
            if circle and target != id_ and id_ not in told:
                told.update(circle)
                names = " → ".join([id_, *circle])
                message = f"{names}：几个 SOP 互相拉人，一刻也不等，会没完没了"
                hint = "在其中一步写上 after，或者去掉一个 enroll；enroll 拉人不看 again"
                yield Mistake((*path, "enroll"), message, hint=hint)


def _sends_at_once(flow: Flow) -> Iterator[tuple[str, Path]]:
    """The SOPs that somebody is put into the moment they enter this one."""
    if not _at_once(flow.steps[0]):
        return

    def passes(edge: Edge) -> bool:
        return flow.instant(edge) and _at_once(flow.steps[edge.target])

    for place in sorted(flow.reached_from(0, passes)):
        for way, path in ways(flow.steps[place], flow.at(place)):
            for n, action in enumerate(way.do):
                if isinstance(action, Enroll):
                    yield action.enroll, (*path, "do", n)


def _at_once(step: Step) -> bool:
    timed = step.after or step.at is not None or step.on is not None or step.wait_until is not None
    return not timed


def _way(sent: dict[str, dict[str, Path]], start: str, end: str) -> list[str]:
    """The SOPs on a way from `start` to `end`, both included; empty when there is none."""
    found, todo = {start: [start]}, [start]
    while todo:
        here = todo.pop()
        if here == end:
            return found[here]
        for target in sent.get(here, {}):
            if target not in found:
                found[target] = [*found[here], target]
                todo.append(target)
    return []
