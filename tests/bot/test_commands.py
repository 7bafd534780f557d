"""What operators ask of the bot by private message."""

from __future__ import annotations

import pytest

from sop.events import EventKind
from tests.support import DAY, HOUR, Perform, Play, World

RULES = """
tags:
  意向: {values: [低, 高], one_of: true}
  VIP: {}
rules:
  - {id: vip, on: tag_added, tag: VIP, do: [{say: a}]}
  - {id: price, on: message, match: {any: [价格]}, do: [{say: b}]}
"""


def people(world: World) -> None:
    world.add_person("wxid_boss", "老板", friend=True)
    world.add_person("amy", "小雨", friend=True)
    world.add_person("amy2", "小雨", friend=True)
    world.add_person("bob", "Bob Li", friend=True)
    world.add_person("liz", "Liz", friend=True)
    world.add_person("odd", "100%_\\", friend=True)
    world.add_group("g1", "小满 福利群①", ["amy"])
    world.add_group("g2", "小满 福利群②", ["bob"])


async def ask(play: Play, text: str) -> str:
    """The answer to an operator, of one line or more."""
    before = len(play.world.deliveries)
    await play.hear("wxid_boss", text)
    (answer,) = (text for to, text in play.said[before:] if to == "wxid_boss")
    return answer


