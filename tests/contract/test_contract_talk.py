"""The same conversation in the simulator and through a real Wechaty gateway."""

from __future__ import annotations

import pytest

from bot.channels.port import StatusKind
from bot.channels.wechaty.payloads import MESSAGE_TYPES
from sop.events import MessageType
from tests.contract.drama import Drama
from tests.contract.worlds import FANS, Sent, Trouble, World

GATHER = 30_000


async def test_from_a_friend_request_to_a_welcome(drama: Drama, world: World) -> None:
    await world.request("stranger", "我是宝妈，想加你")
    await world.confirm("stranger")
    rows = await drama.states(*["sent"] * 4)
    assert rows[0][0] == "[通过好友申请]"
    assert world.sent() == [
        Sent("stranger", "text", "欢迎宝妈"),
        Sent("stranger", "text", "有事喊我"),
        Sent("stranger", "file", "welcome.png"),
    ]
    assert drama.tags("stranger") == {"宝妈": "我是宝妈，想加你"}
    assert drama.rows("SELECT friend FROM contact WHERE external_id = 'stranger'") == [(1,)]


async def test_a_request_that_no_rule_accepts_waits(drama: Drama, world: World) -> None:
    await world.request("stranger", "加一下")
    await world.say("alice", "多少钱")
    await drama.all_sent(1)
    assert drama.events("friend_request") == [("stranger", "加一下", "")]
    assert [s.to for s in world.sent()] == ["alice"]


async def test_a_keyword_is_answered_and_tagged_with_its_evidence(
    drama: Drama, world: World
) -> None:
    await world.say("alice", "這個多 少 錢呀")
    await drama.all_sent(1)
    assert world.sent() == [Sent("alice", "text", "爱丽丝，三十九")]
    assert drama.tags("alice") == {"意向/中": "這個多 少 錢呀"}


async def test_a_group_is_answered_only_when_it_asks_us(drama: Drama, world: World) -> None:
    await world.say("alice", "多少钱", group=FANS)
    await world.say("bob", "@小满 多少钱", group=FANS, mention=True)
    await drama.all_sent(1)
    assert world.sent() == [Sent(FANS, "text", "鲍勃，三十九", ("bob",))]
    assert drama.tags("alice") == {}
    assert drama.tags("bob") == {"意向/中": "@小满 多少钱"}


@pytest.mark.parametrize("group", ["", FANS], ids=["private", "group"])
async def test_messages_of_all_types(drama: Drama, world: World, group: str) -> None:
    for number in range(19):
        await world.say("alice", f"第{number}种", group=group, type=number)
    await drama.until(lambda: len(drama.events("message")) == 19)
    await drama.all_sent(1)
    types = [MESSAGE_TYPES.get(n, MessageType.UNKNOWN).value for n in range(19)]
    assert [type_ for _, _, type_ in drama.events("message")] == types
    assert world.sent() == [Sent(group or "alice", "text", "图不错")]


async def test_those_who_join_are_welcomed_together(drama: Drama, world: World) -> None:
    await world.join(["alice", "stranger"], by="bob")
    await world.join(["bob"])
    await drama.until(lambda: len(drama.events("group_joined")) == 3)
    assert world.sent() == []
    drama.pass_time(GATHER)
    await drama.all_sent(1)
    assert world.sent() == [Sent(FANS, "text", "欢迎新来的", ("alice", "stranger", "bob"))]
    inviters = drama.rows(
        "SELECT inviter.external_id FROM member JOIN contact ON contact.id = contact_id"
        " JOIN contact inviter ON inviter.id = inviter_id ORDER BY contact.external_id"
    )
    assert inviters == [("bob",), ("bob",)]


async def test_leaving_with_and_without_someone_who_removed_them(
    drama: Drama, world: World
) -> None:
    await world.part("alice", by="bob")
    await world.part("stranger")
    await drama.all_sent(2)
    assert world.sent() == [Sent(FANS, "text", "慢走")] * 2
    gone = drama.rows(
        "SELECT external_id FROM member JOIN contact ON contact.id = contact_id"
        " WHERE left_at IS NOT NULL ORDER BY external_id"
    )
    assert gone == [("alice",), ("stranger",)]


async def test_a_renamed_group_is_known_by_its_new_name(drama: Drama, world: World) -> None:
    await world.rename_group("小满福利群二号")
    await world.say("alice", "在吗", group=FANS)
    await drama.until(lambda: drama.events("message"))
    assert drama.rows("SELECT name FROM room") == [("小满福利群二号",)]
    assert drama.tags(FANS) == {"转化群": ""}


