"""Who brought whom: what counts, what it brings, and what is taken back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import DAY, HOUR, Perform, Play, World

RULES = """
tags: {福利群: {}, 推广员: {}}
groups: [{match: "小满福利群*", tags: [福利群]}]
points:
  invites:
    where: {group_tag: 福利群}
    per: PER
    points: 5
    stay: 7d
    rewards:
      - {at_least: 2, do: [{tag: 推广员}, {points: +20, reason: 邀请满两位}, {say: a, to: private}]}
rules:
  - {id: top, on: message, where: anywhere, match: {any: [邀请排行]},
     do: [{board: invites, template: board}]}
  - {id: host, on: message, match: {any: [我请了几位]}, if: {invited: {at_least: 2}},
     do: [{say: b}]}
"""
BOARD = {
    "board": "{% for one in board %}{{ one.place }}.{{ one.name }}={{ one.value }};{% endfor %}"
}


def people(world: World) -> None:
    world.add_person("wxid_boss", "老板", friend=True)
    world.add_person("amy", "小雨", friend=True)
    world.add_person("bob", "阿杰", friend=True)
    for name in ("p1", "p2", "p3", "p4", "old"):
        world.add_person(name, name.upper())
    world.add_group("g1", "小满福利群1", ["amy", "bob", "old", "wxid_boss"])
    world.add_group("g2", "小满福利群2", ["amy", "bob"])
    world.add_group("other", "闲聊群", ["amy"])


async def play_invites(perform: Perform, per: str = "community", **options: Any) -> Play:
    return await perform(RULES.replace("PER", per), templates=BOARD, people=people, **options)


def standing(play: Play, who: str) -> tuple[int, int]:
    """How many count, and how many points there are."""
    rows = play.rows("SELECT invited, balance FROM score WHERE id = ?", play.contact(who))
    return rows[0] if rows else (0, 0)


def invited(play: Play) -> list[tuple[str, str]]:
    rows = play.rows(
        "SELECT contact.external_id, state FROM brought JOIN contact"
        " ON contact.id = invitee_id ORDER BY brought.id"
    )
    return [(who, state) for who, state in rows]


async def test_who_is_new_counts_for_who_brought_them(perform: Perform) -> None:
    play = await play_invites(perform)
    await play.channel.join("g1", ["p1"], by="amy")
    await play.settle()
    assert standing(play, "amy") == (1, 5)
    await play.channel.join("g1", ["p2", "p3"], by="amy")
    await play.settle()
    assert standing(play, "amy") == (3, 35)
    assert play.tags("amy") == ["推广员"]
    assert ("amy", "A") in play.said
    assert await play.hear("amy", "我请了几位") == ["B"]
    assert await play.hear("bob", "邀请排行", group="g1") == ["1.小雨=3;"]


async def test_who_does_not_count(perform: Perform) -> None:
    play = await play_invites(perform)
    await play.channel.join("other", ["p4"], by="amy")  # a group that is not counted
    await play.channel.join("g1", ["p1"])  # nobody brought them
    await play.channel.join("g1", ["p2"], by="wxid_self")  # the bot did
    await play.channel.join("g1", ["p3"], by="wxid_boss")  # an operator did
    await play.channel.join("g1", ["old"], by="amy")  # a member already
    await play.channel.leave("g1", "p1")
    await play.channel.join("g1", ["p1"], by="amy")  # was here before
    await play.channel.join("g1", ["amy"], by="amy")  # themselves
    await play.settle()
    assert invited(play) == []
    assert standing(play, "amy") == (0, 0)
    assert set(play.notes("withheld")) == {"以前就在群里，不算新人", "自己邀请自己，不算"}


@pytest.mark.parametrize(("per", "counted"), [("community", 1), ("group", 2)])
async def test_once_in_a_community_or_once_in_each_group(
    perform: Perform, per: str, counted: int
) -> None:
    play = await play_invites(perform, per)
    await play.channel.join("g1", ["p1"], by="amy")
    await play.channel.join("g2", ["p1"], by="amy")
    for _ in range(2):
        await play.channel.leave("g2", "p1")
        await play.channel.join("g2", ["p1"], by="amy")
    await play.stage.wait(8 * DAY)
    await play.channel.join("g2", ["p1"], by="bob")
    await play.settle()
    assert len(invited(play)) == counted
    # In g2 the same person left at once: that invitation is lost, and no other takes its place.
    assert standing(play, "amy")[0] == 1
    assert standing(play, "bob") == (0, 0)


async def test_who_leaves_soon_is_taken_back_and_nothing_is_rewarded_twice(
    perform: Perform,
) -> None:
    play = await play_invites(perform)
    for who in ("p1", "p2"):
        await play.channel.join("g1", [who], by="amy")
    await play.settle()
    assert standing(play, "amy") == (2, 30)
    await play.stage.wait(2 * DAY)
    await play.channel.leave("g1", "p2")
    await play.settle()
    assert standing(play, "amy") == (1, 25)
    assert play.notes("taken") == ["进群 2 天就退了（要留满 7 天），这一位不算，还有 1 位"]
    await play.channel.join("g1", ["p2"], by="amy")
    await play.channel.join("g1", ["p3"], by="amy")
    await play.settle()
    assert standing(play, "amy") == (2, 30)  # p3 counts, p2 does not again, 20 came only once
    assert [text for to, text in play.said if to == "amy"] == ["A"]
    await play.stage.wait(8 * DAY)
    await play.channel.leave("g1", "p1")
    await play.settle()
    assert standing(play, "amy") == (2, 30)
    assert invited(play) == [("p1", "counted"), ("p2", "left"), ("p3", "counted")]


async def test_who_moves_to_another_of_our_groups_has_not_left(perform: Perform) -> None:
    play = await play_invites(perform)
    await play.channel.join("g1", ["p1"], by="amy")
    await play.channel.join("g2", ["p1"], by="bob")
    await play.channel.leave("g1", "p1")
    await play.settle()
    assert standing(play, "amy") == (1, 5)
    await play.channel.leave("g2", "p1")
    await play.settle()
    assert standing(play, "amy") == (0, 0)


async def test_who_went_while_the_bot_was_away_is_missed_in_the_morning(perform: Perform) -> None:
    play = await play_invites(perform)
    await play.channel.join("g1", ["p1"], by="amy")
    await play.settle()
    await play.channel.disconnect()
    await play.channel.leave("g1", "p1")  # nobody hears of it
    await play.channel.reconnect()
    await play.settle()
    assert standing(play, "amy") == (1, 5)
    await play.stage.wait(25 * HOUR)
    assert standing(play, "amy") == (0, 0)
    assert play.one("SELECT SUM(amount) FROM ledger") == 0
