"""Both worlds, with a bot in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from storage.store import Store
from tests.contract.drama import Drama, on_air, stock
from tests.contract.worlds import GatewayWorld, OffsetClock, SimulatedWorld, World
from tests.gateway.gateway import Gateway

ON_GATEWAY = pytest.mark.gateway


@pytest.fixture
def clock() -> OffsetClock:
    """The host's clock, to be moved by hand."""
    return OffsetClock()


@pytest.fixture(
    params=[
        "simulator",
        pytest.param("gateway", marks=ON_GATEWAY),
        pytest.param("gateway-tls", marks=ON_GATEWAY),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path, clock: OffsetClock) -> World:
    """A WeChat: two friends, a stranger, and a group of them all."""
    if request.param == "simulator":
        return SimulatedWorld(clock)
    name = "tls_gateway" if request.param == "gateway-tls" else "mortal_gateway"
    return GatewayWorld(request.getfixturevalue(name), tmp_path / "workspace", clock.now)


@pytest.fixture
def gateway_world(mortal_gateway: Gateway, tmp_path: Path, clock: OffsetClock) -> GatewayWorld:
    """The real gateway alone, for what only it can do."""
    return GatewayWorld(mortal_gateway, tmp_path / "workspace", clock.now)


Begin = Callable[..., Any]


@pytest.fixture
async def begin(tmp_path: Path, sqlite_url: str, clock: OffsetClock) -> AsyncIterator[Begin]:
    """`await begin(world)`: a bot in that world, over a database file."""
    store = Store(sqlite_url)
    async with AsyncExitStack() as stack:
        stack.callback(store.close)

        async def begin(world: World, *, ready: bool = True, **options: str) -> Drama:
            space = stock(tmp_path / "workspace", **options)
            return await stack.enter_async_context(on_air(space, store, clock, world, ready=ready))

        yield begin


@pytest.fixture
async def drama(begin: Begin, world: World) -> Drama:
    """A bot in either world."""
    return await begin(world)
