"""Pushes and Moments in a rehearsal: the numbers are those of its tables, and it objects."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

from bot.rehearsal.run import Plan, rehearse_workspace
from bot.rehearsal.screen import screen
from tests.support import NO_GAPS, workspace

CALENDAR = """
tags: {VIP: {}}
audiences:
  - {id: 大家, all: [{friend: true}]}
  - {id: 没人, all: [{tag: VIP}]}
pushes:
  - {id: daily, title: 早安, to: {audience: 大家}, at: {cron: "0 10 * * *"}, say: a}
  - {id: nobody, to: {audience: 没人}, at: {cron: "0 11 * * mon"}, say: b}
moments:
  - {id: ad, title: 卖货, pillar: 广告, at: {cron: "30 12 * * mon"}, say: c}
rehearsal:
  people: [{name: 老客, share: 1, enter: known, reply: 0.5, words: [好的]}]
"""


async def rehearsed(tmp_path: Path, settings: str = NO_GAPS, **more: Any) -> dict[str, Any]:
    space = workspace(tmp_path, CALENDAR, settings=settings)
    plan = Plan(contacts=30, days=7, seed=2, start=date(2026, 3, 2), **{"sops": (), **more})
    return await rehearse_workspace(space, plan, progress=lambda _done: None)


async def test_what_is_pushed_is_in_the_calendar(tmp_path: Path) -> None:
    found = await rehearsed(tmp_path)
    daily = [row for row in found["pushes"] if row["push"] == "daily"]
    assert len(daily) == 7
    assert [row["state"] for row in daily] == ["done"] * 6 + ["running"]
    sent = Counter[str]()
    for row in daily:
        assert row["meant"] == row["sent"] + row["withheld_all"] + row["on_its_way"] == 31
        if row["last_sent_at"]:
            sent[row["last_sent_at"][:10]] += row["sent"]
    assert sent == {day["date"]: day["by_sop"]["push:daily"] for day in found["per_day"]
                    if "push:daily" in day["by_sop"]}  # fmt: skip
    assert sum(sent.values()) == 30 * 6  # six touches in seven days, and no more
    assert daily[-1]["withheld"] == {"自己人，不群发": 1}
    assert [row["moment"] for row in found["moments"]] == ["ad"]
    assert found["per_day"][0]["by_kind"]["moment"] == 1


async def test_it_objects_like_an_operator(tmp_path: Path) -> None:
    tight = "limits: {account: {gap: 0s, reply_gap: 0s, per_hour: 1, per_day: 5}}"
    found = await rehearsed(tmp_path, tight)
    kinds = {row["kind"] for row in found["warnings"]}
    assert {"push_empty", "push_unfinished", "moment_adverts", "moment_gap"} <= kinds
    text = "\n".join(screen(found))
    assert "━━ 群发 ━━" in text
    assert "━━ 朋友圈 ━━" in text
    assert "广告 卖货" in text


async def test_one_push_alone_and_twice_the_same(tmp_path: Path) -> None:
    first = await rehearsed(tmp_path / "a", sops=("daily",))
    assert {row["push"] for row in first["pushes"]} == {"daily"}
    assert first["moments"] == []
    assert first == await rehearsed(tmp_path / "b", sops=("daily",))
