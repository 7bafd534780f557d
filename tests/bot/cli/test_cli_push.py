"""`siyu push` and `siyu moments`, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bot.cli.moments
import bot.cli.push
from bot.stage import Stage
from bot.workspace import read_workspace
from storage.store import Store
from tests.bot.cli.conftest import Siyu
from tests.support import HOUR, at, write

CALENDAR = """
tags: {VIP: {}, 福利群: {}}
groups: [{match: "妈妈*", tags: [福利群]}]
audiences: [{id: 大家, all: [{any: [{friend: true}, {friend: false}]}]}]
pushes:
  - {id: news, title: 上新, to: {audience: 大家}, at: {cron: "0 10 * * mon"}, say: hello}
  - {id: hand, to: {groups: {tag: 福利群}}, say: hello}
moments:
  - {id: tip, title: 小抄, pillar: 干货, at: {cron: "30 12 * * tue"}, say: hello}
  - {id: shop, pillar: 广告, at: {cron: "30 13 * * tue"}, say: hello, visible_to: VIP}
"""
NOW = at("2026-11-21 12:00")  # a Saturday


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a calendar, and we are in it; the clock stands."""
    write(tmp_path / "siyu.yaml", "community: 小满家\noperators: [wxid_boss]\n")
    write(tmp_path / "calendar.yaml", CALENDAR)
    write(tmp_path / "templates/hello.j2", "{{ community }}上新")
    monkeypatch.chdir(tmp_path)
    for module in (bot.cli.push, bot.cli.moments):
        monkeypatch.setattr(module, "now_ms", lambda: NOW)
    return tmp_path


async def lives(shop: Path, *, hours: int = 0) -> None:
    """The bot is on for a while."""
    store = Store("sqlite:///data/siyu.db", root=shop)
    stage = Stage(read_workspace(shop, env={}), store, start=NOW)
    for who, friend in (("wxid_boss", True), ("amy", True), ("bob", True), ("eve", False)):
        stage.world.add_person(who, who, friend=friend)
    stage.world.add_group("g1", "妈妈群", ["amy", "eve"])
    await stage.open()
    await stage.wait(hours * HOUR)
    store.close()


async def test_the_list_the_dry_run_and_the_report(siyu: Siyu, shop: Path) -> None:
    assert "还没有登录过账号" in siyu("push", "news", "--dry-run").complaint
    await lives(shop)
    heading, news, hand = siyu("push").lines
    assert heading.split() == ["群发", "发给", "下一次", "现在", "标题"]
    assert news.split() == ["news", "人群", "大家", "11-23", "10:00", "还没发过", "上新"]
    assert hand.split() == ["hand", "群", "福利群", "只手动", "还没发过", "hand"]
    dry = siyu("push", "news", "--dry-run").lines
    assert dry[:2] == [
        "上新（news），发给人群 大家",
        "到点开始：2026-11-23 10:00（只是试算，什么也没有发）",
    ]
    assert "该收到 4，能发 2" in dry
    assert dry[-1] in ("比如：amy、bob", "比如：bob、amy")
    found = json.loads(siyu("push", "news", "--dry-run", "--json").out)
    assert (found["meant"], found["reached"], found["in_time"]) == (4, 2, 2)
    assert sum(found["withheld"].values()) == 2
    assert siyu("push", "hand", "--dry-run").lines[-1] == "比如：妈妈群"
    siyu("push", "news", "--start")
    await lives(shop, hours=1)
    report = siyu("push", "news").lines
    assert report[0] == "上新（news）"
    assert report[1] == "下一次：11-23 10:00"
    assert report[3] == "── 2026-11-21 12:00（运营用命令） 发完了"
    assert report[4] == "  该收到 4，发出 2，没有发 2"
    (run,) = json.loads(siyu("push", "news", "--json").out)["runs"]
    assert (run["meant"], run["sent"], run["withheld_all"]) == (4, 2, 2)


async def test_by_hand(siyu: Siyu, shop: Path) -> None:
    await lives(shop)
    assert siyu("push", "news", "--pause").lines[0].startswith("好的，news 停下了")
    assert "暂停中" in siyu("push").lines[1]
    assert siyu("push", "news", "--resume").lines == [
        "好的，news 接着发。不过机器人没有在运行，等 siyu run 起来才会发"
    ]
    assert siyu("push", "hand", "--start", "--json").status == 0
    assert siyu("push", "hand", "--cancel").lines == ["好的，hand 取消了，没轮到的不再发"]
    assert "现在没有在发" in siyu("push", "hand", "--cancel").lines[0]
    assert "没有「nws」这个群发。是不是想写 news？" in siyu("push", "nws").complaint
    assert "说一下是哪个群发" in siyu("push", "--start").complaint


async def test_withheld_is_explained_to_each(siyu: Siyu, shop: Path) -> None:
    await lives(shop)
    siyu("push", "news", "--start")
    await lives(shop, hours=1)
    assert any(
        "群发「上新」" in line and "不是好友" in line for line in siyu("explain", "eve").lines
    )
    assert any("群发 上新，运营用命令" in line for line in siyu("explain", "amy").lines)
    why = {who: siyu("explain", who, "--why-not", "news").lines[1] for who in ("eve", "amy")}
    assert why == {"eve": "群发 news：不是好友，私聊发不到", "amy": "群发 news：已发出"}
    assert siyu("explain", "amy", "--why-not", "hand").lines[1] == "群发 hand：还没有发过"


async def test_the_moments_of_the_coming_weeks(siyu: Siyu, shop: Path) -> None:
    await lives(shop)
    lines = siyu("moments", "--weeks", "1").lines
    assert lines[:5] == [
        "━━ 今后 ━━",
        "11-23 这一周",
        "  ── 11月24日 周二 ──",
        "  12:30 干货 小抄：小满家上新",
        "  13:30 广告 shop（只给 VIP）：小满家上新",
    ]
    assert lines[5] == "一共 2 条：干货 1，广告 1"
    assert "• 2 条里有 1 条广告，超过五分之一，朋友圈会被人屏蔽" in lines
    assert any("挨得太近" in line for line in lines)
    found = json.loads(siyu("moments", "--json").out)
    assert [one["kind"] for one in found["warnings"]][:2] == ["adverts", "double"]
    assert found["plan"][0]["text"] == "小满家上新"


def test_nothing_planned_yet(siyu: Siyu, shop: Path) -> None:
    write(shop / "calendar.yaml", "")
    assert siyu("push").lines == [
        "还没有群发。写在 YAML 的 pushes 里，例子在 siyu init 建出来的 calendar.yaml。"
    ]
    assert siyu("moments").lines == [
        "今后没有排朋友圈。写在 YAML 的 moments 里，例子在 siyu init 建出来的 calendar.yaml。"
    ]
