"""The channel's small parts, without a gateway."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode

import bot.channels.wechaty.wire
from bot.channels.port import NotSent
from bot.channels.wechaty.cache import CONTACT, ROOM, Cache, Kept
from bot.channels.wechaty.echoes import Echoes
from bot.channels.wechaty.fetch import Unfetched
from bot.channels.wechaty.lanes import Lanes
from bot.channels.wechaty.trouble import Unclear, told_apart, why_down
from bot.channels.wechaty.wire import puppet_pb2 as pb
from sop.events import Event, EventKind, Person

WIRE = Path(bot.channels.wechaty.wire.__file__).parent


def test_generated_code_matches_the_proto(tmp_path: Path) -> None:
    protoc: Any = pytest.importorskip("grpc_tools.protoc")
    assert protoc.main(["", f"-I{WIRE}", f"--python_out={tmp_path}", "puppet.proto"]) == 0
    fresh = (tmp_path / "puppet_pb2.py").read_text("utf-8")
    kept = (WIRE / "puppet_pb2.py").read_text("utf-8")

    def content(code: str) -> list[str]:
        return [line for line in code.splitlines() if "AddSerializedFile" in line]

    assert content(fresh) == content(kept), "运行 puppet.proto 开头注释里的命令重新生成"


# Lanes


def event(who: str, text: str) -> Event:
    return Event(
        kind=EventKind.MESSAGE, at=0, external_id=text, contact=Person(external_id=who), text=text
    )


async def test_lanes_keep_order_within_and_not_between_conversations() -> None:
    delivered: list[str] = []
    blocked = asyncio.Event()
    seen = asyncio.Condition()

    async def deliver(event: Event) -> None:
        if event.text == "a1":
            await blocked.wait()
        delivered.append(event.text)
        async with seen:
            seen.notify_all()

    async def found(who: str, text: str) -> list[Event]:
        return [event(who, text)]

    lanes = Lanes(deliver, window=10)
    running = asyncio.create_task(lanes.run())
    for who, text in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("b", "b2")]:
        await lanes.add(found(who, text))
    async with seen:
        await seen.wait_for(lambda: len(delivered) == 2)
    assert delivered == ["b1", "b2"]
    blocked.set()
    await lanes.drained()
    assert delivered == ["b1", "b2", "a1", "a2"]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_lanes_hold_back_whoever_feeds_them() -> None:
    gate = asyncio.Event()

    async def deliver(event: Event) -> None:
        await gate.wait()

    async def found(text: str) -> list[Event]:
        return [event("a", text)]

    async def nothing() -> list[Event]:
        return []

    lanes = Lanes(deliver, window=2)
    running = asyncio.create_task(lanes.run())
    await lanes.add(nothing())  # gives its place back
    await lanes.add(found("1"))
    await lanes.add(found("2"))
    third = asyncio.create_task(lanes.add(found("3")))
    done, _ = await asyncio.wait({third}, timeout=0.05)
    assert not done
    gate.set()
    await third
    await lanes.drained()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# Cache


async def test_kept_asks_once_is_bounded_and_forgets_failures() -> None:
    asked: list[str] = []

    async def ask(key: str) -> str:
        asked.append(key)
        if key == "bad":
            raise Unfetched("no")
        return key.upper()

    kept = Kept(ask, size=2)
    assert await asyncio.gather(kept.get("a"), kept.get("a")) == ["A", "A"]
    assert asked == ["a"]
    for _ in range(2):
        with pytest.raises(Unfetched):
            await kept.get("bad")
    assert asked == ["a", "bad", "bad"]
    for key in ("b", "c", "a"):
        await kept.get(key)
    assert asked[3:] == ["b", "c", "a"]  # "a" had to go for "c"


async def test_what_turned_dirty_while_asked_for_is_not_kept() -> None:
    answers = iter(["old", "new"])
    gate = asyncio.Event()

    async def ask(key: str) -> str:
        answer = next(answers)
        await gate.wait()
        return answer

    kept = Kept(ask, size=2)
    first = asyncio.create_task(kept.get("a"))
    await asyncio.wait({first}, timeout=0.01)
    kept.drop("a")
    gate.set()
    assert await first == "old"
    assert await kept.get("a") == "new"


async def test_dirty_kinds() -> None:
    asked: list[str] = []

    async def contact(id: str) -> Any:
        asked.append("c")
        return pb.ContactPayloadResponse(id=id, name="n")

    async def room(id: str) -> Any:
        asked.append("r")
        return pb.RoomPayloadResponse(id="another", topic="t")

    cache = Cache(contact, room)

    async def look() -> str:
        asked.clear()
        person, group = await cache.person("x"), await cache.room("x")
        assert (person.external_id, group.external_id) == ("x", "x")
        return "".join(asked)

    assert await look() == "cr"
    assert await look() == ""
    cache.invalidate(CONTACT, "x")
    assert await look() == "c"
    cache.invalidate(ROOM, "x")
    assert await look() == "r"
    cache.invalidate("odd", "x")
    assert await look() == "cr"


# Echoes


async def test_an_echo_that_overtakes_the_answer_waits_for_it() -> None:
    echoes = Echoes(patience=5)
    echo = pb.MessagePayloadResponse(id="m1", listener_id="alice", text="dong")
    with echoes.sending("alice", "dong") as sent:
        waiting = asyncio.create_task(echoes.by_plugin(echo))
        await asyncio.wait({waiting}, timeout=0.01)
        assert not waiting.done()
        sent.id = "m1"
    assert await waiting is True
    assert await echoes.by_plugin(echo) is False  # once


async def test_refused_and_unclear_plugin_sends() -> None:
    echoes = Echoes(patience=5)
    echo = pb.MessagePayloadResponse(id="m1", room_id="fans", text="dong")
    for failure, expected in ((NotSent("no"), False), (Unclear("?"), True)):
        with pytest.raises(type(failure)), echoes.sending("fans", "dong"):
            raise failure
        assert await echoes.by_plugin(echo) is expected


# Words


def failure(code: StatusCode, details: str) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


@pytest.mark.parametrize("code", list(StatusCode))
def test_every_code_has_its_meaning_and_hides_the_token(code: StatusCode) -> None:
    error = failure(code, "Invalid Wechaty TOKEN s3cret\n at stack")
    meant = told_apart(error, secret="s3cret")
    assert isinstance(meant, NotSent | Unclear)
    assert "s3cret" not in str(meant)
    assert "stack" not in str(meant)
    assert "s3cret" not in why_down(error, endpoint="h:1", secret="s3cret")


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ("DNS resolution failed for nowhere", "主机名"),
        ("Ssl handshake failed: SSL_ERROR_SSL", "加密握手"),
        ("connect: Connection refused (111)", "没有程序在监听"),
        ("Socket closed", "TLS 的设置一致"),
    ],
)
def test_unreachable_gateways_are_explained(details: str, words: str) -> None:
    error = failure(StatusCode.UNAVAILABLE, details)
    assert words in why_down(error, endpoint="h:1", secret="")


def test_urllib_shim() -> None:
    shims = importlib.import_module("bot.channels.wechaty.shims")
    assert shims._get_host("https://example.com:81/a") == ("https", "example.com", 81)
