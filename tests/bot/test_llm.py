"""The client against a server of ours that misbehaves, over a real socket: never a wrong send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.llm import OpenAIModel
from bot.stage import Stage
from sop.answers import ModelSettings
from storage.store import Store
from tests.bot.test_asker import FAQ, GOOD, HALF, SETTINGS, say
from tests.support import START, Play, populate, workspace

Behave = Callable[[asyncio.StreamWriter, int], Awaitable[None]]
pytestmark = pytest.mark.usefixtures("sqlite_url")  # the file is there, and migrated
HOLD = "我问一下～"


def _head(status: str, kind: str, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


SSE = _head("200 OK", "text/event-stream")


def _chunk(text: str | None, finish: str | None = None, **delta: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    return f"data: {json.dumps({**body, 'choices': [choice]})}\n\n".encode()


def _whole(text: str) -> bytes:
    return SSE + _chunk(text[:9]) + _chunk(text[9:], "stop") + b"data: [DONE]\n\n"


def _raw(data: bytes) -> Behave:
    async def send(writer: asyncio.StreamWriter, _n: int) -> None:
        writer.write(data)

    return send


def _then(first: bytes, second: bytes) -> Behave:
    async def send(writer: asyncio.StreamWriter, n: int) -> None:
        writer.write(second if n else first)

    return send


async def _hang(_writer: asyncio.StreamWriter, _n: int) -> None:
    await asyncio.Event().wait()


async def _drip(writer: asyncio.StreamWriter, _n: int) -> None:
    writer.write(SSE)
    while not writer.is_closing():
        writer.write(_chunk("没"))
        await writer.drain()
        await asyncio.wait([asyncio.create_task(asyncio.Event().wait())], timeout=0.05)


async def _flood(writer: asyncio.StreamWriter, _n: int) -> None:
    writer.write(SSE + b"data: ")
    for _ in range(160):
        writer.write(b"x" * 65_536)
        await writer.drain()


FULL = json.dumps({"choices": [{"message": {"content": say(GOOD)}}]}).encode()
BUSY = _head("429 Too Many Requests", "application/json", "Retry-After: 0") + b"{}"
BAD: dict[str, tuple[Behave, str]] = {
    "429 for long": (
        _raw(_head("429 Too Many", "application/json", "Retry-After: 3600") + b"{}"),
        "还要等 3600 秒",
    ),
    "429 twice": (_raw(BUSY), "又试了一次"),
    "500 twice": (_raw(_head("500 Oops", "text/plain") + b"no"), "模型的服务出错（500）"),
    "401": (_raw(_head("401 No", "application/json") + b"{}"), "模型不认这把钥匙"),
    "404": (_raw(_head("404 No", "text/html") + b"<html>"), "没有这个模型"),
    "400 always": (_raw(_head("400 No", "application/json") + b"{}"), "模型拒绝了请求（400）"),
    "hangs": (_hang, "没有答完"),
    "slow drip": (_drip, "没有答完"),
    "closes": (_raw(b""), "连不上模型"),
    "html": (_raw(_head("200 OK", "text/html") + b"<html>hi</html>"), ""),
    "cut stream": (_raw(SSE + _chunk(say(GOOD)[:20])), "断了"),
    "truncated json": (_raw(_whole(say(GOOD)[:-9])), "不是说好的格式"),
    "truncated chunk": (_raw(SSE + _chunk("没用过")[:-30]), ""),
    "foreign json": (_raw(_whole(json.dumps({"text": GOOD}))), "缺了说好的内容"),
    "foreign stream": (_raw(SSE + b'data: {"answer": "7"}\n\ndata: [DONE]\n\n'), ""),
    "foreign body": (_raw(_head("200 OK", "application/json") + FULL), ""),
    "empty choices": (_raw(SSE + b'data: {"choices": []}\n\ndata: [DONE]\n\n'), ""),
    "refusal": (_raw(SSE + _chunk(None, None, refusal="no")), "模型拒绝回答"),
    "filtered": (_raw(SSE + _chunk("没", "content_filter")), "模型拒绝回答"),
    "too long": (_raw(SSE + _chunk("没", "length")), "没有说完"),
    "10 MB": (_flood, ""),
    "no http": (_raw(b"\x00\xff\xfe garbage\r\n\r\n"), "连不上模型"),
}


@asynccontextmanager
async def _server(behave: Behave) -> AsyncIterator[tuple[str, list[bytes]]]:
    asked: list[bytes] = []
    serving: set[asyncio.Task[None] | None] = set()  # or what hangs would be collected as garbage

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        asked.append(head + await reader.readexactly(length))
        try:
            await behave(writer, len(asked) - 1)
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", asked
    finally:
        server.close()
        for task in serving:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in serving if task is not None))


async def _ask(url: str, root: Path) -> tuple[Play, Store, OpenAIModel]:
    settings = ModelSettings(url=url, name="tiny", key="k-e-y", timeout="400ms")  # type: ignore[arg-type]
    model = OpenAIModel(settings, breath=0)
    space = workspace(root / "workspace", FAQ, settings=SETTINGS)
    store = Store(f"sqlite:///{root / 'siyu.db'}")
    stage = Stage(space, store, start=START, make_model=lambda _space: model)
    populate(stage.world)
    await stage.open()
    play = Play(stage)
    await play.hear("amy", HALF)
    return play, store, model


@pytest.mark.parametrize("name", list(BAD))
async def test_whatever_a_server_does_a_human_gets_the_question(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    behave, why = BAD[name]
    async with _server(behave) as (url, asked):
        play, store, model = await _ask(url, tmp_path)
        assert [text for to, text in play.said if to == "amy"] == [HOLD]
        assert play.rows("SELECT state FROM question") == [("handed",)]
        assert play.rows("SELECT outcome FROM modelcall") == [("trouble",)]
        assert why in play.notes("handed")[0]
        assert 1 <= len(asked) <= 4
        await model.close()
        store.close()
    assert "k-e-y" not in caplog.text
    assert HALF not in caplog.text


@pytest.mark.parametrize("first", [BUSY, _head("503 Later", "text/plain"), b""])
async def test_one_retry_makes_good(first: bytes, tmp_path: Path) -> None:
    async with _server(_then(first, _whole(say(GOOD)))) as (url, asked):
        play, store, model = await _ask(url, tmp_path)
        assert [text for to, text in play.said if to == "amy"] == [GOOD]
        assert len(asked) == 2
        await model.close()
        store.close()


async def test_a_server_that_knows_no_schema_is_asked_for_less(tmp_path: Path) -> None:
    refused = _head("400 Bad Request", "application/json") + b"{}"
    async with _server(_then(refused, _whole(say(GOOD)))) as (url, asked):
        play, store, model = await _ask(url, tmp_path)
        assert [text for to, text in play.said if to == "amy"] == [GOOD]
        assert [b"json_schema" in one for one in asked] == [True, False]
        assert b"json_object" in asked[1]
        assert b"uthorization: Bearer k-e-y" in asked[0]
        await model.close()
        store.close()
