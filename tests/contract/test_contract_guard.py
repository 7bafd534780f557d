"""Who posts adverts is removed: in the simulator and through a real Wechaty gateway."""

from __future__ import annotations

from pathlib import Path

from storage.store import Store
from tests.contract.drama import FREE, on_air
from tests.contract.worlds import FANS, GatewayWorld, OffsetClock, SimulatedWorld, World
from tests.support import workspace

RULES = """
guard: {mode: auto, strikes: 2, say: warn}
"""
LATER = 11_000  # ms after which a removal under way is looked at again


def removed(world: World) -> list[tuple[str, str]]:
    """(group, person) of everybody who was removed."""
    if isinstance(world, GatewayWorld):
        return [(entry["to"], entry["contactId"]) for entry in world.gateway.log("kick")]
    assert isinstance(world, SimulatedWorld)
    room = world.channel.world.rooms[FANS]
    return [(FANS, "stranger")] if "stranger" not in {m.external_id for m in room.members} else []


async def test_who_posts_adverts_is_removed_through_the_channel(
    world: World, clock: OffsetClock, tmp_path: Path
) -> None:
    words = {"warn": "---\nmention: sender\n---\n不发广告哦"}
    space = workspace(tmp_path / "workspace", RULES, settings=FREE, templates=words)
    store = Store(f"sqlite:///{tmp_path / 'siyu.db'}")
    async with on_air(space, store, clock, world) as drama:
        await world.say("alice", "今天天气不错", group=FANS)
        await world.say("stranger", "低价代购 加微信：abc12345", group=FANS)
        await drama.until(lambda: drama.rows("SELECT 1 FROM outbox WHERE source = 'guard'"))
        assert removed(world) == []
        await world.say("stranger", "低价代购啦 加微信：abc12345", group=FANS)
        await drama.until(
            lambda: drama.rows("SELECT 1 FROM outbox WHERE kind = 'remove' AND state = 'sent'")
        )
        drama.pass_time(LATER)
        await drama.until(lambda: drama.rows("SELECT 1 FROM guardact WHERE state = 'removed'"))
        assert removed(world) == [(FANS, "stranger")]
        assert drama.rows("SELECT sentence FROM guardact ORDER BY id") == [("warn",), ("remove",)]
        assert drama.rows("SELECT external_id FROM blacklisted") == [("stranger",)]
    store.close()
