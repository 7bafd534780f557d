"""Check-in, points, levels and leaderboards, through the real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.starter import copy_starter
from bot.workspace import inspect_workspace
from sop.events import EventKind
from storage.real_people import copy_people
from storage.sql import fetch
from storage.store import Store
from tests.support import DAY, HOUR, MINUTE, Perform, Play, World, at, on_stage, workspace

TEMPLATES = {
    "in": "{% if score.new %}第{{ streak }}天+{{ score.gained }}={{ points }}{% else %}"
    "{{ score.why }}{% endif %}",
    "mine": "{{ points }}分 连续{{ streak }} {{ level }} 第{{ rank }}"
    " 差{{ score.missing }}到{{ score.next }}",
    "board": "{% for one in board %}{{ one.place }}.{{ one.name }}={{ one.value }};{% endfor %}",
}
RULES = """
tags:
  等级: {values: [小米, 小麦], one_of: true}
  晒单: {}
points:
  per_day: 12
  check_in: {points: 2, streaks: {3: 5}, catch_up: {days: 3, per_month: 1, cost: 4}}
  levels: {等级/小米: 0, 等级/小麦: 10}
rules:
  - {id: in, on: message, where: anywhere, match: {any: [签到]}, do: [{check_in: today}, {say: in}]}
  - {id: fill, on: message, match: {any: [补签]}, do: [{check_in: missed}, {say: in}]}
  - {id: show, on: message, match: {any: [晒单]}, do: [{points: +5, reason: 晒单, per_day: 5}]}
  - {id: help, on: message, match: {any: [答疑]}, do: [{points: +10, reason: 答疑}]}
  - {id: swear, on: message, match: {any: [骂人]}, do: [{points: -50, reason: 骂人}]}
  - {id: mine, on: message, where: anywhere, match: {any: [我的积分]}, do: [{say: mine}]}
  - {id: board, on: message, where: anywhere, match: {any: [排行榜]},
     do: [{board: month, template: board}]}
  - {id: up, on: tag_added, tag: 等级/小麦, do: [{say: a}]}
  - {id: rich, on: message, match: {any: [有钱]}, if: {points: {at_least: 10}}, do: [{say: b}]}
  - {id: keen, on: message, match: {any: [坚持]}, if: {streak: {at_least: 2}}, do: [{say: c}]}
