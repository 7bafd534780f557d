"""People of a rehearsal ask from the knowledge and around it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import date
from pathlib import Path

from bot.rehearsal.run import Plan, rehearse_workspace
from bot.rehearsal.screen import screen
from tests.support import NO_GAPS, workspace

RULES = """
faq:
  - {id: opened, question: 拆开了还能退吗, also: [拆封了能退不], answer: 没拆的七天内都能退}
sops:
  - {id: s, enter: {on: friend_added}, steps: [{id: a, after: 1m, do: [{say: a}]}]}
rehearsal:
  people:
    - {name: 爱问的, share: 1, enter: known, reply: 0, asks: 0.5}
"""
MORE = """
  - {id: freight, question: 退货的运费谁出, also: [邮费是我付吗], answer: 谁的错谁出}
  - {id: leak, question: 纸尿裤侧漏怎么办, answer: 换大一号试试}"""


async def test_they_ask_and_some_is_answered_the_same_each_time(tmp_path: Path) -> None:
    space = workspace(tmp_path, RULES, settings=NO_GAPS)
    plan = Plan(sops=(), contacts=5, days=6, seed=1, start=date(2026, 3, 2))
    found = await rehearse_workspace(space, plan, progress=lambda _done: None)
    again = await rehearse_workspace(space, plan, progress=lambda _done: None)
    assert found == again
    quiet = workspace(tmp_path / "quiet", RULES.replace("asks: 0.5", "asks: 0"), settings=NO_GAPS)
    silent = await rehearse_workspace(quiet, plan, progress=lambda _done: None)
    assert sum(day["messages"] for day in silent["per_day"]) == 0
    assert sum(day["messages"] for day in found["per_day"]) > 5


async def test_the_report_tells_what_was_asked_and_answered(tmp_path: Path) -> None:
    """Counted again from the raw table, by other means."""
    rules = RULES.replace("answer: 没拆的七天内都能退}", "answer: 没拆的七天内都能退}\n" + MORE)
    space = workspace(tmp_path / "space", rules, settings=NO_GAPS)
    plan = Plan(sops=(), contacts=12, days=8, seed=2, start=date(2026, 3, 2))
    keep = tmp_path / "scratch"
    keep.mkdir()
    found = await rehearse_workspace(space, plan, progress=lambda _done: None, keep=keep)
    told = found["answers"]
    connection = sqlite3.connect(keep / "scratch.db")
    rows = connection.execute("SELECT state, who, entry, contact_id, text FROM question").fetchall()
    connection.close()
    answered = [row for row in rows if row[0] == "answered"]
    open_ = [row for row in rows if row[0] in ("handed", "closed")]
    assert told["asked"] == len(rows) > 20
    assert told["people"] == len({row[3] for row in rows})
    assert told["entries"] == sum(row[1] == "entry" for row in answered) > 3
    assert told["handed"] == len(open_) == sum(told["why_handed"].values()) > 3
    assert told["asked"] == sum(
        told[key] for key in ("entries", "model", "handed", "dropped", "waiting")
    )
    assert {row["entry"]: row["times"] for row in told["by_entry"]} == Counter(
        row[2] for row in answered
    )
    assert sum(gap["times"] for gap in told["gaps"]) == len(open_)
    asked_by = {text: {row[3] for row in open_ if row[4] == text} for *_, text in open_}
    for gap in told["gaps"]:
        if len(gap["questions"]) < 5:
            assert gap["people"] == len(set().union(*(asked_by[t] for t in gap["questions"])))
    lines = list(screen(found))
    head = lines.index("━━ 没有规则接的问题 ━━")
    assert lines[head + 1].startswith(f"{told['people']} 个人问了 {told['asked']} 句：照知识答 ")


async def test_where_nobody_asks_nothing_is_said(tmp_path: Path) -> None:
    rules = RULES.replace("asks: 0.5", "asks: 0")
    space = workspace(tmp_path, rules, settings=NO_GAPS)
    plan = Plan(sops=(), contacts=3, days=3, seed=1, start=date(2026, 3, 2))
    found = await rehearse_workspace(space, plan, progress=lambda _done: None)
    assert found["answers"]["asked"] == 0
    assert not any("没有规则接的问题" in line for line in screen(found))
