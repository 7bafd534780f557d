"""An SOP and its steps as named facets in words: what the diagram draws and differences compare."""

from __future__ import annotations

from typing import assert_never

from sop.conditions import many
from sop.sequences import (
    ALWAYS,
    NEVER,
    WEEKDAYS,
    Enter,
    EnterAudience,
    EnterBirthday,
    EnterDate,
    EnterFestival,
    EnterOn,
    EnterStage,
    EnterTag,
    Exit,
    ExitOn,
    Goal,
    Onward,
    Sop,
    Step,
    WaitUntil,
)
from sop.times import Late, show_duration
from sop.wording import (
    EVERYTHING,
    actions_words,
    condition_words,
    either,
    event_words,
    match_words,
    place_words,
)

_WEEKDAYS = dict(zip(WEEKDAYS, "一二三四五六日", strict=True))


# --- the whole -------------------------------------------------------------------------------


def sop_facets(sop: Sop) -> dict[str, str]:
    """What an SOP says beside its steps; what is left to the default is left out."""
    facets = {
        "标题": sop.title,
        "谁来走": _WALKERS[sop.for_],
        "怎么进来": "；".join(map(enter_words, sop.entries)) or "只能手动或由规则拉进来",
        "能不能再来": again_words(sop.again),
        "提前结束": "；".join(map(exit_words, sop.exit)),
        "目标": _goal(sop.goal) if sop.goal else "",
        "发送时段": str(sop.window) if sop.window else "",
        "晚了怎么办": late_words(sop.late),
        "优先级": str(sop.priority) if sop.priority else "",
    }
    return {name: words for name, words in facets.items() if words}


_WALKERS = {"contact": "联系人", "group": "群", "member": "群成员"}


def again_words(again: int) -> str:
    """Whether one may walk it again."""
    if again == NEVER:
        return "一个人只走一次"
    return "走完可以再来" if again == ALWAYS else f"走完 {show_duration(again)}以后可以再来"


def enter_words(enter: Enter) -> str:
    """One way in, with its condition."""
    condition = f"（条件：{condition_words(enter.if_)}）" if enter.if_ else ""
    return f"{_way_in(enter)}{condition}"


def _way_in(enter: Enter) -> str:
    match enter:
        case EnterOn():
            where = f"，{place_words(enter.where)}" if enter.where else ""
            says = f"，{match_words(enter.match)}" if enter.match else ""
            return f"{event_words(enter.on)}{where}{says}"
        case EnterTag():
            return f"贴上标签{either(many(enter.tag))}"
        case EnterStage():
            return f"到了{'或'.join(many(enter.stage))}"
        case EnterAudience():
            return f"在人群「{enter.audience}」里（每天早上看一次）"
        case EnterDate():
            return f"{enter.date.isoformat()} 这一天"
        case EnterBirthday():
            return f"「{enter.birthday}」{days_words(enter.days)}"
        case EnterFestival():
            return f"{'、'.join(many(enter.festival))}{days_words(enter.days)}"
        case _:
            assert_never(enter)


def days_words(days: int) -> str:
    """当天, 前 3 天, 后 2 天."""
    if not days:
        return "当天"
    return f"前 {-days} 天" if days < 0 else f"后 {days} 天"


def exit_words(rule: Exit) -> str:
    """When a walk ends before its last step."""
    return event_words(rule.on) if isinstance(rule, ExitOn) else condition_words(rule)


def _goal(goal: Goal) -> str:
    within = f"{show_duration(goal.within)}之内" if goal.within is not None else ""
    if goal.tag is not None:
        return f"{within}带标签{either(many(goal.tag))}"
    if goal.if_ is not None:
        return f"{within}{condition_words(goal.if_)}"
    return f"{within}{event_words(goal.on)}" if goal.on is not None else ""


def late_words(late: Late | None) -> str:
    """What becomes of a step that is late."""
    return f"晚过 {show_duration(late.limit)}就跳过" if late else ""


# --- steps -----------------------------------------------------------------------------------


def step_facets(step: Step) -> dict[str, str]:
    """What a step says, in words."""
    facets = {
        "标题": step.title,
        "时间": when(step),
        "条件": condition_words(step.if_) if step.if_ else "",
        "做什么": "" if step.choose else onward_words(step),
        "分支": "；".join(branch_lines(step)),
        "等回复": "；".join(reply_lines(step)),
        "等不到": timeout_words(step.wait_until) if step.wait_until else "",
        "发送时段": str(step.window) if step.window else "",
        "晚了怎么办": late_words(step.late),
    }
    return {name: words for name, words in facets.items() if words}


def when(step: Step, *, first: bool = False) -> str:
    """When a step is due; `first` tells that it follows the entry and no other step."""
    after = "进来" if first else "上一步"
    if step.on is not None:
        return f"等到{event_words(step.on)}"
    if step.wait_until is not None:
        return _waiting(step.wait_until)
    if step.at is None:
        span = f"{after}之后 {show_duration(step.after)}" if step.after else f"紧接着{after}"
        return f"{span}（赶上休息日就顺延）" if step.workday else span
    clock = f"{step.at // 60:02}:{step.at % 60:02}"
    named = step.weekday or step.day is not None or step.date or step.festival or step.birthday
    return f"{_day(step)} {clock}{'（赶上休息日就顺延）' if step.workday and named else ''}"


def _day(step: Step) -> str:
    if step.day is not None:
        return f"第 {step.day} 天" if step.day else "进来当天"
    if step.date is not None:
        return step.date.isoformat()
    if step.festival is not None:
        return f"{'、'.join(many(step.festival))}{days_words(step.days)}"
    if step.birthday is not None:
        return f"「{step.birthday}」{days_words(step.days)}"
    if step.weekday is not None:
        return "、".join(f"周{_WEEKDAYS[day]}" for day in many(step.weekday))
    return "工作日"


def _waiting(wait: WaitUntil) -> str:
    what = condition_words(wait.if_) if wait.if_ else ""
    what = what or (event_words(wait.on) if wait.on is not None else "")
    return f"等到{what}，至多 {show_duration(wait.within)}"


def timeout_words(wait: WaitUntil) -> str:
    """What is done when what is waited for does not happen."""
    return onward_words(wait.none) or "跳过这一步"


def onward_words(way: Onward) -> str:
    """What is done and where the walk goes then; empty for nothing but going on."""
    words = [actions_words(way.do)] if way.do else []
    if way.then == "exit":
        words.append("到此结束")
    if way.goto is not None:
        words.append(f"去 {way.goto}")
    return "，".join(words)


def branch_lines(step: Step) -> list[str]:
    """The ways of a `choose`, one a line."""
    return [
        f"{condition_words(branch.if_) if branch.if_ else '其他'} → "
        f"{onward_words(branch) or '什么也不做'}"
        for branch in step.choose
    ]


def reply_lines(step: Step, *, most: int = EVERYTHING) -> list[str]:
    """What a step waits to hear, one case a line, the span first."""
    if step.reply is None:
        return []
    cases = [
        f"{match_words(case.match, most=most)} → {onward_words(case) or '什么也不做'}"
        for case in step.reply.cases
    ]
    none = onward_words(step.reply.none) or "什么也不做"
    return [f"等回复 {show_duration(step.reply.within)}", *cases, f"没等到 → {none}"]