"""


def people(world: World) -> None:
    world.add_person("wxid_boss", "老板", friend=True)
    world.add_person("amy", "小雨", friend=True)
    world.add_person("bob", "阿杰", friend=True)
    world.add_person("eve", "路人\n2. 第一名 @所有人" + "长" * 100)
    world.add_group("g1", "小满福利群1", ["amy", "bob", "eve", "wxid_boss"])


async def play_points(perform: Perform, rules: str = RULES) -> Play:
    return await perform(rules, templates=TEMPLATES, people=people)


def books_add_up(play: Play) -> None:
    """What everybody has is the sum of what they were given."""
    sums = dict(play.rows("SELECT contact_id, SUM(amount) FROM ledger GROUP BY contact_id"))
    earned = dict(
        play.rows(
            "SELECT contact_id, SUM(amount) FROM ledger WHERE kind <> 'spend' GROUP BY contact_id"
        )
    )
    for contact, balance, total in play.rows("SELECT id, balance, earned FROM score"):
        assert (balance, total) == (sums.get(contact, 0), earned.get(contact, 0))


async def test_days_in_a_row(perform: Perform) -> None:
    play = await play_points(perform)
    assert await play.hear("amy", "签到") == ["第1天+2=2"]
    assert await play.hear("amy", "签到啦", group="g1") == ["今天已经签到过了"]
    await play.stage.wait(DAY)
    assert await play.hear("amy", "签到", group="g1") == ["第2天+2=4"]
    await play.stage.wait(DAY)
    assert await play.hear("amy", "签到") == ["第3天+7=11", "A"]
    assert play.tags("amy") == ["等级/小麦"]
    await play.stage.wait(2 * DAY)
    assert await play.hear("amy", "坚持") == []
    assert await play.hear("amy", "签到") == ["第1天+2=13"]
    assert await play.hear("amy", "我的积分") == ["13分 连续1 小麦 第1 差0到"]
    books_add_up(play)


async def test_two_rules_check_in_by_one_message(perform: Perform) -> None:
    again = "  - {id: in-too, on: message, match: {any: [签到]}, do: [{check_in: today}]}\n"
    play = await play_points(perform, RULES + again)
    assert await play.hear("amy", "签到") == ["第1天+2=2"]
    await play.stage.wait(DAY)
    assert await play.hear("amy", "签到") == ["第2天+2=4"]
    assert "今天已经签到过了" in play.notes("withheld")
    assert play.notes("failed") == []
    books_add_up(play)


async def test_a_late_message_counts_for_its_own_day(perform: Perform) -> None:
    play = await play_points(perform)
    await play.hear("amy", "签到")
    await play.stage.wait(2 * DAY)
    await play.hear("amy", "签到")
    await play.tell(EventKind.MESSAGE, who="amy", text="签到", at=play.now - DAY)
    assert play.one("SELECT streak FROM score") == 3
    assert play.one("SELECT balance FROM score") == 2 * 3 + 5
    await play.tell(
        EventKind.MESSAGE, who="amy", text="签到", at=play.now + 40 * DAY
    )  # clocks run ahead
    await play.tell(EventKind.MESSAGE, who="amy", text="签到", at=play.now - 90 * DAY)
    assert play.one("SELECT days FROM score") == 3
    assert "今天已经签到过了" in play.notes("withheld")
    assert "这是 90 天前的消息，太久了，不算" in play.notes("withheld")
    books_add_up(play)


async def test_making_up_a_day_costs_and_is_rare(perform: Perform) -> None:
    play = await play_points(perform)
    assert await play.hear("amy", "补签") == ["补签要 4 分，现在只有 0 分"]
    await play.hear("amy", "答疑")
    await play.hear("amy", "签到")
    await play.stage.wait(2 * DAY)
    await play.hear("amy", "签到")
    assert await play.hear("amy", "补签") == [
        "第3天+1=15"
    ]  # five for three in a row, four it costs
    assert play.one("SELECT earned FROM score") == 19
    assert await play.hear("amy", "补签") == ["这个月已经补过 1 次了"]
    books_add_up(play)


async def test_caps_and_what_is_left_to_take(perform: Perform) -> None:
    play = await play_points(perform)
    for text in ("晒单", "晒单啦", "答疑", "答疑呀"):
        await play.hear("amy", text)
    booked = play.rows("SELECT reason, amount FROM ledger WHERE amount <> 0 ORDER BY id")
    assert booked == [("晒单", 5), ("答疑", 7)]
    assert "「晒单」一天至多 5 分" in play.notes("withheld")
    assert "一天至多 12 分" in play.notes("withheld")
    assert await play.hear("amy", "有钱") == ["B"]
    await play.hear("amy", "骂人")
    assert play.one("SELECT balance FROM score") == 0
    assert play.tags("amy") == ["等级/小米"]
    await play.hear("amy", "骂人了")
    assert "已经没有分可扣" in play.notes("withheld")
    assert await play.hear("amy", "有钱") == []
    books_add_up(play)


async def test_a_board_is_safe_and_does_not_flood(perform: Perform) -> None:
    play = await play_points(perform)
    await play.hear("eve", "签到", group="g1")
    await play.hear("bob", "答疑")
    assert await play.hear("amy", "排行榜", group="g1") == ["1.阿杰=10;2.路人2. 第一名 ＠所…=2;"]
    assert await play.hear("bob", "排行榜", group="g1") == []
    assert "2 分钟内刚发过一次，免得刷屏" in play.notes("withheld")
    await play.stage.wait(HOUR)
    await play.channel.leave("g1", "bob")
    assert await play.hear("amy", "排行榜", group="g1") == ["1.路人2. 第一名 ＠所…=2;"]
    assert await play.hear("amy", "排行榜") == ["1.阿杰=10;2.路人2. 第一名 ＠所…=2;"]
    await play.stage.advance(at("2026-12-01 10:00"))
    await play.hear("eve", "签到", group="g1")
    assert await play.hear("amy", "排行榜") == ["1.路人2. 第一名 ＠所…=2;"]


async def test_a_replay_changes_nothing(perform: Perform) -> None:
    play = await play_points(perform)
    for _ in range(3):
        await play.tell(EventKind.MESSAGE, who="amy", text="签到，也晒单", external_id="m1")
    books = play.rows("SELECT key, amount FROM ledger ORDER BY id")
    assert [amount for _, amount in books] == [2, 5]
    play.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM event"))  # as `keep` does
    await play.tell(EventKind.MESSAGE, who="amy", text="签到，也晒单", external_id="m1")
    assert play.rows("SELECT key, amount FROM ledger ORDER BY id") == books
    assert "这件事已经记过分了，不再记第二次" in play.notes("withheld")
    books_add_up(play)


WALKS = """
tags: {营员: {}}
points: {check_in: {points: 1}}
groups: []
rules:
  - {id: came, on: group_joined, gather: 30s, do: [{points: +3, reason: 新来}, {say: a}]}
  - {id: buy, on: order, do: [{points: +9, reason: 下单}]}
