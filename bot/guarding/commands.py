"""Operators about the guard, by chat: `/群管`, `/踢`, `/放过`, `/撤销`, `/拉黑`, `/不拉黑`."""

from __future__ import annotations

from bot.group_commands import Asking
from bot.guarding.by_hand import dismiss, spare, undo
from bot.guarding.telling import brief
from bot.plain import operator_name
from bot.workspace import Workspace
from sop.decisions import Note
from sop.errors import SiyuError
from storage import guarding as rows
from storage.guarding import Act
from storage.search import Found, find

HELP = """/群管 —— 群管最近做了什么，有什么等你定
/踢 —— 把问你的那个人移出群；/放过 —— 不移（几件事一起问的时候，后面写编号）
/撤销 编号 —— 群管弄错了：不记这一次，从黑名单里拿掉
/拉黑 张三 —— 以后进群管的群就移出（或问你）；/不拉黑 张三"""
SHOWN = 8


class GuardCommands:
    """What an operator can say about the guard."""

    def __init__(self, workspace: Workspace) -> None:
        self._settings = workspace.settings

    def show(self, ask: Asking) -> str:
        """`/群管`."""
        connection = ask.tx.connection
        asked = rows.asked(connection, ask.me.id)
        lines = [f"等你定的有 {len(asked)} 件：", *map(brief, asked[:SHOWN])] if asked else []
        acts = [act for act in rows.acts(connection, limit=SHOWN) if act.state != "asked"]
        lines += ["最近做过的：", *map(brief, acts)] if acts else []
        count = len(rows.all_blacklisted(connection))
        return "\n".join([*lines, f"黑名单 {count} 人"] if lines or count else ["群管还没做过什么"])

    def dismiss(self, ask: Asking) -> str:
        """`/踢`."""
        act = self._meant(ask, "/踢")
        message = dismiss(ask.tx, self._settings, act, operator_name(ask.by), now=ask.now)
        ask.out.add(message, None)
        self._note(ask, act, "done", "移出群")
        return f"好的，把 {act.name} 移出「{act.group}」，并记进黑名单。反悔发 /撤销 {act.id}"

    def spare(self, ask: Asking) -> str:
        """`/放过`."""
        act = self._meant(ask, "/放过")
        answer = spare(ask.tx, act, operator_name(ask.by), now=ask.now)
        self._note(ask, act, "withheld", "放过")
        return answer

    def undo(self, ask: Asking) -> str:
        """`/撤销`."""
        if not ask.args:
            raise SiyuError("要写编号，比如 /撤销 1234；发 /群管 看编号")
        act = self._meant(ask, "/撤销")
        answer = undo(ask.tx, act, operator_name(ask.by), now=ask.now)
        self._note(ask, act, "withheld", "撤销了")
        return answer

    def blacklist(self, ask: Asking) -> str:
        """`/拉黑`."""
        who = self._person(ask, "/拉黑 张三")
        if who.external_id in self._settings.operators:
            raise SiyuError(f"{who.label} 是运营，不能拉黑")
        fresh = rows.blacklist(
            ask.tx,
            who.id,
            who.external_id,
            f"{operator_name(ask.by)} 拉黑的",
            act=None,
            now=ask.now,
        )
        return f"好的，{who.label} 进了黑名单" if fresh else f"{who.label} 本来就在黑名单里"

    def pardon(self, ask: Asking) -> str:
        """`/不拉黑`."""
        who = self._person(ask, "/不拉黑 张三")
        done = rows.pardon(ask.tx, who.external_id)
        return f"好的，{who.label} 出了黑名单" if done else f"{who.label} 本来就不在黑名单里"

    def _meant(self, ask: Asking, command: str) -> Act:
        """The act that is named, or the only one that is asked about."""
        if ask.args:
            number = ask.args.removeprefix("#")
            known = number.isascii() and number.isdigit() and len(number) < 19
            act = rows.act_of(ask.tx.connection, int(number)) if known else None
            if act is None or act.account_id != ask.me.id:
                raise SiyuError(f"没有编号 {ask.args[:20]} 的事。发 /群管 看编号")
            return act
        asked = rows.asked(ask.tx.connection, ask.me.id)
        if len(asked) == 1:
            return asked[0]
        if not asked:
            raise SiyuError(f"现在没有等你定的。说以前的某一件，写上编号，比如 {command} 1234")
        listed = "\n".join(brief(act) for act in asked[:SHOWN])
        raise SiyuError(
            f"等你定的有 {len(asked)} 件，带上编号，比如 {command} {asked[0].id}：\n{listed}"
        )

    def _person(self, ask: Asking, example: str) -> Found:
        if not ask.args:
            raise SiyuError(f"要写名字，比如 {example}")
        return find(ask.tx.connection, ask.args, groups=False, account=ask.me.id)

    def _note(self, ask: Asking, act: Act, outcome: str, what: str) -> None:
        note = Note(
            subject_id=act.contact_id,
            what="群管",
            outcome=outcome,
            because=f"群管：{operator_name(ask.by)} {what}（编号 {act.id}）",
            refs={"act": act.id},
        )
        ask.out.add(note, None)
