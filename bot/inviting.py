"""Invitations into groups, from the wish to the outbox row, in the transaction of the event.

The place is kept at once: whoever asks next, in the same batch even, finds it taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bot.workspace import Workspace
from sop.decisions import InviteInto, Note, Speak, Tell
from sop.inviting import VALID, Choice, Place, choose
from sop.messages import Body, Invite
from sop.times import DAY, HOUR, show_duration
from storage import invitations as rows
from storage.apply import Message
from storage.groups import BOUND, all_housed
from storage.house import capacity_of
from storage.store import Tx

WHAT = "邀请进群"


@dataclass(frozen=True, slots=True)
class Granted:
    """An invitation that goes out, behind the words of the template `before`."""

    message: Message
    group_id: int
    contact_id: int
    before: str


Outcome = Granted | Speak | Tell | Note


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that follows from a wish for an invitation, and the group it is about."""

    what: Outcome
    group_id: int | None


class Inviting:
    """Carries invitations out for one version of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._definitions = workspace.definitions

    def steps(self, tx: Tx, account: int, wish: InviteInto, *, now: int) -> list[Step]:
        """What follows from the wish, in order. What is granted is to be kept at once."""
        if why := rows.barred(tx, wish.contact_id):
            return [Step(_withheld(wish, why), None)]
        choice = choose(self._places(tx, account, wish, now))
        group = choice.place.id if choice.place else None
        return [Step(what, group) for what in self._outcome(tx, account, wish, choice, now)]

    def _places(self, tx: Tx, account: int, wish: InviteInto, now: int) -> list[Place]:
        found = rows.candidates(tx, account, tags=wish.tags, name=wish.name, now=now)
        ids = [group.id for group in found]
        members, kept = rows.members(tx.connection, ids), rows.kept(tx.connection, ids, now=now)
        inside, invited = rows.concerns(tx, wish.contact_id, ids, now=now)
        return [
            Place(
                id=group.id,
                external_id=group.external_id,
                name=group.name,
                capacity=capacity_of(self._definitions.groups, entry=group.entry, name=group.name),
                members=members.get(group.id, 0),
                kept=kept.get(group.id, 0),
                inside=group.id in inside,
                invited=group.id in invited,
            )
            for group in found
        ]

    def _outcome(
        self, tx: Tx, account: int, wish: InviteInto, choice: Choice, now: int
    ) -> Iterator[Outcome]:
        place = choice.place
        match choice.outcome:
            case "invite" if place is not None:
                yield _room(wish, place)
                yield _granted(wish, place, now)
                if choice.scarce and rows.say_once(
                    tx, "invite:scarce", place.id, span=DAY, now=now
                ):
                    # The name is anybody's to choose: data, never a part of the template.
                    left = f"只剩 {place.free - 1} 个位置了"
                    yield _tell(wish, f"「{{{{ group }}}}」{left}，后面没有别的群，该开新群了")
            case "member" if place is not None:
                yield _withheld(wish, f"TA 已经在「{place.name}」里了")
                yield from _say(wish, wish.member)
            case "waiting" if place is not None:
                yield _withheld(wish, f"邀请 TA 进「{place.name}」的事还没有结果，不重复邀请")
                yield from _say(wish, wish.waiting)
            case "full":
                yield _withheld(wish, f"{_meant(wish)}都满了")
                yield from _say(wish, wish.full)
                if rows.say_once(tx, f"invite:full:{_meant(wish)}", account, span=HOUR, now=now):
                    yield _tell(
                        wish, f"{_meant(wish)}都满了，{{{{ name }}}} 想进没进成，该开新群了"
                    )
            case _:
                yield _withheld(wish, f"没有{_meant(wish)}可以邀请")
                yield from _say(wish, wish.full)
                if rows.say_once(tx, f"invite:none:{_meant(wish)}", account, span=HOUR, now=now):
                    why = self._nowhere(tx, account, wish)
                    yield _tell(wish, f"{{{{ name }}}} 想进群，可是{why}")

    def _nowhere(self, tx: Tx, account: int, wish: InviteInto) -> str:
        """Why there is no such group, and where none is bound yet, how one comes to be."""
        if any(group.binding == BOUND for group in all_housed(tx.connection, account)):
            return f"没有{_meant(wish)}可以邀请"
        named = [g.match for g in self._definitions.groups if set(g.tags) & set(wish.tags)]
        like = f"群名起成「{'」或「'.join(named)}」这样，" if named else ""
        return f"一个绑定好的群都没有：{like}把我拉进去，我就认得了"


def keep(tx: Tx, granted: Granted, said: tuple[Body, ...], *, now: int) -> Message:
    """Keep the place, and return what goes out: what is said first, then the invitation."""
    bodies = (*said, *granted.message.bodies)
    ids = tuple(tx.new_id() for _ in bodies)
    rows.keep_place(tx, id=ids[-1], group=granted.group_id, contact=granted.contact_id, now=now)
    return replace(granted.message, bodies=bodies, ids=ids)


def _room(wish: InviteInto, place: Place) -> Note:
    return Note(
        subject_id=wish.contact_id,
        what=WHAT,
        outcome="done",
        because=f"{WHAT}「{place.name}」：群里 {place.members} 人，邀请中 {place.kept} 人，"
        f"还剩 {place.free - 1} 个位置，给 TA 留 {show_duration(VALID)}",
        refs={"source": wish.source},
    )


def _granted(wish: InviteInto, place: Place, now: int) -> Granted:
    message = Message(
        bodies=(Invite(group_id=place.external_id, name=place.name),),
        conversation_id=wish.contact_id,
        in_group=False,
        purpose=wish.purpose,
        source=wish.source,
        because=wish.because,
        expires_at=wish.expires_at or now + DAY,
        priority=wish.priority,
        window=wish.window,
    )
    return Granted(message, place.id, wish.contact_id, wish.before)


def _say(wish: InviteInto, template: str) -> Iterator[Speak]:
    if template:
        yield Speak(
            say=template,
            conversation_id=wish.contact_id,
            in_group=False,
            purpose=wish.purpose,
            source=wish.source,
            because=wish.because,
            expires_at=wish.expires_at,
            priority=wish.priority,
            window=wish.window,
        )


def _withheld(wish: InviteInto, because: str) -> Note:
    return Note(
        subject_id=wish.contact_id,
        what=WHAT,
        outcome="withheld",
        because=because,
        refs={"source": wish.source},
    )


def _tell(wish: InviteInto, text: str) -> Tell:
    return Tell(text=text, source=wish.source, because=wish.because)


def _meant(wish: InviteInto) -> str:
    """「福利群」群 for a tag, 「小满福利群①」 for a name."""
    return f"「{wish.name}」" if wish.name else f"带标签「{'」「'.join(wish.tags)}」的群"
