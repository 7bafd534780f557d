"""The people of a rehearsal and all they will do unasked, drawn from a seed before it begins.

Everyone draws from dice of their own, made of the seed and their number, so what one does never
depends on what another did first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random
from zoneinfo import ZoneInfo

from sop.conditions import many
from sop.rehearsal import Crowd, Persona, Rehearsal
from sop.times import DAY, MINUTE, Range
from sop.timing import local_day, local_moment

MOST_MEMBERS = 500  # WeChat lets no more into a group
WAKES, SLEEPS = 7 * 60 + 30, 23 * 60 + 30  # minutes after midnight
_FIRST = [
    "小雨",
    "阿杰",
    "豆豆",
    "果果",
    "安安",
    "糖糖",
    "小鱼",
    "米粒",
    "团子",
    "可乐",
    "嘟嘟",
    "朵朵",
    "乐乐",
    "圆圆",
    "毛毛",
    "球球",
    "橙子",
    "桃子",
    "一诺",
    "子墨",
    "阿芳",
    "静静",
    "晓晓",
    "阿琳",
    "小禾",
    "婷婷",
    "木木",
    "阿美",
    "丫丫",
    "石头",
    "芒果",
    "栗子",
    "布丁",
    "年年",
    "多多",
    "小北",
    "阿月",
    "青青",
    "念念",
    "暖暖",
]
_LAST = [
    "妈妈",
    "妈",
    "麻麻",
    "爸爸",
    "宝妈",
    "的小时光",
    "在路上",
    "Lily",
    "Amy",
    "🌸",
    "家的",
    "慢慢来",
    "99",
    "A",
    "的日常",
    "不加班",
    "2026",
    "爱吃",
    "早睡",
    "晴天",
    "姐姐",
    "阿姨",
    "同学",
    "老师",
    "酱",
]


@dataclass(frozen=True, slots=True)
class Act:
    """Something a person does: `enter`, `join`, `come` (brought), `accept`, `say`, `quit`, ..."""

    at: int
    kind: str
    text: str = ""
    group: str = ""


@dataclass(slots=True)
class Part:
    """One person's part. `known` people are friends before the start; times are ms UTC."""

    number: int
    persona: Persona
    external_id: str
    name: str
    known: bool
    began_at: int  # friend since, or the start
    tags: tuple[str, ...]
    attributes: dict[str, str]
    groups: tuple[str, ...]  # where a member from the start
    acts: tuple[Act, ...]
    dice: Random  # for answers
    wrote_at: int | None = None
    spoke_at: int = 0  # own last word or deed
    heard_at: int = 0  # the bot's last word
    gone: bool = False

    @property
    def silent_at(self) -> int | None:
        """From when on this person says nothing any more."""
        span = self.persona.silent_after
        return None if span is None else self.began_at + span


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a rehearsal plays: `start` is midnight before its first day, `end` after its last.

    People act on whole multiples of `grain`, ms: where they are many, several at once, which the
    bot takes in one go.
    """

    start: int
    end: int
    days: int
    zone: ZoneInfo
    grain: int = MINUTE


@dataclass(frozen=True, slots=True)
class RealPerson:
    """A contact of the real database who takes part."""

    external_id: str
    name: str


@dataclass(slots=True)
class Cast:
    """Everybody who takes part, and the groups with their members at the start."""

    parts: list[Part]
    crowds: tuple[Crowd, ...]
    members: dict[str, list[str]] = field(default_factory=dict)


def draw_cast(
    rehearsal: Rehearsal,
    times: Times,
    *,
    count: int,
    seed: int,
    real: tuple[RealPerson, ...] = (),
) -> Cast:
    """Draw `count` simulated people, and give each real one a known person's ways.

    With real people about, the simulated ones are all newcomers.
    """
    newcomers = tuple(p for p in rehearsal.people if p.enter == "friend")
    known = tuple(p for p in rehearsal.people if p.enter == "known")
    cast = Cast([], rehearsal.groups)
    for n, persona in enumerate(_shared(known or newcomers, len(real), f"{seed}/real")):
        cast.parts.append(_draw(n + 1, persona, times, seed, cast, real=real[n]))
    kinds = (newcomers or known) if real else rehearsal.people
    for n, persona in enumerate(_shared(kinds, count, f"{seed}/cast")):
        cast.parts.append(_draw(len(real) + n + 1, persona, times, seed, cast))
    return cast


def group_id(crowd: Crowd) -> str:
    """The gateway's id of a group of the rehearsal."""
    return f"rehearsal-group-{crowd.topic}"