async def test_a_tag_by_hand_has_its_effects(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    assert await ask(play, "/标签 Liz VIP") == f"好的，给 Liz #{play.contact('liz')} 加上了「VIP」"
    assert play.tags("liz") == ["VIP"]
    assert ("liz", "A") in play.said
    assert play.rows("SELECT source FROM tagging") == [("operator:老板",)]
    await ask(play, "/标签 Liz 意向/低")
    await ask(play, "/标签 Liz 意向/高")
    assert play.tags("liz") == ["VIP", "意向/高"]
    assert "去掉了「意向」" in await ask(play, "/去标签 Liz 意向")
    assert play.tags("liz") == ["VIP"]
    assert "本来就没有「意向/高」" in await ask(play, "/去标签 Liz 意向/高")


async def test_a_tag_outside_its_group_is_refused(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    assert await ask(play, "/标签 Liz 意向/中") == "「意向」这一组只有：意向/低、意向/高"
    assert await ask(play, "/标签 Liz 意向") == "「意向」这一组只有：意向/低、意向/高"
    assert "新标签" in await ask(play, "/标签 Liz 老客")
    assert play.tags("liz") == ["老客"]


@pytest.mark.parametrize(
    ("text", "tagged"),
    [
        ("/标签 Bob Li VIP", "bob"),
        ("／标签 bob li VIP", "bob"),
        ("/标签　Bob Li　VIP", "bob"),
        ("/标签   Bob   VIP  ", "bob"),
        ("/标签 小满 福利群① VIP", "g1"),
        ("/标签 福利群② VIP", "g2"),
        ("/标签 100%_\\ VIP", "odd"),
        ("/标签 0%_ VIP", "odd"),
        ("/标签 amy2 VIP", "amy2"),
        ("/ 标签 amy2 VIP", "amy2"),
    ],
)
async def test_names_as_people_type_them(perform: Perform, text: str, tagged: str) -> None:
    play = await perform(RULES, people=people)
    assert "加上了" in await ask(play, text)
    assert play.tags(tagged) == ["VIP"]


@pytest.mark.parametrize(
    "name", ["%", "_", "%_%", "李四", "' OR 1=1 --", "#0", "#999999999999999999999"]
)
async def test_a_name_that_nobody_has_finds_nobody(perform: Perform, name: str) -> None:
    def plain(world: World) -> None:
        world.add_person("wxid_boss", "老板", friend=True)
        world.add_person("amy", "小雨", friend=True)

    play = await perform(RULES, people=plain)
    assert await ask(play, f"/标签 {name} VIP") == f"没有找到「{name}」"
    assert play.rows("SELECT * FROM tagging") == []


async def test_of_two_with_the_same_name_none_is_guessed(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    answer = await ask(play, "/标签 小雨 VIP")
    amy = play.contact("amy2")
    assert answer.startswith("叫「小雨」的有好几个") and f"小雨 #{amy}" in answer
    assert play.rows("SELECT * FROM tagging") == []
    assert "加上了" in await ask(play, f"/标签 #{amy} VIP")
    assert play.tags("amy2") == ["VIP"] and play.tags("amy") == []


async def test_a_person_of_another_account_is_out_of_reach(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    liz = play.contact("liz")
    play.write(
        lambda tx: tx.connection.exec_driver_sql(
            "UPDATE contact SET account_id = 999 WHERE external_id = 'liz'"
        )
    )
    assert await ask(play, "/标签 Liz VIP") == "没有找到「Liz」"
    assert await ask(play, f"/标签 #{liz} VIP") == f"没有找到「#{liz}」"


@pytest.mark.parametrize(
    "text", ["/标签", "/标签 Liz", "/去标签 Liz", "/看", "/暂停", "/恢复", "/"]
)
async def test_a_command_that_lacks_something_says_so(rehearse: Perform, text: str) -> None:
    play = await rehearse(RULES, people=people)
    answer = await ask(play, text)
    assert "比如" in answer or "/帮助" in answer
    assert play.rows("SELECT * FROM tagging") == [] and play.rows("SELECT * FROM pause") == []


async def test_an_unknown_command_is_told_and_no_message_for_rules(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    assert "没有 /价格 这个命令" in await ask(play, "/价格")
    assert play.texts == ["没有 /价格 这个命令。发 /帮助 看看有哪些。"]
    assert "/暂停" in await ask(play, "/帮助")


async def test_an_operator_may_talk_like_anyone(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    assert await play.hear("wxid_boss", "价格") == ["B"]


async def test_only_operators_command_and_only_in_private(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    assert await play.hear("amy", "/标签 Liz VIP") == []
    assert await play.hear("wxid_boss", "/标签 Liz VIP", group="g1", mention=True) == []
    assert play.tags("liz") == []


@pytest.mark.parametrize(
    ("text", "span"),
    [("/暂停 Bob Li 2h", 2 * HOUR), ("/暂停 Bob Li　1d", DAY), ("/暂停 Bob Li", 0)],
)
async def test_a_pause_lasts_as_long_as_asked(perform: Perform, text: str, span: int) -> None:
    play = await perform(RULES, people=people)
    answer = await ask(play, text)
    assert "Bob Li" in answer
    assert await play.hear("bob", "价格") == []
    (until,) = (row[0] for row in play.rows("SELECT until FROM pause"))
    assert until == (play.now + span if span else None)
    assert "又交给机器人了" in await ask(play, "/恢复 Bob Li")
    assert await play.hear("bob", "价格") == ["B"]
    assert "本来就没有暂停" in await ask(play, "/恢复 Bob Li")


async def test_an_absurd_span_is_no_crash(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    assert "Liz" in await ask(play, "/暂停 Liz 99999999999999999999999d")
    assert await play.hear("liz", "价格") == []
    assert "Liz" in await ask(play, "/恢复 Liz")


async def test_a_look_at_a_person_shows_tags_and_last_lines(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    await play.hear("liz", "价格")
    await ask(play, "/标签 Liz VIP")
    answer = await ask(play, "/看 Liz")
    assert "标签：VIP" in answer and "Liz：价格" in answer and "我：B" in answer
    assert "标签：还没有" in await ask(play, "/看 小满 福利群①")


async def test_the_status_names_what_waits(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    answer = await ask(play, "/状态")
    assert "在线" in answer and "好友 6 位" in answer and "群 2 个" in answer


async def test_a_command_replayed_after_a_reconnect_runs_once(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    for _ in range(2):
        await play.tell(EventKind.MESSAGE, who="wxid_boss", text="/标签 Liz VIP", external_id="c1")
    assert len([text for to, text in play.said if to == "wxid_boss"]) == 1


@pytest.mark.parametrize("tag", ["{{7*7}}", "a'b", "𠮷", "a" * 5_000, "x\x00y", "%s"])
async def test_a_tag_with_any_name_is_only_a_name(perform: Perform, tag: str) -> None:
    play = await perform(RULES, people=people)
    assert "加上了" in await ask(play, f"/标签 Liz {tag}")
    assert play.tags("liz") == [tag.replace("\x00", "")]


SOPS = """
sops:
  - {id: nf, title: 新友, steps: [{id: hello, after: 1h, do: [{say: a}]}]}
  - {id: camp, for: group, steps: [{id: open, after: 1h, do: [{say: b}]}]}
"""


async def test_in_and_out_of_sops(perform: Perform) -> None:
    play = await perform(SOPS, people=people)
    liz = f"Liz #{play.contact('liz')}"
    assert await ask(play, "/加入 Liz nf") == f"好的，{liz} 进了 nf"
    assert await ask(play, "/加入 Liz nf") == f"{liz} 没有进去：已经在里面了"
    assert await ask(play, "/SOP") == "新友（nf）：1 人在走\ncamp：0 个群在走"
    assert await ask(play, "/移出 Liz nf") == f"好的，{liz} 移出了 nf，以后不会自动再进来"
    assert await ask(play, "/移出 Liz nf") == f"{liz} 本来就不在 nf 里"
    assert await ask(play, "/加入 小满 福利群① camp") == (
        f"好的，群 小满 福利群① #{play.group('g1')} 进了 camp"
    )
    assert "是给群走的" in await ask(play, "/加入 Liz camp")
    assert await ask(play, "/加入 Liz x") == "没有「x」这个 SOP。有：nf、camp"
    assert await ask(play, "/加入 Liz") == "后面要写两样，比如 /加入 张三 new-friend"
    await play.stage.wait(2 * HOUR)
    assert [text for text in play.texts if text in "AB"] == ["B"]


async def test_no_sops(perform: Perform) -> None:
    play = await perform(RULES, people=people)
    assert await ask(play, "/sop") == "还没有 SOP"
