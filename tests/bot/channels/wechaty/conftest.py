"""Worlds behind the workers' gateways, and channels connected to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.channels.port import StatusKind
from bot.channels.wechaty import WechatyChannel
from bot.web import Web, WebError
from tests.gateway.gateway import Gateway
from tests.gateway.world import PATIENCE, Recorder, populate


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    """The shared gateway with a fresh world and an empty log."""
    shared_gateway.reset()
    populate(shared_gateway)
    return shared_gateway


@pytest.fixture
def own_gateway(mortal_gateway: Gateway) -> Gateway:
    """A gateway that a test may kill, freeze and restart, with a fresh world."""
    mortal_gateway.reset()
    populate(mortal_gateway)
    return mortal_gateway


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


class Shelf(Web):
    """Behind every address lies the address itself, or nothing."""

    def __init__(self, error: WebError | None = None) -> None:
        super().__init__()
        self._error = error

    async def fetch(self, url: str) -> bytes:
        if self._error is not None:
            raise self._error
        return url.encode()


Connect = Callable[..., Any]


@pytest.fixture
def connect(tmp_path: Path, media: Path) -> Connect:
    """`async with connect(gateway, **options) as (channel, sink):` a channel that runs."""

    @asynccontextmanager
    async def connected(
        gateway: Gateway, *, ready: bool = True, **options: Any
    ) -> AsyncIterator[tuple[WechatyChannel, Recorder]]:
        settings: dict[str, Any] = {
            "endpoint": gateway.endpoint,
            "token": gateway.token,
            "tls": gateway.tls,
            "media_root": media,
            "data_dir": tmp_path / "data",
            "backoff": (0.05, 0.2),
            "deadline": 5,
            "hang_after": 10,
        }
        channel = WechatyChannel(**{**settings, **options})
        sink = Recorder()
        running = asyncio.create_task(channel.run(sink))
        try:
            if ready:
                await sink.saw(StatusKind.LOGIN)
                await sink.until(lambda: sink.rosters)
            yield channel, sink
        finally:
            await channel.close()
            async with asyncio.timeout(PATIENCE):
                await running

    return connected
