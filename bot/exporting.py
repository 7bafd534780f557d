"""Exporting people to a table: stable columns, harmless cells, a page in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.sheets import write_sheet
from sop.conditions import Condition
from sop.importing import VALUE
from storage.audiences import members
from storage.exports import Exported, attribute_keys, everybody, exported
from storage.people import account_ids
from storage.store import Store

PAGE = 500
COLUMNS = (
    "编号", "微信号", "昵称", "备注", "好友", "生命周期", "标签", "首次见到", "成为好友",
    "上次说话", "订单数", "消费",
)  # fmt: skip


def export(
    store: Store, path: Path, *, audience: Condition | None, zone: ZoneInfo, now: int
) -> int:
    """Write an audience, or everybody, to a new file; returns how many they are."""
    count = 0
    with store.read() as connection, write_sheet(path) as put:
        keys = attribute_keys(connection)
        put([*COLUMNS, *(f"{VALUE}{key}" for key in keys)])
        for account in account_ids(connection):
            if audience is None:
                ids = everybody(connection, account)
            else:
                ids = members(connection, audience, account=account, now=now, friends=False)
            for start in range(0, len(ids), PAGE):
                for one in exported(connection, ids[start : start + PAGE], now=now):
                    put(_cells(one, keys, zone))
                    count += 1
    return count


def _cells(one: Exported, keys: Sequence[str], zone: ZoneInfo) -> list[str]:
    friend = {True: "是", False: "否", None: ""}[one.friend]
    return [
        f"#{one.id}",
        one.external_id,
        one.name,
        one.alias,
        friend,
        one.stage,
        "、".join(one.tags),
        *(_when(at, zone) for at in (one.first_seen_at, one.friend_at, one.last_message_at)),
        str(one.orders),
        f"{one.cents / 100:.2f}",
        *(one.values.get(key, "") for key in keys),
    ]


def _when(at: int | None, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / 1000, zone).strftime("%Y-%m-%d %H:%M:%S") if at else ""
