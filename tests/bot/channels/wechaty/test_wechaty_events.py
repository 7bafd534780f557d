"""Friendships, groups, and what happens to the account, against a real gateway."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from bot.channels.port import Address, NotSent, StatusKind
from bot.channels.wechaty import payloads
from sop.events import EventKind
from sop.messages import Accept, Text
from tests.gateway.gateway import Gateway

pytestmark = pytest.mark.gateway

FANS = "fans@chatroom"


async def test_friend_request_accept_and_confirmation(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, sink):
        gateway.friendship("req-1", "stranger", hello="我是路人，想进群")
        request = await sink.by_id("req-1")
        assert request.kind is EventKind.FRIEND_REQUEST
        assert request.text == "我是路人，想进群"
        assert request.contact is not None
        assert (request.contact.external_id, request.contact.friend) == ("stranger", False)

        sent = await channel.send(Address(external_id="stranger"), Accept(request_id="req-1"))
        assert sent is None
        assert gateway.log("accept")[0]["to"] == "req-1"

        gateway.contact("stranger", name="路人", friend=True)
        gateway.friendship("req-1", "stranger", type=1)
        added = await sink.nth(2)
        assert added.kind is EventKind.FRIEND_ADDED
        assert added.external_id != request.external_id
        assert added.contact is not None
        assert added.contact.friend is True


@pytest.mark.parametrize("number", [0, 3, 77])
async def test_other_friendship_events_are_ignored(
    gateway: Gateway, connect: Any, number: int
) -> None:
    async with connect(gateway) as (_, sink):
        gateway.friendship("odd", "stranger", type=number)
        gateway.emit("friendship", {"friendshipId": "unknown"})
        gateway.emit("friendship", {})
        after = gateway.say("alice", "还在", to="bot")
        await sink.by_id(after)
    assert [event.external_id for event in sink.events] == [after]


async def test_room_join_with_and_without_inviter(gateway: Gateway, connect: Any) -> None:
    join = {"roomId": FANS, "inviteeIdList": ["bob", "stranger"], "timestamp": 1_790_000_000}
    async with connect(gateway, now=lambda: 1_790_000_100_000) as (_, sink):
        gateway.emit("room-join", {**join, "inviterId": "alice"})
        gateway.emit("room-join", {**join, "timestamp": 1_790_000_001})
        gateway.emit("room-join", {**join, "inviterId": "alice"})  # a replay
        first, second, replay = await sink.nth(1), await sink.nth(2), await sink.nth(3)
    assert first.kind is EventKind.GROUP_JOINED
    assert first.at == 1_790_000_000_000
    assert first.group is not None
    assert first.group.topic == "小满福利群"
    assert first.contact is not None
    assert first.by is not None
    assert (first.contact.name, [p.name for p in first.others]) == ("鲍勃", ["路人"])
    assert first.by.name == "爱丽丝"
    assert second.by is None
    assert first.external_id == replay.external_id != second.external_id


async def test_our_own_entry_is_told_apart(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        gateway.emit(
            "room-join", {"roomId": FANS, "inviteeIdList": ["alice", "bot"], "inviterId": "bob"}
        )
        await sink.nth(2)
    entered, joined = sink.events
    assert entered.kind is EventKind.GROUP_ENTERED
    assert entered.contact is not None
    assert entered.contact.external_id == "bot"
    assert joined.kind is EventKind.GROUP_JOINED
    assert joined.contact is not None
    assert (joined.contact.external_id, joined.others) == ("alice", ())


async def test_room_leave_with_and_without_remover(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        gateway.emit("room-leave", {"roomId": FANS, "removeeIdList": ["bob"], "removerId": "alice"})
        gateway.emit("room-leave", {"roomId": FANS, "removeeIdList": ["alice"]})
        removed, left = await sink.nth(1), await sink.nth(2)
    assert {removed.kind, left.kind} == {EventKind.GROUP_LEFT}
    assert removed.by is not None
    assert removed.by.external_id == "alice"
    assert left.by is None


async def test_room_topic_with_and_without_old_one(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        gateway.emit(
            "room-topic",
            {"roomId": FANS, "oldTopic": "旧", "newTopic": "新", "changerId": "alice"},
        )
        gateway.emit("room-topic", {"roomId": FANS, "newTopic": "更新"})
        first, second = await sink.nth(1), await sink.nth(2)
    assert first.kind is EventKind.GROUP_RENAMED
    assert first.data == {"old": "旧", "new": "新"}
    assert first.by is not None
    assert first.by.external_id == "alice"
    assert second.data == {"old": "", "new": "更新"}
    assert second.by is None


async def test_halves_of_an_emoji_are_mended(gateway: Gateway, connect: Any) -> None:
    gateway.contact("cut", name="坏\ud83d名")
    async with connect(gateway) as (channel, sink):
        gateway.emit("room-topic", {"roomId": FANS, "newTopic": "新\ud83d名"})
        id = gateway.say("cut", "话\ud83d说", to="bot")
        event = await sink.by_id(id)
        assert sink.events[0].data["new"] == "新\ufffd名"
        assert event.contact is not None
        (event.text + event.contact.name).encode()  # would raise
        with pytest.raises(NotSent) as caught:
            await channel.send(Address(external_id="alice"), Text(text="半个\ud83d表情"))
    assert not caught.value.retry


async def test_what_breaks_us_costs_one_event(
    gateway: Gateway, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(gateway) as (_, sink):
        with monkeypatch.context() as broken:
            broken.setattr(payloads, "renamed", lambda *_: 1 / 0)
            gateway.emit("room-topic", {"roomId": FANS, "newTopic": "新"})
            assert "group event 21" in (await sink.saw(StatusKind.ERROR)).detail
        await sink.by_id(gateway.say("alice", "还在", to="bot"))


async def test_odd_and_empty_events_end_nothing(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        for event in ("room-join", "room-leave", "room-topic", "message", "heartbeat", "ready"):
            gateway.emit(event, {})
            gateway.emit(event, "text")
        gateway.emit("room-join", {"roomId": FANS, "inviteeIdList": []})
        gateway.emit("heartbeat", {"data": "♥"})
        gateway.emit("dong", {"data": "dong"})
        gateway.emit("post", {"postId": "1"})
        gateway.emit("room-invite", {"roomInvitationId": "inv-1"})
        gateway.emit("login", {})
        after = gateway.say("alice", "还在", to="bot")
        await sink.by_id(after)
    assert [event.external_id for event in sink.events] == [after]
    assert not [s for s in sink.statuses if s.kind is StatusKind.DISCONNECTED]


async def test_invitation_is_logged(
    gateway: Gateway, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.channels.wechaty")
    async with connect(gateway) as (_, sink):
        gateway.emit("room-invite", {"roomInvitationId": "inv-7"})
        await sink.by_id(gateway.say("alice", "之后", to="bot"))
    assert any("inv-7" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"data": "风控了"}, "风控了"),
        ({"gerror": '{"message": "掉线了", "stack": "at x"}'}, "掉线了"),
        ({"gerror": "掉线了\n at x"}, "掉线了"),
        ({}, "{}"),
    ],
)
async def test_errors_are_statuses(
    gateway: Gateway, connect: Any, payload: dict[str, str], words: str
) -> None:
    async with connect(gateway) as (_, sink):
        gateway.emit("error", payload)
        assert (await sink.saw(StatusKind.ERROR)).detail == words
        await sink.by_id(gateway.say("alice", "还在", to="bot"))


async def test_login_scan_and_logout_are_statuses_in_order(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        login = await sink.saw(StatusKind.LOGIN)
        assert login.account is not None
        assert (login.account.external_id, login.account.name) == ("bot", "小满")
        gateway.logout("换号")
        logout = await sink.saw(StatusKind.LOGOUT)
        assert logout.account is not None
        assert (logout.account.name, logout.detail) == ("小满", "换号")
        gateway.emit("scan", {"qrcode": "https://wx/qr/1", "status": 2})
        assert (await sink.saw(StatusKind.SCAN)).detail == "https://wx/qr/1"
        gateway.emit("scan", {"status": 3})
        assert (await sink.saw(StatusKind.SCAN, 2)).detail == "已扫码，请在手机上确认"
        gateway.emit("scan", {"status": 42})
        assert (await sink.saw(StatusKind.SCAN, 3)).detail == "扫码状态未知"
        gateway.contact("other", name="另一个号")
        gateway.login("other")
        again = await sink.saw(StatusKind.LOGIN, 2)
        assert again.account is not None
        assert again.account.name == "另一个号"
        await sink.until(lambda: len(sink.rosters) >= 2)
        event = await sink.by_id(gateway.say("other", "新号说的", to="alice"))
        assert event.from_self
    kinds = [s.kind for s in sink.statuses]
    assert kinds == [
        StatusKind.CONNECTED,
        StatusKind.LOGIN,
        StatusKind.LOGOUT,
        *[StatusKind.SCAN] * 3,
        StatusKind.LOGIN,
    ]


async def test_a_replayed_scan_at_connect_is_fine(gateway: Gateway, connect: Any) -> None:
    gateway.logout()
    gateway.emit("scan", {"qrcode": "https://wx/qr/replayed", "status": 99})
    async with connect(gateway, ready=False) as (_, sink):
        await sink.saw(StatusKind.SCAN)
        gateway.login("bot")
        await sink.saw(StatusKind.LOGIN)


async def test_roster_has_people_groups_and_members(gateway: Gateway, connect: Any) -> None:
    gateway.contact("far", name="不是联系人")
    gateway.room("two@chatroom", topic="二群", members=["bot", "alice", "outsider"])
    gateway.fail("contact", "refuse", times=9, id="bob")
    async with connect(gateway) as (_, sink):
        people, rooms = sink.rosters[0]
    by_id = {person.external_id: person for person in people}
    assert set(by_id) == {"alice", "bob", "stranger", "far"}  # not the account itself
    assert by_id["alice"].alias == "老客户爱丽丝"
    assert by_id["bob"].name == ""  # could not be fetched, but is there
    groups = {room.external_id: room for room in rooms}
    assert groups[FANS].owner_id == "bot"
    assert [m.external_id for m in groups[FANS].members] == ["bot", "alice", "bob", "stranger"]
    assert groups[FANS].members[1].name == "爱丽丝"
    assert [m.external_id for m in groups["two@chatroom"].members] == ["bot", "alice", "outsider"]


async def test_half_a_roster_is_none(gateway: Gateway, connect: Any) -> None:
    gateway.fail("rooms", "refuse", times=3)
    async with connect(gateway, ready=False) as (_, sink):
        await sink.saw(StatusKind.LOGIN)
        await sink.by_id(gateway.say("alice", "还在", to="bot"))
        gateway.emit("ready", {"data": "联系人同步好了"})
        await sink.until(lambda: sink.rosters)
    assert len(sink.rosters) == 1
    assert len(sink.rosters[0][1]) == 1


async def test_coming_into_a_group_takes_the_roster_again(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        gateway.room("new@chatroom", topic="新群", members=["bot", "alice"])
        gateway.emit("room-join", {"roomId": "new@chatroom", "inviteeIdList": ["bot"]})
        await sink.until(
            lambda: "new@chatroom" in {room.external_id for room in sink.rosters[-1][1]}
        )
