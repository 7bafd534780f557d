"""Messages in, against a real gateway."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from bot.channels.port import StatusKind
from bot.channels.wechaty.payloads import MESSAGE_TYPES
from sop.events import EventKind, MessageType
from tests.gateway.gateway import Gateway

pytestmark = pytest.mark.gateway


async def test_private_text(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        id = gateway.say("alice", "多少钱", to="bot", timestamp=1_790_000_000_123)
        event = await sink.by_id(id)
    assert (event.kind, event.type) == (EventKind.MESSAGE, MessageType.TEXT)
    assert (event.text, event.at) == ("多少钱", 1_790_000_000_123)
    assert event.contact is not None
    assert event.contact.name == "爱丽丝"
    assert event.contact.alias == "老客户爱丽丝"
    assert event.contact.friend is True
    assert event.group is None
    assert not event.from_self


async def test_group_text_mentions_and_seconds(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway, now=lambda: 1_790_000_100_000) as (_, sink):
        plain = gateway.say("bob", "大家好", room="fans@chatroom", timestamp=1_790_000_000)
        at_us = gateway.say("bob", "@小满\u2005在吗", room="fans@chatroom", mentions=["bot"])
        at_all = gateway.say("bob", "@所有人 开会", room="fans@chatroom", mentions=["@all"])
        unlisted = gateway.say("bob", "@小满 在吗", room="fans@chatroom")
        other = gateway.say("bob", "@小满妈妈 在吗", room="fans@chatroom")
        event = await sink.by_id(plain)
        assert event.at == 1_790_000_000_000
        assert event.group is not None
        assert (event.group.external_id, event.group.topic) == ("fans@chatroom", "小满福利群")
        assert event.contact is not None
        assert event.contact.external_id == "bob"
        assert not event.mentions_self
        assert (await sink.by_id(at_us)).mentions_self
        everyone = await sink.by_id(at_all)
        assert everyone.mentions_all
        assert not everyone.mentions_self
        assert (await sink.by_id(unlisted)).mentions_self
        assert not (await sink.by_id(other)).mentions_self


async def test_self_messages_are_about_the_other_side(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        private = await sink.by_id(gateway.say("bot", "我亲手回的", to="alice"))
        grouped = await sink.by_id(gateway.say("bot", "我亲手发的", room="fans@chatroom"))
    assert private.from_self
    assert private.contact is not None
    assert private.contact.external_id == "alice"
    assert grouped.from_self
    assert grouped.contact is not None
    assert grouped.contact.external_id == "bot"
    assert "by_plugin" not in private.data


async def test_every_type_number_arrives(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        ids = {
            number: gateway.say("alice", "<msg>xml</msg>", to="bot", type=number)
            for number in (*range(19), 99)
        }
        for number, id in ids.items():
            event = await sink.by_id(id)
            assert event.type is MESSAGE_TYPES.get(number, MessageType.UNKNOWN), number


async def test_links_and_mini_programs_carry_data(gateway: Gateway, connect: Any) -> None:
    link = {"title": "秋冬新款", "url": "https://example.com/a", "description": "上新"}
    program = {"title": "小满商城", "appid": "wx1", "pagePath": "pages/index", "username": "gh_1"}
    async with connect(gateway) as (_, sink):
        first = gateway.say("alice", "<xml/>", to="bot", type=14, attachment=link)
        second = gateway.say("alice", "<xml/>", to="bot", type=9, attachment=program)
        third = gateway.say("alice", "<xml/>", to="bot", type=3, attachment="bob")
        file = gateway.say("alice", "", to="bot", type=1, filename="报价.pdf")
        event = await sink.by_id(first)
        assert event.text == "秋冬新款 https://example.com/a"
        assert event.data["url"] == "https://example.com/a"
        assert event.data["title"] == "秋冬新款"
        event = await sink.by_id(second)
        assert (event.text, event.data["app_id"]) == ("小满商城", "wx1")
        assert (await sink.by_id(third)).data == {"contact_id": "bob"}
        assert (await sink.by_id(file)).data == {"filename": "报价.pdf"}


async def test_attachment_that_cannot_be_had_is_left_out(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        gateway.fail("url", "refuse", times=9)
        event = await sink.by_id(gateway.say("alice", "看看这个", to="bot", type=14))
    assert (event.type, event.text, event.data) == (MessageType.LINK, "看看这个", {})


async def test_messages_without_talker_time_or_known_contact(
    gateway: Gateway, connect: Any
) -> None:
    async with connect(gateway, now=lambda: 1_790_000_100_000) as (_, sink):
        nobody = gateway.message({"listenerId": "bot", "text": "系统消息", "type": 7})
        ghost = gateway.say("ghost", "我没有资料", to="bot")
        nowhere = gateway.say("ghost", "群也没有资料", room="lost@chatroom")
        timeless = gateway.say("alice", "没有时间", to="bot", timestamp=0)
        assert (await sink.by_id(nobody)).contact is None
        event = await sink.by_id(ghost)
        assert event.contact is not None
        assert (event.contact.external_id, event.contact.name) == ("ghost", "")
        event = await sink.by_id(nowhere)
        assert event.group is not None
        assert (event.group.external_id, event.group.topic) == ("lost@chatroom", "")
        assert (await sink.by_id(timeless)).at == 1_790_000_100_000


async def test_official_accounts_are_marked(gateway: Gateway, connect: Any) -> None:
    gateway.contact("gh_news", name="某公众号", type=2)
    async with connect(gateway) as (_, sink):
        event = await sink.by_id(gateway.say("gh_news", "今日推送", to="bot"))
        people, _ = sink.rosters[-1]
    assert event.data == {"official": True}
    assert "gh_news" not in {person.external_id for person in people}


async def test_order_is_kept_within_a_conversation(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        gateway.fail("message", "late", id="slow", ms=150)
        gateway.say("alice", "一", to="bot", id="slow")
        gateway.say("alice", "二", to="bot")
        gateway.say("alice", "三", to="bot")
        await sink.nth(3)
    assert [event.text for event in sink.events] == ["一", "二", "三"]


async def test_a_failed_fetch_is_tried_again(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        gateway.fail("message", "refuse", times=2, id="flaky")
        gateway.say("alice", "再试一次就好", to="bot", id="flaky")
        assert (await sink.by_id("flaky")).text == "再试一次就好"


async def test_a_lost_message_is_said_and_ends_nothing(
    gateway: Gateway, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(gateway) as (_, sink):
        gateway.fail("message", "refuse", times=9, id="broken")
        gateway.say("alice", "取不到", to="bot", id="broken")
        after = gateway.say("alice", "后面的", to="bot")
        await sink.by_id(after)
        status = await sink.saw(StatusKind.ERROR)
    assert "broken" in status.detail
    assert any("broken" in record.getMessage() for record in caplog.records)
    assert [event.external_id for event in sink.events] == [after]


async def test_a_hanging_fetch_does_not_stall_others_for_ever(
    gateway: Gateway, connect: Any
) -> None:
    async with connect(gateway, deadline=0.6) as (_, sink):
        gateway.fail("message", "hang", times=9, id="stuck")
        gateway.say("alice", "卡住", to="bot", id="stuck")
        after = gateway.say("bob", "别人的", to="bot")
        assert (await sink.by_id(after)).text == "别人的"
        assert "stuck" in (await sink.saw(StatusKind.ERROR)).detail


@pytest.mark.slow
async def test_a_flood_loses_nothing_and_waits_for_the_sink(gateway: Gateway, connect: Any) -> None:
    count, people = 5_000, 50
    for number in range(people):
        gateway.contact(f"c{number}")
    talk = [{"talkerId": f"c{n}", "listenerId": "bot"} for n in range(people)]
    async with connect(gateway, deadline=20) as (_, sink):
        sink.gate.clear()
        gateway.flood(count, talk)
        await sink.until(lambda: sink.waiting >= people)
        # The window is full and nothing was taken: so nothing more is read from the gateway.
        fetched = gateway.counters()["fetched"]["message"]
        assert fetched <= 64
        sink.gate.set()
        await sink.nth(count)
    assert len({event.external_id for event in sink.events}) == count
    for person in range(people):
        numbers = [
            int(event.text[1:])
            for event in sink.events
            if event.contact is not None and event.contact.external_id == f"c{person}"
        ]
        assert numbers == sorted(numbers)
        assert len(numbers) == count // people
    assert gateway.counters()["fetched"]["contact"] < 200  # cached, not one for each message


async def test_dirty_forgets_a_contact_and_a_group(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        await sink.by_id(gateway.say("alice", "旧名字", room="fans@chatroom"))
        gateway.contact("alice", name="新名字")  # the gateway itself says dirty
        gateway.room("fans@chatroom", topic="新群名", members=["bot", "alice"])
        event = await sink.by_id(gateway.say("alice", "新名字", room="fans@chatroom"))
    assert event.contact is not None
    assert event.group is not None
    assert (event.contact.name, event.group.topic) == ("新名字", "新群名")


async def test_texts_and_token_stay_out_of_the_log(
    gateway: Gateway, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="bot")
    async with connect(gateway) as (_, sink):
        await sink.by_id(gateway.say("alice", "这是悄悄话", to="bot"))
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "悄悄话" not in logged
    assert gateway.token not in logged
