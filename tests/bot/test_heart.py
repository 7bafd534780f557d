"""What the bot makes of events: rules, tags, groups, replays, takeover. Over real SQL."""

from __future__ import annotations

import pytest

from bot.channels.port import Status, StatusKind
from bot.channels.simulator import Failure
from sop.decisions import GiveTag
from sop.events import Event, EventKind, MessageType, Person, Room
from storage.people import account_id
from storage.tags import change_tags
from tests.support import DAY, HOUR, LEGAL_STATES, MINUTE, NO_GAPS, SECOND, Perform, World, at

PRICE = "- {id: price, on: message, match: {any: [价格]}, do: [{say: a}]}"


def rules(*lines: str, tags: str = "{}") -> str:
    return f"tags: {tags}\nrules:\n" + "".join(f"  {line}\n" for line in lines)


# --- order, stop, cooldown, condition ------------------------------------------------------------


async def test_every_matching_rule_runs_in_the_order_of_the_file(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: every, on: message, do: [{say: a}]}",
            "- {id: word, on: message, match: {any: [价格]}, do: [{say: b}]}",
            "- {id: other, on: message, match: {any: [地址]}, do: [{say: c}]}",
            "- {id: kind, on: message, match: {type: text}, do: [{say: d}]}",
        )
    )
    assert await play.hear("amy", "价格多少") == ["A", "B", "D"]


async def test_stop_ends_the_rules_after_it_and_says_so(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: one, on: message, match: {any: [价格]}, do: [{say: a}], stop: true}",
            "- {id: two, on: message, match: {any: [价格]}, do: [{say: b}]}",
        )
    )
    assert await play.hear("amy", "价格多少") == ["A"]
    assert play.notes("skipped") == ["排在前面的规则 one 写了 stop，后面的不再执行"]


async def test_a_rule_that_did_not_run_does_not_stop_others(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: one, on: message, match: {any: [价格]}, if: {tag: 同行},"
            " do: [{say: a}], stop: true}",
            "- {id: two, on: message, match: {any: [价格]}, do: [{say: b}]}",
            tags="{同行: {}}",
        )
    )
    assert await play.hear("amy", "价格多少") == ["B"]
    assert play.notes("withheld") == ["条件 if 不满足"]


async def test_cooldown_counts_for_each_person_and_ends_on_time(perform: Perform) -> None:
    play = await perform(
        rules("- {id: r, on: message, match: {any: [价格]}, do: [{say: a}], cooldown: 10m}")
    )
    assert await play.hear("amy", "价格") == ["A"]
    assert await play.hear("bob", "价格") == ["A"]
    await play.stage.wait(10 * MINUTE - 1)
    assert await play.hear("amy", "价格") == []
    await play.stage.wait(1)
    assert await play.hear("amy", "价格") == ["A"]
    assert play.notes("withheld") == ["还在冷却时间 cooldown 里，刚刚已经执行过"]


async def test_cooldown_counts_for_a_group_as_a_whole(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: r, on: message, where: anywhere, match: {any: [价格]},"
            " do: [{say: a}], cooldown: 10m}"
        )
    )
    assert await play.hear("amy", "价格", group="g1") == ["A"]
    assert await play.hear("bob", "价格", group="g1") == []
    assert await play.hear("amy", "价格") == ["A"]  # her private chat is another conversation


async def test_cooldown_holds_within_one_batch(perform: Perform) -> None:
    play = await perform(
        rules("- {id: r, on: message, match: {any: [价格]}, do: [{say: a}], cooldown: 10m}")
    )
    for _ in range(3):
        await play.channel.say("amy", "价格")
    await play.settle()
    assert play.texts == ["A"]


async def test_the_second_message_of_a_batch_sees_what_the_first_changed(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: once, on: message, match: {any: [价格]}, if: {not: {tag: 问过}},"
            " do: [{tag: 问过}, {say: a}]}",
            "- {id: again, on: message, match: {any: [价格]}, if: {tag: 问过}, do: [{say: b}]}",
            tags="{问过: {}}",
        )
    )
    await play.channel.say("amy", "价格")
    await play.channel.say("amy", "价格")
    await play.settle()
    assert play.texts == ["A", "B"]


async def test_a_count_includes_the_message_at_hand_and_not_the_bots_own(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: r, on: message, match: {any: [价格]},"
            " if: {count: {of: message, at_least: 3}}, do: [{say: a}]}"
        )
    )
    await play.channel.hand("自己说的", to="amy")
    await play.hear("amy", "你好")
    assert await play.hear("amy", "价格") == []
    play.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM pause"))
    assert await play.hear("amy", "价格") == ["A"]


