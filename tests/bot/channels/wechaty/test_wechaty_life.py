"""Gateways that are down, die, hang, refuse or are taken, and how the channel lives through it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from bot.channels.port import Address, NotSent, StatusKind
from bot.channels.wechaty import TlsOptions, WechatyChannel
from sop.errors import BadToken, ChannelError
from sop.messages import Link, Media, Moment, Text
from tests.bot.channels.wechaty.conftest import Shelf
from tests.gateway.gateway import Gateway, missing
from tests.gateway.world import Recorder, populate

pytestmark = pytest.mark.gateway

ALICE = Address(external_id="alice")


async def test_start_is_called_and_stop_never(own_gateway: Gateway, connect: Any) -> None:
    await asyncio.to_thread(own_gateway.restart)
    for _ in range(2):
        async with connect(own_gateway):
            pass
    assert [entry["kind"] for entry in own_gateway.log()] == ["start"]
    assert own_gateway.counters()["started"] == 1


async def test_gateway_down_at_start_then_up(own_gateway: Gateway, connect: Any) -> None:
    own_gateway.kill()
    async with connect(own_gateway, ready=False) as (channel, sink):
        status = await sink.saw(StatusKind.DISCONNECTED)
        assert "没有程序在监听" in status.detail
        assert own_gateway.endpoint in status.detail
        with pytest.raises(NotSent) as caught:
            await channel.send(ALICE, Text(text="x"))
        assert caught.value.retry
        await asyncio.to_thread(own_gateway.start)
        await sink.saw(StatusKind.LOGIN)
        await sink.by_id(own_gateway.say("alice", "来了", to="bot"))
    assert [s.kind for s in sink.statuses].count(StatusKind.DISCONNECTED) == 1


async def test_killed_and_restarted_gateway_is_resynchronised(
    own_gateway: Gateway, connect: Any
) -> None:
    async with connect(own_gateway) as (channel, sink):
        own_gateway.kill()
        await sink.saw(StatusKind.DISCONNECTED)
        own_gateway._world.append(  # what changed during the outage was not said to anybody
            {"do": "contact", "payload": {"id": "alice", "name": "改名的爱丽丝"}}
        )
        await asyncio.to_thread(own_gateway.start)
        await sink.saw(StatusKind.LOGIN, 2)
        await sink.until(
            lambda: {"改名的爱丽丝"} <= {person.name for person in sink.rosters[-1][0]}
        )
        event = await sink.by_id(own_gateway.say("alice", "我回来了", to="bot"))
        assert event.contact is not None
        assert event.contact.name == "改名的爱丽丝"
        assert await channel.send(ALICE, Text(text="欢迎回来")) is not None
    assert "stop" not in {entry["kind"] for entry in own_gateway.log()}


async def test_messages_under_way_survive_a_restart(own_gateway: Gateway, connect: Any) -> None:
    async with connect(own_gateway, deadline=15) as (_, sink):
        own_gateway.fail("message", "hang", id="mid-air")
        own_gateway.say("alice", "重启前说的", to="bot", id="mid-air")
        while not own_gateway.counters()["fetched"].get("message"):  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0)
        await asyncio.to_thread(own_gateway.restart)
        assert (await sink.by_id("mid-air")).text == "重启前说的"


async def test_a_frozen_gateway_is_noticed_and_thawed(own_gateway: Gateway, connect: Any) -> None:
    async with connect(own_gateway, deadline=0.5, hang_after=0.6) as (_, sink):
        own_gateway.freeze()
        status = await sink.saw(StatusKind.DISCONNECTED)
        assert "没有回应" in status.detail
        own_gateway.thaw()
        await sink.saw(StatusKind.LOGIN, 2)
        await sink.by_id(own_gateway.say("alice", "活了", to="bot"))


async def test_a_socket_that_accepts_and_is_silent_is_noticed(
    connect: Any, own_gateway: Gateway
) -> None:
    own_gateway.kill()
    with socket.create_server(("127.0.0.1", own_gateway.port)):  # the kernel accepts, nobody reads
        async with connect(own_gateway, ready=False, deadline=0.3) as (_, sink):
            status = await sink.saw(StatusKind.DISCONNECTED)
    assert "没有回应" in status.detail


async def test_a_start_that_fails_is_tried_again(own_gateway: Gateway, connect: Any) -> None:
    await asyncio.to_thread(own_gateway.restart)
    own_gateway.fail("start", "refuse", message="扫码服务没有起来")
    async with connect(own_gateway, ready=False, deadline=0.5) as (_, sink):
        await sink.saw(StatusKind.DISCONNECTED)
        await sink.saw(StatusKind.CONNECTED)


async def test_wrong_token_ends_the_run(
    gateway: Gateway, media: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = WechatyChannel(
        endpoint=gateway.endpoint,
        token="wrong-token",
        tls=False,
        media_root=media,
        data_dir=tmp_path,
    )
    with pytest.raises(BadToken, match="token"):
        await channel.run(Recorder())
    assert "wrong-token" not in caplog.text


@pytest.mark.parametrize("token", ["令牌", "a\n"])
async def test_a_token_that_cannot_be_sent_ends_the_run(
    media: Path, tmp_path: Path, token: str
) -> None:
    channel = WechatyChannel(
        endpoint="127.0.0.1:1", token=token, media_root=media, data_dir=tmp_path
    )
    with pytest.raises(BadToken, match="换行"):
        await channel.run(Recorder())


async def test_a_taken_gateway_is_said_and_tried_again(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway), connect(gateway, ready=False) as (_, second):
        status = await second.saw(StatusKind.DISCONNECTED)
        assert "另一个程序" in status.detail
    async with connect(gateway) as (_, third):
        assert third.statuses[0].kind is StatusKind.CONNECTED


async def test_cancelling_a_run_ends_it(gateway: Gateway, media: Path, tmp_path: Path) -> None:
    channel = WechatyChannel(
        endpoint=gateway.endpoint,
        token=gateway.token,
        tls=False,
        media_root=media,
        data_dir=tmp_path,
    )
    sink = Recorder()
    running = asyncio.create_task(channel.run(sink))
    await sink.saw(StatusKind.LOGIN)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(NotSent):
        await channel.send(ALICE, Text(text="x"))


async def test_what_the_sink_raises_ends_the_run(
    gateway: Gateway, media: Path, tmp_path: Path
) -> None:
    class Broken(Recorder):
        async def event(self, event: Any) -> None:
            raise OSError("disk full")

    channel = WechatyChannel(
        endpoint=gateway.endpoint,
        token=gateway.token,
        tls=False,
        media_root=media,
        data_dir=tmp_path,
    )
    sink = Broken()
    running = asyncio.create_task(channel.run(sink))
    await sink.saw(StatusKind.LOGIN)
    gateway.say("alice", "x", to="bot")
    with pytest.raises(OSError, match="disk full"):
        await running


async def test_closing_delivers_what_is_under_way(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (channel, sink):
        sink.gate.clear()
        gateway.say("alice", "最后一句", to="bot", id="last")
        await sink.until(lambda: sink.waiting)
        await channel.close()
        sink.gate.set()
        await sink.by_id("last")


async def test_account_hint_stands_in_for_a_login(own_gateway: Gateway, connect: Any) -> None:
    own_gateway.logout()
    async with connect(own_gateway, ready=False, account_id_hint="bot") as (_, sink):
        await sink.saw(StatusKind.CONNECTED)
        event = await sink.by_id(own_gateway.say("bot", "我自己", to="alice"))
    assert event.from_self


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An operator's own self-signed certificate for the name gateway.test."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
         "-subj", "/CN=gateway.test", "-addext", "subjectAltName=DNS:gateway.test",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return {"serverKey": key.read_text(), "serverCert": cert.read_text(), "ca": str(cert)}


async def test_tls_with_the_community_certificate(connect: Any) -> None:
    if why := missing():
        pytest.skip(why)
    with Gateway(tls=True) as gateway:
        populate(gateway)
        async with connect(gateway) as (channel, sink):
            await sink.by_id(gateway.say("alice", "加密的", to="bot"))
            assert await channel.send(ALICE, Text(text="也是加密的")) is not None
        async with connect(gateway, ready=False, tls=False) as (_, sink):
            assert "TLS" in (await sink.saw(StatusKind.DISCONNECTED)).detail
        wrong = TlsOptions(server_name="somebody.else")
        async with connect(gateway, ready=False, tls=wrong) as (_, sink):
            assert "加密握手" in (await sink.saw(StatusKind.DISCONNECTED)).detail


async def test_tls_with_the_operators_own_certificate(
    connect: Any, certificate: dict[str, str]
) -> None:
    if why := missing():
        pytest.skip(why)
    with Gateway(tls=True, certificate=certificate) as gateway:
        populate(gateway)
        own = TlsOptions(ca=Path(certificate["ca"]), server_name="gateway.test")
        async with connect(gateway, tls=own) as (_, sink):
            await sink.by_id(gateway.say("alice", "自己的证书", to="bot"))
        async with connect(gateway, ready=False, tls=True) as (_, sink):
            assert "加密握手" in (await sink.saw(StatusKind.DISCONNECTED)).detail


async def test_tls_towards_a_plain_gateway_is_said(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway, ready=False, tls=True) as (_, sink):
        assert "加密握手" in (await sink.saw(StatusKind.DISCONNECTED)).detail


async def test_a_missing_certificate_file_ends_the_run(
    gateway: Gateway, media: Path, tmp_path: Path
) -> None:
    channel = WechatyChannel(
        endpoint=gateway.endpoint,
        token="x",
        tls=TlsOptions(ca=tmp_path / "none.pem"),
        media_root=media,
        data_dir=tmp_path,
    )
    with pytest.raises(ChannelError, match=r"none\.pem"):
        await channel.run(Recorder())


# Juzi's line


async def test_juzis_line_has_moments(media: Path, tmp_path: Path) -> None:
    """A few calls of a Juzi gateway, enough to be told apart from the open one."""
    posted: list[bytes] = []

    async def stream(request: bytes, context: Any) -> Any:
        yield b"\x08\x01\x12\x02{}"  # a heartbeat
        await asyncio.Event().wait()

    async def empty(request: bytes, context: Any) -> bytes:
        return b""

    async def publish(request: bytes, context: Any) -> bytes:
        posted.append(request)
        return b"\x0a\x02m1"  # field 1: the Moment's id

    server = grpc.aio.server()
    handlers = {name: grpc.unary_unary_rpc_method_handler(empty) for name in ("Start", "Version")}
    handlers["momentPublish"] = grpc.unary_unary_rpc_method_handler(publish)
    handlers["CurrentUser"] = grpc.unary_unary_rpc_method_handler(empty)
    handlers["Event"] = grpc.unary_stream_rpc_method_handler(stream)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("wechaty.Puppet", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = WechatyChannel(
        endpoint=f"127.0.0.1:{port}",
        token="t",
        tls=False,
        media_root=media,
        data_dir=tmp_path,
        web=Shelf(),
    )
    sink = Recorder()
    running = asyncio.create_task(channel.run(sink))
    await sink.saw(StatusKind.CONNECTED)
    assert "moment" in channel.capabilities
    (media / "a.png").write_bytes(b"abc")
    images = (
        Media(kind="image", path="media/a.png"),
        Media(kind="image", url="https://e.com/b.png"),
    )
    moment = Moment(text="今天", images=images, visible_to=("amy", "bob"))
    assert await channel.send(Address(external_id=""), moment) == "m1"
    link = Link(url="https://e.com", title="看看")
    assert await channel.send(Address(external_id=""), Moment(link=link)) == "m1"
    assert [_wire(request) for request in posted] == [
        {3: [1], 4: [[(3, "今天")], [(1, 1), (4, "a.png")], [(1, 1), (4, "b.png")]],
         5: ["amy", "bob"]},
        {3: [1], 4: [[(1, 2), (5, "https://e.com")]]},
    ]  # fmt: skip
    await channel.close()
    await running
    await server.stop(None)


def _fields(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a message on the wire, in order, read without our own `.proto`."""
    out: list[tuple[int, Any]] = []
    while data:
        key, data = _varint(data)
        value, data = _varint(data)
        if key & 7 == 2:
            content, data = data[:value], data[value:]
            out.append((key >> 3, content))
        else:
            out.append((key >> 3, value))
    return out


def _varint(data: bytes) -> tuple[int, bytes]:
    value = shift = 0
    for n, byte in enumerate(data):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, data[n + 1 :]
    raise AssertionError("cut off")


def _wire(request: bytes) -> dict[int, list[Any]]:
    """What Juzi's line reads of a request: field numbers as its own `post.proto` has them."""
    ((number, post),) = _fields(request)
    assert number == 1
    out: dict[int, list[Any]] = {}
    for field, value in _fields(post):
        match field:
            case 4:
                out.setdefault(4, []).append([_part(*part) for part in _fields(value)])
            case 5:
                out.setdefault(5, []).append(value.decode())
            case _:
                out.setdefault(field, []).append(value)
    return out


def _part(field: int, value: Any) -> tuple[int, Any]:
    match field:
        case 4:
            return field, json.loads(value)["name"]
        case 5:
            return field, dict(_fields(value))[4].decode()
        case 3:
            return field, value.decode()
        case _:
            return field, value
