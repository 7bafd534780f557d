"""Who comes into an SOP, who may not, and who is taken out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.happening import Happening, Me
from bot.sops import Sops, Version
from bot.walk_facts import WalkFacts
from sop.actions import GroupPlace
from sop.conditions import OneOrMany, many
from sop.decisions import Decision, EnterSop, LeaveSop, Note
from sop.engine import State, begin
from sop.events import Event, EventKind
from sop.rules import EVENT_NAMES, group_fits
from sop.sequences import ALWAYS, NEVER, Enter, EnterOn, EnterStage, EnterTag, Sop
from sop.times import show_duration
from storage import enrollments as rows
from storage import events as stored
from storage import membership
from storage.conditions import answers
from storage.enrollments import Beginning, Enrolled, Past
from storage.store import Tx
from storage.tags import tags_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Somebody at the door of an SOP, and why.

    `way` is None when an action or an operator orders them in; only `by_hand`, by an operator, does
    `again` not count.
    """

    version: Version
    way: Enter | None
    subject_id: int
    in_group: bool
    event_id: int | None
    because: str
    by_hand: bool = False
    group_id: int | None = None  # for an SOP of members: whose member they are


class Doors:
    """The ways in and out of the SOPs of one version of a workspace."""

    def __init__(self, sops: Sops, facts: WalkFacts) -> None:
        self.sops = sops
        self._facts = facts

    def entering(self, tx: Tx, happenings: Sequence[Happening], *, now: int) -> list[Entry]:
        """Whom events bring to the door of SOPs."""
        out: list[Entry] = []
        for h in happenings:
            for version, way in self.sops.ways(h.event.kind):
                in_group = version.sop.for_ == "group"
                subject = h.group_id if in_group else h.contact_id
                if subject is not None and self._opens(tx, version, way, h, now):
                    out.append(
                        Entry(
                            version=version,
                            way=way,
                            subject_id=subject,
                            in_group=in_group,
                            event_id=h.id,
                            because=_why_in(h.event),
                            group_id=h.group_id if version.sop.for_ == "member" else None,
                        )
                    )
        return out

    def groups_of(self, tx: Tx, version: Version, contact: int, *, now: int) -> list[int]:
        """The groups a contact is in out of which the SOP takes its members."""
        places = [way.where for way in version.sop.entries if isinstance(way, EnterOn)]
        return [
            group
            for group in membership.groups_with(tx, contact)
            if any(place is None or self._in_place(tx, place, group, now) for place in places)
        ]

    def obey(
        self, tx: Tx, me: Me, decided: Sequence[tuple[Decision, Happening]], *, now: int
    ) -> list[tuple[Note, int]]:
        """Carry out `enroll` and `leave` actions; returns notes about what could not be done."""
        entries, notes = [], list[tuple[Note, int]]()
        for decision, h in decided:
            match decision:
                case EnterSop():
                    version = self.sops.current.get(decision.sop)
                    if version is not None:
                        entries.append(_ordered_in(version, decision, h))
                case LeaveSop():
                    self.leave(
                        tx,
                        decision.sop,
                        [decision.subject_id],
                        State.EXITED,
                        decision.because,
                        now=now,
                    )
                case _:
                    pass
        return notes + self.enter(tx, me, entries, now=now)

    def enter(
        self, tx: Tx, me: Me, entries: Sequence[Entry], *, now: int, quietly: bool = False
    ) -> list[tuple[Note, int]]:
        """Enroll those who may; returns a note for each that may not, unless `quietly`."""
        notes: list[tuple[Note, int]] = []
        beginnings: list[Beginning] = []
        taken: set[tuple[str, int]] = set()
        for version, group in _by_version(entries):
            refused = self._refused(tx, version, group, now)
            admitted: list[Entry] = []
            for entry in group:
                key = (version.sop.id, entry.subject_id)
                why = refused.get(entry.subject_id) or ("刚刚已经进来了" if key in taken else "")
                if why and not quietly:
                    notes.append((_kept_out(entry, why), entry.event_id or 0))
                if not why:
                    taken.add(key)
                    admitted.append(entry)
            beginnings += self._begun(tx, me, version, admitted, now)
        rows.begin(tx, beginnings)
        return notes

    def leave(
        self, tx: Tx, sop: str, subjects: Sequence[int], state: State, because: str, *, now: int
    ) -> int:
        """End the walks of these subjects through the SOP; returns how many there were."""
        walking = [e for e in rows.active_of(tx, subjects) if e.sop == sop]
        rows.end(tx, [(e.walk.id, state, because) for e in walking], now=now)
        reason = f"已经离开 SOP：{because}"
        rows.drop_queued(tx, [(sop, e.subject_id) for e in walking], reason)
        membership.drop_mentions(
            tx, [(e.group_id, e.walk.id) for e in walking if e.group_id], reason
        )
        return len(walking)

    def _opens(self, tx: Tx, version: Version, way: Enter, h: Happening, now: int) -> bool:
        match way:
            case EnterTag():
                return _named(way.tag, h.event.data.get("tag"))
            case EnterStage():
                return _named(way.stage, h.event.data.get("stage"))
            case EnterOn():
                return (
                    (h.event.kind is not EventKind.MESSAGE or not h.event.from_self)
                    and (way.match is None or self.sops.knocks(version, way, h.event.text))
                    and (way.where is None or self._in_place(tx, way.where, h.group_id, now))
                )
            case _:
                return False

    def _in_place(self, tx: Tx, place: GroupPlace, group: int | None, now: int) -> bool:
        if group is None:
            return False
        kind = stored.groups_of(tx, [group])[group].kind
        return group_fits(place, tags_of(tx, [group], now=now).get(group, ()), kind)

    def _refused(
        self, tx: Tx, version: Version, entries: Sequence[Entry], now: int
    ) -> dict[int, str]:
        """Why some of the entries, all of one SOP, may not come in."""
        sop = version.sop
        subjects = {entry.subject_id for entry in entries}
        if sop.id in rows.paused_sops(tx):
            return dict.fromkeys(subjects, "这个 SOP 暂停了，不再进人")
        by_hand = {entry.subject_id for entry in entries if entry.by_hand}
        ours = rows.with_external_ids(tx, subjects, self._facts.operators) - by_hand
        inside = [e.subject_id for e in rows.active_of(tx, subjects) if e.sop == sop.id]
        out = dict.fromkeys(ours, "TA 是运营，不是客人")
        out |= dict.fromkeys(inside, "已经在里面了")
        if sop.for_ == "member":
            homeless = [entry.subject_id for entry in entries if entry.group_id is None]
            out |= dict.fromkeys(homeless, "不知道说的是哪个群，这个 SOP 要从进群开始")
        out |= dict.fromkeys(
            rows.walked_elsewhere(tx, sop.id, subjects), "同一个人正由另一个账号带着走"
        )
        for subject, past in rows.history(tx, sop.id, subjects).items():
            if subject not in out and subject not in by_hand:
                out |= _again(sop, subject, past, now)
        for entry, holds in self._admitted(tx, entries, now):
            if not holds:
                out.setdefault(entry.subject_id, "不满足 enter 的 if 条件")
        return out

    def _admitted(self, tx: Tx, entries: Sequence[Entry], now: int) -> Iterable[tuple[Entry, bool]]:
        asked = [
            (entry, entry.way.if_) for entry in entries if entry.way is not None and entry.way.if_
        ]
        for groups in (False, True):
            some = [(entry, c) for entry, c in asked if entry.in_group is groups]
            held = answers(
                tx.connection, [(c, [e.subject_id]) for e, c in some], now=now, groups=groups
            )
            yield from (
                (entry, entry.subject_id in ids) for (entry, _), ids in zip(some, held, strict=True)
            )

    def _begun(
        self, tx: Tx, me: Me, version: Version, entries: Sequence[Entry], now: int
    ) -> list[Beginning]:
        if not entries:
            return []
        sop = version.sop
        rows.save_version(tx, digest=version.digest, sop=sop.id, definition=version.data, now=now)
        asks = {entry.subject_id: version for entry in entries} if version.birthday else {}
        born = self._facts.birthdays(tx, asks)
        moves = [
            (
                entry,
                begin(
                    sop,
                    id=tx.new_id(),
                    now=now,
                    facts=self._facts.plain(birthday=born.get(entry.subject_id)),
                ),
            )
            for entry in entries
        ]
        return [
            Beginning(
                enrolled=Enrolled(
                    account_id=me.id,
                    sop=sop.id,
                    digest=version.digest,
                    subject_id=entry.subject_id,
                    in_group=entry.in_group,
                    priority=sop.priority,
                    walk=move.walk,
                    group_id=entry.group_id,
                ),
                event_id=entry.event_id,
                because=entry.because,
            )
            for entry, move in moves
            if move.walk is not None
        ]


