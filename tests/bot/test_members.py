"""SOPs of members: one walk bound to one membership, in private with friends, else by mention."""

from __future__ import annotations

import pytest

from bot.by_hand import doors_of, let_in
from sop.errors import SiyuError
from sop.messages import Text
from storage.search import find
from tests.support import DAY, HOUR, MINUTE, START, Perform, Play, World, at, populate

RULES = """
tags: {福利群: {}, 已购买: {}}
groups: [{match: "福利*", tags: [福利群]}, {match: "小满福利群*", tags: [福利群]}]
sops:
  - id: first-days
    for: member
    enter: {on: group_joined, where: {group_tag: 福利群}}
    again: always
    exit: [{tag: 已购买}]
    steps:
      - {id: one, day: 1, at: "10:00", do: [{say: a}]}
      - {id: three, day: 3, at: "20:00", do: [{say: b, to: group}]}
"""
A = {"a": "「{{ group }}」的头一天"}


def two(world: World) -> None:
    """The usual people, in no group yet: amy and bob are friends, eve and the fans are not."""
    populate(world)
    world.rooms.clear()
    for n in range(1, 31):
        world.add_person(f"fan{n}", f"粉丝{n}")
    world.add_group("w1", "福利一", [])
    world.add_group("w2", "福利二", [])
    world.add_group("x", "别的群", [])


def mentions(play: Play) -> list[tuple[str, str, int]]:
    """(to whom, text, how many were mentioned) of everything said."""
    return [
        (d.to.external_id, d.body.text, len(d.body.mentions))
        for d in play.world.deliveries
        if isinstance(d.body, Text)
    ]


def walks(play: Play) -> list[tuple[str, str]]:
    return [tuple(row) for row in play.rows("SELECT state, reason FROM enrollment ORDER BY id")]


async def test_a_friend_is_written_to_and_then_mentioned(perform: Perform) -> None:
    play = await perform(RULES, people=two, templates=A)
    await play.channel.join("w1", ["amy"])
    await play.stage.wait(4 * DAY)
    assert mentions(play) == [("amy", "「福利一」的头一天", 0), ("w1", "B", 1)]
    assert walks(play) == [("done", "走完了全部步骤")]


async def test_who_is_no_friend_is_mentioned(perform: Perform) -> None:
    play = await perform(RULES, people=two, templates=A)
    await play.channel.join("w1", ["eve"])
    await play.stage.wait(DAY)
    (delivery,) = play.world.deliveries
    assert delivery.to.external_id == "w1"
    assert isinstance(delivery.body, Text)
    assert delivery.body.mentions == ("eve",)


async def test_the_same_words_to_many_are_one_message(perform: Perform) -> None:
    play = await perform(RULES, people=two, templates={"a": "---\nmention: sender\n---\n早"})
    for n in range(1, 31):
        await play.channel.join("w1", [f"fan{n}"])
    await play.stage.wait(DAY + HOUR)
    assert mentions(play) == [("w1", "早", 20), ("w1", "早", 10)]
    notes = [note for note in play.notes("done") if note.startswith("群里 @ TA")]
    assert len(notes) == 30


async def test_different_words_stay_apart(perform: Perform) -> None:
    play = await perform(RULES, people=two, templates={"a": "{{ nickname }}早"})
    await play.channel.join("w1", ["fan1", "fan2"])
    await play.stage.wait(DAY + HOUR)
    assert mentions(play) == [("w1", "粉丝1早", 1), ("w1", "粉丝2早", 1)]


async def test_leaving_the_group_ends_the_walk_leaving_another_does_not(perform: Perform) -> None:
    play = await perform(RULES, people=two)
    await play.channel.join("w1", ["amy"])
    await play.channel.join("x", ["amy"])
    await play.settle()
    await play.channel.leave("x", "amy")
    await play.settle()
    assert walks(play) == [("active", "")]
    await play.channel.leave("w1", "amy")
    await play.settle()
    assert walks(play) == [("exited", "TA 已经不在群「福利一」里")]
    await play.stage.wait(5 * DAY)
    assert play.said == []


