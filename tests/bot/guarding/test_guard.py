"""The guard at work: who is warned, asked about, removed, and who never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.channels.port import Capability
from bot.channels.simulator import Failure
from sop.events import EventKind, MessageType
from tests.support import DAY, HOUR, MINUTE, NO_GAPS, Perform, Play, World, workspace

ADVERT = "低价代购，加V：abc12345 有意者私聊"
MILD = "进群领券 限时优惠"
PLAIN = "今天宝宝会翻身了，好开心"
GUARD = """
tags: {VIP: {}, 福利: {}}
groups:
  - {match: "小满福利群*", kind: 转化, tags: [福利]}
rules:
  - {id: price, on: message, where: group, match: {any: [低价, 价格]}, do: [{say: a}]}
guard:
  where: {group_tag: 福利}
  mode: MODE
  say: warn
  words: [刷单]
  allow: {tags: VIP, links: xiaoman.shop}
"""
TEMPLATES = {"warn": "---\nmention: sender\n---\n群里不发广告哦"}
WARNING = "群里不发广告哦"


def people(world: World) -> None:
    world.add_person("wxid_boss", "老板", friend=True)
    world.add_person("amy", "小雨", friend=True)
    world.add_person("bob", "阿杰", friend=True)
    world.add_person("eve", "路人")
    world.add_group("g1", "小满福利群1", ["wxid_boss", "amy", "bob", "eve"])
    world.add_group("g2", "小满福利群2", ["amy"])
    world.add_group("g3", "别的群", ["amy", "eve"])


async def staged(perform: Perform, mode: str = "confirm", more: str = "") -> Play:
    return await perform(GUARD.replace("MODE", mode) + more, templates=TEMPLATES, people=people)


def members(play: Play, group: str = "g1") -> set[str]:
    return {member.external_id for member in play.world.rooms[group].members}


def told(play: Play) -> list[str]:
    return [text for to, text in play.said if to == "wxid_boss"]


def acts(play: Play) -> list[tuple[str, str]]:
    return [(a, b) for a, b in play.rows("SELECT sentence, state FROM guardact ORDER BY id")]


def strikes(play: Play) -> int:
    return int(play.one("SELECT COUNT(*) FROM guardact WHERE strike_until > ?", play.now))


def last_act(play: Play) -> int:
    return int(play.one("SELECT MAX(id) FROM guardact"))


async def posts(play: Play, who: str = "eve", text: str = ADVERT, group: str = "g1") -> None:
    """An advert, and some time to see what comes of it."""
    await play.hear(who, text, group=group)
    await play.stage.wait(2 * MINUTE)


async def order(play: Play, text: str) -> str:
    """What an operator is answered."""
    before = len(play.world.deliveries)
    await play.hear("wxid_boss", text)
    return next(text for to, text in play.said[before:] if to == "wxid_boss")


# --- what is done --------------------------------------------------------------------------------


async def test_a_warning_then_a_question_then_the_operators_word(perform: Perform) -> None:
    play = await staged(perform)
    await posts(play)
    assert [text for to, text in play.said if to == "g1"] == [WARNING]
    assert "路人 在「小满福利群1」发广告，记了第 1 次，满 2 次移出群" in told(play)[-1]
    assert "留了联系方式「微信:abc12345」 +40" in told(play)[-1]
    await posts(play)
    assert "要不要把 路人 移出「小满福利群1」？第 2 次了" in told(play)[-1]
    assert "TA 还在：别的群" in told(play)[-1]
    assert "eve" in members(play)
    assert (await order(play, "/踢")).startswith("好的，把 路人 移出「小满福利群1」")
    await play.stage.wait(MINUTE)
    assert "eve" not in members(play) and "eve" in members(play, "g3")
    assert acts(play) == [("warn", "noted"), ("ask", "removed")]
    assert play.rows("SELECT external_id FROM blacklisted") == [("eve",)]


async def test_by_itself_when_it_is_told_to(perform: Perform) -> None:
    play = await staged(perform, "auto")
    await posts(play)
    assert "eve" in members(play)
    await posts(play)
    assert "eve" not in members(play)
    assert "路人 移出了「小满福利群1」，记进了黑名单" in told(play)[-1]
    assert f"弄错了，回 /撤销 {last_act(play)}" in told(play)[-1]
    assert play.rows("SELECT kind, state, in_group FROM outbox WHERE kind = 'remove'") == [
        ("remove", "sent", 1)
    ]


async def test_in_the_shadow_it_only_reports(perform: Perform) -> None:
    play = await staged(perform, "shadow")
    for _ in range(3):
        await posts(play)
    assert {to for to, text in play.said if text != "A"} == {"wxid_boss"}
    assert told(play)[0].startswith(
        "【群管·只报告】路人 在「小满福利群1」发的像广告。真管的话，会提醒本人"
    )
    assert members(play) >= {"eve"} and strikes(play) == 0
    assert play.rows("SELECT 1 FROM blacklisted") == []
    assert "现在只报告，不动手" in play.notes("withheld")[0]


async def test_what_it_only_reported_an_operator_may_still_act_on(perform: Perform) -> None:
    play = await staged(perform, "shadow")
    await posts(play)
    play.world.lacks = frozenset({Capability.REMOVE_MEMBER})
    assert "移出「小满福利群1」" in await order(play, f"/踢 {last_act(play)}")
    await play.stage.wait(2 * MINUTE)
    assert "请你在手机上移一下" in told(play)[-1]
    await play.channel.leave("g1", "eve", by="wxid_boss")
    await play.settle()
    assert acts(play) == [("warn", "removed")]


async def test_what_is_only_suspicious_is_told_and_nothing_else(perform: Perform) -> None:
    play = await staged(perform, "auto")
    for _ in range(3):
        await posts(play, text=MILD)
    assert {to for to, _ in play.said} == {"wxid_boss"}
    assert "你看一眼" in told(play)[0]
    assert strikes(play) == 0
    assert (await order(play, f"/踢 {last_act(play)}")).startswith("好的，把 路人 移出")
    await play.stage.wait(MINUTE)
    assert "eve" not in members(play)


async def test_ordinary_talk_is_left_alone(perform: Perform) -> None:
    play = await staged(perform, "auto")
    for text in (PLAIN, "价格多少呀，138元的包邮吗", "订单号 20261122001122 到哪了", "哈哈", ""):
        await posts(play, text=text)
    assert acts(play) == [] and told(play) == []


async def test_a_group_that_is_not_guarded_is_left_alone(perform: Perform) -> None:
    play = await staged(perform, "auto")
    await posts(play, group="g3")
    assert acts(play) == []
    await play.hear("amy", ADVERT)
    assert acts(play) == []


async def test_rules_say_nothing_to_an_advert(perform: Perform) -> None:
    play = await staged(perform)
    assert await play.hear("amy", "这个价格能低吗", group="g1") == ["A"]
    assert "A" not in await play.hear("eve", ADVERT, group="g1")
    assert "群管判了这条像广告，不接话" in play.notes("withheld")[-1]


async def test_a_strike_is_forgotten(perform: Perform) -> None:
    play = await staged(perform, more="  expires: 5d\n")
    await posts(play)
    await play.stage.wait(6 * DAY)
    await posts(play)
    assert [sentence for sentence, _ in acts(play)] == ["warn", "warn"]


# --- who is never struck -------------------------------------------------------------------------


async def test_an_operator_is_never_struck(perform: Perform) -> None:
    play = await staged(perform, "auto")
    for _ in range(3):
        await posts(play, "wxid_boss")
    assert acts(play) == [] and "wxid_boss" in members(play)
    assert "但TA 是运营，不管" in play.notes("withheld")[0]


async def test_nor_is_the_owner_nor_a_friend_of_the_house(perform: Perform) -> None:
    def owned(world: World) -> None:
        people(world)
        world.add_group("g1", "小满福利群1", ["wxid_boss", "amy", "bob", "eve"], owner="bob")

    play = await perform(GUARD.replace("MODE", "auto"), templates=TEMPLATES, people=owned)
    await order(play, "/标签 小雨 VIP")
    for who in ("bob", "amy"):
        await posts(play, who)
        await posts(play, who)
    assert acts(play) == []
    assert "TA 是群主" in play.notes("withheld")[0]
    assert "TA 有「VIP」标签" in play.notes("withheld")[-1]


async def test_it_never_acts_on_the_bot_itself(perform: Perform) -> None:
    play = await staged(perform, "auto")
    await play.channel.hand(ADVERT, to="g1", group=True)
    await play.settle()
    play.enqueue("g1", ADVERT, group=True)
    await play.stage.wait(MINUTE)
    await play.tell(
        EventKind.MESSAGE, contact=play.world.me, group="g1", text=ADVERT, from_self=False
    )
    assert acts(play) == []


async def test_an_operator_cannot_be_removed_by_number_either(perform: Perform) -> None:
    play = await staged(perform)
    await posts(play)
    play.write(
        lambda tx: tx.connection.exec_driver_sql(
            "UPDATE guardact SET contact_id ="
            " (SELECT id FROM contact WHERE external_id = 'wxid_boss')"
        )
    )
    assert await order(play, f"/踢 {last_act(play)}") == "老板 是运营，不移"
    assert "不能拉黑" in await order(play, "/拉黑 老板")


# --- the blacklist -------------------------------------------------------------------------------


async def test_who_was_removed_does_not_come_into_another_group(perform: Perform) -> None:
    play = await staged(perform, "auto")
    await posts(play)
    await posts(play)
    await play.channel.join("g2", ["eve"])
    await play.stage.wait(2 * MINUTE)
    assert "eve" not in members(play, "g2")
    assert "在黑名单里「被移出过群」" in told(play)[-1]
    await play.channel.join("g3", ["eve"])
    await play.stage.wait(2 * MINUTE)
    assert "eve" in members(play, "g3")


async def test_with_confirm_a_blacklisted_joiner_is_asked_about(perform: Perform) -> None:
    play = await staged(perform)
    assert "进了黑名单" in await order(play, "/拉黑 路人")
    assert "本来就在" in await order(play, "/拉黑 路人")
    await play.channel.join("g2", ["eve"])
    await play.stage.wait(2 * MINUTE)
    assert "TA 在黑名单里，又进来了" in told(play)[-1]
    assert strikes(play) == 0
    assert "放过 路人" in await order(play, "/放过")
    assert "出了黑名单" in await order(play, "/不拉黑 路人")
    assert "本来就不在" in await order(play, "/不拉黑 路人")


# --- undoing -------------------------------------------------------------------------------------


async def test_undoing_takes_back_strike_and_blacklist_and_says_what_it_cannot(
    perform: Perform,
) -> None:
    play = await staged(perform, "auto")
    await posts(play)
    await posts(play)
    answer = await order(play, f"/撤销 {last_act(play)}")
    assert answer == (
        "好的，撤销了，这次不记，移出黑名单了，人已经出了「小满福利群1」，微信里撤不回来，"
        "要 TA 回来得重新拉进群"
    )
    assert strikes(play) == 1
    assert play.rows("SELECT 1 FROM blacklisted") == []
    assert "已经撤销过了" in await order(play, f"/撤销 {last_act(play)}")


async def test_what_has_not_been_done_yet_is_not_done(perform: Perform) -> None:
    play = await staged(perform, "auto")
    await posts(play)
    await play.channel.disconnect()
    await play.settle()
    play.world.online = True  # a message came through just before the line was cut
    await play.hear("eve", ADVERT, group="g1")
    await play.hear("wxid_boss", f"/撤销 {last_act(play)}")
    await play.channel.reconnect()
    await play.stage.wait(5 * MINUTE)
    assert "eve" in members(play)
    assert play.rows("SELECT state, reason FROM outbox WHERE kind = 'remove'") == [
        ("dropped", "运营撤销了")
    ]


async def test_who_left_by_themselves_is_not_removed(perform: Perform) -> None:
    play = await staged(perform)
    await posts(play)
    await posts(play)
    await play.channel.leave("g1", "eve")
    await play.settle()
    assert acts(play)[-1] == ("ask", "removed")
    assert "现在没有等你定的" in await order(play, "/踢")


# --- what may go wrong ---------------------------------------------------------------------------


async def test_a_channel_that_cannot_remove_asks_the_operator(perform: Perform) -> None:
    play = await staged(perform, "auto")
    play.world.lacks = frozenset({Capability.REMOVE_MEMBER})
    await posts(play)
    await posts(play)
    assert "eve" in members(play)
    assert "没能移出「小满福利群1」：这个通道不能把人移出群。请你在手机上移一下" in told(play)[-1]
    await play.channel.leave("g1", "eve", by="wxid_boss")
    await play.settle()
    assert acts(play)[-1] == ("remove", "removed")


@pytest.mark.parametrize(
    ("failure", "told_so"),
    [(Failure.FORBID, "网关不让发给这个人"), (Failure.HANG, "不知道移成了没有")],
)
async def test_a_removal_that_fails_is_told_and_never_tried_again_blindly(
    perform: Perform, failure: Failure, told_so: str
) -> None:
    play = await staged(perform, "auto", more="  strikes: 1\n")
    play.world.failures.append(failure)
    await posts(play)
    await play.stage.wait(HOUR)
    assert f"没能移出「小满福利群1」：{told_so}" in told(play)[-1]
    assert "eve" in members(play)
    assert play.rows("SELECT attempts FROM outbox WHERE kind = 'remove'") == [(1,)]


async def test_a_refusal_that_time_heals_is_tried_again(perform: Perform) -> None:
    play = await staged(perform, "auto", more="  strikes: 1\n")
    play.world.failures.append(Failure.REFUSE)
    await posts(play)
    assert "eve" not in members(play)
    assert acts(play) == [("remove", "removed")]


async def test_so_many_a_day_and_then_it_asks(perform: Perform) -> None:
    play = await staged(perform, "auto", more="  strikes: 1\n  per_day: 1\n")
    await posts(play, "eve")
    await posts(play, "bob")
    assert "bob" in members(play) and "eve" not in members(play)
    assert "没有自己移：今天已经自己移了 1 个，到了 per_day" in told(play)[-1]
    await play.stage.wait(DAY)
    await posts(play, "bob")
    assert "bob" not in members(play)


async def test_an_old_message_is_asked_about_and_no_one_is_told_off(perform: Perform) -> None:
    play = await staged(perform, "auto", more="  strikes: 1\n")
    await play.tell(EventKind.MESSAGE, who="eve", group="g1", text=ADVERT, at=play.now - HOUR)
    await play.stage.wait(2 * MINUTE)
    assert "没有自己移：这是 1 小时前的事" in told(play)[-1]
    assert "eve" in members(play)


async def test_a_raid_is_one_warning_and_one_message(perform: Perform) -> None:
    def crowd(world: World) -> None:
        people(world)
        for n in range(30):
            world.add_person(f"bad{n}", f"坏人{n}")
        world.add_group("g1", "小满福利群1", [f"bad{n}" for n in range(30)])

    play = await perform(GUARD.replace("MODE", "confirm"), templates=TEMPLATES, people=crowd)
    for n in range(30):
        await play.channel.say(f"bad{n}", f"{ADVERT}{n}", group="g1")
    await play.settle()
    await play.stage.wait(50_000)
    assert [text for to, text in play.said if to == "g1"] == [WARNING]
    assert len(told(play)) <= 2
    await play.stage.wait(2 * MINUTE)
    assert strikes(play) == 30
    assert len(told(play)) <= 2
    assert "……还有" in told(play)[-1]


async def test_while_a_human_has_the_group_nothing_is_said(perform: Perform) -> None:
    play = await staged(perform)
    await play.channel.hand("我来管", to="g1", group=True)
    await posts(play)
    assert WARNING not in play.texts
    assert strikes(play) == 1
    assert any("群里的提醒没有说：已由人工接管" in note for note in play.notes("withheld"))


async def test_a_question_nobody_answers_is_dropped(perform: Perform) -> None:
    play = await staged(perform)
    await posts(play)
    await posts(play)
    await play.stage.wait(25 * HOUR)
    assert acts(play)[-1] == ("ask", "expired")
    assert "现在没有等你定的" in await order(play, "/踢")


async def test_of_several_questions_none_is_guessed(perform: Perform) -> None:
    play = await staged(perform, more="  strikes: 1\n")
    await posts(play, "eve")
    await posts(play, "bob")
    answer = await order(play, "/踢")
    assert answer.startswith("等你定的有 2 件，带上编号")
    first, second = (row[0] for row in play.rows("SELECT id FROM guardact ORDER BY id"))
    assert "路人" in await order(play, f"/踢 {first}")
    assert "放过 阿杰" in await order(play, "/放过")
    assert "正在移出" in await order(play, f"/踢 {first}") or "已经移出" in told(play)[-1]
    assert strikes(play) == 1
    listed = await order(play, "/群管")
    assert f"{second} 放过了｜阿杰" in listed and "黑名单 1 人" in listed


@pytest.mark.parametrize(
    "args", ["", "abc", "#0", "99999999999999999999", "１２", "-1", "1 OR 1=1"]
)
async def test_a_number_that_is_none(rehearse: Perform, args: str) -> None:
    play = await staged(rehearse)
    answer = await order(play, f"/撤销 {args}")
    assert "编号" in answer
    assert acts(play) == []


# --- context -------------------------------------------------------------------------------------


async def test_a_newcomers_first_message_weighs_more(perform: Perform) -> None:
    play = await staged(perform)
    play.world.add_person("new", "新来的")
    await play.channel.join("g1", ["new"])
    await play.settle()
    await play.hear("new", "", group="g1", type=MessageType.IMAGE)
    await play.stage.wait(2 * MINUTE)
    assert "刚进群的第一条 +15" in told(play)[-1] and "可能有二维码 +15" in told(play)[-1]
    count = len(told(play))
    await play.hear("new", "", group="g1", type=MessageType.IMAGE)
    await play.hear("amy", "", group="g1", type=MessageType.IMAGE)
    await play.stage.wait(2 * MINUTE)
    assert len(told(play)) == count


async def test_the_same_words_again_and_elsewhere(perform: Perform) -> None:
    play = await staged(perform)
    text = "姐妹们看看我家新开的小铺子呀都来逛逛"
    await posts(play, "amy", text + "1")
    assert acts(play) == []
    await posts(play, "amy", "【" + text + "】22", "g2")
    assert "同样的话发了几个群「2 个群」 +35" in told(play)[-1]
    await play.stage.wait(2 * HOUR)
    await posts(play, "amy", text)
    assert len(acts(play)) == 1


async def test_a_forbidden_word_is_a_strike_by_itself(perform: Perform) -> None:
    play = await staged(perform)
    await posts(play, "amy", "有人刷单吗")
    assert "违禁词「刷单」 +100" in told(play)[-1]
    assert [sentence for sentence, _ in acts(play)] == ["warn"]
    await posts(play, "bob", "唰丹了解一下")
    assert "违禁词改头换面「唰丹（刷单）」 +40" in told(play)[-1]
    assert acts(play)[-1] == ("alert", "noted")


async def test_every_act_is_in_the_story(perform: Perform) -> None:
    play = await staged(perform)
    await posts(play)
    done = [note for note in play.notes("done") if note.startswith("群管")]
    assert len(done) == 1
    assert "记第 1 次，提醒本人" in done[0] and "留了联系方式「微信:abc12345」 +40" in done[0]


@pytest.mark.parametrize(
    "name", ["{{ 7*7 }}", "'; DROP TABLE guardact; --", "a\nb\tc", "名" * 500, "", "@all"]
)
async def test_names_and_texts_of_strangers_are_data(rehearse: Perform, name: str) -> None:
    def odd(world: World) -> None:
        people(world)
        world.add_person("odd", name)
        world.add_group("g1", "小满福利群1", ["odd"])

    play = await rehearse(GUARD.replace("MODE", "auto"), templates=TEMPLATES, people=odd)
    for _ in range(2):
        await posts(play, "odd", f"{ADVERT} {{{{ vars }}}} {name}\x00")
    assert acts(play)[-1] == ("remove", "removed")
    assert "odd" not in members(play)
    assert all("49" not in text for text in told(play))


async def test_an_edit_takes_the_guard_away_and_what_is_open_stays(
    perform: Perform, tmp_path: Path
) -> None:
    play = await staged(perform)
    await posts(play)
    await posts(play)
    play.stage.bot.reload(workspace(tmp_path / "other", "rules: []", settings=NO_GAPS))
    await posts(play)
    assert len(acts(play)) == 2
    assert "移出「小满福利群1」" in await order(play, "/踢")
    await play.stage.wait(MINUTE)
    assert "eve" not in members(play)
