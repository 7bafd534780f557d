"""A wire to a server that can be cut, and cut so that only the answers are lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

PACKET = 65_536


class Relay:
    """`async with Relay(host, port) as relay:` what connects to `relay.port` reaches the server."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._deaf = False
        self._open: set[asyncio.StreamWriter] = set()  # both ends of every connection
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.cut()

    async def mend(self) -> None:
        """Let connections through, on the same port as before."""
        self._deaf = False
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def lose_answers(self) -> None:
        """From here on what is sent reaches the server, and nothing comes back."""
        self._deaf = True

    async def cut(self) -> None:
        """End every connection and take no new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection(*self._to)
            ends = {writer, back}
            self._open |= ends
            await asyncio.gather(
                self._carry(reader, back), self._carry(there, writer, answers=True)
            )
            self._open -= ends

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        while packet := await reader.read(PACKET):
            if not (answers and self._deaf):
                writer.write(packet)
                await writer.drain()
        writer.close()