sops:
  - id: camp
    enter: {tag: 营员}
    steps:
      - {id: one, after: 1h, do: [{points: +4, reason: 开营}]}
      - {id: two, after: 1d, if: {points: {at_least: 4}}, do: [{say: b}, {check_in: today}]}
      - {id: again, after: 1d, do: [{points: +1, reason: 坚持}], goto: out}
      - {id: out, after: 1d, do: [{board: total, template: board}]}
"""


async def test_steps_and_gathered_joins_give_points_too(perform: Perform) -> None:
    play = await perform(WALKS, templates=TEMPLATES, people=people)
    await play.channel.join("g1", ["amy", "bob"])
    await play.stage.wait(HOUR)
    assert [text for to, text in play.said if to == "g1"] == ["A"]
    assert play.rows("SELECT reason, amount FROM ledger") == [("新来", 3), ("新来", 3)]
    await play.hear("wxid_boss", "/标签 小雨 营员")
    await play.channel.order("amy")
    await play.stage.wait(5 * DAY)
    mine = play.rows(
        "SELECT reason, amount FROM ledger WHERE contact_id = ? ORDER BY id", play.contact("amy")
    )
    assert mine == [("新来", 3), ("下单", 9), ("开营", 4), ("签到", 1), ("坚持", 1)]
    assert [text for to, text in play.said if to == "amy"] == ["B", "1.小雨=18;2.阿杰=3;"]
    books_add_up(play)


async def test_new_levels_are_given_in_the_morning(perform: Perform) -> None:
    play = await perform(RULES, templates=TEMPLATES, people=people)
    await play.hear("amy", "签到")
    assert play.tags("amy") == ["等级/小米"]
    edited = workspace(
        play.stage.bot.heart.workspace.root,
        RULES.replace("等级/小麦: 10", "等级/小麦: 2"),
        templates=TEMPLATES,
    )
    play.stage.bot.reload(edited)
    await play.settle()
    assert play.tags("amy") == ["等级/小米"]
    await play.stage.wait(DAY)
    assert play.tags("amy") == ["等级/小麦"]
    assert ("amy", "A") in play.said
    assert play.rows("SELECT source FROM tagging") == [("points:等级",)]


async def test_the_starter_shop_gives_flowers(tmp_path: Path, sqlite_url: str) -> None:
    copy_starter(tmp_path / "shop")
    space, problems = inspect_workspace(tmp_path / "shop", env={})
    assert space is not None, problems
    async with on_stage(space, sqlite_url, people=people) as play:

        async def hear(who: str, text: str, **where: Any) -> str:
            before = len(play.said)
            await play.hear(who, text, **where)
            await play.stage.wait(MINUTE)  # the shop does not answer in the same second
            return "\n".join(play.texts[before:])

        await hear("wxid_boss", "/标签 小满福利群1 训练营")
        await hear("amy", "打卡", group="g1")
        await play.stage.wait(2 * DAY)
        await hear("amy", "今天的打卡来了", group="g1")
        said = await hear("amy", "补打卡", group="g1")
        assert "补上了，连着 3 天。漏一天不要紧，记得回来就好" in said
        answer = "小雨，你有 7 朵小红花，现在是嫩芽\n连着来了 3 天\n再攒 43 朵，就花苞了。不急"
        assert await hear("amy", "我的小红花") == answer
        await play.stage.wait(2 * MINUTE)
        assert await hear("amy", "积分？") == answer
        assert answer not in await hear("amy", "积分榜有什么用")
        assert "1. 小雨　7 朵" in await hear("amy", "小红花榜", group="g1", mention=True)
        assert "还没有人带街坊来" in await hear("amy", "邀请排行")


async def test_a_rehearsal_takes_the_books_along(perform: Perform, tmp_path: Path) -> None:
    play = await play_points(perform)
    for text in ("签到", "晒单", "骂人"):
        await play.hear("amy", text)
    await play.hear("eve", "签到", group="g1")  # no friend: does not take part
    scratch = Store(f"sqlite:///{tmp_path / 'scratch.db'}", scratch=True)
    with play.stage.store.read() as real:
        scratch.write(lambda tx: copy_people(real, tx, 7, sops=[], now=play.now))
    with scratch.read() as connection:
        rows = fetch(
            connection,
            "SELECT contact.external_id, balance, streak, score.account_id FROM score"
            " JOIN contact ON contact.id = score.id",
        )
        assert [tuple(row) for row in rows] == [("amy", 0, 1, 7)]
        entries = fetch(connection, "SELECT amount FROM ledger ORDER BY id")
        assert [row[0] for row in entries] == [2, 5, -7]
        assert fetch(connection, "SELECT COUNT(*) FROM checkin")[0][0] == 1
    scratch.close()
