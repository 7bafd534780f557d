"""The one heart: events in, decisions written, all in the caller's transaction.

Inbox and runner both come here. A batch is worked off in waves, one event of a conversation and of
a contact a wave, so that the second message of a person sees what the first one changed; tags that
came or went are events of the next wave.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from bot.almanac import ChineseAlmanac
from bot.arrivals import Arrivals
from bot.bringing import Bringing
from bot.core_people import Core
from bot.desk import Desk
from bot.doors import Doors
from bot.effects import CHAIN, Effects, is_echo
from bot.guarding import Guarding
from bot.happening import Happening, Me, row_of, stage_happening
from bot.scoring import realigned
from bot.sops import Sops
from bot.timetable import Timetable
from bot.walk_facts import WalkFacts
from bot.walker import Walker
from bot.wording import Wording
from bot.workspace import Workspace
from sop.decisions import Decision, Note, Rest
from sop.events import Event, EventKind, Person, Room
from sop.rules import Candidate, RuleBook, Situation, actions, decide, subject_of
from sop.stirring import stirs
from sop.times import show_duration
from storage import events as facts
from storage import people
from storage.apply import apply, write_notes
from storage.conditions import answers
from storage.stages import move_stages
from storage.store import Tx
from storage.tags import TagChange, tags_of

log = logging.getLogger("siyu.heart")
LINKS = 200  # and this many times in all for one contact or group, when chains branch out
WALKERS = 500  # enrollments moved in one round
ROUNDS = 20  # rounds in one transaction; the rest waits for the next turn


class Heart:
    """What one version of a workspace makes of events."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.settings = workspace.settings
        self.book = RuleBook(workspace.definitions)
        self.wording = Wording(workspace)
        self.sops = Sops(workspace.definitions)
        self.almanac = ChineseAlmanac(self.settings.calendar, on_unknown_year=_warn_of_year)
        walk_facts = WalkFacts(self.settings, self.sops, self.almanac)
        self.walker = Walker(workspace, self.sops, walk_facts)
        self.doors = Doors(self.sops, walk_facts)
        self.bringing = Bringing(workspace)
        self.guarding = Guarding(workspace)
        self.core = Core(workspace, self.wording)
        self.timetable = Timetable(workspace, self.wording, self.almanac)
        self._arrivals = Arrivals(workspace)
        self.desk = Desk(workspace, self.book)
        self._effects = Effects(workspace, self.book, self.doors, self.desk)
        stages = workspace.definitions.stages.values()
        self._moving = {kind for kind in EventKind if any(stirs(stage, kind) for stage in stages)}

    def take(self, tx: Tx, me: Me, events: Sequence[Event], *, now: int) -> None:
        """Take a batch of events in their order; those recorded before are left out."""
        happenings, changes = self._arrivals.happenings(tx, me, events, now=now)
        self.changed(tx, me, changes, now=now)
        self._live(tx, me, happenings, now)

    def keep(self, tx: Tx, me: Me, event: Event, *, now: int) -> None:
        """Only record an event whose effects could not be worked out, and say so: none is lost."""
        happenings, _ = self._arrivals.happenings(tx, me, [event], now=now, listening=False)
        facts.record(tx, me.id, [row_of(h) for h in happenings], now=now)
        because = "处理的时候程序出了错：记下来了，别的什么也没有做"
        notes = [
            (Note(subject_id=h.conversation, what="处理", outcome="failed", because=because), h.id)
            for h in happenings
            if h.conversation is not None
        ]
        write_notes(tx, notes, now=now)

    def changed(self, tx: Tx, me: Me, changes: Iterable[TagChange], *, now: int) -> None:
        """Take tags that came or went outside of a batch of events."""
        self._live(tx, me, [self._tag_happening(tx, change, now, 0) for change in changes], now)

    def silent(
        self, tx: Tx, me: Me, rule: str, contacts: Sequence[tuple[int, int]], *, now: int
    ) -> None:
        """Take friends who have been silent for as long as the rule names."""
        happenings = [
            Happening(
                event=Event(
                    kind=EventKind.SILENT, at=now, external_id="", text=rule, data={"rule": rule}
                ),
                id=tx.new_id(),
                contact_id=contact,
                group_id=None,
            )
            for contact, _since in contacts
        ]
        self._waves(tx, me, happenings, now)

    def gathered(self, tx: Tx, me: Me, due: facts.DueGathering, *, now: int) -> None:
        """Do a gathering rule's actions: tags for everyone, one message that names them all."""
        rule = self.book.by_id.get(due.rule)
        if rule is None:
            note = Note(
                subject_id=due.group_id, what=f"规则 {due.rule}", outcome="withheld",
                because="等人到齐的时候，这条规则已经从文件里删掉了",
            )  # fmt: skip
            self._carry_out(tx, me, [(note, self._blank(due, now))], now, due.contact_ids)
            return
        because = (
            f"规则 {rule.id}：{show_duration(rule.gather or 0)}内来了 {len(due.contact_ids)} 位"
        )
        decided: list[tuple[Decision, Happening]] = []
        if rule.cooldown is not None:
            rest = Rest(rule=rule.id, subject_id=due.group_id, until=now + rule.cooldown)
            decided.append((rest, self._blank(due, now)))
        silenced = self._silenced(tx, [self._blank(due, now)], now)
        for n, contact in enumerate(due.contact_ids):
            happening = replace(self._blank(due, now), contact_id=contact)
            situation = self._situation(happening, {}, {}, silenced)
            for decision in actions(
                situation, rule, because, book=self.book, takeover=self.settings.takeover, now=now
            ):
                if n == 0 or self.wording.is_personal(decision):
                    decided.append((decision, happening))
        self._carry_out(tx, me, decided, now, due.contact_ids)

    def roster(
        self, tx: Tx, me: Me, persons: Sequence[Person], rooms: Sequence[Room], *, now: int
    ) -> None:
        """Take the contacts and groups as the gateway knows them now."""
        missed, changes = self._arrivals.roster(tx, me, persons, rooms, now=now)
        self.changed(tx, me, changes, now=now)
        self.take(tx, me, missed, now=now)

    def rebind(self, tx: Tx, me: Me, *, now: int) -> None:
        """After an edit: give known groups what `groups:` newly asks for."""
        groups = people.all_groups(tx, me.id)
        self.changed(tx, me, self._arrivals.bindings.meet(tx, me, groups, now=now), now=now)

    def walk(self, tx: Tx, me: Me, *, now: int) -> None:
        """Move every enrollment that is due, as far as one transaction should."""
        for _ in range(ROUNDS):
            walkers = self.walker.due(tx, me, now=now, limit=WALKERS)
            if not walkers:
                break
            decided = self.walker.move(tx, walkers, now=now)
            self.changed(tx, me, self._carry_out(tx, me, decided, now), now=now)

    def stages(self, tx: Tx, me: Me, *, now: int, contacts: Collection[int] | None = None) -> bool:
        """Move contacts (all of them by default, a batch at a time) to the stage they belong to.

        Each move is an event. Returns whether there may be more to move.
        """
        moves = move_stages(
            tx, me.id, self.workspace.definitions.stages, now=now, contacts=contacts, limit=WALKERS
        )
        if moves:
            self._waves(tx, me, [stage_happening(tx, move, now) for move in moves], now)
        return len(moves) == WALKERS

    def scores(self, tx: Tx, me: Me, *, now: int) -> None:
        """Every morning: who was invited and is gone unnoticed, whose level files have moved."""
        decided = self.bringing.unnoticed(tx, me, now=now)
        self.changed(tx, me, self._carry_out(tx, me, decided, now), now=now)
        for changes in realigned(tx, me, self.book.definitions, now=now):
            self.changed(tx, me, apply(tx, me.id, changes, now=now), now=now)

    def carry_out(
        self, tx: Tx, me: Me, decided: Sequence[tuple[Decision, Happening]], *, now: int
    ) -> None:
        """Do what was decided outside of a batch of events."""
        self.changed(tx, me, self._carry_out(tx, me, decided, now), now=now)

    def _at_the_desk(
        self,
        tx: Tx,
        me: Me,
        wave: Sequence[Happening],
        alive: Sequence[Happening],
        decided: list[tuple[Decision, Happening]],
        answered: Mapping[int, str],
        now: int,
    ) -> list[tuple[Decision, Happening]]:
        """What the knowledge has to say to what no rule answered."""
        if not self.desk.listens:
            return []
        said = [h for h in wave if h.event.from_self]
        said += [h for h in alive if h.event.kind is EventKind.MESSAGE]
        if not said:
            return []
        return self.desk.answer(
            tx, me, said, decided, ours=answered.keys(),
            silenced=self._silenced(tx, said, now), now=now,
        )  # fmt: skip

    def _tag_happening(self, tx: Tx, change: TagChange, now: int, depth: int) -> Happening:
        kind = EventKind.TAG_ADDED if change.added else EventKind.TAG_REMOVED
        data = {"tag": change.tag, "source": change.source, "from_event": change.event_id}
        group = bool(facts.groups_of(tx, [change.subject_id]))
        return Happening(
            event=Event(kind=kind, at=now, external_id="", text=change.tag, data=data),
            id=tx.new_id(),
            contact_id=None if group else change.subject_id,
            group_id=change.subject_id if group else None,
            depth=depth,
        )

    # --- waves ----------------------------------------------------------------------------

    def _live(self, tx: Tx, me: Me, happenings: Sequence[Happening], now: int) -> None:
        """Work events off, and move those they are about to the stage they belong to then."""
        self._waves(tx, me, happenings, now)
        stirring = (h for h in happenings if h.event.kind in self._moving)
        self.stages(tx, me, now=now, contacts={h.contact_id for h in stirring if h.contact_id})

    def _waves(self, tx: Tx, me: Me, happenings: Sequence[Happening], now: int) -> None:
        waiting = list(happenings)
        links: Counter[int | None] = Counter()
        while waiting:
            wave, rest, taken = [], [], set[int]()
            for happening in waiting:
                keys = {happening.contact_id}
                if self._may_act(happening):
                    keys.add(happening.conversation)
                ids = {key for key in keys if key is not None}
                if ids & taken:
                    rest.append(happening)
                else:
                    wave.append(_counted(happening, links))
                taken |= ids
            waiting = [*self._wave(tx, me, wave, now), *rest]

    def _may_act(self, happening: Happening) -> bool:
        event = happening.event
        return (
            event.kind is not EventKind.MESSAGE
            or event.from_self
            or happening.group_id is None
            or bool(happening.matched)
            or self.book.listens(event.kind)
        )

    def _wave(self, tx: Tx, me: Me, wave: Sequence[Happening], now: int) -> list[Happening]:
        wave = [h for h in wave if not is_echo(tx, h, now=now)]
        facts.record(tx, me.id, [row_of(h) for h in wave], now=now)
        alive, own, changes = self._effects.of(tx, me, wave, now=now)
        urgent = {h.id for h in alive if self.book.urgent & h.matched.keys()}
        watched = self.guarding.watch(tx, me, alive, now=now)
        changes += apply(tx, me.id, watched.changes, now=now)
        self.core.hear(tx, me, alive, now=now)
        heard, answered = self.walker.hear(tx, alive, urgent=urgent, now=now)
        answered = {**answered, **watched.hushed}
        decided = own + heard + watched.decided + self._decide(tx, alive, now, answered)
        decided += self._at_the_desk(tx, me, wave, alive, decided, answered, now)
        changes += self._carry_out(tx, me, decided, now)
        notes = self.doors.enter(tx, me, self.doors.entering(tx, alive, now=now), now=now)
        write_notes(tx, notes, now=now)
        depth = {h.id: h.depth for h in wave}
        return [
            self._tag_happening(tx, change, now, depth.get(change.event_id or 0, 0) + 1)
            for change in changes
        ]

    # --- deciding ---------------------------------------------------------------------------

    def _decide(
        self,
        tx: Tx,
        wave: Sequence[Happening],
        now: int,
        answered: Mapping[int, str],
    ) -> list[tuple[Decision, Happening]]:
        groups = {h.group_id for h in wave if h.group_id is not None}
        tags = tags_of(tx, groups, now=now) if groups else {}
        kinds = {g.id: g.kind for g in facts.groups_of(tx, groups).values()}
        silenced: dict[int, str] | None = None
        fitting: list[tuple[Happening, Situation, list[Candidate]]] = []
        for h in wave:
            situation = self._situation(h, tags, kinds, {})
            candidates = self.book.candidates(situation)
            if candidates:
                if silenced is None:
                    silenced = {**self._silenced(tx, wave, now), **answered}
                situation = self._situation(h, tags, kinds, silenced)
                fitting.append((h, situation, candidates))
        if not fitting:
            return []
        holds = self._holding(tx, fitting, now)
        rests = facts.resting(
            tx, {s for _, situation, _ in fitting if (s := subject_of(situation))}, now=now
        )
        return [
            (decision, h)
            for h, situation, candidates in fitting
            for decision in decide(
                situation,
                candidates,
                book=self.book,
                passing={c.rule.id for c in candidates if h.contact_id in holds[c.rule.id]
                         or c.rule.if_ is None},
                resting=rests.get(subject_of(situation) or 0, {}),
                takeover=self.settings.takeover,
                now=now,
            )
        ]  # fmt: skip

    def _holding(
        self, tx: Tx, fitting: Sequence[tuple[Happening, Situation, list[Candidate]]], now: int
    ) -> dict[str, set[int]]:
        asked: dict[str, set[int]] = {}
        for h, _, candidates in fitting:
            for candidate in candidates:
                asked.setdefault(candidate.rule.id, set())
                if h.contact_id is not None:
                    asked[candidate.rule.id].add(h.contact_id)
        conditions = {rule: self.book.by_id[rule].if_ for rule in asked}
        wanted = {rule: c for rule, c in conditions.items() if c is not None}
        held = answers(tx.connection, [(c, asked[r]) for r, c in wanted.items()], now=now)
        return asked | dict(zip(wanted, held, strict=True))

    def _silenced(self, tx: Tx, wave: Sequence[Happening], now: int) -> dict[int, str]:
        conversations = {h.conversation for h in wave if h.conversation is not None}
        pauses = facts.paused(tx, conversations, now=now)
        out: dict[int, str] = {}
        for h in wave:
            if h.conversation in pauses:
                out[h.id] = f"已由人工接管（{pauses[h.conversation]}），机器人不插话"
            elif now - h.event.at > self.settings.stale:
                out[h.id] = f"这是 {show_duration(now - h.event.at)}前的事，太旧了，不再自动回复"
        return out

    def _situation(
        self,
        h: Happening,
        tags: Mapping[int, list[str]],
        kinds: Mapping[int, str],
        silenced: Mapping[int, str],
    ) -> Situation:
        return Situation(
            event=h.event,
            event_id=h.id,
            contact_id=h.contact_id,
            group_id=h.group_id,
            group_tags=tuple(tags.get(h.group_id or 0, ())),
            group_kind=kinds.get(h.group_id or 0, ""),
            matched=h.matched,
            silenced=silenced.get(h.id, ""),
        )

    def _carry_out(
        self,
        tx: Tx,
        me: Me,
        decided: Sequence[tuple[Decision, Happening]],
        now: int,
        members: Sequence[int] = (),
    ) -> list[TagChange]:
        if not decided:
            return []
        changes = self.wording.changes(tx, me.id, decided, now=now, members=members)
        tag_changes = apply(tx, me.id, changes, now=now)
        write_notes(tx, self.doors.obey(tx, me, decided, now=now), now=now)
        return tag_changes

    def _blank(self, due: facts.DueGathering, now: int) -> Happening:
        return Happening(
            event=Event(kind=EventKind.GROUP_JOINED, at=now, external_id=""),
            id=due.event_id,
            contact_id=None,
            group_id=due.group_id,
        )


def _counted(h: Happening, links: Counter[int | None]) -> Happening:
    """The happening, cut off when rules on tags have set each other off too often."""
    if h.depth < 2:
        return h
    links[h.conversation] += 1
    over = links[h.conversation] - LINKS
    return h if over <= 0 else replace(h, depth=CHAIN + min(over, 2))  # the first one is told


def _warn_of_year(year: int) -> None:
    log.warning(
        "%d 年的放假安排还没有公布，workday 先按周一到周五算；可以在 siyu.yaml 的 calendar 里写上",
        year,
    )
