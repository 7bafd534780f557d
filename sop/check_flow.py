"""Where an SOP can go: steps nobody reaches, rounds without a rest, days that are over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from sop.mistakes import Mistake
from sop.sequences import Onward, Reply, Sop, Step, WaitUntil
from sop.source import Path
from sop.times import DAY, MINUTE

_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Edge:
    """One way from a step to another; `target` is the number of steps where the walk ends.

    `path` is where it is written, None for the way on that nobody wrote. `rests` tells that time
    surely passes before it is taken; where a span has to run out, `least` is its length in ms and
    `within` where it is written. `overdue` is the way past a step whose day is long over, which
    only somebody takes who comes back to it.
    """

    source: int
    target: int
    path: Path | None = None
    rests: bool = False
    least: int = 0
    within: Path | None = None
    overdue: bool = False


def _planned(edge: Edge) -> bool:
    return not edge.overdue


class Flow:
    """The ways through one SOP, by the places of its steps in the file."""

    def __init__(self, sop: Sop, path: Path) -> None:
        self.sop, self.path = sop, path
        self.steps = sop.steps
        self.end = len(sop.steps)
        self._places = {step.id: n for n, step in reversed(list(enumerate(sop.steps)))}
        self.leaving = [tuple(self._leaving(n)) for n in range(self.end)]
        self.edges = [edge for edges in self.leaving for edge in edges if _planned(edge)]

    def at(self, place: int, *more: str | int) -> Path:
        """The path of a step, or of something in it."""
        return (*self.path, "steps", place, *more)

    @cached_property
    def reachable(self) -> frozenset[int]:
        """The steps some walk may come to."""
        return self.reached_from(0)

    def reached_from(self, start: int, may: Callable[[Edge], bool] = _planned) -> frozenset[int]:
        """Every place that the edges which `may` be taken lead to, `start` included."""
        found, todo = {start}, [start]
        while todo:
            here = todo.pop()
            new = {edge.target for edge in self.leaving[here] if may(edge)} - found
            found |= new
            todo += new - {self.end}
        return frozenset(found)

    def instant(self, edge: Edge) -> bool:
        """Whether the edge may be taken again and again without any time passing."""
        return edge.target < self.end and not edge.rests and not _rests(self.steps[edge.target])

    def _leaving(self, place: int) -> Iterator[Edge]:
        step, path = self.steps[place], self.at(place)
        wait, reply = step.wait_until, step.reply
        if wait:
            yield self._timeout(place, wait, (*path, "wait_until"))
        undecided = step.choose and all(branch.if_ for branch in step.choose)
        if step.if_ or undecided or step.birthday:  # who told us no birthday skips the step
            yield Edge(place, place + 1)
        elif step.day is not None or step.date is not None:
            yield Edge(place, place + 1, overdue=True)
        if reply:
            for n, case in enumerate(reply.cases):
                yield self._edge(place, case, (*path, "reply", "cases", n), rests=True)
            yield self._timeout(place, reply, (*path, "reply"))
            return
        for way, where in ways(step, path):
            yield self._edge(place, way, where)

    def _timeout(self, place: int, wait: Reply | WaitUntil, path: Path) -> Edge:
        edge = self._edge(place, wait.none, (*path, "none"), rests=wait.within > 0)
        return replace(edge, least=wait.within, within=(*path, "within"))

    def _edge(self, place: int, way: Onward, path: Path, *, rests: bool = False) -> Edge:
        if way.then == "exit":
            return Edge(place, self.end, (*path, "then"), rests)
        if way.goto in self._places:
            return Edge(place, self._places[way.goto], (*path, "goto"), rests)
        return Edge(place, place + 1, None, rests)


def ways(step: Step, path: Path) -> Iterator[tuple[Onward, Path]]:
    """What a step itself may do: its branches up to one without `if`, else what it says."""
    if not step.choose:
        yield step, path
    for n, branch in enumerate(step.choose):
        yield branch, (*path, "choose", n)
        if branch.if_ is None:
            return


def flow_mistakes(flow: Flow) -> Iterator[Mistake]:
    """Everything wrong with the ways through the SOP."""
    yield from _unreachable(flow)
    for place, step in enumerate(flow.steps):
        yield from _dead_branches(step, flow.at(place))
        yield from _unheard(step, flow.at(place))
        yield from _idle(step, flow.at(place))
    yield from list(_restless(flow)) or _endless(flow)
    yield from _days_gone(flow)


# --- ways nobody takes ---------------------------------------------------------------------------


def _unreachable(flow: Flow) -> Iterator[Mistake]:
    place = 1
    while place < flow.end:
        first = place
        while place < flow.end and place not in flow.reachable:
            place += 1
        if place > first:
            names = "、".join(step.id for step in flow.steps[first:place])
            hint = f"前面的 {flow.steps[first - 1].id} {_how_left(flow, first - 1)}；"
            hint += f"删掉 {names}，或者用 goto: {flow.steps[first].id} 走到这里"
            yield Mistake(flow.at(first, "id"), f"{names} 永远走不到", hint=hint)
        place += 1


def _how_left(flow: Flow, place: int) -> str:
    leaving = [edge for edge in flow.leaving[place] if _planned(edge)]
    if all(edge.target == flow.end for edge in leaving):
        return (
            "每条路都写了 then: exit" if len(leaving) > 1 else "写了 then: exit，走到那里就结束了"
        )
    if len(leaving) == 1:
        return f"写了 goto: {flow.steps[leaving[0].target].id}，跳过了这里"
    return "每条路都跳走或结束了"


def _dead_branches(step: Step, path: Path) -> Iterator[Mistake]:
    alive = len(list(ways(step, path)))
    if step.choose and alive < len(step.choose):
        message = f"第 {alive + 1} 个分支永远轮不到：第 {alive} 个分支没有写 if，总是走它"
        hint = "把没有 if 的分支放到最后，或者给它补上 if"
        yield Mistake((*path, "choose", alive), message, hint=hint)


def _unheard(step: Step, path: Path) -> Iterator[Mistake]:
    """A step that waits for an answer goes where the answer says."""
    if step.reply is None:
        return
    for way, where in ways(step, path):
        key = "goto" if way.goto else "then" if way.then == "exit" else ""
        if key:
            message = f"写了 reply，这里的 {key} 不起作用：去哪里由回复决定"
            hint = f"把 {key} 写进 reply 的 cases 和 none 里"
            yield Mistake((*where, key), message, hint=hint, at_key=True)


def _idle(step: Step, path: Path) -> Iterator[Mistake]:
    does = step.do or step.choose or step.reply or step.goto or step.then == "exit"
    if not does and not step.on and not step.wait_until:
        hint = "写上 do: […]，或者删掉这一步"
        yield Mistake((*path, "id"), f"{step.id} 什么也不做", hint=hint, warning=True)


# --- rounds --------------------------------------------------------------------------------------


def _rests(step: Step) -> bool:
    """Whether time passes before the step each time somebody comes to it.

    `day` and `date` are over the second time; a birthday may be unknown and a condition may hold.
    """
    waits_for_event = step.wait_until is not None and step.wait_until.on is not None
    comes_again = step.weekday is not None or step.festival is not None
    next_day = step.workday and step.at is not None and step.day is None and step.date is None
    by_calendar = comes_again or (next_day and step.birthday is None)
    return bool(step.after) or by_calendar or step.on is not None or waits_for_event


def _restless(flow: Flow) -> Iterator[Mistake]:
    told: set[int] = set()
    for edge in flow.edges:
        if edge.path is None or edge.source in told or not flow.instant(edge):
            continue
        ahead = flow.reached_from(edge.target, flow.instant)
        if edge.source not in ahead or edge.source not in flow.reachable:
            continue
        circle = [n for n in sorted(ahead) if edge.source in flow.reached_from(n, flow.instant)]
        told.update(circle)
        yield _round(flow, edge, circle)


def _round(flow: Flow, edge: Edge, circle: list[int]) -> Mistake:
    target = flow.steps[edge.target].id
    itself = edge.source == edge.target
    message = "跳回自己，" if itself else f"跳回 {target}，"
    names = target if itself else "、".join(flow.steps[n].id for n in circle)
    hint = (
        f"让 {names} 里的一步等一等，如 after: 1d" if not itself else "给它写上 after，如 after: 1d"
    )
    once = [n for n in circle if flow.steps[n].day is not None or flow.steps[n].date is not None]
    if once:
        step = flow.steps[once[0]]
        key = "day" if step.day is not None else "date"
        hint += f"；{step.id} 的 {key} 只在第一圈算数，第二圈时那一天已经过了"
    return Mistake(edge.path or (), f"{message}一圈下来一刻也不等，会没完没了", hint=hint)


def _endless(flow: Flow) -> Iterator[Mistake]:
    """Nobody gets out of these steps, and nothing ends the walk."""
    if flow.sop.exit or flow.sop.goal:
        return
    for edge in flow.edges:
        back = edge.target <= edge.source and edge.source in flow.reachable
        if edge.path and back and flow.end not in flow.reached_from(edge.target):
            message = f"跳回 {flow.steps[edge.target].id} 之后再也走不出来"
            hint = "给这个 SOP 写上 exit 或 goal，或者在圈里留一条 then: exit 的路"
            yield Mistake(edge.path, message, hint=hint, warning=True)
            return


# --- days ----------------------------------------------------------------------------------------


def _days_gone(flow: Flow) -> Iterator[Mistake]:
    """Steps whose day is always over when their turn comes, or over when a `goto` comes back."""
    arrived = _earliest(flow)
    gone = set()
    for place, step in enumerate(flow.steps):
        if _NEVER > arrived[place] > _day_of(step):
            gone.add(place)
            message = f"轮到 {step.id} 时，第 {step.day} 天 {show_clock(step.at)} 已经过了"
            hint = "按时间先后排步骤，或者把 day 改大；想从上一步往后数，用 after"
            yield Mistake(flow.at(place, "day"), message, hint=hint)
    for edge in flow.edges:
        if edge.target not in {*gone, flow.end}:
            when = _done(flow, edge, arrived[edge.source])
            if _NEVER > when > _day_of(flow.steps[edge.target]):
                yield from _day_missed(edge, flow.steps[edge.target])


def _day_missed(edge: Edge, step: Step) -> Iterator[Mistake]:
    day = f"{step.id} 的第 {step.day} 天 {show_clock(step.at)} 已经过了"
    then = "到时会马上执行，太晚就跳过"
    if edge.path:
        hint = f"{then}；给 {step.id} 改用 after 或 weekday"
        yield Mistake(edge.path, f"跳到那里时，{day}", hint=hint, warning=True)
    elif edge.within:
        hint = f"{then}；把 within 改短，或者把 {step.id} 的 day 改大"
        yield Mistake(edge.within, f"等满这么久，下一步 {day}", hint=hint, warning=True)


def _day_of(step: Step) -> int:
    """The moment of a step with `day`, in ms after the midnight before entry."""
    if step.day is None or step.at is None or step.workday:
        return _NEVER
    return step.day * DAY + step.at * MINUTE


def _earliest(flow: Flow) -> list[int]:
    """The earliest moment at which each step may have its turn, ms after the midnight before."""
    arrived = [0, *([_NEVER] * flow.end)]
    for _ in range(flow.end):
        before = list(arrived)
        for edge in flow.edges:
            when = _done(flow, edge, arrived[edge.source])
            arrived[edge.target] = min(arrived[edge.target], when)
        if arrived == before:
            break
    return arrived


def _done(flow: Flow, edge: Edge, arrived: int) -> int:
    if arrived == _NEVER:
        return _NEVER
    step = flow.steps[edge.source]
    due = step.day * DAY + step.at * MINUTE if step.day is not None and step.at is not None else 0
    return max(arrived + (step.after or 0), due) + edge.least


def show_clock(minutes: int | None) -> str:
    """Minutes after midnight as `09:30`."""
    return f"{(minutes or 0) // 60:02}:{(minutes or 0) % 60:02}"
