"""Tests cannot reach anyone: the ban itself."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.support import ReachedOut


def test_a_connection_to_another_machine_is_refused_before_it_is_tried() -> None:
    with socket.socket() as one, pytest.raises(ReachedOut, match=r"192\.0\.2\.1"):
        one.connect(("192.0.2.1", 80))
    with socket.socket() as one, pytest.raises(ReachedOut):
        one.connect_ex(("example.com", 443))


async def test_also_by_way_of_the_event_loop() -> None:
    with pytest.raises(ReachedOut):
        await asyncio.open_connection("192.0.2.1", 80)


def test_this_machine_may_be_reached() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()
