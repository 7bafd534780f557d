"""Points by an operator's hand, and what is read back of them."""

from __future__ import annotations

from bot.tale import tale
from sop.events import EventKind
from storage.search import find
from storage.telling import explain
from tests.bot.test_points import RULES, TEMPLATES, books_add_up, people
from tests.support import ZONE, Perform, Play


async def ask(play: Play, text: str) -> str:
    """The answer to an operator."""
    before = len(play.world.deliveries)
    await play.hear("wxid_boss", text)
    (answer,) = (text for to, text in play.said[before:] if to == "wxid_boss")
    return answer


async def test_giving_taking_spending(perform: Perform) -> None:
    play = await perform(RULES, templates=TEMPLATES, people=people)
    who = f"小雨 #{play.contact('amy')}"
    assert await ask(play, "/积分 小雨") == f"{who}\n还没有积分"
    assert (
        await ask(play, "/积分 小雨 +30 帮忙 答疑")
        == f"好的，{who} 加 30 分（帮忙 答疑），现在 30 分"
    )
    assert ("amy", "A") in play.said  # the level came with it, and the rule on its tag
    assert (
        await ask(play, "/兑换 小雨 25 一包湿巾")
        == f"好的，{who} 花掉 25 分（一包湿巾），现在 5 分"
    )
    assert play.tags("amy") == ["等级/小麦"]
    assert await ask(play, "/兑换 小雨 6 一包湿巾") == f"{who} 只有 5 分，不够 6 分"
    assert await ask(play, "/积分 小雨 －5 刷屏") == f"好的，{who} 扣 5 分（刷屏），现在 0 分"
    assert await ask(play, "/积分 小雨 -1 刷屏") == f"{who} 只有 0 分，不够 1 分"
    told = (await ask(play, "/积分 小雨")).splitlines()
    assert told[1] == "积分 0（累计 25）"
    assert [line[12:] for line in told[2:]] == ["+30 帮忙 答疑", "-25 一包湿巾", "-5 刷屏"]
    assert "积分 0（累计 25）" in await ask(play, "/看 小雨")
    books_add_up(play)


async def test_what_cannot_be_done_is_answered_with_why(perform: Perform) -> None:
    play = await perform(RULES, templates=TEMPLATES, people=people)
    assert await ask(play, "/积分 小雨 +10") == "后面要写上为什么，比如 /积分 张三 +10 帮忙答疑"
    assert "一次加减 1 到 1000000 分" in await ask(play, "/积分 小雨 +0 玩")
    assert "一次加减 1 到 1000000 分" in await ask(play, "/积分 小雨 +999999999 玩")
    assert "要写谁、多少分、换什么" in await ask(play, "/兑换 小雨")
    assert "不是一个人" in await ask(play, "/积分 小满福利群1 +10 热闹")
    assert "排行有这几种" in await ask(play, "/排行 年")
    assert play.rows("SELECT * FROM ledger") == []


async def test_a_command_that_comes_twice_counts_once(perform: Perform) -> None:
    play = await perform(RULES, templates=TEMPLATES, people=people)
    for _ in range(2):
        await play.tell(
            EventKind.MESSAGE, who="wxid_boss", text="/积分 小雨 +10 帮忙", external_id="m1"
        )
        play.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM event"))
    assert play.one("SELECT balance FROM score") == 10


async def test_rankings_leave_operators_out(perform: Perform) -> None:
    play = await perform(RULES, templates=TEMPLATES, people=people)
    assert await ask(play, "/排行") == "这个月的积分排行\n还没有人上榜"
    await play.hear("amy", "签到")
    await play.hear("bob", "签到")
    await play.hear("wxid_boss", "签到")
    both = [f"1. {name} #{play.contact(id_)}：" for id_, name in (("amy", "小雨"), ("bob", "阿杰"))]
    assert await ask(play, "/排行") == "\n".join(["这个月的积分排行", *(f"{one}2" for one in both)])
    assert await ask(play, "/排行 签到") == "\n".join(
        ["连续签到天数排行", *(f"{one}1" for one in both)]
    )


async def test_the_story_tells_each_point_where_it_came(perform: Perform) -> None:
    play = await perform(RULES, templates=TEMPLATES, people=people)
    await play.hear("amy", "签到")
    await play.hear("amy", "晒单")
    await play.hear("amy", "晒单呀")
    await ask(play, "/兑换 小雨 3 湿巾")
    with play.stage.store.read() as connection:
        rows = explain(connection, find(connection, "小雨"), zone=ZONE)
    text = "\n".join(tale(rows))
    assert "［记分］积分 +2「签到」，现在 2：规则 in：消息里有「签到」" in text
    assert "［记分］积分 +5「晒单」，现在 7：规则 show：消息里有「晒单」" in text
    assert "［没有执行］积分「晒单」：「晒单」一天至多 5 分" in text
    assert "［记分］积分 -3「湿巾」，现在 4：运营 老板 手动记的" in text
    assert [row["refs"]["points"] for row in rows if row["outcome"] == "scored"] == [2, 5, -3]