# --- where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "private", "group", "mention"),
    [
        ("", True, False, True),
        ("where: private,", True, False, False),
        ("where: group,", False, True, True),
        ("where: mention,", False, False, True),
        ("where: anywhere,", True, True, True),
        ("where: {group_tag: 转化群},", False, True, True),
        ("where: {kind: 转化},", False, True, True),
        ("where: {group_tag: [转化群, 服务群], kind: 转化},", False, True, True),
        ("where: {group_tag: 服务群},", False, False, False),
        ("where: {group_tag: 转化群, kind: 服务},", False, False, False),
    ],
)
async def test_a_rule_answers_only_where_it_says(
    rehearse: Perform, where: str, private: bool, group: bool, mention: bool
) -> None:
    play = await rehearse(
        "tags: {转化群: {}, 服务群: {}}\n"
        'groups: [{match: "小满福利群*", kind: 转化, tags: [转化群]}]\n'
        f"rules:\n  - {{id: r, on: message, {where} match: {{any: [价格]}}, do: [{{say: a}}]}}\n"
    )
    assert await play.hear("amy", "价格") == ["A"] * private
    assert await play.hear("amy", "价格", group="g1") == ["A"] * group
    assert await play.hear("amy", "@小满家 价格", group="g1", mention=True) == ["A"] * mention
    assert play.tags("g1") == ["转化群"]


async def test_at_all_is_not_a_call_for_the_bot(rehearse: Perform) -> None:
    play = await rehearse(rules(PRICE))
    await play.tell(
        EventKind.MESSAGE, who="amy", group="g1", text="@所有人 价格", mentions_all=True
    )
    assert play.texts == []


async def test_a_group_that_gets_a_fitting_name_gets_its_tags(perform: Perform) -> None:
    play = await perform(
        'tags: {转化群: {}}\ngroups: [{match: "小满福利群*", kind: 转化, tags: [转化群]}]\n'
        "rules: []\n",
        people=lambda world: world.add_group("g", "随便聊聊", []),
    )
    assert play.tags("g") == []
    await play.channel.rename("g", "小满福利群2")
    await play.settle()
    assert play.tags("g") == ["转化群"]
    assert play.rows("SELECT name, kind FROM room") == [("小满福利群2", "转化")]


async def test_an_answer_in_private_to_a_question_in_the_group(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: r, on: message, where: group, match: {any: [价格]},"
            " do: [{say: a, to: private}, {say: b}]}"
        )
    )
    await play.hear("amy", "价格", group="g1")
    assert sorted(play.said) == [("amy", "A"), ("g1", "B")]


# --- whom it never answers -----------------------------------------------------------------------


async def test_the_bot_never_answers_itself(perform: Perform) -> None:
    play = await perform(rules("- {id: r, on: message, where: anywhere, do: [{say: a}]}"))
    await play.tell(EventKind.MESSAGE, contact=play.world.me, group="g1", text="价格")
    await play.tell(EventKind.MESSAGE, contact=play.world.me, text="价格")
    await play.tell(EventKind.MESSAGE, group="g1", text="价格", from_self=True)
    assert play.texts == []


async def test_the_bot_never_answers_another_account_of_the_workspace(perform: Perform) -> None:
    play = await perform(rules("- {id: r, on: message, where: anywhere, do: [{say: a}]}"))
    play.world.add_person("wxid_second", "小助手二号", friend=True)
    play.write(
        lambda tx: account_id(tx, channel="simulator", external_id="wxid_second", name="", now=1)
    )
    assert await play.hear("wxid_second", "价格") == []
    assert await play.hear("wxid_second", "价格", group="g1") == []
    assert await play.hear("amy", "价格") == ["A"]


async def test_a_message_of_nobody_is_recorded_and_not_answered(perform: Perform) -> None:
    play = await perform(rules("- {id: r, on: message, where: anywhere, do: [{say: a}]}"))
    await play.tell(EventKind.MESSAGE, text="价格")
    await play.tell(EventKind.MESSAGE, group="g1", text="价格")
    assert play.events("message") == ["价格", "价格"]
    assert play.texts == []


async def test_an_old_message_is_recorded_and_tagged_but_not_answered(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: r, on: message, match: {any: [价格]}, do: [{tag: 问价}, {say: a}]}",
            tags="{问价: {}}",
        )
    )
    await play.tell(EventKind.MESSAGE, who="amy", text="价格", at=play.now - 5 * MINUTE)
    assert play.texts == ["A"]
    await play.tell(EventKind.MESSAGE, who="bob", text="价格", at=play.now - 5 * MINUTE - 1)
    assert play.texts == ["A"]
    assert play.tags("bob") == ["问价"]
    assert ["太旧了" in note for note in play.notes("withheld")] == [True]


