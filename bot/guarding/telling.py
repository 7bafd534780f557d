"""What the guard tells operators: at once, and when much happens together, in one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sop.guarding import Guard
from storage.guarding import Act

SHOWN = 8  # acts in one message; a raid is a number
_WOULD = {"alert": "告诉你", "warn": "提醒本人", "ask": "问你要不要移出群", "remove": "移出群"}


def news(acts: Sequence[Act], guard: Guard, *, elsewhere: Callable[[Act], Sequence[str]]) -> str:
    """One message about these acts. `elsewhere` names the other groups a person is in."""
    if len(acts) == 1:
        return _whole(acts[0], guard, elsewhere(acts[0]))
    lines = [f"【群管】刚才有 {len(acts)} 件事"]
    lines += [brief(act) for act in acts[:SHOWN]]
    if len(acts) > SHOWN:
        lines.append(f"……还有 {len(acts) - SHOWN} 件，发 /群管 看")
    asked = [act for act in acts if act.state == "asked"]
    if asked:
        lines.append(f"要移出群的，回 /踢 编号，比如 /踢 {asked[0].id}；不移就回 /放过 编号")
    return "\n".join(lines)


def _whole(act: Act, guard: Guard, elsewhere: Sequence[str]) -> str:
    lines = [_headline(act, guard)]
    if act.said:
        lines.append(f"「{act.said}」")
    lines.append(f"{act.points} 分：{'，'.join(act.reasons)}")
    if elsewhere and act.sentence in ("ask", "remove"):
        lines.append(f"TA 还在：{'、'.join(elsewhere)}")
    return "\n".join([*lines, *_ways(act)])


def _headline(act: Act, guard: Guard) -> str:
    who, where = _who(act), f"「{act.group}」"
    if act.shadow and act.state == "noted":
        return f"【群管·只报告】{who} 在{where}发的像广告。真管的话，会{_WOULD[act.sentence]}"
    match act.state, act.sentence:
        case "failed", _:
            return f"【群管】{who} 没能移出{where}：{act.settled}。请你在手机上移一下"
        case "removed", _:
            return f"【群管】{who} 移出了{where}，记进了黑名单"
        case "asked", _:
            held = f"（没有自己移：{act.settled}）" if act.settled else ""
            times = f"第 {act.strikes} 次了" if act.said else "TA 在黑名单里，又进来了"
            return f"【群管】要不要把 {who} 移出{where}？{times}{held}"
        case _, "warn":
            count = f"记了第 {act.strikes} 次，满 {guard.strikes} 次移出群"
            return f"【群管】{who} 在{where}发广告，{count}"
        case _:
            return f"【群管】{who} 在{where}发的像广告，你看一眼"


def _ways(act: Act) -> list[str]:
    """What an operator can answer."""
    if act.shadow and act.state == "noted":
        return []
    match act.state:
        case "asked":
            return [f"回 /踢 就移，回 /放过 就算了（几件事一起问的时候带上编号：/踢 {act.id}）"]
        case "removed":
            return [f"弄错了，回 /撤销 {act.id}"]
        case "failed":
            return [f"不移了，回 /撤销 {act.id}"]
        case _ if act.sentence == "warn":
            return [f"冤枉了，回 /撤销 {act.id}；现在就移，回 /踢 {act.id}"]
        case _:
            return [f"是广告，回 /踢 {act.id}；不是，不用管"]


def brief(act: Act) -> str:
    """An act in a list."""
    said = f"：{act.said[:30]}" if act.said else ""
    return f"{act.id} {deed(act)}｜{_who(act)}｜{act.group}｜{act.points} 分{said}"


def deed(act: Act) -> str:
    """What was done, in a few words."""
    if act.shadow and act.state == "noted":
        return f"只报告，本来会{_WOULD[act.sentence]}"
    settled = {
        "asked": "要不要移", "removing": "正在移", "removed": "已移出", "failed": "没移成，请手动",
        "spared": "放过了", "undone": "撤销了", "expired": "没人答，算了",
    }.get(act.state)  # fmt: skip
    return settled or (f"记第 {act.strikes} 次" if act.sentence == "warn" else "像广告")


def _who(act: Act) -> str:
    return act.name or act.external_id
