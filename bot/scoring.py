"""Points and check-ins of a batch: loads the books in bulk, turns decisions into entries.

Entries are worked off in order and seen by what is said after them, before anything is written.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.happening import Happening, Me
from bot.workspace import Workspace
from sop.acting import give_tag
from sop.decisions import Decision, Note, TakeTag
from sop.definitions import Definitions
from sop.point_actions import BoardKind
from sop.point_decisions import EntryKind, GivePoints, RecordCheckIn
from sop.points import CatchUp
from sop.scores import (
    LATEST,
    Run,
    allowed,
    bonuses,
    day_of,
    ends_at,
    extended,
    joined,
    missed_day,
    month_of,
    shown_name,
)
from sop.sending import day_start
from sop.timing import local_day
from storage import points as books
from storage.apply import Change, Changes
from storage.boards import Asked, board, month_of_one
from storage.points import NOTHING, CheckInDay, Entry, Standing
from storage.store import Tx
from storage.tags import tags_of

BATCH = 500
Scored = GivePoints | RecordCheckIn


@dataclass(slots=True)
class _Told:
    """What one happening brought somebody, for the words that follow."""

    gained: int = 0
    new: bool = False
    why: str = ""  # why it brought nothing


@dataclass(slots=True)
class _Books:
    """What is known of those in the batch; entries of the batch are in it as soon as made."""

    standings: dict[int, Standing]
    booked: set[tuple[int, str]]
    gained: dict[int, dict[tuple[int, str], int]]
    days: dict[int, dict[int, bool]] = field(default_factory=dict)
    fresh: defaultdict[int, dict[int, bool]] = field(default_factory=lambda: defaultdict(dict))


class Scores:
    """The points of those whom a batch of decisions is about."""

    def __init__(
        self,
        tx: Tx,
        account: int,
        workspace: Workspace,
        decided: Sequence[tuple[Decision, Happening]],
        *,
        tags: Mapping[int, Sequence[str]],
        now: int,
    ) -> None:
        self._tx = tx
        self._account = account
        self._settings = workspace.settings
        self._definitions = workspace.definitions
        self._rules = workspace.definitions.points
        self._tags = tags
        self._now = now
        self._keys = _keys(decided)
        self._books = self._load([d for d, _ in decided if isinstance(d, GivePoints)])
        self._told: dict[tuple[int, int], _Told] = defaultdict(_Told)
        self._month: Counter[int] = Counter()  # points of this month not in the books yet

    def of(self, decision: Scored, happening: Happening) -> Iterator[Change]:
        """What to write for one decision: entries, days, a level's tag, or why there is nothing."""
        told = self._told[decision.contact_id, happening.id]
        before = self._standing(decision.contact_id)
        if isinstance(decision, GivePoints):
            changes = self._give(decision, self._keys[id(decision), happening.id])
        else:
            changes = self._check_in(decision, told)
        for change in changes:
            if isinstance(change, Entry):
                self._enter(change)
            elif isinstance(change, Note):
                told.why = change.because
            yield change
        after = self._standing(decision.contact_id)
        told.gained += after.balance - before.balance
        if after.earned != before.earned:
            yield from self._level(decision.contact_id, after.earned)

    def facts(self, contact: int, happening: Happening, *, ranked: bool) -> dict[str, Any]:
        """What a template may know of somebody's points; `ranked`: with their month and place."""
        standing = self._standing(contact)
        told = self._told.get((contact, happening.id), _Told())
        month, rank = self._month_of(contact) if ranked else (0, 0)
        level = self._rules.level(standing.earned) if contact in self._books.standings else None
        ahead = self._rules.next_level(standing.earned)
        return {
            "points": standing.balance,
            "streak": standing.running(self._now),
            "level": _short(level or ""),
            "rank": rank,
            "invited": standing.invited,
            "score": {
                "name": self._rules.name,
                "gained": told.gained,
                "new": told.new,
                "why": told.why,
                "days": standing.days,
                "earned": standing.earned,
                "month": month,
                "next": _short(ahead[0]) if ahead else "",
                "missing": ahead[1] if ahead else 0,
            },
        }

    def _month_of(self, contact: int) -> tuple[int, int]:
        """Somebody's points of this month and their place."""
        return month_of_one(
            self._tx.connection, self._asked(None), contact, pending=self._month[contact]
        )

    def board(
        self, kind: BoardKind, happening: Happening, *, everyone: bool
    ) -> list[dict[str, Any]]:
        """The rows of a leaderboard, with names that are fit to be shown."""
        asked = self._asked(None if everyone else happening.group_id)
        return [
            {
                "place": one.place,
                "name": shown_name(one.name),
                "value": one.value,
                "me": one.contact_id == happening.contact_id,
            }
            for one in board(self._tx.connection, kind, asked, top=self._rules.boards.top)
        ]

    def _asked(self, group: int | None) -> Asked:
        zone = self._settings.zone
        return Asked(
            account_id=self._account,
            month=month_of(local_day(self._now, zone), zone),
            now=self._now,
            group_id=group,
            without=self._settings.operators,
        )

    # --- the books ------------------------------------------------------------------------------

    def _load(self, gifts: Sequence[GivePoints]) -> _Books:
        contacts = {gift.contact_id for gift in gifts}
        capped = [g for g in gifts if g.per_day is not None or self._rules.per_day is not None]
        since = min((min(g.at, self._now) for g in capped), default=self._now)
        since = day_start(since, self._settings.zone)
        return _Books(
            standings=books.standings(self._tx, contacts),
            booked=books.booked(self._tx, set(self._keys.values())),
            gained=books.gained(self._tx, {g.contact_id for g in capped}, since=since),
        )

    def _standing(self, contact: int) -> Standing:
        found = self._books.standings
        if contact not in found:
            found |= books.standings(self._tx, [contact])
        return found.get(contact, NOTHING)

    def _enter(self, entry: Entry) -> None:
        contact, earned = entry.contact_id, entry.kind != "spend"
        self._books.standings[contact] = self._standing(contact).moved(entry.amount, earned=earned)
        self._books.booked.add((contact, entry.key))
        first, following = self._asked(None).month
        if earned and first <= entry.at < following:
            self._month[contact] += entry.amount

    # --- points -----------------------------------------------------------------------------------

    def _give(self, gift: GivePoints, key: str) -> Iterator[Change]:
        if (gift.contact_id, key) in self._books.booked:
            yield _withheld(gift, gift.reason, "这件事已经记过分了，不再记第二次")
            return
        day = day_of(gift.at, self._settings.zone, now=self._now)
        amount, because = gift.amount, gift.because
        if gift.kind == "earn":
            amount, cap = self._under_caps(gift, day)
            because += f"（{cap}，只加 {amount}）" if 0 < amount < gift.amount else ""
        elif gift.kind == "fine":
            amount = -min(max(self._standing(gift.contact_id).balance, 0), -gift.amount)
            cap = "已经没有分可扣"
            because += f"（扣到 0 为止，只扣 {-amount}）" if gift.amount < amount < 0 else ""
        if amount == 0:  # booked all the same, so that a replay finds it settled
            yield _withheld(gift, gift.reason, cap)
            because = cap
        yield self._entry(gift, gift.kind, amount, gift.reason, key, at=gift.at, because=because)

    def _under_caps(self, gift: GivePoints, day: int) -> tuple[int, str]:
        """What the caps of the reason and of the day leave, and in words which of them binds."""
        got = self._books.gained.setdefault(gift.contact_id, {})
        of_reason = got.get((day, gift.reason), 0)
        of_day = sum(amount for (when, _), amount in got.items() if when == day)
        amount = allowed(gift.amount, got=of_reason, cap=gift.per_day)
        cap = f"「{gift.reason}」一天至多 {gift.per_day} 分"
        total = self._rules.per_day
        if (left := allowed(amount, got=of_day, cap=total)) < amount:
            amount, cap = left, f"一天至多 {total} 分"
        got[day, gift.reason] = of_reason + amount
        return amount, cap

    def _entry(
        self, by: Scored, kind: EntryKind, amount: int, reason: str, key: str, *, at: int,
        because: str,
    ) -> Entry:  # fmt: skip
        return Entry(
            contact_id=by.contact_id,
            at=min(at, self._now),
            day=day_of(at, self._settings.zone, now=self._now),
            kind=kind,
            amount=amount,
            reason=reason,
            source=by.source,
            because=because,
            key=key,
        )

    # --- checking in ------------------------------------------------------------------------------

    def _check_in(self, decision: RecordCheckIn, told: _Told) -> Iterator[Change]:
        zone = self._settings.zone
        day, today = (day_of(at, zone, now=self._now) for at in (decision.at, self._now))
        catch_up = self._rules.check_in.catch_up
        if today - day > LATEST:
            yield _withheld(decision, "签到", f"这是 {today - day} 天前的消息，太久了，不算")
        elif not decision.missed:
            yield from self._book(decision, day, told)
        elif catch_up is not None:
            yield from self._make_up(decision, day, catch_up, told)
        else:
            yield _withheld(decision, "补签", "没有开放补签")

    def _make_up(
        self, decision: RecordCheckIn, today: int, rules: CatchUp, told: _Told
    ) -> Iterator[Change]:
        contact = decision.contact_id
        day = missed_day(self._days(contact), today, back=rules.days)
        first, _ = month_of(local_day(self._now, self._settings.zone), self._settings.zone)
        balance = self._standing(contact).balance
        if day is None:
            yield _withheld(decision, "补签", f"前 {rules.days} 天都签到了，没有要补的")
        elif books.made_up_since(self._tx, contact, first) >= rules.per_month:
            yield _withheld(decision, "补签", f"这个月已经补过 {rules.per_month} 次了")
        elif balance < rules.cost:
            yield _withheld(decision, "补签", f"补签要 {rules.cost} 分，现在只有 {balance} 分")
        else:
            yield from self._book(decision, day, told)
            if rules.cost:
                yield self._entry(
                    decision, "spend", -rules.cost, "补签", f"catch_up:{day}", at=self._now,
                    because=decision.because,
                )  # fmt: skip

    def _book(self, decision: RecordCheckIn, day: int, told: _Told) -> Iterator[Change]:
        contact, standing = decision.contact_id, self._standing(decision.contact_id)
        run = self._run(contact, standing, day)
        if run is None:
            today = day == day_of(self._now, self._settings.zone, now=self._now)
            when = "今天" if today else "那一天"
            yield _withheld(decision, "签到", f"{when}已经签到过了")
            return
        told.new = True
        last = max(day, standing.last_day or 0)
        streak = run.length if run.end == last else standing.streak
        until = ends_at(last, self._settings.zone)
        self._books.standings[contact] = replace(
            standing, streak=streak, streak_until=until, last_day=last, days=standing.days + 1
        )
        self._books.fresh[contact][day] = decision.missed
        at = min(self._now if decision.missed else decision.at, self._now)
        yield CheckInDay(
            contact_id=contact, day=day, at=at, made_up=decision.missed,
            group_id=decision.group_id, last_day=last, streak=streak, streak_until=until,
        )  # fmt: skip
        yield from self._worth(decision, day, run, at)

    def _worth(self, decision: RecordCheckIn, day: int, run: Run, at: int) -> Iterator[Entry]:
        """The points of the day itself, which making up does not bring, and of days in a row."""
        rules = self._rules.check_in
        if rules.points and not decision.missed:
            yield self._entry(
                decision, "check_in", rules.points, "签到", f"check_in:{day}", at=at,
                because=decision.because,
            )  # fmt: skip
        for length, bonus in bonuses(rules.streaks, run):
            if bonus:
                reason, key = f"连续签到 {length} 天", f"streak:{length}:{day}"
                yield self._entry(
                    decision, "streak", bonus, reason, key, at=at, because=decision.because
                )

    def _run(self, contact: int, standing: Standing, day: int) -> Run | None:
        """The days in a row that `day` makes; None when it is checked in already."""
        if standing.last_day is None or day > standing.last_day:
            return extended(standing.last_day, standing.streak, day)
        days = self._days(contact)
        return None if day in days else joined(days, day)

    def _days(self, contact: int) -> dict[int, bool]:
        if contact not in self._books.days:
            self._books.days[contact] = books.days_of(self._tx, contact)
        return self._books.days[contact] | self._books.fresh[contact]

    # --- levels -----------------------------------------------------------------------------------

    def _level(self, contact: int, earned: int) -> Iterator[Change]:
        yield from level_changes(
            self._definitions, contact, earned, self._tags[contact], now=self._now
        )


