"""Checks of points: levels that are no tags, days nobody may make up, rewards nobody can get."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sop.actions import AcceptFriend, Enroll, GroupPlace, Leave
from sop.check_rules import target_mistakes
from sop.conditions import Amount, HasInvited, HasStreak
from sop.definitions import Definitions
from sop.mistakes import Mistake
from sop.nodes import Node
from sop.point_actions import CheckIn, Points, ShowBoard
from sop.points import Invites, PointRules
from sop.problems import did_you_mean
from sop.source import Path

_HERE: Path = ("points",)


def point_mistakes(
    definitions: Definitions, every: Iterable[Node], *, broken: Collection[str]
) -> Iterator[Mistake]:
    """Everything about points that cannot be meant so. What is broken declares nothing."""
    rules = definitions.points
    if "tags" not in broken:
        yield from _levels(rules, definitions)
    if rules.invites is not None:
        yield from _rewards((*_HERE, "invites"), rules.invites, definitions)
    for path, node in every:
        yield from _amount(path, node) if isinstance(node, Amount) else ()
        yield from _action(path, node) if isinstance(node, Points) else ()
        yield from _unfounded(path, node, rules) if "points" not in broken else ()
    if not broken:
        yield from _nobody_checks_in(list(every))


def _levels(rules: PointRules, definitions: Definitions) -> Iterator[Mistake]:
    known, seen = definitions.tag_names(), dict[int, str]()
    for tag, least in rules.levels.items():
        path: Path = (*_HERE, "levels", tag)
        if tag not in known:
            group, _, value = tag.partition("/")
            line = f"{group}: {{values: [{value}], one_of: true}}" if value else f"{tag}: {{}}"
            hint = did_you_mean(tag, known) or f"等级是标签，先在 tags 里登记：{line}"
            yield Mistake(path, f"没有叫 {tag} 的标签", hint=hint, at_key=True)
        if (first := seen.setdefault(least, tag)) != tag:
            message = f"{tag} 和 {first} 都是 {least} 分，分不出谁是谁"
            yield Mistake(path, message, hint="改一个，每一级的分数要不一样")


def _rewards(path: Path, invites: Invites, definitions: Definitions) -> Iterator[Mistake]:
    if invites.where == GroupPlace():
        expected = "如 where: {group_tag: 福利群} 或 where: {kind: 转化}"
        yield Mistake((*path, "where"), "where 没有说是哪些群", expected)
    seen = set[int]()
    for n, reward in enumerate(invites.rewards):
        at: Path = (*path, "rewards", n)
        if reward.at_least in seen:
            message = f"满 {reward.at_least} 人的奖励写了两次"
            yield Mistake((*at, "at_least"), message, hint="合成一条，do 里可以写好几件事")
        seen.add(reward.at_least)
        for m, action in enumerate(reward.do):
            if isinstance(action, AcceptFriend | CheckIn):
                key = "accept" if isinstance(action, AcceptFriend) else "check_in"
                yield Mistake((*at, "do", m), f"{key} 只能写在规则里", hint="从奖励里删掉")
            elif isinstance(action, Enroll | Leave):
                yield from target_mistakes((*at, "do", m), action, definitions, group=False)


def _amount(path: Path, amount: Amount) -> Iterator[Mistake]:
    low, high = amount.at_least, amount.at_most
    if low is not None and high is not None and high < low:
        message = f"至少 {low} 又至多 {high}，永远不会满足"
        yield Mistake((*path, "at_most"), message, hint="at_most 要不小于 at_least")


def _action(path: Path, action: Points) -> Iterator[Mistake]:
    if action.per_day is None:
        return
    if action.points < 0:
        message, hint = "per_day 只管加分，扣分用不上", "去掉 per_day"
        yield Mistake((*path, "per_day"), message, hint=hint, at_key=True)
    elif action.points > action.per_day:
        message = f"一次给 {action.points} 分，一天却至多 {action.per_day} 分"
        yield Mistake((*path, "per_day"), message, hint="per_day 要不小于一次给的分")


def _unfounded(path: Path, node: object, rules: PointRules) -> Iterator[Mistake]:
    """What asks for something that the `points:` section does not provide."""
    match node:
        case CheckIn(check_in="missed") if rules.check_in.catch_up is None:
            hint = "在 points 的 check_in 里写上 catch_up: {days: 3}，或者删掉这个动作"
            yield Mistake((*path, "check_in"), "没有开放补签", hint=hint)
        case HasInvited() if rules.invites is None:
            yield Mistake((*path, "invited"), *_NO_INVITES, hint=_WRITE_INVITES, at_key=True)
        case ShowBoard(board="invites") if rules.invites is None:
            yield Mistake((*path, "board"), *_NO_INVITES, hint=_WRITE_INVITES)


_NO_INVITES = ("没有开始数邀请，这里永远是 0",)
_WRITE_INVITES = "先写上 points: {invites: {points: 5}}"


def _nobody_checks_in(every: list[Node]) -> Iterator[Mistake]:
    if any(isinstance(node, CheckIn) for _, node in every):
        return
    for path, node in every:
        if isinstance(node, HasStreak):
            hint = "写一条规则：match: {any: [签到]}，do: [{check_in: today}]"
            message = "没有哪条规则写了 check_in，谁也签不了到"
            yield Mistake((*path, "streak"), message, hint=hint, at_key=True, warning=True)
