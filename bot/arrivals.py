"""From a channel's events and rosters to happenings whose people and groups are known by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bot.bindings import Bindings
from bot.clean import clean_event, clean_person, clean_room
from bot.happening import Happening, Me
from bot.remembered import remembered
from bot.workspace import Workspace
from sop.events import Event, EventKind, Person, Room
from storage import events as facts
from storage import people
from storage.groups import mark_missing
from storage.invitations import joined
from storage.people import KnownContact, KnownGroup
from storage.store import Tx
from storage.tags import TagChange

_ABOUT_FRIENDSHIP = {EventKind.FRIEND_REQUEST, EventKind.FRIEND_ADDED, EventKind.FRIEND_REMOVED}


class Arrivals:
    """What comes in from a channel, recognised."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.bindings = Bindings(workspace)
        self._match = remembered(lambda text: workspace.matcher.match(text))

    def roster(
        self, tx: Tx, me: Me, persons: Sequence[Person], rooms: Sequence[Room], *, now: int
    ) -> tuple[list[Event], list[TagChange]]:
        """Record the contacts and groups as the gateway knows them now.

        A friend who turns up at a later roster became one while the bot was away: that is an event
        still to be taken. Returns those, and the tags that groups got by their names.
        """
        rooms = [clean_room(room) for room in rooms]
        persons = [clean_person(p) for p in persons if p.external_id != me.external_id]
        members = [p for room in rooms for p in room.members if p.external_id != me.external_id]
        first = facts.first_roster(tx, me.id, now=now)
        before = people.contacts_by_external(tx, me.id, [p.external_id for p in persons])
        known = people.upsert_contacts(tx, me.id, [*members, *persons], now=now)
        new = [
            p for p in persons
            if p.friend and not (p.external_id in before and before[p.external_id].friend)
        ]  # fmt: skip
        if first:
            people.set_friend(tx, [known[p.external_id].id for p in new], friend=True, now=now)
        groups, _ = people.upsert_groups(tx, me.id, rooms, now=now)
        for room in rooms:
            ids = [known[p.external_id].id for p in room.members if p.external_id in known]
            if ids:
                people.sync_members(tx, groups[room.external_id].id, ids, now=now)
                joined(tx, groups[room.external_id].id, None, now=now)
        missed = [] if first else [_missed_friend(p, now) for p in new]
        mark_missing(tx, me.id, {room.external_id for room in rooms}, now=now)
        return missed, self.bindings.meet(tx, me, list(groups.values()), now=now)

    def happenings(
        self, tx: Tx, me: Me, events: Sequence[Event], *, now: int, listening: bool = True
    ) -> tuple[list[Happening], list[TagChange]]:
        """Events that were not recorded before, one for each person, their people known by id.

        Also returns the tags that new groups got by their names. Unless `listening`, nobody asks
        what rules the words match.
        """
        fresh = self._fresh(tx, me, [clean_event(event) for event in events])
        return self._known(tx, me, fresh, now, listening=listening) if fresh else ([], [])

    def _fresh(self, tx: Tx, me: Me, events: Sequence[Event]) -> list[Event]:
        old = facts.replayed(tx, me.id, {e.external_id for e in events if e.external_id})
        out: list[Event] = []
        for event in events:
            if event.external_id and event.external_id in old:
                continue
            old.add(event.external_id)
            out.append(event)
        return out

    def _known(
        self, tx: Tx, me: Me, events: Sequence[Event], now: int, *, listening: bool
    ) -> tuple[list[Happening], list[TagChange]]:
        others = [
            p for e in events for p in (e.contact, e.by, *e.others)
            if p and p.external_id != me.external_id
        ]  # fmt: skip
        quiet = {e.contact.external_id for e in events if e.contact and e.kind in _ABOUT_FRIENDSHIP}
        # What a friendship event says of the friend flag is the event's own business, below.
        stated = [replace(p, friend=None) if p.external_id in quiet else p for p in others]
        persons = people.upsert_contacts(tx, me.id, stated, now=now)
        rooms = [e.group for e in events if e.group]
        groups, named = people.upsert_groups(tx, me.id, rooms, now=now)
        changes = self.bindings.meet(tx, me, named, now=now) if named else []
        out: list[Happening] = []
        for event in events:
            matched = self._matched(event) if listening else {}
            out += self._expand(tx, event, persons, groups, matched)
        return out, changes

    def _matched(self, event: Event) -> Mapping[str, tuple[str, ...]]:
        if not event.text or event.from_self:
            return {}
        found = self._match(event.text)
        return {key.removeprefix("rule:"): words for key, words in found.items()}

    def _expand(
        self,
        tx: Tx,
        event: Event,
        persons: Mapping[str, KnownContact],
        groups: Mapping[str, KnownGroup],
        matched: Mapping[str, tuple[str, ...]],
    ) -> Iterable[Happening]:
        by = persons.get(event.by.external_id) if event.by else None
        for n, person in enumerate((event.contact, *event.others)):
            contact = persons.get(person.external_id) if person else None
            external_id = event.external_id and event.external_id + (f"+{n}" if n else "")
            yield Happening(
                event=replace(event, contact=person, others=(), external_id=external_id),
                id=tx.new_id(),
                contact_id=contact.id if contact else None,
                group_id=groups[event.group.external_id].id if event.group else None,
                by_id=by.id if by else None,
                matched=matched,
            )


def _missed_friend(person: Person, now: int) -> Event:
    return Event(kind=EventKind.FRIEND_ADDED, at=now, external_id="", contact=person)
