"""What there is to say about a plan of Moments: too many adverts, gaps, doubles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from sop.messages import Body, Link, Media, Moment, Text
from sop.planning import Planner
from sop.pushes import MomentPlan
from sop.times import DAY, HOUR
from sop.timing import local_day

ADVERT = "广告"
MOST_IMAGES = 9
SHARE = 5  # at most one in so many may be an advert
TOO_CLOSE = 2 * HOUR
GAP = 4 * DAY


@dataclass(frozen=True, slots=True)
class Slot:
    """One Moment at its time, ms UTC; `n` is its place in the file."""

    at: int
    n: int
    moment: MomentPlan


@dataclass(frozen=True, slots=True)
class Objection:
    """What an experienced operator would object to, and the Moment it is about."""

    kind: Literal["adverts", "gap", "double"]
    n: int
    text: str


def slots(moments: Sequence[MomentPlan], planner: Planner, *, start: int, end: int) -> list[Slot]:
    """Every Moment from `start` on and before `end`, ms UTC, in order."""
    found = [
        Slot(at, n, moment)
        for n, moment in enumerate(moments)
        for at in planner.between(moment.at, start, end)
    ]
    return sorted(found, key=lambda slot: (slot.at, slot.n))


def objections(
    plan: Sequence[Slot], *, start: int, end: int, zone: ZoneInfo
) -> Iterator[Objection]:
    """Everything there is to say about a plan from `start` to `end`."""
    yield from adverts(plan)
    yield from doubles(plan, zone=zone)
    yield from _gaps(plan, start, end, zone)


def adverts(plan: Sequence[Slot]) -> Iterator[Objection]:
    """More adverts than one in five."""
    sold = [slot for slot in plan if slot.moment.pillar == ADVERT]
    if len(sold) * SHARE > len(plan):
        share = f"{len(plan)} 条里有 {len(sold)} 条广告"
        text = f"{share}，超过五分之一，朋友圈会被人屏蔽"
        yield Objection("adverts", sold[0].n, text)


def doubles(plan: Sequence[Slot], *, zone: ZoneInfo) -> Iterator[Objection]:
    """Two that come too close to each other; each pair is told once."""
    told: set[tuple[int, int]] = set()
    for first, second in pairwise(plan):
        pair = (first.n, second.n)
        if second.at - first.at < TOO_CLOSE and pair not in told:
            told.add(pair)
            day = _day(second.at, zone)
            text = f"{first.moment.label} 和 {second.moment.label} 挨得太近（{day}，不到两小时）"
            yield Objection("double", second.n, text)


def _gaps(plan: Sequence[Slot], start: int, end: int, zone: ZoneInfo) -> Iterator[Objection]:
    times = [start, *(slot.at for slot in plan), end]
    for before, after in pairwise(times):
        if after - before >= GAP:
            days = (after - before) // DAY
            text = f"{_day(before, zone)} 到 {_day(after, zone)} 空着 {days} 天，没有朋友圈"
            yield Objection("gap", -1, text)


def _day(at: int, zone: ZoneInfo) -> str:
    return local_day(at, zone).strftime("%m-%d")


def compose(bodies: Sequence[Body]) -> Moment | str:
    """The Moment that the messages of a template make, or why they make none."""
    texts = [body.text for body in bodies if isinstance(body, Text)]
    images = [body for body in bodies if isinstance(body, Media) and body.kind == "image"]
    links = [body for body in bodies if isinstance(body, Link)]
    if len(texts) + len(images) + len(links) < len(bodies):
        return "朋友圈只能有文字、图片和链接"
    if not bodies:
        return "没有文字也没有图片"
    if len(texts) > 1:
        return "朋友圈只有一段文字，不要用 --- 分成几条"
    if len(images) > MOST_IMAGES:
        return f"最多 {MOST_IMAGES} 张图，这里有 {len(images)} 张"
    if len(links) > 1 or (links and images):
        return "图片和链接只能有一样，链接只能有一个"
    return Moment(text="".join(texts), images=tuple(images), link=links[0] if links else None)


def to_copy(moment: Moment) -> tuple[Body, ...]:
    """A Moment as messages, for somebody who posts it by hand."""
    text = (Text(text=moment.text),) if moment.text else ()
    return (*text, *moment.images, *((moment.link,) if moment.link else ()))
