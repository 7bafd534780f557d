"""Messages and other acts out, against a real gateway."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from bot.channels.port import Address, Capability, NotSent, StatusKind
from bot.channels.wechaty.trouble import Unclear
from bot.web import WebError
from sop.messages import Body, Card, Link, Media, MiniProgram, Moment, Text
from tests.bot.channels.wechaty.conftest import Shelf
from tests.gateway.gateway import Gateway

pytestmark = pytest.mark.gateway

ALICE = Address(external_id="alice")
FANS = Address(external_id="fans@chatroom", group=True)


async def test_text_goes_out_and_comes_back_as_an_echo(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, sink):
        id = await channel.send(ALICE, Text(text="你好呀\n第二行"))
        assert id is not None
        echo = await sink.by_id(id)
    assert gateway.log("text")[0]["text"] == "你好呀\n第二行"
    assert gateway.log("text")[0]["id"] == id
    assert echo.from_self
    assert echo.contact is not None
    assert echo.contact.external_id == "alice"


async def test_mentions_carry_ids_and_names(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, _):
        await channel.send(FANS, Text(text="欢迎新朋友", mentions=("alice", "bob")))
        await channel.send(FANS, Text(text="@鲍勃 你好", mentions=("bob",)))
        await channel.send(FANS, Text(text="开会", mentions=("@all",)))
        await channel.send(FANS, Text(text="没有资料也行", mentions=("ghost",)))
        await channel.send(ALICE, Text(text="私聊不用@", mentions=("alice",)))
    said = [(entry["text"], entry["mentions"]) for entry in gateway.log("text")]
    assert said == [
        ("@群里的爱丽丝\u2005@鲍勃\u2005欢迎新朋友", ["alice", "bob"]),
        ("@鲍勃 你好", ["bob"]),
        ("@所有人\u2005开会", ["@all"]),
        ("没有资料也行", ["ghost"]),
        ("私聊不用@", []),
    ]


@pytest.mark.parametrize("size", [1, 20 * 1024, 20 * 1024 + 1, 6 * 1024 * 1024])
async def test_files_arrive_whole(gateway: Gateway, connect: Any, media: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    (media / "海报.png").write_bytes(content[:size])
    async with connect(gateway, deadline=20) as (channel, _):
        await channel.send(ALICE, Media(kind="image", path="media/海报.png"))
        await channel.send(ALICE, Media(kind="file", path="media/海报.png", name="改名.png"))
    first, second = gateway.log("file")
    assert first["name"] == "海报.png"
    assert first["size"] == size
    assert first["sha256"] == hashlib.sha256(content[:size]).hexdigest()
    assert first["boxed"] == (1 if size <= 20 * 1024 else 7)
    assert second["name"] == "改名.png"


async def test_links_cards_programs_and_urls(gateway: Gateway, connect: Any) -> None:
    bodies: list[Body] = [
        Link(url="https://example.com/a", title="新款", description="d", thumbnail="t"),
        MiniProgram(app_id="wx1", title="商城", username="gh_1", page_path="p", thumbnail="t"),
        Card(contact_id="bob"),
        Media(kind="image", url="https://example.com/p/a.png?x=1"),
    ]
    async with connect(gateway, web=Shelf()) as (channel, _):
        for body in bodies:
            assert await channel.send(ALICE, body) is not None
    link, program, card, file = gateway.log("link", "mini_program", "card", "file")
    assert link["link"]["url"] == "https://example.com/a"
    assert (link["link"]["title"], link["link"]["thumbnailUrl"]) == ("新款", "t")
    assert program["program"]["appid"] == "wx1"
    assert (program["program"]["pagePath"], program["program"]["thumbUrl"]) == ("p", "t")
    assert card["contactId"] == "bob"
    assert (file["boxed"], file["name"], file["size"]) == (1, "a.png", 31)
    assert file["sha256"] == hashlib.sha256(b"https://example.com/p/a.png?x=1").hexdigest()


@pytest.mark.parametrize("retry", [True, False])
async def test_what_cannot_be_fetched_is_not_sent_and_not_the_accounts_fault(
    gateway: Gateway, connect: Any, retry: bool
) -> None:
    body = Media(kind="image", url="https://example.com/p/a.png?key=secret")
    async with connect(gateway, web=Shelf(WebError("对方回答 503", retry=retry))) as (channel, _):
        with pytest.raises(NotSent) as caught:
            await channel.send(ALICE, body)
    assert (caught.value.retry, caught.value.ours) == (retry, True)
    assert str(caught.value) == "没有发出：example.com/p/a.png 的文件取不到，对方回答 503。"
    assert gateway.log("file") == []


async def test_alias_topic_announcement_and_members_really_change(
    gateway: Gateway, connect: Any
) -> None:
    async with connect(gateway) as (channel, sink):
        await channel.set_alias("bob", "鲍勃-意向高")
        await channel.set_alias("alice", "")  # an empty remark clears it, and is not a read
        await channel.set_topic("fans@chatroom", "新群名")
        await channel.announce("fans@chatroom", "周五晚上八点")
        await channel.add_member("fans@chatroom", "stranger")
        await channel.remove_member("fans@chatroom", "bob")
        event = await sink.by_id(gateway.say("bob", "我的备注", room="fans@chatroom"))
    assert event.contact is not None
    assert event.group is not None
    assert (event.contact.alias, event.group.topic) == ("鲍勃-意向高", "新群名")
    done = [{k: v for k, v in entry.items() if k != "at"} for entry in gateway.log()]
    assert done[-6:] == [
        {"kind": "alias", "to": "bob", "alias": "鲍勃-意向高"},
        {"kind": "alias", "to": "alice", "alias": ""},
        {"kind": "topic", "to": "fans@chatroom", "topic": "新群名"},
        {"kind": "announce", "to": "fans@chatroom", "text": "周五晚上八点"},
        {"kind": "add", "to": "fans@chatroom", "contactId": "stranger"},
        {"kind": "kick", "to": "fans@chatroom", "contactId": "bob"},
    ]


async def test_a_missing_id_means_sent(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, _):
        gateway.fail("send", "no_id")
        assert await channel.send(ALICE, Text(text="没有编号")) is None
    assert len(gateway.log("text")) == 1


@pytest.mark.parametrize(
    ("code", "retry"),
    [
        (StatusCode.UNIMPLEMENTED, False),
        (StatusCode.INVALID_ARGUMENT, False),
        (StatusCode.NOT_FOUND, False),
        (StatusCode.PERMISSION_DENIED, False),
        (StatusCode.FAILED_PRECONDITION, True),
        (StatusCode.UNAUTHENTICATED, True),
        (StatusCode.RESOURCE_EXHAUSTED, True),
    ],
)
async def test_explicit_refusals_are_not_sent(
    gateway: Gateway, connect: Any, code: StatusCode, retry: bool
) -> None:
    async with connect(gateway) as (channel, _):
        gateway.fail("send", "refuse", code=code.value[0], message="不是好友")
        with pytest.raises(NotSent, match="不是好友") as caught:
            await channel.send(ALICE, Text(text="x"))
    assert caught.value.retry is retry
    assert gateway.log("text") == []


@pytest.mark.parametrize("code", [None, 1, 2, 4, 10, 13, 14])
async def test_other_failures_are_unclear(gateway: Gateway, connect: Any, code: int | None) -> None:
    async with connect(gateway) as (channel, _):
        gateway.fail("send", "refuse", **({} if code is None else {"code": code}))
        with pytest.raises(Unclear):
            await channel.send(ALICE, Text(text="x"))


async def test_a_hanging_send_is_unclear_after_the_deadline(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway, deadline=0.4) as (channel, _):
        gateway.fail("send", "hang")
        with pytest.raises(Unclear, match="DEADLINE_EXCEEDED"):
            await channel.send(ALICE, Text(text="x"))


async def test_a_late_answer_within_the_deadline_is_fine(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, _):
        gateway.fail("send", "late", ms=200)
        assert await channel.send(ALICE, Text(text="慢一点")) is not None


async def test_a_cut_in_the_middle_is_unclear_and_happened(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, sink):
        gateway.fail("send", "drop")
        with pytest.raises(Unclear):
            await channel.send(ALICE, Text(text="断在半路"))
        assert len(gateway.log("text")) == 1  # which is why it must not be sent again blindly
        await sink.saw(StatusKind.DISCONNECTED)
        await sink.saw(StatusKind.LOGIN, 2)
        assert await channel.send(ALICE, Text(text="又好了")) is not None


async def test_sends_in_flight_survive_each_other(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, _):
        ids = await asyncio.gather(*(channel.send(ALICE, Text(text=f"{n}")) for n in range(100)))
    assert len(set(ids)) == 100
    assert len(gateway.log("text")) == 100


async def test_logged_out_and_unconnected_sends_are_refused_here(
    gateway: Gateway, connect: Any
) -> None:
    async with connect(gateway) as (channel, sink):
        gateway.logout()
        await sink.saw(StatusKind.LOGOUT)
        with pytest.raises(NotSent, match="扫码") as caught:
            await channel.send(ALICE, Text(text="x"))
        assert caught.value.retry
    with pytest.raises(NotSent, match="没有连上"):
        await channel.send(ALICE, Text(text="x"))
    assert gateway.log("text") == []


async def test_the_open_gateway_has_no_moments(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, _):
        assert channel.capabilities == frozenset(Capability) - {Capability.MOMENT}
        with pytest.raises(NotSent, match="发不了朋友圈") as refused:
            await channel.send(Address(external_id=""), Moment(text="今天"))
        assert not refused.value.retry
        channel._extra = frozenset({Capability.MOMENT})  # should it ever be mistaken about it
        with pytest.raises(NotSent, match="不支持这种操作") as refused:
            await channel.send(Address(external_id=""), Moment(text="今天"))
        assert not refused.value.retry


@pytest.mark.parametrize(
    "path",
    ["siyu.yaml", "../outside.txt", "media/../siyu.yaml", "media/link.txt", "media", "media/no",
     "media/\0", "", "media/empty.txt"],
)  # fmt: skip
async def test_only_the_media_folder_leaves(
    gateway: Gateway, connect: Any, media: Path, path: str
) -> None:
    (media.parent / "siyu.yaml").write_text("token: secret")
    (media.parent.parent / "outside.txt").write_text("x")
    (media / "link.txt").symlink_to(media.parent / "siyu.yaml")
    (media / "empty.txt").touch()
    async with connect(gateway) as (channel, _):
        with pytest.raises(NotSent) as caught:
            await channel.send(ALICE, Media(kind="file", path=path))
    assert not caught.value.retry
    assert gateway.log("file") == []


async def test_a_gateway_that_dies_while_sending_is_unclear(
    own_gateway: Gateway, connect: Any
) -> None:
    async with connect(own_gateway) as (channel, sink):
        own_gateway.fail("send", "die")
        with pytest.raises(Unclear):
            await channel.send(ALICE, Text(text="说完就挂了"))
        await sink.saw(StatusKind.DISCONNECTED)
        assert len(own_gateway.log("text")) == 1
        await asyncio.to_thread(own_gateway.restart)
        await sink.saw(StatusKind.LOGIN, 2)
    assert len(own_gateway.log("text")) == 1  # nobody sent it again


async def test_an_upload_that_fails_has_sent_nothing(
    own_gateway: Gateway, connect: Any, media: Path
) -> None:
    (media / "big.bin").write_bytes(b"x" * 100_000)
    async with connect(own_gateway, deadline=0.3) as (channel, _):
        own_gateway.freeze()
        with pytest.raises(NotSent, match="没有传到网关") as caught:
            await channel.send(ALICE, Media(kind="file", path="media/big.bin"))
        own_gateway.thaw()
    assert caught.value.retry
