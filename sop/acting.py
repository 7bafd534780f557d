"""From the `do:` lists of rules and SOPs to decisions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from sop.actions import (
    AcceptFriend,
    Action,
    AddTag,
    Enroll,
    HandOff,
    Invite,
    Leave,
    Notify,
    RemoveTag,
    Say,
    SetAttribute,
)
from sop.conditions import many
from sop.decisions import (
    AcceptRequest,
    Decision,
    EnterSop,
    GiveTag,
    InviteInto,
    LeaveSop,
    Note,
    PostBoard,
    Purpose,
    SetValue,
    Speak,
    StepBack,
    TakeTag,
    Tell,
)
from sop.definitions import Definitions
from sop.point_actions import CheckIn, Points, ShowBoard
from sop.point_decisions import GivePoints, RecordCheckIn
from sop.times import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where actions are done, for whom, and on whose behalf.

    `group_id` is the group it happens in; `contact_id` the person, if any. `silenced` says why
    nothing may be said here now, or is empty. `request_id` is the friend request that is answered.
    `at` is when it happened (ms UTC), None for now.
    On a member's walk `friend` says whether they can be written to in private; else it is None.
    """

    contact_id: int | None
    group_id: int | None
    source: str
    label: str
    because: str
    purpose: Purpose
    silenced: str = ""
    request_id: str = ""
    friend: bool | None = None
    expires_at: int | None = None
    priority: int = 0
    window: Window | None = None
    at: int | None = None

    @property
    def conversation(self) -> int | None:
        """The group if there is one, else the person."""
        return self.group_id if self.group_id is not None else self.contact_id

    @property
    def subject(self) -> int | None:
        """The person if there is one, else the group."""
        return self.contact_id if self.contact_id is not None else self.group_id


def act(
    actions: Iterable[Action],
    scene: Scene,
    *,
    definitions: Definitions,
    takeover: int,
    now: int,
) -> list[Decision]:
    """The decisions of a `do:` list, in its order. `takeover` is how long a hand-off pauses, ms."""
    return [
        decision
        for action in actions
        for decision in _one(action, scene, definitions, takeover, now)
    ]


def give_tag(
    definitions: Definitions,
    *,
    subject_id: int,
    tag: str,
    source: str,
    now: int,
    span: int | None = None,
) -> GiveTag:
    """A `GiveTag` that knows the tag's group: what it excludes and when it expires."""
    group, _, value = tag.partition("/")
    spec = definitions.tags.get(group)
    span = span if span is not None else (spec.expires if spec else None)
    others: Iterable[str] = spec.values if spec and spec.one_of else ()
    return GiveTag(
        subject_id=subject_id,
        tag=tag,
        source=source,
        replaces=tuple(f"{group}/{other}" for other in others if other != value),
        expires_at=None if span is None else now + span,
    )


def _one(
    action: Action, scene: Scene, definitions: Definitions, takeover: int, now: int
) -> Iterator[Decision]:
    match action:
        case Say():
            yield from _speak(scene, action)
        case AddTag() | RemoveTag():
            yield from _tag(scene, action, definitions, now)
        case SetAttribute():
            yield from _set(scene, action)
        case Notify():
            yield Tell(text=action.notify, source=scene.source, because=scene.because)
        case HandOff():
            yield from _hand_off(scene, action, now + takeover)
        case AcceptFriend():
            if scene.contact_id is not None and scene.request_id:
                yield AcceptRequest(
                    request_id=scene.request_id,
                    contact_id=scene.contact_id,
                    source=scene.source,
                    because=scene.because,
                )
        case Enroll() | Leave():
            yield from _walk(scene, action)
        case Points() | CheckIn():
            yield from _score(scene, action, now)
        case ShowBoard():
            yield from _board(scene, action)
        case Invite():
            yield from _invite(scene, action)
        case _:
            assert_never(action)


