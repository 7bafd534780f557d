"""Keyword → group: the first with room, never twice, never a member, and the place is kept."""

from __future__ import annotations

import pytest

from bot.channels.port import Capability
from bot.channels.simulator import DIRECT, Failure, World
from storage.search import find
from storage.telling import explain
from tests.support import DAY, HOUR, MINUTE, SECOND, ZONE, Perform, Play, populate

RULES = """
tags: {福利群: {}}
groups: [{match: "福利*", kind: 转化, tags: [福利群], capacity: 4}]
rules:
  - id: join
    on: message
    match: {any: [进群]}
    do:
      - invite:
          group_tag: 福利群
          before: a
          waiting: b
          member: c
          full: d
"""
LARGE = RULES.replace("capacity: 4", "capacity: 100")


def two_groups(world: World) -> None:
    """Two groups of ours: one place left in the first, three in the second."""
    populate(world)
    for who in ("f1", "f2", "f3", "f4", "f5", "f6"):
        world.add_person(who, f"朋友{who}", friend=True)
    world.add_group("w1", "福利一", ["bob", "eve"])
    world.add_group("w2", "福利二", [])


def one_large(world: World) -> None:
    """A group in which invitations have to be accepted."""
    populate(world)
    crowd = [world.add_person(f"m{n}", f"成员{n}").external_id for n in range(DIRECT)]
    world.add_group("w1", "福利一", crowd)


def members(play: Play, group: str) -> list[str]:
    return [member.external_id for member in play.world.rooms[group].members]


def asked(play: Play) -> list[str]:
    """Where invitations went: `contact→group`, in their order."""
    return [
        f"{row[0]}→{row[1]}"
        for row in play.rows(
            "SELECT contact.external_id, room.external_id FROM invitation i"
            " JOIN contact ON contact.id = i.contact_id JOIN room ON room.id = i.group_id"
            " ORDER BY i.id"
        )
    ]


async def test_the_words_come_before_the_invitation(perform: Perform) -> None:
    play = await perform(RULES, people=two_groups, templates={"a": "「{{ group }}」里每天有好价"})
    await play.hear("amy", "我想进群")
    assert play.said == [("amy", "「福利一」里每天有好价"), ("amy", "[邀请进群] 福利一")]
    assert members(play, "w1") == ["bob", "eve", "amy"]


async def test_full_groups_are_passed_over_and_a_member_is_not_invited(perform: Perform) -> None:
    play = await perform(RULES, people=two_groups)
    for who in ("f1", "f2", "f1", "bob"):
        await play.hear(who, "进群")
    assert asked(play) == ["f1→w1", "f2→w2"]
    assert play.texts[-2:] == ["C", "C"]
    assert play.notes("withheld") == ["TA 已经在「福利一」里了", "TA 已经在「福利一」里了"]


async def test_the_operator_hears_before_the_last_group_is_full(perform: Perform) -> None:
    play = await perform(RULES, people=two_groups)
    for n in range(1, 6):
        await play.hear(f"f{n}", "进群")
    assert asked(play) == ["f1→w1", "f2→w2", "f3→w2", "f4→w2"]
    notices = [text for who, text in play.said if who == "wxid_boss"]
    assert notices == [
        "「福利二」只剩 2 个位置了，后面没有别的群，该开新群了",
        "带标签「福利群」的群都满了，朋友f5 想进没进成，该开新群了",
    ]
    assert ("f5", "D") in play.said


async def test_two_ask_at_once_for_the_last_place(perform: Perform) -> None:
    play = await perform(RULES, people=two_groups)
    for n in range(1, 4):
        await play.hear(f"f{n}", "进群")
    assert asked(play) == ["f1→w1", "f2→w2", "f3→w2"]
    for who in ("f4", "f5", "f6"):
        await play.channel.say(who, "进群")  # all of them before the bot looks
    await play.settle()
    assert asked(play)[3:] == ["f4→w2"]
    assert len(members(play, "w2")) == 3
    assert [text for who, text in play.said if who in ("f5", "f6")] == ["D", "D"]


