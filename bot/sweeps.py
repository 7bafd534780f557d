"""The daily sweeps: at midnight who enters an SOP by date, in the morning stages and audiences, in
the small hours what is too old is forgotten.

A sweep that was missed while the bot was off is made up for once, at the next start.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

from bot.doors import Entry
from bot.happening import Me
from bot.heart import Heart
from bot.sops import Version
from sop.almanac import Almanac, Birthday
from sop.birthdays import parse_birthday
from sop.conditions import many
from sop.events import EventKind
from sop.sequences import Enter, EnterAudience, EnterBirthday, EnterDate, EnterFestival
from sop.times import DAY, SECOND
from sop.timing import local_day, local_moment
from storage import enrollments as rows
from storage import events as facts
from storage.counters import read_counter, set_counter
from storage.prune import prune
from storage.store import Tx

MIDNIGHT = 0
SMALL_HOURS = 3 * 60
MORNING = 9 * 60  # minutes after midnight: not before people are awake
BATCH = 500
BREATH = 5 * SECOND  # between batches of what is forgotten, so that others get their turn
Sweep = Callable[[Tx, Me, Heart, int], None]


def sweep(tx: Tx, me: Me, heart: Heart, *, now: int) -> int:
    """Do the sweeps that are due; returns when the next one is, ms UTC."""
    return min(
        _daily(tx, me, heart, now, name="midnight", minute=MIDNIGHT, work=_by_date),
        _daily(tx, me, heart, now, name="morning", minute=MORNING, work=_by_look),
        _forget(tx, me, heart, now),
    )


def _daily(tx: Tx, me: Me, heart: Heart, now: int, *, name: str, minute: int, work: Sweep) -> int:
    counter = f"sweep:{name}:{me.id}"
    due = read_counter(tx, counter)
    if due is not None and now < due <= now + DAY:
        return due
    following = _next(heart, now, minute)
    if due is not None and now < due <= following:
        return due
    if due is not None and due <= now:
        work(tx, me, heart, now)
    set_counter(tx, counter, following)  # also when the clock was once far ahead
    return following


def _forget(tx: Tx, me: Me, heart: Heart, now: int) -> int:
    """Delete what is older than `keep`, a batch at a time while there is more."""
    counter = f"sweep:forget:{me.id}"
    due = read_counter(tx, counter)
    if due is not None and now < due <= now + DAY:
        return due
    following = _next(heart, now, SMALL_HOURS)
    if due is not None and due <= now:
        more = prune(
            tx, [heart.workspace.definitions], keep=heart.settings.keep, now=now, limit=BATCH
        )
        following = now + BREATH if more else following
    set_counter(tx, counter, following)
    return following


def _next(heart: Heart, now: int, minute: int) -> int:
    zone = heart.settings.zone
    today = local_day(now, zone)
    due = local_moment(today, minute, zone)
    return due if due > now else local_moment(today + timedelta(days=1), minute, zone)


# --- at midnight -----------------------------------------------------------------------------


def _by_date(tx: Tx, me: Me, heart: Heart, now: int) -> None:
    today = local_day(now, heart.settings.zone)
    for version, way in _ways(heart):
        for subjects, because in _called_today(tx, me, heart, version, way, today):
            _let_in(tx, me, heart, version, way, subjects, because, now)


def _called_today(
    tx: Tx, me: Me, heart: Heart, version: Version, way: Enter, today: date
) -> list[tuple[list[int], str]]:
    """Whom the day itself brings to this way in, and why."""
    everybody = partial(rows.everybody, tx, me.id, groups=version.sop.for_ == "group")
    match way:
        case EnterDate() if way.date == today:
            return [(everybody(), f"到了 {today.isoformat()}")]
        case EnterFestival():
            named = _festival_today(heart.almanac, way, today)
            return [(everybody(), named)] if named else []
        case EnterBirthday():
            born = _born_today(tx, heart.almanac, way, everybody(), today)
            return [(born, f"{way.birthday}到了")]
        case _:
            return []


def _festival_today(almanac: Almanac, way: EnterFestival, today: date) -> str:
    feast = today - timedelta(days=way.days)
    for name in many(way.festival):
        if any(_falls_on(partial(almanac.festival, name), year, feast) for year in _years(feast)):
            return f"到了{name}" if not way.days else f"离{name} {abs(way.days)} 天"
    return ""


def _years(day: date) -> tuple[int, int, int]:
    """A lunar day may be counted to the year beside the one it falls in."""
    return day.year - 1, day.year, day.year + 1


def _falls_on(kept: Callable[[int], date], year: int, day: date) -> bool:
    try:
        return kept(year) == day
    except KeyError:
        return False  # a year that no calendar knows: nothing to celebrate yet


def _born_today(
    tx: Tx, almanac: Almanac, way: EnterBirthday, contacts: list[int], today: date
) -> list[int]:
    day = today - timedelta(days=way.days)
    known = facts.attribute_values(tx, way.birthday)
    wanted = set(contacts)
    return [
        contact
        for contact, text in known
        if contact in wanted and (born := parse_birthday(text)) and _kept_on(almanac, born, day)
    ]


def _kept_on(almanac: Almanac, born: Birthday, day: date) -> bool:
    return any(_falls_on(partial(almanac.birthday, born), year, day) for year in _years(day))


# --- in the morning --------------------------------------------------------------------------


def _by_look(tx: Tx, me: Me, heart: Heart, now: int) -> None:
    while heart.stages(tx, me, now=now):
        pass
    heart.scores(tx, me, now=now)
    _notice_silence(tx, me, heart, now)
    for version, way in _ways(heart):
        if not isinstance(way, EnterAudience):
            continue
        audience = heart.book.definitions.audience(way.audience)
        if audience is not None:
            subjects = rows.audience(tx, me.id, audience.condition, now=now)
            because = f"在人群「{audience.id}」里"
            _let_in(tx, me, heart, version, way, subjects, because, now)


def _notice_silence(tx: Tx, me: Me, heart: Heart, now: int) -> None:
    for rule in heart.book.definitions.rules:
        if rule.on is not EventKind.SILENT or rule.for_ is None:
            continue
        while found := facts.fallen_silent(
            tx, me.id, rule=rule.id, span=rule.for_, now=now, limit=BATCH
        ):
            heart.silent(tx, me, rule.id, found, now=now)


def _ways(heart: Heart) -> list[tuple[Version, Enter]]:
    return [(v, way) for v in heart.sops.current.values() for way in v.sop.entries]


def _let_in(
    tx: Tx,
    me: Me,
    heart: Heart,
    version: Version,
    way: Enter,
    subjects: list[int],
    because: str,
    now: int,
) -> None:
    for start in range(0, len(subjects), BATCH):
        entries = [
            Entry(
                version=version,
                way=way,
                subject_id=subject,
                in_group=version.sop.for_ == "group",
                event_id=None,
                because=because,
            )
            for subject in subjects[start : start + BATCH]
        ]
        heart.doors.enter(tx, me, entries, now=now, quietly=True)