def _speak(scene: Scene, action: Say) -> Iterator[Decision]:
    private = _in_private(scene, action)
    conversation = scene.contact_id if private else scene.group_id
    if conversation is None:
        return
    stranger = "TA 不是好友，私聊发不到" if private and scene.friend is False else ""
    if why := scene.silenced or stranger:
        yield Note(
            subject_id=conversation,
            what=f"{scene.label} 的回复 {action.say}",
            outcome="withheld",
            because=why,
            refs={"source": scene.source, "template": action.say},
        )
        return
    yield Speak(
        say=action.say,
        conversation_id=conversation,
        in_group=not private,
        purpose=scene.purpose,
        source=scene.source,
        because=scene.because,
        expires_at=scene.expires_at,
        priority=scene.priority,
        window=scene.window,
        mention=scene.friend is not None and not private,
    )


def _in_private(scene: Scene, action: Say) -> bool:
    if scene.group_id is None or action.to == "private":
        return True
    return action.to == "here" and scene.friend is True


def _invite(scene: Scene, action: Invite) -> Iterator[Decision]:
    if scene.contact_id is None:
        return
    wish = action.invite
    if scene.silenced:
        yield Note(
            subject_id=scene.contact_id,
            what=f"{scene.label} 的邀请进群",
            outcome="withheld",
            because=scene.silenced,
            refs={"source": scene.source},
        )
        return
    yield InviteInto(
        contact_id=scene.contact_id,
        tags=many(wish.group_tag or ()),
        name=wish.group or "",
        before=wish.before or "",
        waiting=wish.waiting or "",
        member=wish.member or "",
        full=wish.full or "",
        source=scene.source,
        because=scene.because,
        purpose=scene.purpose,
        expires_at=scene.expires_at,
        priority=scene.priority,
        window=scene.window,
    )


def _tag(
    scene: Scene, action: AddTag | RemoveTag, definitions: Definitions, now: int
) -> Iterator[Decision]:
    subject = scene.group_id if action.on == "group" else scene.subject
    if subject is None:
        return
    if isinstance(action, RemoveTag):
        yield TakeTag(subject_id=subject, tags=many(action.untag), source=scene.source)
        return
    for tag in many(action.tag):
        yield give_tag(
            definitions,
            subject_id=subject,
            tag=tag,
            source=scene.source,
            span=action.for_,
            now=now,
        )


def _set(scene: Scene, action: SetAttribute) -> Iterator[Decision]:
    if scene.contact_id is None:
        return
    for key, value in action.set.items():
        yield SetValue(
            subject_id=scene.contact_id,
            key=key,
            source=scene.source,
            value=None if value is None else str(value),
        )


def _hand_off(scene: Scene, action: HandOff, until: int) -> Iterator[Decision]:
    if scene.conversation is not None:
        yield StepBack(
            conversation_id=scene.conversation, until=until, because=f"{scene.because}，已转人工"
        )
    yield Tell(
        text=action.hand_off,
        source=scene.source,
        because=scene.because,
        lines_of=scene.conversation,
    )


def _walk(scene: Scene, action: Enroll | Leave) -> Iterator[Decision]:
    if scene.subject is None:
        return
    if isinstance(action, Enroll):
        yield EnterSop(
            sop=action.enroll,
            subject_id=scene.subject,
            source=scene.source,
            because=scene.because,
        )
    else:
        yield LeaveSop(sop=action.leave, subject_id=scene.subject, because=scene.because)


def _score(scene: Scene, action: Points | CheckIn, now: int) -> Iterator[Decision]:
    if scene.contact_id is None:
        return
    at = now if scene.at is None else scene.at
    if isinstance(action, CheckIn):
        yield RecordCheckIn(
            contact_id=scene.contact_id,
            at=at,
            missed=action.check_in == "missed",
            source=scene.source,
            because=scene.because,
            group_id=scene.group_id,
        )
        return
    yield GivePoints(
        contact_id=scene.contact_id,
        amount=action.points,
        reason=action.reason,
        source=scene.source,
        because=scene.because,
        at=at,
        kind="earn" if action.points > 0 else "fine",
        per_day=action.per_day,
    )


def _board(scene: Scene, action: ShowBoard) -> Iterator[Decision]:
    everyone = action.of == "everyone" or scene.group_id is None
    for decision in _speak(scene, Say(say=action.template)):
        if isinstance(decision, Speak):
            yield PostBoard(board=action.board, everyone=everyone, speak=decision)
        else:
            yield decision