async def test_messages_replayed_after_a_reconnect_are_never_answered_twice(
    perform: Perform,
) -> None:
    play = await perform(rules(PRICE))
    for _ in range(3):
        await play.tell(EventKind.MESSAGE, who="amy", text="价格", external_id="m1")
        await play.channel.disconnect()
        await play.channel.reconnect()
    await play.channel.say("bob", "价格")
    await play.settle()
    assert play.said == [("amy", "A"), ("bob", "A")]


async def test_a_message_twice_in_one_batch_counts_once(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    event = Event(
        kind=EventKind.MESSAGE,
        at=play.now,
        external_id="m1",
        contact=play.world.people["amy"],
        text="价格",
    )
    await play.stage.bot.event(event)
    await play.stage.bot.event(event)
    await play.settle()
    assert play.texts == ["A"]
    assert play.events("message") == ["价格"]


async def test_two_accounts_may_use_the_same_gateway_ids(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    await play.tell(EventKind.MESSAGE, who="amy", text="价格", external_id="m1")
    me = Person(external_id="wxid_other_self", name="二号")
    await play.stage.bot.status(Status(kind=StatusKind.LOGIN, at=play.now, account=me))
    await play.tell(EventKind.MESSAGE, who="amy", text="价格", external_id="m1")
    assert play.texts == ["A", "A"]
    assert len(play.rows("SELECT id FROM contact WHERE external_id = 'amy'")) == 2


# --- tags ----------------------------------------------------------------------------------------


async def test_a_group_of_one_keeps_one_tag_with_its_evidence(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: low, on: message, match: {any: [价格]}, do: [{tag: 意向/低}]}",
            "- {id: high, on: message, match: {any: [想要]}, do: [{tag: 意向/高}]}",
            "- {id: gone, on: tag_removed, tag: 意向/低, do: [{say: a}]}",
            "- {id: come, on: tag_added, tag: 意向, do: [{say: b}]}",
            tags="{意向: {values: [低, 高], one_of: true}, 宝妈: {}}",
        ),
        settings=NO_GAPS.replace("limits: {", "limits: {contact: {per_day: 9}, "),
    )
    await play.hear("amy", "价格")
    assert play.tags("amy") == ["意向/低"]
    await play.hear("amy", "想要")
    assert play.tags("amy") == ["意向/高"]
    assert play.events("tag_added") == ["意向/低", "意向/高"]
    assert play.events("tag_removed") == ["意向/低"]
    (source, text) = play.rows(
        "SELECT tagging.source, event.text FROM tagging JOIN event ON event.id = tagging.event_id"
    )[0]
    assert (source, text) == ("rule:high", "想要")
    await play.stage.wait(MINUTE)
    assert play.texts.count("B") == 2


async def test_giving_a_tag_again_is_no_event(perform: Perform) -> None:
    play = await perform(
        rules("- {id: r, on: message, match: {any: [价格]}, do: [{tag: 问价}]}", tags="{问价: {}}")
    )
    await play.hear("amy", "价格")
    await play.hear("amy", "价格")
    assert play.events("tag_added") == ["问价"]


async def test_a_tag_goes_when_its_time_is_over_and_rules_hear_of_it(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: r, on: message, match: {any: [价格]}, do: [{tag: 近期问价}]}",
            "- {id: over, on: tag_removed, tag: 近期问价, do: [{tag: 沉默, for: 1h}]}",
            tags="{近期问价: {expires: 2h}, 沉默: {}}",
        )
    )
    await play.hear("amy", "价格")
    await play.stage.wait(HOUR)
    await play.hear("amy", "价格")  # renews
    await play.stage.wait(2 * HOUR - 1)
    assert play.tags("amy") == ["近期问价"]
    await play.stage.wait(1)
    assert play.tags("amy") == ["沉默"]
    await play.stage.wait(HOUR)
    assert play.tags("amy") == []
    assert play.events("tag_removed") == ["近期问价", "沉默"]


async def test_a_tag_given_anew_after_its_time_has_new_evidence(perform: Perform) -> None:
    play = await perform(rules(PRICE, tags="{问价: {}}"))
    amy = play.contact("amy")

    def give(source: str, event: int, now: int) -> int:
        wish = GiveTag(subject_id=amy, tag="问价", source=source, expires_at=now + 10)
        return len(play.write(lambda tx: change_tags(tx, [(wish, event)], now=now)))

    assert give("rule:old", 1, 1_000) == 1
    assert give("rule:renewed", 2, 1_005) == 0
    assert play.rows("SELECT source, event_id, at FROM tagging") == [("rule:old", 1, 1_000)]
    assert give("rule:new", 3, 2_000) == 1
    assert play.rows("SELECT source, event_id, at FROM tagging") == [("rule:new", 3, 2_000)]


