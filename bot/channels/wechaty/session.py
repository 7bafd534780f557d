"""Staying connected: open, listen, notice silence, and try again with growing pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc
from grpc import StatusCode

from bot.channels.wechaty.link import Link
from bot.channels.wechaty.trouble import Disconnected
from bot.channels.wechaty.wire import puppet_pb2 as pb


class Session:
    """Runs one link for as long as the channel lives."""

    def __init__(self, link: Link, *, backoff: tuple[float, float], hang_after: float) -> None:
        """`backoff` is the first and the longest pause, `hang_after` the longest silence, in s."""
        self._link = link
        self._shortest, self._longest = backoff
        self._hang_after = hang_after
        self._closing = asyncio.Event()
        self._heard = 0.0

    def close(self) -> None:
        """Make `run` return."""
        self._closing.set()

    async def run(
        self,
        *,
        up: Callable[[], Awaitable[None]],
        down: Callable[[str], Awaitable[None]],
        event: Callable[[int, str], Awaitable[None]],
    ) -> None:
        """Tell `up`, each `event` (type and payload), and `down` with a sentence; until `close()`.

        While `event` waits nothing is read. The link is left open for what is still under way.
        Raises `BadToken`, and what the callbacks raise.
        """
        pause = self._shortest
        while not self._closing.is_set():
            began = _clock()
            try:
                await _first_of(self._serve(up, event), self._closing.wait())
            except Disconnected as why:
                await self._link.close()
                await down(str(why))
            if _clock() - began > pause:
                pause = self._shortest  # it had worked for a while
            await _first_of(asyncio.sleep(pause), self._closing.wait())
            pause = min(pause * 2, self._longest)

    async def _serve(
        self, up: Callable[[], Awaitable[None]], event: Callable[[int, str], Awaitable[None]]
    ) -> None:
        stream = await self._link.open()
        await up()

        async def listen() -> None:
            async for response in stream:
                self._heard = _clock()
                await event(response.type, response.payload)

        listening = asyncio.create_task(listen())
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({listening, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                # Hung. Closing ends the stream; what was already read is still handed over.
                await self._link.close()
                await asyncio.wait({listening})
                listening.exception()
                watching.result()
            await listening
        finally:
            for task in (listening, watching):
                task.cancel()
            await asyncio.gather(listening, watching, return_exceptions=True)

    async def _watch(self) -> None:
        """Raise `Disconnected` when the gateway stays silent even when asked something.

        Asking, rather than HTTP/2 pings: a ping is answered by a gateway whose program hangs, and
        some gateways take frequent pings for an attack.
        """
        self._heard = _clock()
        patience = self._hang_after / 2
        while True:
            quiet = _clock() - self._heard
            if quiet < patience:
                await asyncio.sleep(patience - quiet)
                continue
            try:
                await self._link.call("Version", pb.Empty(), patience=patience)
            except grpc.aio.AioRpcError as error:
                if error.code() is StatusCode.DEADLINE_EXCEEDED:
                    raise self._link.broken(error) from error
                # Any other answer is a sign of life, or the end of the stream will tell.
            self._heard = _clock()


def _clock() -> float:
    return asyncio.get_running_loop().time()


async def _first_of(*jobs: Coroutine[Any, Any, Any]) -> None:
    """Run until one ends, cancel the others, and raise what the one raised."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
