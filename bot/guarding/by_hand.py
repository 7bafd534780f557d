"""What operators decide about acts of the guard, by chat or on the command line."""

from __future__ import annotations

from bot.guarding.removal import removal
from sop.definitions import Settings
from sop.errors import SiyuError
from storage import guarding as rows
from storage.apply import Message
from storage.guarding import Act
from storage.store import Tx

_OVER = {"removing": "正在移出", "removed": "已经移出群了"}


def dismiss(tx: Tx, settings: Settings, act: Act, by: str, *, now: int) -> Message:
    """Remove the act's person from the group and put them onto the blacklist."""
    if act.state in _OVER:
        raise SiyuError(f"{act.name} {_OVER[act.state]}")
    if act.external_id in settings.operators:
        raise SiyuError(f"{act.name} 是运营，不移")
    message = removal(tx, act, because=f"群管：{by} 说移出群", now=now)
    rows.removing(tx, act.id, message.ids[0], by, now=now)
    rows.blacklist(tx, act.contact_id, act.external_id, "被移出过群", act=act.id, now=now)
    return message


def spare(tx: Tx, act: Act, by: str, *, now: int) -> str:
    """Let it pass: no removal, and the strike does not count."""
    if act.state in _OVER:
        raise SiyuError(f"{act.name} {_OVER[act.state]}，要反悔发 /撤销 {act.id}")
    rows.take_back(tx, act.id)
    rows.settle(tx, act.id, "spared", by, now=now)
    return f"好的，放过 {act.name}，这次不记"


def undo(tx: Tx, act: Act, by: str, *, now: int) -> str:
    """Take an act back, as far as WeChat lets one."""
    if act.state == "undone":
        raise SiyuError(f"{act.id} 已经撤销过了")
    rows.take_back(tx, act.id)
    pardoned = rows.pardon(tx, act.external_id)
    rows.settle(tx, act.id, "undone", by, now=now)
    done = [
        "好的，撤销了",
        "这次不记" if act.strike_until else "",
        "移出黑名单了" if pardoned else "",
    ]
    if act.state == "removed":
        done.append(f"人已经出了「{act.group}」，微信里撤不回来，要 TA 回来得重新拉进群")
    elif act.state == "removing":
        done.append("移出群还没做，不做了")
    return "，".join(one for one in done if one)