async def test_a_name_of_a_tag_group_takes_off_the_whole_group(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: r, on: message, match: {any: [价格]}, do: [{tag: [意向/低, 意向/高, 宝妈]}]}",
            "- {id: u, on: message, match: {any: [退订]}, do: [{untag: 意向}]}",
            tags="{意向: {values: [低, 高]}, 宝妈: {}}",
        )
    )
    await play.hear("amy", "价格")
    assert play.tags("amy") == ["宝妈", "意向/低", "意向/高"]
    await play.hear("amy", "退订")
    assert play.tags("amy") == ["宝妈"]


async def test_a_tag_on_the_group_is_not_on_the_person(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: r, on: message, where: group, match: {any: [价格]},"
            " do: [{tag: 热闹, on: group}, {tag: 问价}]}",
            "- {id: g, on: tag_added, tag: 热闹, do: [{say: a}]}",
            tags="{热闹: {}, 问价: {}}",
        )
    )
    await play.hear("amy", "价格", group="g1")
    assert (play.tags("g1"), play.tags("amy")) == (["热闹"], ["问价"])
    assert play.said == [("g1", "A")]


async def test_rules_on_tags_that_set_each_other_off_are_cut_and_told(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: start, on: message, match: {any: [价格]}, do: [{tag: 甲}]}",
            "- {id: a, on: tag_added, tag: 甲, do: [{untag: 甲}, {tag: 乙}]}",
            "- {id: b, on: tag_added, tag: 乙, do: [{untag: 乙}, {tag: 甲}]}",
            tags="{甲: {}, 乙: {}}",
        )
    )
    await play.hear("amy", "价格")
    assert 4 <= len(play.events("tag_added")) <= 12
    assert any("规则" in note and "标签" in note for note in play.notes("withheld"))
    assert await play.hear("amy", "你好") == []


async def test_rules_on_tags_that_multiply_are_cut(rehearse: Perform) -> None:
    names = [f"标签{n}" for n in range(8)]
    tags = ", ".join(names)
    play = await rehearse(
        rules(
            f"- {{id: start, on: message, match: {{any: [价格]}}, do: [{{tag: [{tags}]}}]}}",
            f"- {{id: a, on: tag_added, do: [{{untag: [{tags}]}}]}}",
            f"- {{id: b, on: tag_removed, do: [{{tag: [{tags}]}}]}}",
            tags="{" + ", ".join(f"{name}: {{}}" for name in names) + "}",
        )
    )
    await play.hear("amy", "价格")
    assert len(play.events("tag_added")) < 2_000


# --- attributes and words ------------------------------------------------------------------------


async def test_attributes_are_set_filled_and_cleared(perform: Perform) -> None:
    play = await perform(
        rules(
            '- {id: r, on: message, match: {any: [住在]}, do: [{set: {说过: "{{ text }}",'
            " 城市: 杭州, 次数: 3}}, {say: city}]}",
            "- {id: c, on: message, match: {any: [忘了]}, do: [{set: {城市: null}}]}",
            "- {id: q, on: message, match: {any: [价格]}, if: {attribute: {城市: [杭州, 上海]}},"
            " do: [{say: a}]}",
        ),
        templates={"city": "{{ attributes.城市|default('') }}见"},
    )
    assert await play.hear("amy", "我住在杭州") == ["杭州见"]
    rows = play.rows("SELECT key, value, source FROM attribute ORDER BY key")
    assert sorted(rows) == sorted(
        [("城市", "杭州", "rule:r"), ("次数", "3", "rule:r"), ("说过", "我住在杭州", "rule:r")]
    )
    assert await play.hear("amy", "价格") == ["A"]
    await play.hear("amy", "忘了吧")
    assert await play.hear("amy", "价格") == []


async def test_a_say_after_a_tag_already_speaks_to_the_tag(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: r, on: message, match: {any: [价格]}, do: [{tag: 宝妈}, {say: hi}]}",
            tags="{宝妈: {}}",
        ),
        templates={"hi/default": "你好", "hi/宝妈": "妈妈好"},
    )
    assert await play.hear("amy", "价格") == ["妈妈好"]


async def test_a_template_that_fails_leaves_a_note_and_spares_the_others(perform: Perform) -> None:
    play = await perform(
        rules("- {id: r, on: message, match: {any: [价格]}, do: [{say: bad}, {say: a}]}"),
        templates={"bad": "{% for n in [1, 2, 3] %}{{ text }}{% endfor %}"},
    )
    assert await play.hear("amy", "价格" * 50) == ["价格" * 150, "A"]
    assert await play.hear("amy", "价格" * 450) == ["A"]
    assert play.notes("failed")


# --- gathering -----------------------------------------------------------------------------------

GATHER = "- {id: w, on: group_joined, gather: 30s, do: [{say: welcome}, {tag: 群友}]}"
WELCOME = {"welcome": "---\nmention: members\n---\n欢迎 {{ members|join('、') }}"}


