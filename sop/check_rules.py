"""Checks of what rules mean: places, actions and people their event has, and rules in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sop.actions import (
    AcceptFriend,
    AddTag,
    Enroll,
    GroupPlace,
    Invite,
    Leave,
    Match,
    RemoveTag,
    Say,
    SetAttribute,
)
from sop.conditions import Count, Spending, many
from sop.definitions import Definitions, Rule
from sop.events import EventKind
from sop.mistakes import Mistake
from sop.nodes import Node
from sop.point_actions import CheckIn, Points
from sop.source import Path

IN_GROUPS = frozenset(
    {
        EventKind.GROUP_JOINED,
        EventKind.GROUP_LEFT,
        EventKind.GROUP_RENAMED,
        EventKind.GROUP_ENTERED,
    }
)
_OF_A_FRIENDSHIP = frozenset(
    {EventKind.FRIEND_REQUEST, EventKind.FRIEND_ADDED, EventKind.FRIEND_REMOVED}
)
OF_A_PERSON = _OF_A_FRIENDSHIP | {
    EventKind.STAGE_CHANGED,
    EventKind.SILENT,
    EventKind.LINK_CLICKED,
    EventKind.ORDER,
    EventKind.REFUND,
}
_OF_MEMBERS = frozenset({EventKind.GROUP_JOINED})
WITHOUT_A_PERSON = frozenset({EventKind.GROUP_RENAMED, EventKind.GROUP_ENTERED})


def rule_mistakes(definitions: Definitions) -> Iterator[Mistake]:
    """Every rule that cannot do what it says."""
    for index, rule in enumerate(definitions.rules):
        path: Path = ("rules", index)
        yield from _place(path, rule)
        yield from _actions(path, rule)
        yield from _walkers(path, rule, definitions)
    yield from _shadowed(definitions.rules)


def _place(path: Path, rule: Rule) -> Iterator[Mistake]:
    where, on = rule.where, rule.on
    at = (*path, "where")
    if isinstance(where, GroupPlace) and where.group_tag is None and where.kind is None:
        expected = "如 where: {group_tag: 转化群} 或 where: {kind: 转化}"
        yield Mistake(at, "where 没有说是哪些群", expected)
    in_group = isinstance(where, GroupPlace) or where in ("group", "mention")
    if in_group and on in OF_A_PERSON:
        hint = "去掉 where；要看人在不在某个群，用 if: {in_group: 群标签}"
        yield Mistake(at, f"on: {on} 不发生在群里，这条规则永远不会执行", hint=hint)
    elif where == "private" and on in IN_GROUPS:
        hint = "去掉 where；想私聊回复，写 {say: …, to: private}"
        yield Mistake(at, f"on: {on} 只发生在群里，这条规则永远不会执行", hint=hint)
    elif where == "mention" and on is not EventKind.MESSAGE:
        hint = "去掉 where，或者写 where: group"
        yield Mistake(at, f"on: {on} 里没有人 @ 机器人，这条规则永远不会执行", hint=hint)


def _actions(path: Path, rule: Rule) -> Iterator[Mistake]:
    accepted = False
    for index, action in enumerate(rule.do):
        at = (*path, "do", index)
        match action:
            case AcceptFriend():
                accepted = True
                if rule.on is not EventKind.FRIEND_REQUEST:
                    hint = "挪到 on: friend_request 的规则里，或者删掉"
                    yield Mistake(at, "accept 只能用在 on: friend_request 上", hint=hint)
            case Say():
                yield from _say(at, rule, action, accepted=accepted)
            case AddTag(on="group") | RemoveTag(on="group"):
                if rule.on in OF_A_PERSON or rule.where == "private":
                    hint = "去掉 on: group，标签就加在人身上"
                    yield Mistake(at, "这里没有群，没法给群加减标签", hint=hint)
            case Points() | CheckIn():
                if rule.on in WITHOUT_A_PERSON:
                    hint = "换一个人的事件，如 on: message"
                    yield Mistake(at, f"on: {rule.on} 说的是群，没有哪个人可以记分", hint=hint)
            case Invite():
                yield from _invite(at, rule)
            case AddTag() | RemoveTag() | SetAttribute():
                if rule.on in WITHOUT_A_PERSON:
                    hint = "给群加标签，写 {tag: …, on: group}"
                    yield Mistake(at, f"on: {rule.on} 说的是群，没有哪个人可以改", hint=hint)


def _walkers(path: Path, rule: Rule, definitions: Definitions) -> Iterator[Mistake]:
    group = rule.on in WITHOUT_A_PERSON
    for index, action in enumerate(rule.do):
        if isinstance(action, Enroll | Leave):
            at = (*path, "do", index)
            yield from target_mistakes(at, action, definitions, group=group)
            yield from member_mistakes(at, action, definitions, inside=rule.on in _OF_MEMBERS)


def _say(at: Path, rule: Rule, action: Say, *, accepted: bool) -> Iterator[Mistake]:
    if action.to == "group":
        hint = "去掉 to；在群里发生的事，默认就在群里说"
        yield Mistake((*at, "to"), "to: group 只用在 for: member 的 SOP 里", hint=hint)
    if rule.on is EventKind.FRIEND_REMOVED:
        hint = "删掉 say；想知道谁走了，用 notify 告诉运营"
        yield Mistake(at, "对方已经不是好友，这句话发不出去", hint=hint)
    elif rule.on is EventKind.FRIEND_REQUEST and not accepted:
        hint = "先写 {accept: true}；欢迎的话放到 on: friend_added 的规则里"
        yield Mistake(at, "对方还不是好友，这句话发不出去", hint=hint)
    elif action.to == "private" and rule.on in WITHOUT_A_PERSON:
        hint = "去掉 to: private，就在群里说"
        yield Mistake((*at, "to"), f"on: {rule.on} 没有哪个人可以私聊", hint=hint)


def _invite(at: Path, rule: Rule) -> Iterator[Mistake]:
    if rule.on in WITHOUT_A_PERSON:
        yield Mistake(
            at, f"on: {rule.on} 说的是群，没有哪个人可以邀请", hint="换一个人的事件，如 message"
        )
    elif rule.on in (EventKind.FRIEND_REMOVED, EventKind.FRIEND_REQUEST):
        hint = "挪到 on: friend_added 或 on: message 的规则里"
        yield Mistake(at, "不是好友，拉不进群", hint=hint)


def node_mistakes(nodes: Iterable[Node]) -> Iterator[Mistake]:
    """Matches and counts, wherever they are, that can never hold."""
    for path, node in nodes:
        if isinstance(node, Match):
            yield from _match(path, node)
        elif isinstance(node, Count | Spending):
            yield from _count(path, node)


def _match(path: Path, match: Match) -> Iterator[Mistake]:
    unwanted = set(many(match.none))
    for index, word in enumerate(many(match.all)):
        if word in unwanted:
            message = f"{word} 既要有（all）又不能有（none），永远不会匹配"
            yield Mistake((*path, "all", index), message, hint="删掉一处")
    if match.any and unwanted.issuperset(many(match.any)) and not (match.regex or match.like):
        message = "any 里的词都写进了 none，永远不会匹配"
        yield Mistake((*path, "any"), message, hint="从 none 里删掉它们")


def _count(path: Path, count: Count | Spending) -> Iterator[Mistake]:
    low, high = count.at_least, count.at_most
    if low is not None and high is not None and high < low:
        message = f"至少 {low:g} 又至多 {high:g}，永远不会满足"
        yield Mistake((*path, "at_most"), message, hint="at_most 要不小于 at_least")


def target_mistakes(
    path: Path, action: Enroll | Leave, definitions: Definitions, *, group: bool
) -> Iterator[Mistake]:
    """An SOP for groups where there is a person, or the other way round."""
    key = "enroll" if isinstance(action, Enroll) else "leave"
    name = action.enroll if isinstance(action, Enroll) else action.leave
    theirs = "contact" if group else "group"
    if any(sop.id == name and sop.for_ == theirs for sop in definitions.sops):
        who, here = ("人", "群") if group else ("群", "人")
        hint = f"换一个给{here}走的 SOP，或者在 {name} 里写 for: {'group' if group else 'contact'}"
        yield Mistake((*path, key), f"{name} 是给{who}走的 SOP，这里只有{here}", hint=hint)


def member_mistakes(
    path: Path, action: Enroll | Leave, definitions: Definitions, *, inside: bool
) -> Iterator[Mistake]:
    """An SOP of members where nobody has said whose members."""
    if isinstance(action, Leave) or inside:
        return
    if any(sop.id == action.enroll and sop.for_ == "member" for sop in definitions.sops):
        message = f"{action.enroll} 是给群成员走的 SOP，这里不知道是哪个群的成员"
        hint = "让它自己从进群开始，或者从 on: group_joined 的规则里拉"
        yield Mistake((*path, "enroll"), message, hint=hint)


def _shadowed(rules: tuple[Rule, ...]) -> Iterator[Mistake]:
    stops: list[Rule] = []
    for index, rule in enumerate(rules):
        earlier = next((stop for stop in stops if _takes_all(stop, rule)), None)
        stops += [rule] if rule.stop else []
        if earlier:
            yield Mistake(
                ("rules", index, "id"),
                f"规则 {rule.id} 永远轮不到：前面的 {earlier.id} 会先执行，而且写了 stop",
                hint=f"把 {rule.id} 挪到 {earlier.id} 前面，或者去掉 {earlier.id} 的 stop: true",
                warning=True,
            )


def _takes_all(earlier: Rule, later: Rule) -> bool:
    """Whether `earlier` runs and stops at every event that `later` waits for."""
    return (
        earlier.on is later.on
        and earlier.cooldown is None
        and earlier.gather is None
        and (earlier.where == later.where or earlier.where == "anywhere")
        and all(
            mine is None or mine == theirs
            for mine, theirs in (
                (earlier.match, later.match),
                (earlier.if_, later.if_),
                (earlier.tag, later.tag),
                (earlier.stage, later.stage),
            )
        )
        and (earlier.on is not EventKind.SILENT)
    )