def awake(at: int, times: Times, dice: Random) -> int:
    """The next time at or after `at` when people look at their phones, on the play's grain."""
    at = -(-at // times.grain) * times.grain
    day = local_day(at, times.zone)
    minute = (at - local_moment(day, 0, times.zone)) // MINUTE
    if minute < WAKES:
        return _at(times, day, WAKES + dice.randrange(90))
    if minute >= SLEEPS:
        return _at(times, day + timedelta(days=1), WAKES + dice.randrange(90))
    return at


def _at(times: Times, day: date, minute: int) -> int:
    return local_moment(day, minute - minute % (times.grain // MINUTE), times.zone)


def span_in(span: Range, dice: Random) -> int:
    """A length between the ends, short ones more often than long ones."""
    return span.low + int((span.high - span.low) * dice.random() ** 2)


def _shared(kinds: tuple[Persona, ...], count: int, seed: str) -> list[Persona]:
    """As many of each kind as its share says, in an order that looks random."""
    whole = sum(kind.share for kind in kinds)
    exact = [count * kind.share / whole for kind in kinds]
    numbers = [int(number) for number in exact]
    by_rest = sorted(range(len(kinds)), key=lambda n: (numbers[n] - exact[n], n))
    for n in by_rest[: count - sum(numbers)]:
        numbers[n] += 1
    out = [kind for kind, number in zip(kinds, numbers, strict=True) for _ in range(number)]
    Random(seed).shuffle(out)  # noqa: S311
    return out


def _draw(
    number: int,
    persona: Persona,
    times: Times,
    seed: int,
    cast: Cast,
    *,
    real: RealPerson | None = None,
) -> Part:
    dice = Random(f"{seed}/{number}")  # noqa: S311
    known = real is not None or persona.enter == "known"
    joined = _moment(times, dice.randrange(max(1, times.days // 2)), dice)
    began = times.start if known else joined
    external_id = real.external_id if real else f"rehearsal-{number:06}"
    wrote = span_in(persona.wrote, dice) if known and real is None and persona.wrote else None
    tags = tuple(tag for tag, chance in persona.tags.items() if dice.random() < chance)
    attributes = {key: dice.choice(many(v)) for key, v in persona.attributes.items()}
    inside = [group_id(c) for c in cast.crowds if real is None and dice.random() < c.members]
    groups = tuple(g for g in inside if _seat(cast, g, external_id, taken=known))
    name = real.name if real else _name(number, dice)
    acts = _acts(persona, times, began, dice, () if known else groups, known=known)
    if cast.crowds and real is None:
        acts = _in_groups(acts, persona, times, cast, Random(f"{seed}/{number}/groups"))  # noqa: S311
    return Part(
        number=number,
        persona=persona,
        external_id=external_id,
        name=name,
        known=known,
        began_at=began,
        tags=() if real else tags,
        attributes={} if real else attributes,
        groups=groups if known else (),
        acts=tuple(acts),
        dice=Random(f"{seed}/{number}/answers"),  # noqa: S311
        wrote_at=None if wrote is None else times.start - wrote,
    )


def _seat(cast: Cast, group: str, who: str, *, taken: bool) -> bool:
    """Whether there is room in the group; those who join later keep a seat too."""
    seats = cast.members.setdefault(group, [])
    if len(seats) >= MOST_MEMBERS:
        return False
    seats.append(who if taken else "")
    return True


def _acts(
    persona: Persona,
    times: Times,
    began: int,
    dice: Random,
    joins: tuple[str, ...],
    *,
    known: bool,
) -> list[Act]:
    acts = [] if known else [Act(began, "enter")]
    acts += [Act(awake(began + MINUTE * dice.randrange(5, 1440), times, dice), "join", group=g)
             for g in joins]  # fmt: skip
    first = (began - times.start) // DAY
    ends = times.end if persona.silent_after is None else began + persona.silent_after
    for day in range(first, times.days):
        unasked, moment = dice.random() < persona.spontaneous, _moment(times, day, dice)
        if unasked and began < moment < ends:
            acts.append(Act(moment, "say", dice.choice(persona.words)))
    left = max(1, times.days - first)
    for kind, chance in (("buy", persona.buys), ("leave", persona.leaves)):
        happens, day = dice.random() < chance, first + dice.randrange(left)
        moment = _moment(times, day, dice)
        if happens and moment > began:
            acts.append(Act(moment, kind))
    return sorted(acts, key=lambda act: act.at)


def _in_groups(
    acts: list[Act], persona: Persona, times: Times, cast: Cast, dice: Random
) -> list[Act]:
    """The same, with what they do in groups: who is not in one by then does nothing there."""
    by_id = {group_id(crowd): crowd for crowd in cast.crowds}
    out = [
        replace(act, kind="come")
        if act.kind == "join" and dice.random() < by_id[act.group].brought
        else act
        for act in acts
    ]
    for group, crowd in by_id.items():
        words = persona.group_words or crowd.words
        for day in range(times.days) if persona.chatter else ():
            if dice.random() < persona.chatter:
                out.append(Act(_moment(times, day, dice), "say", dice.choice(words), group))
        if dice.random() < crowd.leaves:
            out.append(Act(_moment(times, dice.randrange(times.days), dice), "quit", group=group))
    return sorted(out, key=lambda act: act.at)


def _moment(times: Times, day: int, dice: Random) -> int:
    """A waking minute of the day with this number."""
    start = local_day(times.start, times.zone) + timedelta(days=day)
    return _at(times, start, dice.randrange(WAKES + 30, SLEEPS - 60))


def _name(number: int, dice: Random) -> str:
    return f"{dice.choice(_FIRST)}{dice.choice(_LAST)}" if number % 29 else "."


def day_of(text: str) -> date:
    """`2026-03-02` as a date."""
    return date.fromisoformat(text)