def newcomers(world: World) -> None:
    for n in range(4):
        world.add_person(f"p{n}", f"新人{n}")
    world.add_group("g1", "小满福利群1", [])
    world.add_group("g2", "小满福利群2", [])


async def test_many_joins_make_one_welcome_that_names_them_all(perform: Perform) -> None:
    play = await perform(rules(GATHER, tags="{群友: {}}"), templates=WELCOME, people=newcomers)
    await play.channel.join("g1", ["p0", "p1"])
    await play.stage.wait(20 * SECOND)
    await play.channel.join("g1", ["p2"])
    await play.channel.join("g2", ["p3"])
    await play.stage.wait(10 * SECOND - 1)
    assert play.said == []
    await play.stage.wait(1)
    assert play.said == [("g1", "欢迎 新人0、新人1、新人2")]
    body = play.world.deliveries[0].body
    assert body.mentions == ("p0", "p1", "p2")  # type: ignore[union-attr]
    await play.stage.wait(20 * SECOND)
    assert play.said[1:] == [("g2", "欢迎 新人3")]
    assert [play.tags(f"p{n}") for n in range(4)] == [["群友"]] * 4
    await play.channel.join("g1", ["p3"])
    await play.stage.wait(MINUTE)
    assert play.said[2:] == [("g1", "欢迎 新人3")]


async def test_a_cooldown_does_not_shut_out_those_who_join_while_gathering(
    perform: Perform,
) -> None:
    rule = GATHER.replace("gather: 30s", "gather: 30s, cooldown: 10m")
    play = await perform(rules(rule, tags="{群友: {}}"), templates=WELCOME, people=newcomers)
    await play.channel.join("g1", ["p0"])
    await play.stage.wait(10 * SECOND)
    await play.channel.join("g1", ["p1"])
    await play.stage.wait(MINUTE)
    assert play.texts == ["欢迎 新人0、新人1"]
    await play.channel.join("g1", ["p2"])
    await play.stage.wait(MINUTE)
    assert play.texts == ["欢迎 新人0、新人1"]


async def test_a_gathering_is_silent_while_a_human_has_the_group(perform: Perform) -> None:
    play = await perform(rules(GATHER, tags="{群友: {}}"), templates=WELCOME, people=newcomers)
    await play.channel.join("g1", ["p0"])
    await play.channel.hand("大家好", to="g1", group=True)
    await play.stage.wait(MINUTE)
    assert play.texts == []
    assert play.tags("p0") == ["群友"]
    assert any("人工接管" in note for note in play.notes("withheld"))


async def test_a_rule_that_is_gone_when_its_gathering_is_due_leaves_a_note(
    perform: Perform, tmp_path: object
) -> None:
    play = await perform(rules(GATHER, tags="{群友: {}}"), templates=WELCOME, people=newcomers)
    await play.channel.join("g1", ["p0"])
    await play.settle()
    play.write(lambda tx: tx.connection.exec_driver_sql("UPDATE gathering SET rule = 'old'"))
    await play.stage.wait(MINUTE)
    assert play.texts == []
    assert play.notes("withheld") == ["等人到齐的时候，这条规则已经从文件里删掉了"]


async def test_a_gathering_survives_a_restart(perform: Perform) -> None:
    play = await perform(rules(GATHER, tags="{群友: {}}"), templates=WELCOME, people=newcomers)
    await play.channel.join("g1", ["p0", "p1"])
    await play.settle()
    assert play.rows("SELECT rule, due_at FROM gathering") == [("w", play.now + 30 * SECOND)] * 2
    await play.stage.bot.start()
    await play.stage.wait(HOUR)
    assert play.texts == ["欢迎 新人0、新人1"]
    assert play.rows("SELECT * FROM gathering") == []


# --- friends and members -------------------------------------------------------------------------

WELCOME_FRIEND = "- {id: w, on: friend_added, do: [{say: a}]}"


async def test_a_new_friend_is_welcomed_once(perform: Perform) -> None:
    play = await perform(rules(WELCOME_FRIEND))
    await play.befriend("eve", external_id="f1")
    await play.befriend("eve", external_id="f1")
    await play.befriend("eve", external_id="f2")
    await play.befriend("amy")  # a friend since before the bot came
    assert play.said == [("eve", "A")]
    await play.channel.unfriend("eve")
    await play.befriend("eve", external_id="f3")
    assert play.said == [("eve", "A"), ("eve", "A")]


async def test_a_friend_whose_first_message_comes_before_the_news_is_welcomed(
    perform: Perform,
) -> None:
    play = await perform(rules(WELCOME_FRIEND))
    play.world.befriend("eve", friend=True)
    await play.hear("eve", "我通过了你的朋友验证请求")
    await play.befriend("eve")
    assert play.said == [("eve", "A")]