def level_changes(
    definitions: Definitions, contact: int, earned: int, tags: Sequence[str], *, now: int
) -> Iterator[Change]:
    """The tags that come and go, so that somebody carries the one of their level."""
    levels = definitions.points.levels
    wanted = definitions.points.level(earned)
    held = [tag for tag in tags if tag in levels]
    others = tuple(tag for tag in levels if tag != wanted)
    if wanted is not None and wanted not in held:
        give = give_tag(definitions, subject_id=contact, tag=wanted, source="points:等级", now=now)
        yield replace(give, replaces=(*give.replaces, *others))
    elif set(held) & set(others):
        yield TakeTag(subject_id=contact, tags=others, source="points:等级")


def realigned(tx: Tx, me: Me, definitions: Definitions, *, now: int) -> Iterator[Changes]:
    """The tags of those whose level is not what the files say now, a batch at a time."""
    levels = sorted((least, tag) for tag, least in definitions.points.levels.items())
    wrong = books.wrong_levels(tx, me.id, levels, now=now) if levels else []
    for start in range(0, len(wrong), BATCH):
        some, out = wrong[start : start + BATCH], Changes()
        held, standings = tags_of(tx, some, now=now), books.standings(tx, some)
        for contact in some:
            earned = standings[contact].earned
            for change in level_changes(definitions, contact, earned, held[contact], now=now):
                out.add(change, None)
        yield out


def _keys(decided: Sequence[tuple[Decision, Happening]]) -> dict[tuple[int, int], str]:
    """What makes each gift happen once; a rule that gives twice for one reason means it."""
    out: dict[tuple[int, int], str] = {}
    seen: Counter[tuple[int, str]] = Counter()
    for decision, happening in decided:
        if not isinstance(decision, GivePoints):
            continue
        event = happening.event
        cause = event.external_id or f"{happening.id}@{event.at}"
        key = decision.key or f"{decision.source}|{decision.reason}|{cause}"
        seen[decision.contact_id, key] += 1
        again = seen[decision.contact_id, key]
        out[id(decision), happening.id] = key if again == 1 or decision.key else f"{key}|{again}"
    return out


def _withheld(by: Scored, what: str, because: str) -> Note:
    return Note(
        subject_id=by.contact_id,
        what=f"积分「{what}」",
        outcome="withheld",
        because=because,
        refs={"source": by.source},
    )


def _short(tag: str) -> str:
    """A level's name without its group: 小麦 of 等级/小麦."""
    return tag.rpartition("/")[2]
