"""Operators about groups, by chat: `/群`, `/绑定`, `/同群`, `/不管`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.bindings import Bindings, asked, label
from bot.happening import Me
from bot.plain import operator_name
from sop.errors import SiyuError
from storage.apply import Changes
from storage.groups import Housed, all_housed, housed
from storage.invitations import kept, members
from storage.search import find
from storage.store import Tx

HELP = """/群 —— 有哪些群，各是什么状态
/绑定 —— 刚才问的那个群也是我的；/同群 —— 就是原来那个；/不管 —— 不是我的"""
ALL = "全部"
NONE = "现在没有等你认的群。要说哪个群，后面写上名字，比如 /绑定 小满福利群②"
STATES = {"bound": "已绑定", "asked": "等你认", "left": "不管", "": "没写进 groups"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One command: who asks, about what, and where the changes go."""

    tx: Tx
    me: Me
    args: str
    by: str
    now: int
    out: Changes


class GroupCommands:
    """What an operator can say about groups."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings

    def list(self, ask: Asking) -> str:
        """`/群`."""
        found = [one for one in all_housed(ask.tx.connection, ask.me.id) if not one.gone]
        count = members(ask.tx.connection, [one.id for one in found])
        waiting = kept(ask.tx.connection, [one.id for one in found], now=ask.now)
        lines = [_line(one, count.get(one.id, 0), waiting.get(one.id, 0)) for one in found]
        return "\n".join(lines) or "还没有群"

    def bind(self, ask: Asking) -> str:
        """`/绑定`."""
        return self._each(ask, self._bind)

    def leave(self, ask: Asking) -> str:
        """`/不管`."""
        return self._each(ask, self._leave)

    def same(self, ask: Asking) -> str:
        """`/同群`."""
        return self._each(ask, self._same)

    def _each(self, ask: Asking, answer: Callable[[Asking, Housed], str]) -> str:
        """The same answer about the group that is named, the only one asked about, or all."""
        if ask.args != ALL:
            return answer(ask, self._meant(ask))
        lines = []
        for group in asked(ask.tx, ask.me):
            try:
                lines.append(answer(ask, group))
            except SiyuError as error:
                lines.append(str(error))
        return "\n".join(lines) or NONE

    def _bind(self, ask: Asking, group: Housed) -> str:
        _add(ask, self._bindings.bind(ask.tx, group, by=operator_name(ask.by), now=ask.now))
        return f"好的，{label(group)} 是自己的群了"

    def _leave(self, ask: Asking, group: Housed) -> str:
        _add(ask, self._bindings.leave(ask.tx, group, by=operator_name(ask.by)))
        return f"好的，{label(group)} 我不管"

    def _same(self, ask: Asking, group: Housed) -> str:
        old, changes = self._bindings.same(ask.tx, group, by=operator_name(ask.by), now=ask.now)
        _add(ask, changes)
        return f"好的，就是原来的 {label(old)}，标签、成员、记录都接着用"

    def _meant(self, ask: Asking) -> Housed:
        if ask.args:
            found = find(ask.tx.connection, ask.args, account=ask.me.id)
            if not found.is_group:
                raise SiyuError(f"{found.label} 不是群")
            return housed(ask.tx.connection, [found.id])[found.id]
        open_ = asked(ask.tx, ask.me)
        if len(open_) == 1:
            return open_[0]
        if not open_:
            raise SiyuError(NONE)
        raise SiyuError(f"等你认的群有 {len(open_)} 个，带上编号：{'、'.join(map(label, open_))}")


def _line(group: Housed, count: int, waiting: int) -> str:
    kind = f"，{group.kind}" if group.kind else ""
    more = f"，邀请中 {waiting} 人" if waiting else ""
    lost = "，这次登录没看见" if group.missing_at is not None else ""
    return f"{label(group)}：{STATES[group.binding]}{kind}，{count} 人{more}{lost}"


def _add(ask: Asking, changes: Changes) -> None:
    for change, event_id in changes.rows:
        ask.out.add(change, event_id)
