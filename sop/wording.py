"""Conditions, matches and actions in the words of a reader: 带标签「意向/高」，且是好友."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import assert_never

from sop.actions import (
    AcceptFriend,
    Action,
    AddTag,
    Enroll,
    GroupPlace,
    HandOff,
    Invitation,
    Invite,
    Leave,
    Match,
    Notify,
    RemoveTag,
    Say,
    SetAttribute,
)
from sop.conditions import (
    All,
    Amount,
    Any_,
    Condition,
    Count,
    Counted,
    FinishedSop,
    HasAttribute,
    HasInvited,
    HasPoints,
    HasStreak,
    HasTag,
    InGroup,
    InSop,
    InStage,
    IsFriend,
    LastMessage,
    MemberOf,
    Membership,
    Not,
    Spending,
    Spent,
    many,
)
from sop.events import EventKind, MessageType
from sop.point_actions import CheckIn, Points, ShowBoard
from sop.rules import EVENT_NAMES
from sop.times import show_duration

EVERYTHING = 1 << 30  # as `most`: leave nothing out
MOST = 4  # how many keywords of a list a reader sees before 等 12 个
_TYPES = {
    MessageType.TEXT: "文字", MessageType.IMAGE: "图片", MessageType.VOICE: "语音",
    MessageType.VIDEO: "视频", MessageType.FILE: "文件", MessageType.CONTACT: "名片",
    MessageType.EMOTICON: "表情", MessageType.CHAT_HISTORY: "聊天记录",
    MessageType.LOCATION: "位置", MessageType.MINI_PROGRAM: "小程序", MessageType.LINK: "链接",
    MessageType.GROUP_NOTE: "群公告", MessageType.TRANSFER: "转账",
    MessageType.RED_ENVELOPE: "红包", MessageType.RECALLED: "撤回的消息",
    MessageType.POST: "帖子", MessageType.UNKNOWN: "别的消息",
}  # fmt: skip


def quoted(names: Collection[str], *, most: int = EVERYTHING) -> str:
    """「要」「想要」「好的」, with a count in place of what is too much."""
    shown = "".join(f"「{name}」" for name in list(names)[:most])
    return shown if len(names) <= most else f"{shown}等 {len(names)} 个"


def either(names: Collection[str]) -> str:
    """「宝妈」「VIP」或「老客」."""
    *front, last = names
    return f"{quoted(front)}或「{last}」" if front else f"「{last}」"


# --- conditions ------------------------------------------------------------------------------


def condition_words(condition: Condition) -> str:
    """What a condition asks, as a phrase about the contact."""
    match condition:
        case HasTag():
            return f"带标签{either(many(condition.tag))}"
        case InStage():
            return f"生命周期是{'或'.join(many(condition.stage))}"
        case Not():
            return _opposite(condition.not_)
        case All():
            return "，且".join(_inside(inner) for inner in condition.all)
        case Any_():
            return "，或".join(_inside(inner) for inner in condition.any)
        case LastMessage():
            ago = condition.last_message
            return _last_message(ago.within, ago.before)
        case Counted():
            return _counted(condition.count)
        case HasAttribute():
            return "，且".join(f"{key}是{_values(v)}" for key, v in condition.attribute.items())
        case IsFriend():
            return "是好友" if condition.friend else "不是好友"
        case InGroup():
            return f"在带标签{either(many(condition.in_group))}的群里"
        case HasPoints():
            return f"积分{_amount(condition.points)}"
        case HasStreak():
            return f"连续签到{_amount(condition.streak)}天"
        case HasInvited():
            return f"邀请{_amount(condition.invited)}人"
        case MemberOf():
            return _member_of(condition.member_of)
        case InSop():
            return f"正在走 SOP {'、'.join(many(condition.in_sop))}"
        case FinishedSop():
            return f"走完过 SOP {'、'.join(many(condition.finished_sop))}"
        case Spent():
            return _spent(condition.spent)
        case _:
            assert_never(condition)


def parts(condition: Condition) -> tuple[Condition, ...]:
    """What must hold together: the parts of an `all`, else the condition itself."""
    return condition.all if isinstance(condition, All) else (condition,)


def _opposite(condition: Condition) -> str:
    match condition:
        case HasTag():
            return f"不带标签{either(many(condition.tag))}"
        case InStage():
            return f"生命周期不是{'或'.join(many(condition.stage))}"
        case Not():
            return condition_words(condition.not_)
        case LastMessage():
            ago = condition.last_message
            return _last_message(ago.before, ago.within)
        case IsFriend():
            return "不是好友" if condition.friend else "是好友"
        case InGroup() | MemberOf():
            return f"不{condition_words(condition)}"
        case InSop() | FinishedSop():
            return f"没有{condition_words(condition)}"
        case _:
            return f"不是「{condition_words(condition)}」"


def _inside(condition: Condition) -> str:
    words = condition_words(condition)
    several = len(condition.all) > 1 if isinstance(condition, All) else False
    several = several or (isinstance(condition, Any_) and len(condition.any) > 1)
    return f"（{words}）" if several else words


def _last_message(within: int | None, before: int | None) -> str:
    if within is not None:
        return f"最近 {show_duration(within)}里说过话"
    return f"超过 {show_duration(before or 0)}没说过话"


def _counted(count: Count) -> str:
    span = f"{show_duration(count.within)}里" if count.within is not None else "总共"
    bounds = []
    if count.at_least is not None:
        bounds.append(f"至少 {count.at_least} 次")
    if count.at_most is not None:
        bounds.append(f"至多 {count.at_most} 次")
    return f"{span}「{EVENT_NAMES[count.of]}」{'、'.join(bounds)}"


def _amount(amount: Amount) -> str:
    bounds = []
    if amount.at_least is not None:
        bounds.append(f"至少 {amount.at_least} ")
    if amount.at_most is not None:
        bounds.append(f"至多 {amount.at_most} ")
    return "、".join(bounds)


def _member_of(groups: Membership) -> str:
    tagged = f"带标签{either(many(groups.group_tag))}的" if groups.group_tag is not None else ""
    where = f"在{tagged}{groups.kind or ''}群里"
    if groups.joined is None:
        return where
    if groups.joined.within is not None:
        return f"{where}（{show_duration(groups.joined.within)}之内进的）"
    return f"{where}（{show_duration(groups.joined.before or 0)}以前就进了）"


def _spent(spending: Spending) -> str:
    span = f"{show_duration(spending.within)}里" if spending.within is not None else "总共"
    bounds = []
    if spending.at_least is not None:
        bounds.append(f"至少 {spending.at_least:g} 元")
    if spending.at_most is not None:
        bounds.append(f"至多 {spending.at_most:g} 元")
    return f"{span}买了{'、'.join(bounds)}"


def _values(value: str | int | tuple[str | int, ...]) -> str:
    return "或".join(str(v) for v in (value if isinstance(value, tuple) else (value,)))


# --- matches and places ----------------------------------------------------------------------


def match_words(match: Match, *, most: int = MOST) -> str:
    """What a message must say."""
    ways = []
    if match.any:
        ways.append(f"有{quoted(many(match.any), most=most)}")
    if match.regex:
        ways.append(f"对得上正则{quoted(many(match.regex), most=most)}")
    if match.like:
        ways.append(f"意思像{quoted(many(match.like), most=most)}")
    binds = ["或".join(ways)] if ways else []
    if match.all:
        binds.append(f"同时有{quoted(many(match.all), most=most)}")
    if match.none:
        binds.append(f"没有{quoted(many(match.none), most=most)}")
    types = match.type if isinstance(match.type, tuple) else (match.type,)
    if types:
        binds.append(f"是{'或'.join(_TYPES[type_] for type_ in types)}")
    return "，且".join(binds)


def place_words(place: GroupPlace) -> str:
    """Which groups a `where` means."""
    kind = f"{place.kind}群" if place.kind else "群"
    if place.group_tag is None:
        return f"在{kind}里"
    return f"在带标签{either(many(place.group_tag))}的{kind}里"


def event_words(kind: EventKind) -> str:
    """An event by its name."""
    return EVENT_NAMES[kind]


# --- actions ---------------------------------------------------------------------------------


def actions_words(actions: Iterable[Action]) -> str:
    """What a `do:` list does."""
    return "，".join(_action(action) for action in actions)


def _action(action: Action) -> str:
    match action:
        case Say():
            return f"{_SAYS[action.to]} {action.say}"
        case AddTag():
            span = f"（{show_duration(action.for_)}）" if action.for_ is not None else ""
            return f"{_whom(action.on)}贴标签{quoted(many(action.tag))}{span}"
        case RemoveTag():
            return f"{_whom(action.on)}摘标签{quoted(many(action.untag))}"
        case SetAttribute():
            return "，".join(
                f"清掉「{key}」" if value is None else f"记下 {key}：{value}"
                for key, value in action.set.items()
            )
        case Notify():
            return f"告诉运营「{action.notify}」"
        case HandOff():
            return f"交给人工「{action.hand_off}」"
        case AcceptFriend():
            return "通过好友申请"
        case Enroll():
            return f"拉进 SOP {action.enroll}"
        case Leave():
            return f"移出 SOP {action.leave}"
        case Points():
            how = f"加 {action.points}" if action.points > 0 else f"扣 {-action.points}"
            return f"{how} 分（{action.reason}）"
        case CheckIn():
            return "签到" if action.check_in == "today" else "补签"
        case ShowBoard():
            return f"发排行榜 {action.template}"
        case Invite():
            return f"邀请进{inviting_words(action.invite)}"
        case _:
            assert_never(action)


def inviting_words(invitation: Invitation) -> str:
    """Which groups an invitation means."""
    if invitation.group is not None:
        return f"「{invitation.group}」"
    return f"带标签{either(many(invitation.group_tag or ()))}的群"


_SAYS = {"here": "说", "private": "私聊说", "group": "在群里 @ TA 说"}


def _whom(on: str) -> str:
    return "给群" if on == "group" else ""