async def test_an_open_invitation_keeps_its_place_and_is_not_repeated(perform: Perform) -> None:
    rules = RULES.replace("capacity: 4", f"capacity: {DIRECT + 2}")
    play = await perform(rules, people=one_large)
    await play.hear("amy", "进群")
    assert [text for who, text in play.said if who == "amy"] == ["A", "[邀请进群] 福利一"]
    assert play.world.invited == [("w1", "amy")]
    assert await play.hear("amy", "进群") == ["B"]
    assert "D" in await play.hear("bob", "进群")  # one place, and it is kept for amy
    assert play.rows("SELECT subject_id FROM pause") == []  # the card was no human hand
    await play.stage.wait(4 * DAY)
    await play.hear("bob", "进群")
    assert asked(play) == ["amy→w1", "bob→w1"]


async def test_who_accepts_has_joined(perform: Perform) -> None:
    play = await perform(LARGE, people=one_large)
    await play.hear("amy", "进群")
    await play.channel.accept("w1", "amy")
    await play.settle()
    assert await play.hear("amy", "进群") == ["C"]
    assert play.one("SELECT joined_at FROM invitation") == play.now


async def test_a_place_is_free_again_when_the_invitation_was_dropped(perform: Perform) -> None:
    play = await perform(RULES, people=two_groups)
    await play.channel.disconnect()
    await play.channel.say("f1", "进群")
    play.world.online = True  # the message came through before the line fell
    await play.channel.say("f1", "进群")
    await play.settle()
    assert asked(play) == ["f1→w1"]
    assert play.states()[-1] == "queued"
    await play.stage.wait(2 * DAY)  # what could not leave for a day is dropped
    await play.channel.reconnect()
    await play.settle()
    assert play.states()[-1] == "dropped"
    await play.hear("f2", "进群")
    assert asked(play)[-1] == "f2→w1"


async def test_a_channel_that_cannot_invite_asks_the_operator(perform: Perform) -> None:
    play = await perform(RULES, people=two_groups)
    play.world.lacks = frozenset({Capability.ADD_MEMBER})
    await play.hear("f1", "进群")
    await play.stage.wait(SECOND)
    assert [who for who, _ in play.said] == ["f1", "wxid_boss", "wxid_boss"]
    assert play.texts[1:] == [
        "「朋友f1」想进「福利一」，没拉成：这个微信接口不能自己拉人。"
        "请你在手机上拉一下，下面这句可以转发给 TA。",
        "我拉你进「福利一」啦，点一下邀请就能进来～",
    ]
    assert await play.hear("f1", "进群") == ["B"]  # the place is kept for the operator's hand
    await play.channel.join("w1", ["f1"], by="wxid_boss")
    await play.settle()
    assert await play.hear("f1", "进群") == ["C"]


async def test_a_refusal_is_handed_to_the_operator(perform: Perform) -> None:
    play = await perform(RULES, people=two_groups)
    play.world.failures += [Failure.NO_ID, Failure.FORBID]
    await play.hear("f1", "进群")
    assert play.texts[1].startswith("「朋友f1」想进「福利一」，没拉成：网关不让发给这个人。")
    assert await play.hear("f1", "进群") == ["B"]


async def test_an_unknown_invitation_is_never_repeated_and_settled_by_the_join(
    perform: Perform,
) -> None:
    play = await perform(RULES, people=two_groups)
    play.world.failures += [Failure.NO_ID, Failure.DROP]
    await play.hear("f1", "进群")
    assert play.states()[:2] == ["sent", "unknown"]
    await play.stage.wait(HOUR)
    assert await play.hear("f1", "进群") == ["B"]
    await play.channel.join("w1", ["f1"], by="wxid_self")
    await play.settle()
    assert play.states()[1] == "sent"


