"""What operators do about points by chat: `/积分 张三 +10 帮忙答疑`, `/兑换`, `/排行`."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from bot.happening import Happening, Me
from bot.plain import operator_name
from bot.scoring import Scores
from bot.workspace import Workspace
from sop.errors import SiyuError
from sop.point_actions import MOST, BoardKind
from sop.point_decisions import EntryKind, GivePoints
from sop.scores import month_of
from sop.timing import local_day
from storage.apply import Change
from storage.boards import Asked, board
from storage.points import Entry, standings
from storage.scorebook import entries
from storage.scored import score_lines
from storage.search import Found
from storage.store import Tx
from storage.tags import tags_of

HELP = """/积分 张三 —— 有多少积分，怎么来的
/积分 张三 +10 帮忙答疑 —— 加分（-10 是扣分）
/兑换 张三 50 一包湿巾 —— 花掉积分；不影响等级和排行
/排行 —— 这个月的积分排行（/排行 总、/排行 签到、/排行 邀请）"""
BOARDS: dict[str, tuple[BoardKind, str]] = {
    "": ("month", "这个月的积分"),
    "月": ("month", "这个月的积分"),
    "总": ("total", "累计积分"),
    "签到": ("streak", "连续签到天数"),
    "邀请": ("invites", "邀请人数"),
}
_GIFT = re.compile(r"(?P<who>.+?)\s+(?P<sign>[+\-＋－])\s*(?P<amount>\d{1,9})(?:\s+(?P<why>.+))?")
_SPENT = re.compile(r"(?P<who>.+?)\s+(?P<amount>\d{1,9})\s+(?P<why>.+)")
SHOWN = 8


def read_gift(args: str) -> tuple[str, int, str] | None:
    """`张三 +10 帮忙答疑` → who, how many, why; None when there is no amount."""
    found = _GIFT.fullmatch(args)
    if found is None:
        return None
    amount = _amount(found["amount"])
    if not found["why"]:
        raise SiyuError("后面要写上为什么，比如 /积分 张三 +10 帮忙答疑")
    return found["who"], -amount if found["sign"] in "-－" else amount, found["why"]


def read_spent(args: str) -> tuple[str, int, str]:
    """`张三 50 一包湿巾` → who, how many, what for."""
    found = _SPENT.fullmatch(args)
    if found is None:
        raise SiyuError("要写谁、多少分、换什么，比如 /兑换 张三 50 一包湿巾")
    return found["who"], _amount(found["amount"]), found["why"]


def _amount(digits: str) -> int:
    amount = int(digits)
    if not 0 < amount <= MOST:
        raise SiyuError(f"一次加减 1 到 {MOST} 分，这里写的是 {amount}")
    return amount


class ScoreCommands:
    """Points by an operator's hand."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def book(
        self, tx: Tx, me: Me, h: Happening, who: Found, amount: int, why: str,
        *, kind: EntryKind, now: int,
    ) -> tuple[list[Change], str]:  # fmt: skip
        """Give or take points by hand, once however often the command arrives."""
        if who.is_group:
            raise SiyuError(f"积分记在人身上，{who.label} 不是一个人")
        have = standings(tx, [who.id]).get(who.id)
        balance = have.balance if have else 0
        if amount < 0 and balance < -amount:
            raise SiyuError(f"{who.label} 只有 {balance} 分，不够 {-amount} 分")
        operator = h.event.contact.name if h.event.contact else ""
        gift = GivePoints(
            contact_id=who.id, amount=amount, reason=why[:40], source=f"operator:{operator}",
            because=f"{operator_name(operator)} 手动记的", at=now, kind=kind,
        )  # fmt: skip
        theirs = replace(h, contact_id=who.id, group_id=None)
        scores = Scores(
            tx, me.id, self._workspace, [(gift, theirs)], tags=tags_of(tx, [who.id], now=now),
            now=now,
        )  # fmt: skip
        changes = list(scores.of(gift, theirs))
        done = any(isinstance(change, Entry) for change in changes)
        word = "加" if amount > 0 else "花掉" if kind == "spend" else "扣"
        left = balance + (amount if done else 0)
        return changes, f"好的，{who.label} {word} {abs(amount)} 分（{why[:40]}），现在 {left} 分"

    def show(self, tx: Tx, who: Found, *, now: int) -> str:
        """What somebody has, and where the last of it came from."""
        if who.is_group:
            raise SiyuError(f"积分记在人身上，{who.label} 不是一个人")
        zone = self._workspace.settings.zone
        lines = [who.label, *(score_lines(tx.connection, who.id, now=now) or ["还没有积分"])]
        for entry in entries(tx.connection, who.id, zone=zone, limit=SHOWN):
            moment = datetime.fromisoformat(entry["at"])
            lines.append(f"{moment:%m-%d %H:%M} {entry['amount']:+d} {entry['reason']}")
        return "\n".join(lines)

    def board(self, tx: Tx, me: Me, args: str, *, now: int) -> str:
        """A leaderboard over everybody, with ids, so that an operator can act on it."""
        if args not in BOARDS:
            raise SiyuError("排行有这几种：/排行、/排行 总、/排行 签到、/排行 邀请")
        kind, title = BOARDS[args]
        settings = self._workspace.settings
        asked = Asked(
            account_id=me.id, month=month_of(local_day(now, settings.zone), settings.zone),
            now=now, without=settings.operators,
        )  # fmt: skip
        found = board(tx.connection, kind, asked, top=self._workspace.definitions.points.boards.top)
        lines = [f"{one.place}. {one.name} #{one.contact_id}：{one.value}" for one in found]
        return "\n".join([f"{title}排行", *(lines or ["还没有人上榜"])])
