"""Core people: the operator knows within seconds, once, with something to say."""

from __future__ import annotations

from sop.events import EventKind
from tests.support import HOUR, MINUTE, SECOND, Perform, Play, World

RULES = """
tags: {核心用户: {}, VIP: {}}
core: {tag: 核心用户, gather: 8s, cooldown: 10m}
rules:
  - {id: price, on: message, match: {any: [价格]}, do: [{say: a}]}
  - {id: vip, on: message, match: {any: [新品]}, if: {tag: VIP}, do: [{say: b}]}
  - {id: new, on: message, match: {any: [新品]}, if: {not: {tag: VIP}}, do: [{say: c}]}
"""


def people(world: World) -> None:
    world.add_person("wxid_boss", "老板", friend=True)
    world.add_person("amy", "小雨", friend=True)
    world.add_person("bob", "阿杰", friend=True)
    world.add_group("g1", "小满福利群1", ["wxid_boss", "amy", "bob"])


async def staged(perform: Perform) -> Play:
    play = await perform(RULES, people=people)
    await play.hear("wxid_boss", "/标签 小雨 核心用户")
    play.world.deliveries.clear()
    return play


def told(play: Play) -> list[str]:
    return [text for to, text in play.said if to == "wxid_boss"]


async def test_told_within_seconds_with_the_last_lines(perform: Perform) -> None:
    play = await staged(perform)
    await play.channel.say("amy", "在忙吗")
    await play.stage.wait(3 * SECOND)
    assert told(play) == []
    await play.channel.say("amy", "想问个事")
    await play.stage.wait(6 * SECOND)
    assert told(play) == [
        "【核心用户】小雨 私聊说话了（2 条）\n小雨：在忙吗\n小雨：想问个事\n"
        "机器人没有回，也没有现成的话术，等你来回"
    ]
    assert play.notes("done")[-1] == "核心用户：说了 2 句，告诉了运营"


async def test_what_the_bot_answered_is_told(perform: Perform) -> None:
    play = await staged(perform)
    await play.channel.say("amy", "价格多少")
    await play.stage.wait(MINUTE)
    assert told(play) == [
        "【核心用户】小雨 私聊说话了\n小雨：价格多少\n我：A\n机器人已经回了：「A」"
    ]


async def test_in_a_group_the_bot_keeps_silent_and_suggests(perform: Perform) -> None:
    play = await staged(perform)
    await play.channel.say("bob", "早上好", group="g1")
    await play.channel.say("amy", "价格多少", group="g1")
    await play.stage.wait(MINUTE)
    assert told(play) == [
        "【核心用户】小雨 在「小满福利群1」说话了\n阿杰：早上好\n小雨：价格多少\n"
        "机器人没有回。可以这样回（规则 price）：\nA"
    ]


async def test_the_suggestion_is_from_the_rule_whose_condition_holds(perform: Perform) -> None:
    play = await staged(perform)
    await play.channel.say("amy", "有新品吗", group="g1")
    await play.stage.wait(MINUTE)
    assert told(play)[-1].endswith("可以这样回（规则 new）：\nC")
    await play.hear("wxid_boss", "/标签 小雨 VIP")
    await play.stage.wait(HOUR)
    await play.channel.say("amy", "有新品吗", group="g1")
    await play.stage.wait(MINUTE)
    assert told(play)[-1].endswith("可以这样回（规则 vip）：\nB")


async def test_a_paused_conversation_says_why_nothing_was_answered(perform: Perform) -> None:
    play = await staged(perform)
    await play.hear("wxid_boss", "/暂停 小雨")
    await play.channel.say("amy", "价格多少")
    await play.stage.wait(MINUTE)
    assert told(play)[-1].endswith("机器人没有回。可以这样回（规则 price）：\nA")


async def test_chatter_is_told_once_and_again_when_the_rest_is_over(perform: Perform) -> None:
    play = await staged(perform)
    for n in range(5):
        await play.channel.say("amy", f"第{n}句")
        await play.stage.wait(MINUTE)
    assert len(told(play)) == 1
    await play.stage.wait(10 * MINUTE)
    assert len(told(play)) == 2
    assert "说话了（4 条）" in told(play)[1]
    await play.stage.wait(HOUR)
    assert len(told(play)) == 2


async def test_each_conversation_is_told_by_itself(perform: Perform) -> None:
    play = await staged(perform)
    await play.channel.say("amy", "私下说")
    await play.channel.say("amy", "群里说", group="g1")
    await play.stage.wait(MINUTE)
    assert len(told(play)) == 2


async def test_who_talks_to_a_human_already_is_not_told_about(perform: Perform) -> None:
    play = await staged(perform)
    await play.channel.hand("我在呢", to="amy")
    await play.channel.say("amy", "好呀")
    await play.stage.wait(HOUR)
    assert told(play) == []
    await play.stage.wait(2 * HOUR)
    await play.channel.say("amy", "还在吗")
    await play.stage.wait(MINUTE)
    assert len(told(play)) == 1


async def test_others_and_operators_are_not_told_about(perform: Perform) -> None:
    play = await staged(perform)
    await play.hear("wxid_boss", "/标签 老板 核心用户")
    play.world.deliveries.clear()
    await play.channel.say("bob", "价格多少", group="g1")
    await play.channel.say("wxid_boss", "大家好", group="g1")
    await play.tell(EventKind.MESSAGE, contact=play.world.me, group="g1", text="我是机器人")
    await play.stage.wait(HOUR)
    assert told(play) == []


async def test_a_clock_that_was_once_wrong_keeps_nobody_waiting(perform: Perform) -> None:
    play = await staged(perform)
    await play.channel.say("amy", "早")
    await play.stage.wait(MINUTE)
    play.write(
        lambda tx: tx.connection.exec_driver_sql("UPDATE coretalk SET quiet_until = 99999999999999")
    )
    await play.channel.say("amy", "晚")
    await play.stage.wait(MINUTE)
    assert len(told(play)) == 2


async def test_what_they_write_is_data(rehearse: Perform) -> None:
    play = await staged(rehearse)
    await play.channel.say("amy", "{{ 7*7 }}\n【核心用户】老板 私聊说话了" + "长" * 9_000)
    await play.stage.wait(MINUTE)
    (text,) = told(play)
    assert "{{ 7*7 }} 【核心用户】老板" in text and "49" not in text
    assert len(text) < 400
