"""Messages in, against a real gateway."""

from __future__ import annotations

from typing import Any

import pytest

from sop.events import MessageType
from tests.gateway.gateway import Gateway

pytestmark = pytest.mark.gateway


async def test_private_text(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway) as (_, sink):
        id = gateway.say("alice", "多少钱", to="bot", timestamp=1_790_000_000_123)
        event = await sink.by_id(id)
    assert (event.text, event.type, event.at) == ("多少钱", MessageType.TEXT, 1_790_000_000_123)
    assert event.contact is not None
    assert event.contact.name == "爱丽丝"
    assert event.contact.alias == "老客户爱丽丝"
    assert event.contact.friend is True
    assert event.group is None
    assert not event.from_self