async def test_who_joined_meanwhile_is_not_invited(perform: Perform) -> None:
    limits = "limits: {account: {gap: 2m, reply_gap: 2m}}"
    play = await perform(RULES, people=two_groups, settings=limits)
    await play.hear("f1", "进群")
    await play.channel.join("w1", ["f1"])
    await play.stage.wait(20 * MINUTE)
    assert play.outbox()[1] == ("[邀请进群] 福利一", "dropped", "TA 自己已经进群了")


async def test_a_group_by_its_name(perform: Perform) -> None:
    rules = RULES.replace("group_tag: 福利群", "group: 福利二")
    play = await perform(rules, people=two_groups)
    await play.hear("f1", "进群")
    assert asked(play) == ["f1→w2"]


async def test_no_group_at_all(perform: Perform) -> None:
    play = await perform(RULES)
    assert "D" in await play.hear("amy", "进群")
    await play.hear("bob", "进群")
    told = [text for who, text in play.said if who == "wxid_boss"]
    assert told == [  # once an hour
        "小雨 想进群，可是一个绑定好的群都没有：群名起成「福利*」这样，把我拉进去，我就认得了"
    ]


async def test_no_group_with_the_tag(perform: Perform) -> None:
    def other(world: World) -> None:
        populate(world)
        world.add_group("w1", "闲聊一", [])

    play = await perform(
        RULES.replace("capacity: 4}", "capacity: 4}, {match: 闲聊*}"), people=other
    )
    await play.hear("amy", "进群")
    told = [text for who, text in play.said if who == "wxid_boss"]
    assert told == ["小雨 想进群，可是没有带标签「福利群」的群可以邀请"]


async def test_a_groups_name_is_data(perform: Perform) -> None:
    def hostile(world: World) -> None:
        populate(world)
        world.add_group("w1", "福利{{ 7 * 7 }}{% x %}", [])

    play = await perform(RULES, people=hostile)
    await play.hear("amy", "进群")
    notices = [text for who, text in play.said if who == "wxid_boss"]
    assert notices == ["「福利{{ 7 * 7 }}{% x %}」只剩 2 个位置了，后面没有别的群，该开新群了"]


@pytest.mark.parametrize("paused", [True, False])
async def test_a_human_in_the_chat_keeps_the_bot_from_inviting(
    perform: Perform, paused: bool
) -> None:
    play = await perform(RULES, people=two_groups)
    if paused:
        await play.channel.hand("我来", to="f1")
        await play.settle()
    await play.hear("f1", "进群")
    assert asked(play) == ([] if paused else ["f1→w1"])


def story(play: Play, who: str) -> list[str]:
    with play.stage.store.read() as connection:
        rows = explain(connection, find(connection, who), zone=ZONE, now=play.now)
    return [f"{row['outcome']} {row['what']}" for row in rows]


async def test_the_story_tells_what_became_of_an_invitation(perform: Perform) -> None:
    play = await perform(LARGE, people=one_large)
    await play.hear("amy", "进群")
    await play.hear("bob", "进群")
    assert story(play, "amy")[-1] == "waiting 邀请 小雨 进「福利一」"
    await play.channel.accept("w1", "amy")
    await play.stage.wait(4 * DAY)
    assert "joined 邀请 小雨 进「福利一」" in story(play, "amy")
    assert "sent 回复「[邀请进群] 福利一」" in story(play, "amy")
    assert story(play, "bob")[-1] == "lapsed 邀请 阿杰 进「福利一」"
    of_group = story(play, "福利一")
    assert {"joined 邀请 小雨 进「福利一」", "lapsed 邀请 阿杰 进「福利一」"} <= set(of_group)


async def test_nobody_on_the_blacklist(perform: Perform) -> None:
    play = await perform(RULES, people=two_groups)
    await play.hear("wxid_boss", "/拉黑 朋友f1")
    assert await play.hear("f1", "进群") == []
    assert asked(play) == []
    assert play.notes("withheld")[-1].startswith("TA 在黑名单里")