async def test_what_waits_is_not_said_to_who_has_left(perform: Perform) -> None:
    slow = "limits: {account: {gap: 10m, reply_gap: 0s}}"
    play = await perform(RULES, people=two, settings=slow)
    await play.channel.join("w2", ["fan1"])
    await play.channel.join("w1", ["eve"])
    await play.stage.advance(at("2026-11-22 10:00") + MINUTE)
    assert [to for to, _ in play.said] == ["w2"]
    await play.channel.leave("w1", "eve")
    await play.stage.wait(HOUR)
    assert [to for to, _ in play.said] == ["w2"]
    assert play.outbox()[-1][1:] == ("dropped", "已经离开 SOP")


async def test_who_left_unseen_hears_nothing(perform: Perform) -> None:
    play = await perform(RULES, people=two)
    await play.channel.join("w1", ["amy"])
    await play.settle()
    await play.channel.disconnect()
    play.world.add_group("w1", "福利一", ["bob"])  # amy went while nobody looked
    await play.channel.reconnect()
    await play.stage.wait(5 * DAY)
    assert play.said == []
    assert walks(play) == [("exited", "TA 已经不在群「福利一」里")]


async def test_no_other_groups_and_one_walk_at_a_time(perform: Perform) -> None:
    play = await perform(RULES, people=two)
    await play.channel.join("x", ["amy"])
    await play.channel.join("w1", ["amy"])
    await play.channel.join("w2", ["amy"])
    await play.settle()
    assert play.rows("SELECT group_id FROM enrollment") == [(play.group("w1"),)]
    assert "已经在里面了" in play.notes("withheld")


async def test_exits_of_the_person_hold(perform: Perform) -> None:
    play = await perform(RULES, people=two)
    await play.channel.join("w1", ["amy"])
    await play.settle()
    await play.hear("wxid_boss", "/标签 小雨 已购买")
    assert walks(play)[0][0] == "exited"


async def test_private_only_is_withheld_from_strangers(perform: Perform) -> None:
    rules = RULES.replace("{say: a}", "{say: a, to: private}")
    play = await perform(rules, people=two)
    await play.channel.join("w1", ["amy", "eve"])
    await play.stage.wait(DAY)
    assert play.said == [("amy", "A")]
    assert "TA 不是好友，私聊发不到" in play.notes("withheld")


async def test_an_answer_in_the_group_counts_where_it_mentions_us(perform: Perform) -> None:
    rules = RULES.replace(
        "do: [{say: a}]}",
        "do: [{say: a}], reply: {within: 1d, cases: [{match: {any: [要]}, do: [{say: c}]}]}}",
    )
    play = await perform(rules, people=two)
    await play.channel.join("w1", ["eve"])
    await play.stage.wait(DAY)
    assert await play.hear("eve", "我要去睡了", group="w1") == []
    assert await play.hear("eve", "要", group="w1", mention=True) == ["C"]


async def test_by_hand_the_one_group_they_are_in(perform: Perform) -> None:
    play = await perform(RULES, people=two)
    space = play.stage.bot.heart.workspace

    def enroll(who: str) -> str:
        with play.stage.store.read() as connection:
            found = find(connection, who)
        return play.write(
            lambda tx: let_in(
                tx, doors_of(space), found, "first-days", because="手动", now=play.now
            )
        )

    await play.channel.join("w1", ["amy"])
    await play.settle()
    await play.hear("wxid_boss", "/移出 小雨 first-days")
    assert enroll("amy") == ""
    assert play.rows("SELECT group_id FROM enrollment WHERE state = 'active'") == [
        (play.group("w1"),)
    ]
    with pytest.raises(SiyuError, match="不在 first-days 说的群里"):
        enroll("bob")
    await play.channel.join("w1", ["bob"])
    await play.channel.join("w2", ["bob"])
    await play.settle()
    await play.hear("wxid_boss", "/移出 阿杰 first-days")
    with pytest.raises(SiyuError, match="福利一、福利二"):
        enroll("bob")


async def test_walks_survive_a_new_start(perform: Perform) -> None:
    play = await perform(RULES, people=two)
    await play.channel.join("w1", ["eve"])
    await play.settle()
    play.stage.bot.reload(play.stage.bot.heart.workspace)
    await play.stage.wait(DAY)
    assert [to for to, _ in play.said] == ["w1"]
    assert play.now > START
