"""`siyu health`: how the account is, in words and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bot.cli.health
from storage.health import note_signal
from storage.people import account_id
from storage.sql import run_rows
from storage.store import Store, Tx
from tests.bot.cli.conftest import Siyu
from tests.support import DAY, HOUR, MINUTE, at, write

NOW = at("2026-11-21 12:00")
SETTINGS = """
community: 小满家
operators: [wxid_boss]
limits: {account: {per_hour: 40, per_day: 100, warmup: [{until: 7d, per_hour: 10, per_day: 30}]}}
"""
LEFT = (
    "INSERT INTO outbox (id, bundle_id, part, account_id, conversation_id, in_group, source,"
    " purpose, priority, kind, text, because, created_at, due_at, state, reason, attempts,"
    " left_at, hours) VALUES (?, ?, 0, ?, 9, ?, '', ?, 0, ?, '', '', 0, 0, ?, '', 1, ?, '')"
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An account three days old that has had some trouble."""
    monkeypatch.setattr(bot.cli.health, "now_ms", lambda: NOW)
    write(tmp_path / "siyu.yaml", SETTINGS)
    store = Store("sqlite:///data/siyu.db", root=tmp_path)

    def fill(tx: Tx) -> None:
        account = account_id(
            tx, channel="simulator", external_id="me", name="小满", now=NOW - 3 * DAY
        )
        rows = [("reply", "text", "sent", 10 * MINUTE), ("reply", "accept", "sent", 20 * MINUTE),
                ("touch", "text", "failed", 3 * HOUR), ("touch", "link", "unknown", 4 * HOUR),
                ("touch", "text", "sent", DAY), ("touch", "text", "sent", 8 * DAY)]  # fmt: skip
        run_rows(
            tx.connection,
            LEFT,
            [
                (100 + n, 100 + n, account, False, purpose, kind, state, NOW - ago)
                for n, (purpose, kind, state, ago) in enumerate(rows)
            ],
        )
        note_signal(tx, account, "logout", "在别处登录", now=NOW - HOUR)
        run_rows(
            tx.connection,
            "UPDATE account SET care_until = ?, care_because = ? WHERE id = ?",
            [(NOW + 2 * HOUR, "24 小时里被退出登录 1 次", account)],
        )

    store.write(fill)
    store.close()
    return tmp_path


def test_the_screen(siyu: Siyu, shop: Path) -> None:
    assert siyu("health", "--workspace", str(shop)).lines == [
        "小满：放慢中（已登录）",
        "  为什么：24 小时里被退出登录 1 次，到 11-21 14:00",
        "  看看手机上微信有没有提示；没事就写 siyu outbox resume，马上恢复",
        "  号龄：3 天，养号期（不满 7 天）",
        "  这一小时：4 / 5",
        "  今天：7 / 15（通过好友 1，触达 2，回复 1）",
        "  七天：▁▁▁▁▁▂█ 0、0、0、0、0、1、4；没发成或不确定 2",
        "  11-21 11:00 被退出登录：在别处登录",
    ]


def test_the_same_for_programs(siyu: Siyu, shop: Path) -> None:
    (found,) = json.loads(siyu("health", "--json", "--workspace", str(shop)).out)
    assert (found["level"], found["age_days"], found["warmup"]) == ("slow", 3, "7 天")
    assert found["hour"] == {"used": 4, "budget": 5}
    assert found["days"][-1] == {"day": "2026-11-21", "left": 4, "bad": 2}


def test_all_is_well_again_by_command(siyu: Siyu, shop: Path) -> None:
    assert siyu("outbox", "resume", "--workspace", str(shop)).status == 0
    lines = siyu("health", "--workspace", str(shop)).lines
    assert lines[0] == "小满：正常（已登录）"
    assert lines[2] == "  这一小时：4 / 10"


def test_nobody_was_here_yet(siyu: Siyu, tmp_path: Path) -> None:
    write(tmp_path / "siyu.yaml", SETTINGS)
    assert siyu("health", "--workspace", str(tmp_path)).lines == ["还没有账号登录过。"]
