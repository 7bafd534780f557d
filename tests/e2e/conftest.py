"""A gateway with a small world behind it, and a workspace that points to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.siyu import Shop
from tests.gateway.gateway import Gateway
from tests.gateway.world import populate


@pytest.fixture
def gateway(mortal_gateway: Gateway) -> Gateway:
    """A fresh world."""
    mortal_gateway.reset()
    populate(mortal_gateway)
    return mortal_gateway


@pytest.fixture
def shop(tmp_path: Path, gateway: Gateway) -> Shop:
    """A workspace on that gateway."""
    return Shop(tmp_path / "shop", gateway)