async def test_a_friend_lost_without_news_and_won_back_is_welcomed(perform: Perform) -> None:
    play = await perform(rules(WELCOME_FRIEND))
    await play.befriend("eve")
    play.world.befriend("eve", friend=False)
    await play.hear("eve", "在吗")
    await play.befriend("eve")
    assert play.said == [("eve", "A"), ("eve", "A")]
    play.world.befriend("eve", friend=False)
    await play.hear("eve", "在吗")
    play.world.befriend("eve", friend=True)
    await play.hear("eve", "又是好友了")
    await play.befriend("eve")
    assert len(play.said) == 3


async def test_friends_of_the_first_roster_are_not_welcomed(perform: Perform) -> None:
    play = await perform(rules(WELCOME_FRIEND))
    assert play.said == []
    assert play.one("SELECT COUNT(*) FROM contact WHERE friend_at IS NOT NULL") == 3


async def test_a_friend_made_during_an_outage_is_welcomed_once(perform: Perform) -> None:
    play = await perform(rules(WELCOME_FRIEND))
    await play.channel.disconnect()
    play.world.befriend("eve", friend=True)
    play.world.add_person("zoe", "新朋友", friend=True)
    await play.channel.reconnect()
    await play.settle()
    await play.channel.disconnect()
    await play.channel.reconnect()
    await play.settle()
    await play.befriend("zoe")
    assert sorted(play.said) == [("eve", "A"), ("zoe", "A")]


async def test_members_who_left_and_came_during_an_outage(perform: Perform) -> None:
    play = await perform("rules: []")
    play.world.add_person("zoe", "新人")
    await play.channel.disconnect()
    play.world.add_group("g1", "小满福利群1", ["amy", "zoe"])
    await play.channel.reconnect()
    await play.settle()
    there = "SELECT external_id FROM member JOIN contact ON contact.id = contact_id WHERE left_at"
    assert {row[0] for row in play.rows(f"{there} IS NULL")} == {"amy", "zoe"}
    assert {row[0] for row in play.rows(f"{there} IS NOT NULL")} == {"bob", "eve"}


async def test_who_leaves_and_comes_back_is_a_member_again(perform: Perform) -> None:
    play = await perform("rules: []")
    await play.channel.leave("g1", "amy")
    await play.settle()
    sql = "SELECT left_at FROM member WHERE contact_id = ?"
    assert play.one(sql, play.contact("amy")) == play.now
    await play.channel.join("g1", ["amy"], by="bob")
    await play.settle()
    assert play.one(sql, play.contact("amy")) is None
    inviter = "SELECT inviter_id FROM member WHERE contact_id = ?"
    assert play.one(inviter, play.contact("amy")) == play.contact("bob")


async def test_the_bot_thrown_out_of_a_group_says_nothing_there(perform: Perform) -> None:
    play = await perform(
        rules("- {id: r, on: message, where: anywhere, do: [{say: a}]}"),
        settings="limits: {account: {gap: 20s, reply_gap: 10s}}",
    )
    await play.hear("bob", "价格")
    await play.channel.say("amy", "价格", group="g1")
    await play.channel.leave("g1", "wxid_self", by="amy")
    await play.stage.wait(MINUTE)
    assert play.said == [("bob", "A")]
    assert play.outbox()[1] == ("A", "dropped", "机器人已经不在这个群里")


async def test_a_request_is_accepted_and_its_words_may_decide(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: yes, on: friend_request, match: {any: [小满]}, do: [{accept: true}]}",
            "- {id: hi, on: friend_added, do: [{say: a}]}",
        )
    )
    await play.channel.request_friend("eve", "卖茶叶的")
    await play.settle()
    assert play.one("SELECT COUNT(*) FROM outbox") == 0
    await play.channel.request_friend("eve", "小满家推荐来的")
    await play.settle()
    assert play.said == [("eve", "A")]
    assert play.one("SELECT friend FROM contact WHERE external_id = 'eve'") in (1, True)


async def test_who_falls_silent_is_noticed_once_until_they_speak_again(perform: Perform) -> None:
    play = await perform(
        rules(
            "- {id: s, on: silent, for: 3d, do: [{tag: 沉默}]}",
            "- {id: t, on: silent, for: 5d, do: [{tag: 更沉默}]}",
            tags="{沉默: {}, 更沉默: {}}",
        )
    )
    await play.stage.advance(at("2026-11-24 09:00"))  # an hour short of three days
    assert play.tags("amy") == []
    await play.stage.advance(at("2026-11-25 09:00"))
    assert play.tags("amy") == ["沉默"]
    await play.stage.advance(at("2026-11-30 09:00"))
    assert play.tags("amy") == ["更沉默", "沉默"]
    assert play.tags("eve") == []  # no friend
    assert len(play.events("silent")) == 6
    await play.hear("amy", "我回来了")
    await play.stage.wait(5 * DAY)
    assert len(play.events("silent")) == 8