def _by_version(entries: Sequence[Entry]) -> list[tuple[Version, list[Entry]]]:
    out: dict[str, tuple[Version, list[Entry]]] = {}
    for entry in entries:
        out.setdefault(entry.version.digest, (entry.version, []))[1].append(entry)
    return list(out.values())


def _ordered_in(version: Version, decision: EnterSop, h: Happening) -> Entry:
    return Entry(
        version=version,
        way=None,
        subject_id=decision.subject_id,
        in_group=version.sop.for_ == "group",
        event_id=h.id,
        because=decision.because,
        group_id=h.group_id if version.sop.for_ == "member" else None,
    )


def _again(sop: Sop, subject: int, past: Past, now: int) -> dict[int, str]:
    """Why a subject who walked the SOP before may not do so again."""
    if past.removed:
        return {subject: "之前被手动移出过，不再自动进来"}
    if sop.again == NEVER:
        return {subject: "以前走过一次，again: never 不再走第二次"}
    if sop.again != ALWAYS and now - past.ended_at < sop.again:
        return {subject: f"上次走完还不到 {show_duration(sop.again)}"}
    return {}


def _kept_out(entry: Entry, why: str) -> Note:
    sop = entry.version.sop
    return Note(
        subject_id=entry.subject_id,
        what=f"进入 SOP {sop.title or sop.id}",
        outcome="withheld",
        because=why,
        refs={"sop": sop.id},
    )


def _named(wanted: OneOrMany, value: object) -> bool:
    names = many(wanted)
    return isinstance(value, str) and (value in names or value.split("/")[0] in names)


def _why_in(event: Event) -> str:
    if event.kind is EventKind.GROUP_JOINED and event.group is not None:
        return f"进了群「{event.group.topic}」" if event.group.topic else "进了群"
    named = f"「{event.text}」" if event.kind is not EventKind.MESSAGE and event.text else ""
    return f"{EVENT_NAMES[event.kind]}{named}"
