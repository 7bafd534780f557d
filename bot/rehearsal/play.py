"""Playing a cast on a stage: they come, write, answer, buy and leave, each at their own time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from bot.channels.simulator import SELF_ID, Delivery
from bot.rehearsal.cast import Act, Cast, Part, Times, awake, group_id, span_in
from bot.stage import Stage
from sop.acting import give_tag
from sop.definitions import Definitions
from sop.events import EventKind, Person
from sop.messages import Accept, Invite
from sop.times import MINUTE
from storage import people
from storage.apply import Changes, Value, apply
from storage.events import NewEvent, record
from storage.rehearsal import grow_up, watch_holds
from storage.store import Tx

SAME_BREATH = 2 * MINUTE  # bubbles closer together are one message to a reader
IN_TALK = 5 * MINUTE  # what comes so soon after their own words answers these
SOURCE = "彩排"
_COMES = 0.6  # of those who are sent an invitation to tap on
Progress = Callable[[int], None]


@dataclass(slots=True)
class Play:
    """One rehearsal under way."""

    stage: Stage
    cast: Cast
    times: Times
    progress: Progress = lambda _now: None
    _agenda: list[tuple[int, int, int, Act]] = field(default_factory=list)
    _by_id: dict[str, Part] = field(default_factory=dict)
    _count: int = 0

    async def run(self) -> None:
        """Play from the first to the last minute."""
        self._by_id = {part.external_id: part for part in self.cast.parts}
        self._fill_world()
        self.stage.world.echoes = False
        await self.stage.open()
        self.stage.channel.on_delivery = self._delivered
        for crowd in self.cast.crowds:
            await self.stage.channel.enter(group_id(crowd))
        for part in self.cast.parts:
            for act in part.acts:
                self._plan(part, act)
        await self._to_the_end()

    async def _to_the_end(self) -> None:
        clock, end = self.stage.clock, self.times.end
        tick = self.times.grain if self.times.grain > MINUTE else 1  # a crowd's steps fall together
        while True:
            first = self._agenda[0][0] if self._agenda else None
            due = await self.stage.settle(free=self._free(first))
            first = self._agenda[0][0] if self._agenda else None
            moment = min((t for t in (due, first) if t is not None), default=end)
            if moment >= end:
                break
            clock.set(max(-(-moment // tick) * tick, clock.now()))
            self.progress(clock.now())
            while self._agenda and self._agenda[0][0] <= clock.now():
                _, number, _, act = heappop(self._agenda)
                await self._do(self.cast.parts[number - 1], act)
        clock.set(end)
        while self.stage.bot.deliveries.unrecorded:
            await self.stage.settle()

    def _free(self, first: int | None) -> int:
        """Until when nothing happens but what the bot does: people act on the grain of the play."""
        grain = (self.stage.clock.now() // self.times.grain + 1) * self.times.grain
        return grain - 1 if first is None else min(first, grain) - 1

    def _fill_world(self) -> None:
        world = self.stage.world
        for part in self.cast.parts:
            world.add_person(part.external_id, part.name, friend=part.known)
        for external_id in self.stage.bot.heart.settings.operators:
            if external_id not in world.people:
                world.add_person(external_id, "运营", friend=True)
        for crowd in self.cast.crowds:
            here = [m for m in self.cast.members.get(group_id(crowd), ()) if m]
            world.add_group(group_id(crowd), crowd.topic, here)

    def _plan(self, part: Part, act: Act) -> None:
        self._count += 1
        heappush(self._agenda, (act.at, part.number, self._count, act))

    # --- what people do -----------------------------------------------------------------------

    async def _do(self, part: Part, act: Act) -> None:
        if part.gone:
            return
        channel, who = self.stage.channel, part.external_id
        if act.group and self._inside(act.group, who) != (act.kind in ("say", "quit")):
            return
        part.spoke_at = act.at if not act.group else part.spoke_at
        match act.kind:
            case "say":
                await channel.say(who, act.text, group=act.group or None)
            case "enter":
                await channel.befriend(who)
            case "join":
                await channel.join(act.group, [who])
            case "come":
                await channel.join(act.group, [who], by=self._bringer(part, act.group))
            case "quit":
                await channel.leave(act.group, who)
            case "accept":
                if (act.group, who) in self.stage.world.invited:
                    await channel.accept(act.group, who)
            case "buy":
                await channel.order(who)
            case _:
                part.gone = True
                await channel.unfriend(who)

    def _inside(self, group: str, who: str) -> bool:
        return any(m.external_id == who for m in self.stage.world.rooms[group].members)

    def _bringer(self, part: Part, group: str) -> str | None:
        """Somebody who is in the group, a few of them most often; nobody where it is empty."""
        here = [m.external_id for m in self.stage.world.rooms[group].members]
        others = [who for who in here if who in self._by_id and who != part.external_id]
        return others[int(len(others) * part.dice.random() ** 3)] if others else None

    def _delivered(self, delivery: Delivery) -> None:
        """Someone hears from the bot, and perhaps answers."""
        if isinstance(delivery.body, Accept):
            return
        if delivery.to.group:
            self._heard_in_group(delivery)
        elif (part := self._by_id.get(delivery.to.external_id)) is not None:
            if isinstance(delivery.body, Invite):
                self._perhaps_accept(part, delivery.at, delivery.body.group_id)
                return
            fresh = delivery.at - part.heard_at > SAME_BREATH
            part.heard_at = delivery.at
            if fresh and delivery.at - part.spoke_at > IN_TALK:
                self._perhaps_answer(part, delivery.at, part.persona.reply, part.persona.words)

    def _perhaps_accept(self, part: Part, now: int, group: str) -> None:
        """Whoever asked to be let in mostly comes; as surely as they would answer, at least."""
        if part.dice.random() < max(part.persona.reply, _COMES):
            at = awake(now + span_in(part.persona.delay, part.dice), self.times, part.dice)
            self._plan(part, Act(at, "accept", group=group))

    def _heard_in_group(self, delivery: Delivery) -> None:
        group = delivery.to.external_id
        crowd = next(c for c in self.cast.crowds if group_id(c) == group)
        for member in self.stage.world.rooms[group].members:
            if (part := self._by_id.get(member.external_id)) is not None:
                self._perhaps_answer(part, delivery.at, crowd.reply, crowd.words, group)

    def _perhaps_answer(
        self, part: Part, now: int, chance: float, words: tuple[str, ...], group: str = ""
    ) -> None:
        dice = part.dice
        if dice.random() >= chance:
            return
        at = awake(now + span_in(part.persona.delay, dice), self.times, dice)
        if part.silent_at is None or at < part.silent_at:
            self._plan(part, Act(at, "say", dice.choice(words), group))


def prepare(tx: Tx, cast: Cast, definitions: Definitions, *, channel: str, now: int) -> None:
    """Write what is known of simulated people before the start, and begin to log what is held."""
    account = people.account_id(tx, channel=channel, external_id=SELF_ID, name="", now=now)
    grow_up(tx, account)
    drawn = [part for part in cast.parts if part.external_id.startswith("rehearsal-")]
    known = people.upsert_contacts(
        tx, account, [Person(external_id=p.external_id, name=p.name) for p in drawn], now=now
    )
    changes = Changes()
    past: list[NewEvent] = []
    for part in drawn:
        id_ = known[part.external_id].id
        for tag in part.tags:
            give = give_tag(definitions, subject_id=id_, tag=tag, source=SOURCE, now=now)
            changes.add(give, None)
        for key, value in part.attributes.items():
            changes.add(Value(subject_id=id_, key=key, value=value, source=SOURCE), None)
        if part.wrote_at is not None:
            past.append(_word(tx, id_, part, part.wrote_at))
    apply(tx, account, changes, now=now)
    record(tx, account, past, now=now)
    watch_holds(tx)


def _word(tx: Tx, contact: int, part: Part, at: int) -> NewEvent:
    return NewEvent(
        id=tx.new_id(),
        kind=EventKind.MESSAGE,
        at=at,
        contact_id=contact,
        group_id=None,
        external_id=None,
        type="text",
        text=part.persona.words[0],
        from_self=False,
        data={},
    )