# --- takeover ------------------------------------------------------------------------------------


async def test_a_human_hand_makes_the_bot_step_back_for_a_while(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    await play.channel.hand("我来说", to="amy")
    assert await play.hear("amy", "价格") == []
    assert await play.hear("bob", "价格") == ["A"]
    await play.stage.wait(2 * HOUR - 1)
    assert await play.hear("amy", "价格") == []
    await play.stage.wait(1)
    assert await play.hear("amy", "价格") == ["A"]
    assert play.notes("paused") == ["主人亲自回复了，机器人退后 2 小时"]


async def test_a_hand_in_a_group_takes_over_the_group_only(perform: Perform) -> None:
    play = await perform(rules("- {id: r, on: message, where: anywhere, do: [{say: a}]}"))
    await play.channel.hand("大家好", to="g1", group=True)
    assert await play.hear("amy", "价格", group="g1") == []
    assert await play.hear("amy", "价格") == ["A"]


async def test_a_hand_while_an_answer_waits_keeps_it_from_leaving(perform: Perform) -> None:
    play = await perform(rules(PRICE), settings="limits: {account: {gap: 20s, reply_gap: 10s}}")
    await play.hear("bob", "价格")
    await play.hear("amy", "价格")
    await play.channel.hand("我来说", to="amy")
    await play.stage.wait(MINUTE)
    assert play.said == [("bob", "A")]
    assert play.states() == ["sent", "dropped"]
    assert "主人" in play.outbox()[1][2]


async def test_a_human_who_says_the_same_as_the_bot_takes_over(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    await play.hear("amy", "价格")
    await play.channel.hand("A", to="amy")
    assert await play.hear("amy", "价格") == []


async def test_an_echo_is_no_takeover_even_when_it_comes_again(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    await play.hear("amy", "价格")
    (external_id,) = (d.external_id for d in play.world.deliveries)
    await play.tell(EventKind.MESSAGE, who="amy", text="A", from_self=True, external_id=external_id)
    assert await play.hear("amy", "价格") == ["A"]
    assert play.notes("paused") == []
    assert play.events("message") == ["价格", "价格"]


@pytest.mark.parametrize("id_in_answer", [True, False])
async def test_an_echo_without_an_id_is_no_takeover(perform: Perform, id_in_answer: bool) -> None:
    play = await perform(rules(PRICE))
    channel, send = play.channel, play.channel.send

    async def echo_without_id(delivery: object) -> None:
        await play.stage.bot.event(
            Event(
                kind=EventKind.MESSAGE,
                at=play.now,
                external_id="",
                contact=play.world.people["amy"],
                text="A",
                from_self=True,
            )
        )

    async def send_and_tell(to: object, body: object) -> str | None:
        external_id = await send(to, body)  # type: ignore[arg-type]
        return external_id if id_in_answer else None

    channel._echo = echo_without_id  # type: ignore[method-assign]
    channel.send = send_and_tell  # type: ignore[method-assign,assignment]
    assert await play.hear("amy", "价格") == ["A"]
    assert await play.hear("amy", "价格") == ["A"]
    assert play.notes("paused") == []
    await play.tell(EventKind.MESSAGE, who="amy", text="我来", from_self=True, external_id="")
    assert await play.hear("amy", "价格") == []


async def test_an_image_of_ours_is_recognised_when_it_comes_back(perform: Perform) -> None:
    play = await perform(
        rules(PRICE), templates={"a": "---\nlink:\n  url: https://x.cn\n  title: 目录\n---\n看这里"}
    )
    play.world.failures.extend([Failure.NO_ID, Failure.NO_ID])
    await play.hear("amy", "价格")
    assert play.states() == ["sent", "sent"]
    assert play.notes("paused") == []
    await play.tell(
        EventKind.MESSAGE, who="amy", type=MessageType.IMAGE, from_self=True, external_id="hand1"
    )
    assert play.notes("paused") != []


async def test_a_recall_by_hand_is_no_takeover(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    await play.tell(EventKind.MESSAGE, who="amy", type=MessageType.RECALLED, from_self=True)
    assert await play.hear("amy", "价格") == ["A"]


async def test_a_message_by_a_plugin_is_no_takeover(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    await play.tell(
        EventKind.MESSAGE, who="amy", text="插件", from_self=True, data={"by_plugin": True}
    )
    assert await play.hear("amy", "价格") == ["A"]


HAND_OFF = (
    "- {id: h, on: message, match: {any: [人工]}, do: [{hand_off: '{{ name }} 要人工'}, {say: a}]}"
)


async def test_the_words_of_a_hand_over_still_go_out(perform: Perform) -> None:
    play = await perform(
        rules(HAND_OFF, PRICE), settings="limits: {account: {gap: 20s, reply_gap: 10s}}"
    )
    await play.hear("bob", "价格")
    await play.hear("amy", "我要人工")
    assert await play.hear("amy", "价格") == []
    await play.stage.wait(5 * MINUTE)
    assert play.said.count(("amy", "A")) == 1
    notice = next(text for to, text in play.said if to == "wxid_boss")
    assert notice.startswith("小雨 要人工") and "我要人工" in notice


async def test_a_second_call_for_a_human_keeps_the_words_of_the_first(perform: Perform) -> None:
    play = await perform(
        rules(HAND_OFF, PRICE), settings="limits: {account: {gap: 20s, reply_gap: 10s}}"
    )
    await play.hear("bob", "价格")
    await play.hear("amy", "我要人工")
    await play.hear("amy", "人工！！")
    await play.stage.wait(5 * MINUTE)
    assert play.said.count(("amy", "A")) == 1


async def test_a_longer_pause_is_never_made_shorter(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    await play.hear("wxid_boss", "/暂停 小雨 3h")
    await play.channel.hand("我来说", to="amy")
    await play.stage.wait(3 * HOUR - 1)
    assert await play.hear("amy", "价格") == []
    await play.stage.wait(1)
    assert await play.hear("amy", "价格") == ["A"]


async def test_without_operators_a_notice_is_noted_as_undeliverable(perform: Perform) -> None:
    play = await perform(
        rules("- {id: n, on: message, match: {any: [投诉]}, do: [{notify: 有投诉}]}"),
        operators="[]",
    )
    await play.hear("amy", "我要投诉")
    assert play.notes("failed") == ["siyu.yaml 里没有写 operators，没有人可以通知"]


# --- hostile contacts ----------------------------------------------------------------------------

HOSTILE = [
    "{{7*7}}",
    "{% for x in range(9) %}x{% endfor %}",
    "'); DROP TABLE contact; --",
    '"><script>alert(1)</script>',
    "% %s %(x)s ? :name $1",
    "\u202e\u200b\u2066小雨\ufeff",
    "👨\u200d👩\u200d👧\u200d👦𠮷",
    "第一行\n第二行\r\n---\n第三行",
    "a\x00b",
    "\ud800 bad \udfff",
    "啊" * 64_000,
    "!!python/object/apply:os.system ['true']",
    "",
    "   ",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_a_contact_writes_is_data(perform: Perform, text: str) -> None:
    play = await perform(
        rules(
            "- {id: echo, on: message, do: [{set: {说过: '{{ text }}'}}, {say: echo},"
            " {notify: '{{ nickname }}：{{ text }}'}]}",
        ),
        templates={"echo": "收到：{{ text|replace('7*7', '7*7') }} 来自 {{ nickname }}"},
    )
    play.world.add_person("h", text, friend=True)
    await play.hear("h", text)
    answers = [said for to, said in play.said if to == "h"]
    assert len(answers) == 1 and answers[0].startswith("收到：")
    assert "49" not in answers[0]
    assert "\x00" not in answers[0]
    assert play.one("SELECT COUNT(*) FROM event WHERE kind = 'message'") == 1
    assert set(play.states()) == {"sent"}
    assert await play.hear("amy", "还在吗") != []


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_roster_of_odd_names_is_taken_whole(perform: Perform, text: str) -> None:
    def people(world: World) -> None:
        world.add_person("h", text, friend=True)
        world.add_person("amy", "小雨", friend=True)
        world.add_group("g", text, ["h", "amy"])

    play = await perform(rules(PRICE), people=people)
    assert play.one("SELECT COUNT(*) FROM contact") == 2
    assert play.one("SELECT COUNT(*) FROM member") == 2
    assert await play.hear("amy", "价格") == ["A"]


async def test_odd_ids_do_not_stop_the_bot(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    odd = Person(external_id="x\x00\ud800", name="怪", friend=True)
    await play.tell(EventKind.MESSAGE, contact=odd, text="价格", external_id="m\x00\ud801")
    await play.stage.bot.roster([odd], [Room(external_id="r\x00", topic="t", owner_id="\x00")])
    await play.settle()
    assert await play.hear("amy", "价格") == ["A"]
    assert set(play.states()) <= LEGAL_STATES


async def test_data_of_an_event_may_hold_anything(perform: Perform) -> None:
    play = await perform(rules(PRICE))
    await play.tell(EventKind.ORDER, who="amy", data={"a": "\x00", "\ud800": ["𠮷", {"b": None}]})
    assert play.one("SELECT COUNT(*) FROM event WHERE kind = 'order'") == 1