async def test_a_person_who_renames_is_greeted_by_the_new_name(drama: Drama, world: World) -> None:
    await world.say("alice", "多少钱")
    await drama.all_sent(1)
    await world.rename("alice", "爱丽丝妈妈")
    await world.say("alice", "多少钱")
    await drama.all_sent(2)
    assert [s.text for s in world.sent()] == ["爱丽丝，三十九", "爱丽丝妈妈，三十九"]


async def test_an_error_of_the_gateway_is_told_and_ends_nothing(drama: Drama, world: World) -> None:
    await world.complain("微信那边抽风了")
    assert (await drama.saw(StatusKind.ERROR)).detail == "微信那边抽风了"
    await world.say("alice", "多少钱")
    await drama.all_sent(1)


async def test_nothing_leaves_while_logged_out(drama: Drama, world: World) -> None:
    await world.log_out()
    await drama.saw(StatusKind.LOGOUT)
    assert drama.rows("SELECT state FROM account") == [("logout",)]
    await world.say("alice", "多少钱")
    held = "SELECT because FROM accounthold WHERE until IS NULL"
    assert await drama.until(lambda: drama.rows(held)) == [("微信不在线，等连上再发",)]
    assert {state for _, state, _ in drama.outbox()} == {"queued"}
    await world.log_in()
    await drama.until(lambda: ("爱丽丝，三十九", "sent", "") in drama.outbox())
    assert drama.rows("SELECT state FROM account") == [("login",)]
    assert [s for s in world.sent() if s.to == "alice"] == [Sent("alice", "text", "爱丽丝，三十九")]


@pytest.mark.parametrize("group", ["", FANS], ids=["private", "group"])
async def test_a_message_without_a_talker_is_recorded_and_not_answered(
    drama: Drama, world: World, group: str
) -> None:
    await world.say("", "多少钱", group=group, mention=bool(group))
    await world.say("alice", "多少钱")
    await drama.all_sent(1)
    assert drama.events("message") == [(None, "多少钱", "text"), ("alice", "多少钱", "text")]
    assert [s.to for s in world.sent()] == ["alice"]


async def test_a_message_told_twice_is_answered_once(drama: Drama, world: World) -> None:
    await world.say("alice", "说 一", id="m1")
    await world.say("alice", "说 一", id="m1")
    await world.say("alice", "说 二", id="m2")
    await drama.all_sent(2)
    assert [s.text for s in world.sent()] == ["说 一", "说 二"]


@pytest.mark.parametrize("place", ["alice", FANS])
async def test_the_bot_steps_back_when_the_human_writes(
    drama: Drama, world: World, place: str
) -> None:
    group = {"group": FANS, "mention": True} if place == FANS else {}
    await world.hand("我来回", to=place)
    await world.say("alice", "多少钱", **group)
    await world.say("bob", "多少钱")
    await drama.all_sent(1)
    assert [s.to for s in world.sent()] == ["bob"]
    assert drama.rows("SELECT COUNT(*) FROM pause") == [(1,)]
    drama.pass_time(2 * 3_600_000)
    await world.say("alice", "说 好了吗")  # the pause is over
    await drama.until(lambda: len(world.sent()) == 2)


async def test_our_own_echo_is_no_human(drama: Drama, world: World) -> None:
    """On the gateway every echo overtakes the answer that brings its id."""
    await world.say("alice", "多少钱")
    await world.say("bob", "@小满 多少钱", group=FANS, mention=True)  # "@鲍勃 鲍勃，三十九" there
    await world.join(["stranger"])
    await drama.until(lambda: drama.events("group_joined"))
    drama.pass_time(GATHER)
    await drama.all_sent(3)
    for n in range(3):
        await world.say("alice", f"说 {n}")
        await world.say("bob", f"说 {n}", group=FANS, mention=True)
    await drama.all_sent(9)
    assert drama.rows("SELECT because FROM pause") == []
    assert len(drama.events("message")) == 8  # no echo among them


async def test_a_send_without_an_id_is_sent_and_its_echo_no_human(
    drama: Drama, world: World
) -> None:
    world.trouble(Trouble.NO_ID)
    await world.say("alice", "说 一")
    await drama.all_sent(1)
    await world.say("alice", "说 二")
    await drama.all_sent(2)
    assert [s.text for s in world.sent()] == ["说 一", "说 二"]
    assert drama.rows("SELECT because FROM pause") == []
