"""What a channel cannot do, or the gateway refuses: operators are asked to, with ready words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.channels.port import Capability
from bot.happening import Me
from bot.notices import notices
from sop.definitions import Settings
from sop.sending import Drop
from storage import invitations, outbox
from storage.apply import Changes, apply
from storage.outbox import Outcome
from storage.queue import Queued
from storage.store import Tx

_NEEDS = {"invite": Capability.ADD_MEMBER}
CANNOT = "这个微信接口不能拉人进群，已经请运营动手"


def split_off(
    tx: Tx,
    me: Me,
    settings: Settings,
    rows: Sequence[Queued],
    can: frozenset[Capability],
    *,
    now: int,
) -> list[Queued]:
    """The rows that the channel can send; the others are handed to the operators."""
    beyond = [row for row in rows if row.kind in _NEEDS and _NEEDS[row.kind] not in can]
    if beyond:
        outbox.drop(tx, [(row, Drop(CANNOT)) for row in beyond])
        _ask(tx, me, settings, [(row.id, "这个微信接口不能自己拉人") for row in beyond], now)
    return [row for row in rows if row not in beyond]


def take_over(tx: Tx, me: Me, settings: Settings, results: Iterable[Outcome], *, now: int) -> None:
    """Hand to the operators what the gateway surely did not do."""
    failed = [(r.row.id, r.reason) for r in results if r.state == "failed" and r.row.kind in _NEEDS]
    if failed:
        _ask(tx, me, settings, failed, now)


def _ask(tx: Tx, me: Me, settings: Settings, rows: Sequence[tuple[int, str]], now: int) -> None:
    names = invitations.by_hand(tx, [id_ for id_, _ in rows])
    changes = Changes()
    for id_, why in rows:
        if id_ not in names:
            continue
        who, group = names[id_]
        texts = (
            f"「{who}」想进「{group}」，没拉成：{why}。请你在手机上拉一下，下面这句可以转发给 TA。",
            f"我拉你进「{group}」啦，点一下邀请就能进来～",
        )
        for notice in notices(
            tx, me, settings, *texts, source="invite", because="邀请进群要请人动手", now=now
        ):
            changes.add(notice, None)
    apply(tx, me.id, changes, now=now)
