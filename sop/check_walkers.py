"""Checks that an SOP asks of a contact what a contact has, and of a group what a group has."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from sop.actions import (
    AcceptFriend,
    AddTag,
    Enroll,
    GroupPlace,
    Invite,
    Leave,
    RemoveTag,
    Say,
    SetAttribute,
)
from sop.check_rules import (
    IN_GROUPS,
    OF_A_PERSON,
    WITHOUT_A_PERSON,
    member_mistakes,
    target_mistakes,
)
from sop.conditions import (
    Condition,
    Count,
    HasAttribute,
    HasInvited,
    HasPoints,
    HasStreak,
    InGroup,
    InStage,
    IsFriend,
    LastMessage,
    MemberOf,
    Spent,
)
from sop.definitions import Definitions
from sop.events import EventKind
from sop.mistakes import Mistake, one_of
from sop.nodes import nodes
from sop.point_actions import CheckIn, Points
from sop.rules import EVENT_NAMES
from sop.sequences import (
    Enter,
    EnterAudience,
    EnterBirthday,
    EnterOn,
    EnterStage,
    ExitOn,
    Goal,
    Sop,
    Step,
    WaitUntil,
)
from sop.source import Path

OF_GROUPS = IN_GROUPS | {EventKind.TAG_ADDED, EventKind.TAG_REMOVED}
_WITH_WORDS = frozenset({EventKind.MESSAGE, EventKind.FRIEND_REQUEST})


def entries(sop: Sop, path: Path) -> Iterator[tuple[Path, Enter]]:
    """The ways into an SOP, with their paths."""
    if not isinstance(sop.enter, tuple):
        yield (*path, "enter"), sop.enter
        return
    for n, enter in enumerate(sop.enter):
        yield (*path, "enter", n), enter


def walker_mistakes(sop: Sop, path: Path, definitions: Definitions) -> Iterator[Mistake]:
    """Everything in the SOP that has no meaning for whoever walks it."""
    for at, enter in entries(sop, path):
        yield from _entry(at, enter, sop)
    group = sop.for_ == "group"
    for at, node in nodes(sop, path):
        if isinstance(node, EnterOn | ExitOn | Goal | Step | WaitUntil):
            yield from _event((*at, "on"), node.on, sop)
        if isinstance(node, Enroll | Leave):
            yield from _itself(at, node, sop)
            yield from target_mistakes(at, node, definitions, group=group)
            yield from member_mistakes(at, node, definitions, inside=sop.for_ == "member")
        if isinstance(node, Say) and node.to == "group" and sop.for_ != "member":
            hint = "去掉 to，或者把这个 SOP 写成 for: member"
            yield Mistake((*at, "to"), "to: group 只用在 for: member 的 SOP 里", hint=hint)
        if isinstance(node, AcceptFriend):
            hint = "挪到 on: friend_request 的规则里，或者删掉"
            yield Mistake(at, "accept 只能写在规则里：SOP 里没有好友申请", hint=hint)
        yield from _of_groups(at, node) if group else _of_contacts(at, node)


def people_mistakes(definitions: Definitions) -> Iterator[Mistake]:
    """Conditions of rules, audiences and stages that have no meaning for a contact."""
    for kind in ("rules", "audiences", "stages"):
        for at, node in nodes(getattr(definitions, kind), (kind,)):
            yield from _of_contacts(at, node) if isinstance(node, Count) else ()
    earlier: list[Condition] = []
    for name, condition in definitions.stages.items():
        for at, node in nodes(condition, ("stages", name)):
            if isinstance(node, InStage):
                message = "生命周期的条件里不能再问生命周期，不然每天来回变"
                hint = "用 last_message、count 或 tag 来分"
                yield Mistake((*at, "stage"), message, hint=hint, at_key=True)
        if condition in earlier:
            who, hint = name or "没有名字的这一个", "改一处条件，或者删掉一个"
            message = f"{who} 永远轮不到：前面有一样的条件"
            yield Mistake(("stages", name), message, hint=hint, at_key=True)
        earlier.append(condition)


# --- events --------------------------------------------------------------------------------------


def _event(path: Path, kind: EventKind | None, sop: Sop) -> Iterator[Mistake]:
    if kind is EventKind.SILENT:
        hint = "写条件 {last_message: {before: 7d}}；它当入口时，写成人群再 enter: {audience: …}"
        yield Mistake(path, "on: silent 只能用在规则里，SOP 不知道要沉默多久", hint=hint)
    elif kind and sop.for_ == "group" and kind not in OF_GROUPS:
        message = f"on: {kind}（{EVENT_NAMES[kind]}）是某个人的事，群的 SOP 等不到"
        expected = one_of(
            f"{one}（{name}）" for one, name in EVENT_NAMES.items() if one in OF_GROUPS
        )
        yield Mistake(path, message, expected)
    elif kind in WITHOUT_A_PERSON and sop.for_ != "group":
        message = f"on: {kind}（{EVENT_NAMES[kind]}）说的是群，不是哪个人"
        yield Mistake(path, message, hint="给群走的 SOP 要写 for: group；给人走的换一个事件")


def _entry(path: Path, enter: Enter, sop: Sop) -> Iterator[Mistake]:
    if sop.for_ == "member" and not (
        isinstance(enter, EnterOn) and enter.on is EventKind.GROUP_JOINED
    ):
        message = "群成员的 SOP 只能从进群开始，不然不知道是哪个群的成员"
        yield Mistake(path, message, "enter: {on: group_joined, where: {group_tag: 福利群}}")
    elif isinstance(enter, EnterOn):
        yield from _entry_on(path, enter)
    elif sop.for_ == "group" and isinstance(enter, EnterStage | EnterAudience | EnterBirthday):
        key = next(iter(type(enter).model_fields.keys() - {"if_", "days"}))
        expected = "on、tag、date、festival 里选一个"
        yield Mistake((*path, key), f"{key} 说的是人，群不能这样进 SOP", expected, at_key=True)


def _entry_on(path: Path, enter: EnterOn) -> Iterator[Mistake]:
    on = enter.on
    if enter.match and on not in _WITH_WORDS:
        expected = f"on: {' / '.join(sorted(_WITH_WORDS))}"
        yield Mistake((*path, "match"), f"match 不能用在 on: {on} 上", expected, at_key=True)
    if enter.where == GroupPlace():
        expected = "如 where: {group_tag: 转化群} 或 where: {kind: 转化}"
        yield Mistake((*path, "where"), "where 没有说是哪些群", expected)
    elif enter.where and on in OF_A_PERSON:
        hint = "去掉 where；要看人在不在某个群，用 if: {in_group: 群标签}"
        yield Mistake((*path, "where"), f"on: {on} 不发生在群里，谁也进不来", hint=hint)
    if on is EventKind.FRIEND_REMOVED:
        hint = "想知道谁走了，写一条规则用 notify 告诉运营"
        yield Mistake((*path, "on"), "对方已经不是好友，这个 SOP 一步也走不了", hint=hint)
    elif on is EventKind.FRIEND_REQUEST:
        hint = "改成 on: friend_added（成为好友）"
        yield Mistake((*path, "on"), "对方还不是好友，这个 SOP 一步也走不了", hint=hint)


# --- what is done to whom ------------------------------------------------------------------------


def _itself(path: Path, action: Enroll | Leave, sop: Sop) -> Iterator[Mistake]:
    if isinstance(action, Enroll) and action.enroll == sop.id:
        hint = f"想从头再走，写 goto: {sop.steps[0].id}"
        message = f"走到这里的人已经在 {sop.id} 里，enroll 不起作用"
        yield Mistake((*path, "enroll"), message, hint=hint)
    elif isinstance(action, Leave) and action.leave == sop.id:
        hint = "去掉它，在 do 的下面一行写 then: exit"
        yield Mistake((*path, "leave"), "想结束自己这个 SOP，不用 leave", hint=hint)


def _of_contacts(path: Path, node: BaseModel) -> Iterator[Mistake]:
    if isinstance(node, Count) and node.of in WITHOUT_A_PERSON:
        message = f"{node.of}（{EVENT_NAMES[node.of]}）说的是群，人身上数不出来"
        yield Mistake((*path, "of"), message, hint="换一个人的事件，如 message")
    if isinstance(node, AddTag | RemoveTag) and node.on == "group":
        hint = "去掉 on: group，标签就加在人身上；给群走的 SOP 要写 for: group"
        yield Mistake((*path, "on"), "这里没有群，没法给群加减标签", hint=hint)


def _of_groups(path: Path, node: BaseModel) -> Iterator[Mistake]:
    match node:
        case (
            InStage()
            | LastMessage()
            | HasAttribute()
            | IsFriend()
            | InGroup()
            | MemberOf()
            | Spent()
            | HasPoints()
            | HasStreak()
            | HasInvited()
        ):
            key = next(iter(type(node).model_fields))
            expected = "tag、not、all、any、count 里选一个"
            yield Mistake((*path, key), f"{key} 问的是人，群的 SOP 里不能用", expected, at_key=True)
        case Count(of=kind) if kind not in OF_GROUPS | {EventKind.MESSAGE}:
            names = [f"{one}（{EVENT_NAMES[one]}）" for one in (EventKind.MESSAGE, *OF_GROUPS)]
            message = f"{kind}（{EVENT_NAMES[kind]}）是某个人的事，群里数不出来"
            yield Mistake((*path, "of"), message, one_of(sorted(names)))
        case Step():
            yield from _group_step(path, node)
        case Say(to="private"):
            message, hint = "群的 SOP 没有哪个人可以私聊", "去掉 to: private，就在群里说"
            yield Mistake((*path, "to"), message, hint=hint)
        case Points() | CheckIn():
            key = "points" if isinstance(node, Points) else "check_in"
            message, hint = "积分记在人身上，群的 SOP 里不能用", "写一条规则，在 on: message 里加"
            yield Mistake((*path, key), message, hint=hint, at_key=True)
        case Invite():
            message, hint = "群的 SOP 没有哪个人可以邀请", "写进给人走的 SOP，或者写成规则"
            yield Mistake((*path, "invite"), message, hint=hint, at_key=True)
        case SetAttribute():
            message, hint = "set 记的是人的资料，群的 SOP 里不能用", "换成给群贴标签 {tag: …}"
            yield Mistake((*path, "set"), message, hint=hint, at_key=True)


def _group_step(path: Path, step: Step) -> Iterator[Mistake]:
    if step.reply:
        message = "群的 SOP 不能等回复：群里人多，分不清是谁在答"
        hint = "写一条规则来接话：on: message, where: {group_tag: 群标签}"
        yield Mistake((*path, "reply"), message, hint=hint, at_key=True)
    if step.birthday:
        hint = "改用 date、festival 或 day"
        yield Mistake((*path, "birthday"), "群没有生日", hint=hint, at_key=True)
