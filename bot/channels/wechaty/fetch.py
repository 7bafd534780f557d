"""Reading from the gateway with patience: bounded retries over failures and reconnects."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc import StatusCode

from bot.channels.wechaty.link import Link
from bot.channels.wechaty.trouble import Disconnected

TRIES = 3
PAUSE = 0.2  # seconds before the second try, twice as long before the third

_FINAL = frozenset({StatusCode.NOT_FOUND, StatusCode.UNIMPLEMENTED, StatusCode.INVALID_ARGUMENT})


class Unfetched(Exception):
    """The gateway did not give what was asked for; the message says how that went."""


async def fetch(link: Link, method: str, request: Any) -> Any:
    """Ask until there is an answer, for at most the link's deadline (seconds) in all.

    A try may take half of it, so one that hangs leaves time for another. An outage waits for the
    reconnect within the same bound. Raises `Unfetched`.
    """
    try:
        async with asyncio.timeout(link.deadline):
            return await _persist(link, method, request)
    except TimeoutError:
        raise Unfetched(f"{method}: no answer within {link.deadline:g} s") from None


async def _persist(link: Link, method: str, request: Any) -> Any:
    failures = 0
    while True:
        await link.up.wait()
        try:
            return await link.call(method, request, patience=link.deadline / 2)
        except Disconnected:
            pass
        except grpc.aio.AioRpcError as error:
            # An outage is not the item's fault: it does not count, only the time does.
            failures += error.code() is not StatusCode.UNAVAILABLE
            if error.code() in _FINAL or failures >= TRIES:
                # Not the details: they may quote what people wrote.
                raise Unfetched(f"{method}: {error.code().name}") from error
        await asyncio.sleep(PAUSE * max(failures, 1))
