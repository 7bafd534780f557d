"""Fetching a file from the open internet: guarded at every hop, bounded in size and time.

A name is looked up once a hop, every address it has must be public, and the connection goes to the
address that was looked at; so neither a redirect nor a name that changes its mind leads inside.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urljoin

from bot.web.places import Address, BadAddress, Place, is_public, place_of
from sop.errors import SiyuError

LARGEST = 20_000_000  # bytes of one file
PATIENCE = 20.0  # seconds for all of it, redirects included
HOPS = 3  # redirects followed
FRESH = 600.0  # seconds a file is kept: a push sends the same picture to thousands
KEPT = 32_000_000  # bytes kept at most
_LATE = "等了太久，文件还没有取完"
_PIECE = 64 * 1024
_MOVED = (301, 302, 303, 307, 308)
Resolve = Callable[[str, int], Sequence[Address]]


class WebError(SiyuError):
    """文件没有取到。"""

    def __init__(self, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.retry = retry  # False when trying again cannot help


def look_up(host: str, port: int) -> list[Address]:
    """Every address of a name. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(entry[4][0])) for entry in found]


class Web:
    """Fetches files, and keeps what it fetched for a while."""

    def __init__(
        self,
        *,
        allowed: Callable[[Address], bool] = is_public,
        resolve: Resolve = look_up,
        trust: ssl.SSLContext | None = None,
        largest: int = LARGEST,
        patience: float = PATIENCE,
    ) -> None:
        """`trust`: whose certificates are believed, by default the system's."""
        self._allowed, self._resolve, self._trust = allowed, resolve, trust
        self._largest, self._patience = largest, patience
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def fetch(self, url: str) -> bytes:
        """The bytes behind an https address. Raises `WebError`."""
        kept = self._kept.get(url)
        if kept is not None and time.monotonic() - kept[0] < FRESH:
            return kept[1]
        try:
            async with asyncio.timeout(self._patience + 1):  # a lookup cannot be interrupted
                content = await asyncio.to_thread(self._follow, url)
        except TimeoutError:
            raise WebError(_LATE, retry=True) from None
        self._keep(url, content)
        return content

    def _keep(self, url: str, content: bytes) -> None:
        self._kept.pop(url, None)
        self._kept[url] = (time.monotonic(), content)
        while sum(len(one) for _, one in self._kept.values()) > KEPT:
            self._kept.popitem(last=False)

    def _follow(self, url: str) -> bytes:
        end = time.monotonic() + self._patience
        for _ in range(HOPS + 1):
            try:
                place = place_of(url)
                answer = self._ask(place, self._address(place), end)
            except BadAddress as error:
                raise WebError(str(error), retry=False) from None
            except ssl.SSLCertVerificationError:
                raise WebError("对方的证书不可信", retry=False) from None
            except (OSError, http.client.HTTPException, ValueError):
                why = _LATE if time.monotonic() >= end else "连不上，或者中途断了"
                raise WebError(why, retry=True) from None
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise WebError(f"转了 {HOPS} 次还没有到文件", retry=False)

    def _address(self, place: Place) -> Address:
        addresses = self._resolve(place.host, place.port)
        if not addresses or not all(map(self._allowed, addresses)):
            raise BadAddress(f"{place.host} 指向内网，不会去取")
        return addresses[0]

    def _ask(self, place: Place, address: Address, end: float) -> bytes | str:
        """The file, or the address where it has moved to."""
        left = max(end - time.monotonic(), 0.01)
        plain = socket.create_connection((str(address), place.port), timeout=left)
        # A time-out of the socket begins anew with every byte; this one does not.
        line = plain.dup()  # TLS takes the other one over
        cut = threading.Timer(max(end - time.monotonic(), 0.01), _hang_up, (line,))
        cut.daemon = True
        cut.start()
        connection = http.client.HTTPSConnection(place.host, place.port)
        try:
            trust = self._trust or ssl.create_default_context()
            connection.sock = trust.wrap_socket(plain, server_hostname=place.host)
            connection.request("GET", place.path, headers={"User-Agent": "siyu"})
            with connection.getresponse() as response:
                return self._read(response)
        finally:
            cut.cancel()
            connection.close()
            for one in (plain, line):
                one.close()

    def _read(self, response: http.client.HTTPResponse) -> bytes | str:
        if response.status in _MOVED:
            return response.headers.get("Location", "")
        if response.status != 200:
            busy = response.status == 429 or response.status >= 500
            raise WebError(f"对方回答 {response.status}", retry=busy)
        content = bytearray()
        while piece := response.read1(_PIECE):
            content += piece
            if len(content) > self._largest:
                raise WebError(f"文件超过 {self._largest // 1_000_000} MB", retry=False)
        if response.length:  # it was cut short
            raise http.client.IncompleteRead(bytes(content))
        if not content:
            raise WebError("文件是空的", retry=False)
        return bytes(content)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
