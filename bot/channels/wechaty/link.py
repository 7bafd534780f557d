"""One connection to a Wechaty gateway: TLS, token, deadlines, the event stream. No decisions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode

from bot.channels.wechaty.trouble import Cut, Disconnected, why_down
from bot.channels.wechaty.wire import puppet_pb2 as pb
from sop.errors import BadToken, ChannelError, refusal

# The gateway greets a new stream with a heartbeat at once; community gateways may not, so do not
# insist. Wechaty's own client waits as long.
GREETING = 5.0  # seconds

_SERVICE = pb.DESCRIPTOR.services_by_name["Puppet"]
_COMMUNITY_NAME = "insecure"  # the name in the certificate every gateway ships with

_OPTIONS: list[tuple[str, Any]] = [
    # A retry below us could send a message twice.
    ("grpc.enable_retries", 0),
    # A room of 500 members with long names still fits the default of 4 MiB; a Chunk does too.
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # Two accounts on one gateway host must not share one HTTP/2 connection (and its stalls).
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How to trust a gateway.

    Without `ca` (a PEM file) the community's certificate authority is trusted, whose server key is
    public: that encrypts, but proves nothing. `server_name` is what the certificate must say; by
    default the community's name without `ca`, and the endpoint's host with it.
    """

    enabled: bool = True
    ca: Path | None = None
    server_name: str = ""


class Link:
    """A connection that can be opened again after it broke; at most one at a time."""

    def __init__(self, *, endpoint: str, token: str, tls: TlsOptions, deadline: float) -> None:
        """`endpoint` is host:port; `deadline` (seconds) bounds each unary call."""
        self.endpoint = endpoint
        self.deadline = deadline
        self.up = asyncio.Event()
        self._token = token
        self._tls = tls
        self._channel: grpc.aio.Channel | None = None
        self._metadata = (("authorization", f"Wechaty {token}"),)

    @property
    def secret(self) -> str:
        """What must never be shown or logged."""
        return self._token

    async def open(self) -> AsyncIterator[Any]:
        """Connect, open the event stream, start the puppet; returns the stream of EventResponses.

        The stream raises `Disconnected` when it ends. Raises `Disconnected` or `BadToken`.
        """
        if not (self._token.isascii() and self._token.isprintable()):
            # gRPC cannot even send it, and reports that as a trouble of the gateway.
            raise BadToken("令牌（token）里有换行、中文或看不见的字符，请核对 channel.token。")
        self._channel = self._dial()
        stream = self._channel.unary_stream(
            self._path("Event"),
            request_serializer=pb.Empty.SerializeToString,
            response_deserializer=pb.EventResponse.FromString,
        )(pb.Empty(), metadata=self._metadata)
        # The stream must be there before Start: the gateway does not queue what Start sets off.
        first = asyncio.ensure_future(stream.read())
        try:
            await asyncio.wait({first}, timeout=min(GREETING, self.deadline))
            if first.done():
                first.result()
            # Never Stop, also not before Start: some puppets log the account out on it.
            await self.call("Start", pb.Empty())
        except grpc.aio.AioRpcError as error:
            first.cancel()
            raise self.broken(error) from error
        except BaseException:
            first.cancel()
            raise
        self.up.set()
        return self._events(stream, first)

    async def _events(self, stream: Any, first: asyncio.Future[Any]) -> AsyncIterator[Any]:
        try:
            response = await _undisturbed(first)
            while response is not grpc.aio.EOF:
                yield response
                response = await _undisturbed(stream.read())
        except grpc.aio.AioRpcError as error:
            raise self.broken(error) from error
        raise Disconnected(f"网关 {self.endpoint} 关闭了连接（可能在重启），会自动重连。")

    async def call(self, method: str, request: Any, *, patience: float | None = None) -> Any:
        """One unary call; `patience` replaces the deadline (seconds).

        Raises `grpc.aio.AioRpcError`; `Disconnected` when there is no connection, and its subclass
        `Cut` when it was closed under the call.
        """
        call = self._live().unary_unary(
            self._path(method),
            request_serializer=type(request).SerializeToString,
            response_deserializer=_answer(method).FromString,
        )(request, timeout=patience or self.deadline, metadata=self._metadata)
        return await _undisturbed(call)

    async def upload(self, chunks: AsyncIterator[bytes], *, patience: float) -> str:
        """Stream a file to the gateway; returns the uuid to refer to it by."""

        async def requests() -> AsyncIterator[Any]:
            async for chunk in chunks:
                yield pb.Chunk(chunk=chunk)

        call = self._live().stream_unary(
            self._path("Upload"),
            request_serializer=pb.Chunk.SerializeToString,
            response_deserializer=pb.UploadResponse.FromString,
        )(requests(), timeout=patience, metadata=self._metadata)
        return str((await _undisturbed(call)).id)

    async def download(self, uuid: str, *, patience: float) -> bytes:
        """The bytes behind a uuid of the gateway."""
        call = self._live().unary_stream(
            self._path("Download"),
            request_serializer=pb.IdRequest.SerializeToString,
            response_deserializer=pb.Chunk.FromString,
        )(pb.IdRequest(id=uuid), timeout=patience, metadata=self._metadata)
        chunks = []
        while (chunk := await _undisturbed(call.read())) is not grpc.aio.EOF:
            chunks.append(chunk.chunk)
        return b"".join(chunks)

    def broken(self, error: grpc.aio.AioRpcError) -> ChannelError:
        """What a failure of the connection itself means."""
        if error.code() is StatusCode.UNAUTHENTICATED:
            return BadToken()
        return Disconnected(why_down(error, endpoint=self.endpoint, secret=self._token))

    async def close(self) -> None:
        """Hang up; calls in flight fail. The account stays logged in."""
        self.up.clear()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    def _live(self) -> grpc.aio.Channel:
        if self._channel is None:
            raise Disconnected
        return self._channel

    def _dial(self) -> grpc.aio.Channel:
        if not self._tls.enabled:
            return grpc.aio.insecure_channel(self.endpoint, options=_OPTIONS)
        name = self._tls.server_name or ("" if self._tls.ca else _COMMUNITY_NAME)
        options = [*_OPTIONS, ("grpc.ssl_target_name_override", name)] if name else _OPTIONS
        credentials = grpc.ssl_channel_credentials(_authority(self._tls.ca))
        return grpc.aio.secure_channel(self.endpoint, credentials, options=options)

    @staticmethod
    def _path(method: str) -> str:
        return f"/{_SERVICE.full_name}/{method}"


async def _undisturbed(call: Awaitable[Any]) -> Any:
    """Closing a channel raises CancelledError from its calls, though nobody cancelled the task."""
    try:
        return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Cut from None


def _answer(method: str) -> Any:
    return GetMessageClass(_SERVICE.methods_by_name[method].output_type)


def _authority(ca: Path | None) -> bytes:
    try:
        return ca.read_bytes() if ca else _COMMUNITY_CA.read_bytes()
    except OSError as error:
        raise ChannelError(f"读不到证书文件 {ca}：{refusal(error)}。") from error


_COMMUNITY_CA = resources.files("bot.channels.wechaty.wire").joinpath("community-ca.pem")
