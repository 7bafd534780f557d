"""5,000 messages at once in 500 conversations: none lost, order kept, memory bounded."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.contract.flood import CONVERSATIONS, COUNT, LIMIT, text
from tests.gateway.gateway import Gateway

GROWTH = 40  # MB: the engine's caches, far less than 5,000 tasks or unbounded queues would take
PEAK = 300  # MB in all, jieba's dictionary and gRPC among them


async def _flooded(folder: Path, gateway: Gateway | None) -> dict[str, object]:
    """Let the child stand in the flood; what it reports."""
    reach = [gateway.endpoint, gateway.token] if gateway else []
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.contract.flood", str(folder), *reach,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
        if gateway:
            people = [{"talkerId": f"p{n}", "listenerId": "bot"} for n in range(CONVERSATIONS)]
            await asyncio.to_thread(gateway.flood, COUNT, people, text="价格 ")
        rest, _ = await child.communicate()
        assert child.returncode == 0
        report: dict[str, object] = json.loads(rest)
        return report
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    "through", ["simulator", pytest.param("gateway", marks=pytest.mark.gateway)]
)
async def test_a_flood(request: pytest.FixtureRequest, tmp_path: Path, through: str) -> None:
    gateway: Gateway | None = None
    if through == "gateway":
        gateway = request.getfixturevalue("mortal_gateway")
        gateway.reset()
        gateway.contact("bot", name="小满")
        gateway.room("fans@chatroom", topic="小满福利群", members=["bot"])
        for n in range(CONVERSATIONS):
            gateway.contact(f"p{n}", name=f"人{n}")
        gateway.login("bot")
    report = await _flooded(tmp_path, gateway)
    print(report)  # noqa: T201 - shown with -s, and when it fails
    assert report["peak"] < PEAK
    assert report["peak"] - report["before"] < GROWTH
    full = f"账号一小时内已发出 {LIMIT} 条，到了每小时的上限（每 10 条留一条给提醒）"
    assert report["held"] == [full]
    _check(tmp_path / "siyu.db")
    if gateway is not None:
        assert len(gateway.log("text")) == LIMIT


def _check(path: Path) -> None:
    database = sqlite3.connect(path)
    try:
        said: dict[str, list[str]] = defaultdict(list)
        for who, what in database.execute(
            "SELECT contact.external_id, text FROM event JOIN contact ON contact.id = contact_id"
            " WHERE kind = 'message' ORDER BY event.id"
        ):
            said[who].append(what)
        outcomes = dict(database.execute("SELECT state || reason, COUNT(*) FROM outbox GROUP BY 1"))
    finally:
        database.close()
    expected = {f"p{p}": [text(n) for n in range(p, COUNT, CONVERSATIONS)] for p in range(500)}
    assert said == expected
    assert outcomes == {"sent": LIMIT, "dropped等得太久，再发已经不合时宜": COUNT - LIMIT}
