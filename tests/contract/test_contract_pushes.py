"""A push to 5,000 through a real gateway: killed, killed again, paused, resumed; nobody twice."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from storage.push_report import push_report
from storage.runs import runs_of
from storage.store import Store
from tests.contract.pushing import COUNT
from tests.gateway.gateway import Gateway

IN_FLIGHT = 32


@asynccontextmanager
async def _living(folder: Path, gateway: Gateway, order: str = "") -> AsyncIterator[bytes]:
    """A process with a bot, until SIGKILL; what it said when it was ready."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.pushing", str(folder), gateway.endpoint,
        gateway.token, *([order] if order else []), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        yield await child.stdout.readline()
        if order == "resume":
            assert await child.stdout.readline() == b"over\n"
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@pytest.mark.slow
@pytest.mark.gateway
@pytest.mark.timeout(600)
async def test_five_thousand_through_a_gateway(mortal_gateway: Gateway, tmp_path: Path) -> None:
    gateway = mortal_gateway
    gateway.reset()
    gateway.contact("bot", name="小满")
    for n in range(COUNT):
        gateway.contact(f"p{n}", name=f"人{n}")
    gateway.login("bot")
    async with _living(tmp_path, gateway, "start"):
        await gateway.logged(COUNT // 5, "text")
    async with _living(tmp_path, gateway):
        await gateway.logged(2 * COUNT // 5, "text")
    async with _living(tmp_path, gateway, "pause") as told:
        assert "停下了" in told.decode()
    standing = len(gateway.log("text"))
    async with _living(tmp_path, gateway):  # long enough to learn all names anew
        assert len(gateway.log("text")) == standing < COUNT
    async with _living(tmp_path, gateway, "resume"):
        pass
    sent = Counter(entry["to"] for entry in gateway.log("text"))
    assert set(sent.values()) == {1}
    _adds_up(tmp_path, len(sent))


def _adds_up(folder: Path, sent: int) -> None:
    store = Store(f"sqlite:///{folder / 'siyu.db'}")
    try:
        with store.read() as connection:
            (run,) = runs_of(connection, "push")
            found = push_report(connection, run, groups=False)
    finally:
        store.close()
    assert run.state == "done"
    assert found.meant == COUNT == found.sent + found.unknown
    assert found.sent <= sent <= COUNT
    assert found.unknown <= 3 * IN_FLIGHT
    assert (found.waiting, found.on_its_way, found.withheld) == (0, 0, {})
