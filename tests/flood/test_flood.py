"""A real `siyu run` in a flood of messages: memory, order, loss, and how long others wait."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from pathlib import Path

import pytest

from tests.crash.shop import MortalShop, until
from tests.e2e.siyu import Running
from tests.gateway.gateway import Gateway

pytestmark = [pytest.mark.gateway, pytest.mark.slow, pytest.mark.timeout(3600)]

SIZE = int(os.environ.get("SIYU_FLOOD", "5000"))
CONVERSATIONS = 500
OTHERS = 20
AHEAD = 100  # messages the gateway has told of that nobody has fetched yet: never fewer for long
BETWEEN = 0.05  # seconds between the questions of others
# ms in which 95 of 100 others have their answer; a short flood is mostly its own 500 first answers
PATIENT = 2_000 if SIZE >= 50_000 else 10_000
PEAK = 400  # MB in all
GROWTH = 150  # MB: 64 of them are SQLite's page cache
RULES = """
tags: {意向: {values: [低, 中, 高], one_of: true}}
rules:
  - {id: price, on: message, match: {any: [价格]}, do: [{tag: 意向/中}, {say: price}], cooldown: 1h}
  - {id: echo, on: message, match: {regex: "^说"}, do: [{say: echo}]}
"""
OPEN = "outbox WHERE state IN ('queued', 'sending')"
HEARD = "event WHERE kind = 'message' AND SUBSTR(text, 1, 2) = '价格'"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request: pytest.FixtureRequest, tmp_path: Path, mortal_gateway: Gateway) -> MortalShop:
    """A shop on either storage, with its customers."""
    gateway = mortal_gateway
    gateway.reset()
    gateway.contact("bot", name="小满")
    for n in range(CONVERSATIONS):
        gateway.contact(f"p{n}", name=f"人{n}")
    for n in range(OTHERS):
        gateway.contact(f"o{n}", name=f"别人{n}")
    gateway.login("bot")
    url = f"sqlite:///{tmp_path / 'siyu.db'}"
    if request.param == "postgres":
        url = str(request.getfixturevalue("bare_postgres"))
    made = MortalShop(tmp_path / request.param, gateway, url)
    made.write("rules.yaml", RULES)
    made.write("siyu.yaml", (made.root / "siyu.yaml").read_text("utf-8") + "stale: 1h\n")
    return made


def memory(running: Running) -> dict[str, int]:
    """What the process has now (`VmRSS`) and had at most (`VmHWM`), in MB."""
    lines = Path(f"/proc/{running.pid}/status").read_text("utf-8").splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return {key: int(found[key].split()[0]) // 1024 for key in ("VmRSS", "VmHWM")}


async def warm(gateway: Gateway, running: Running, shop: MortalShop) -> int:
    """Let it load what it loads at the first message; its memory then, in MB."""
    await running.ready()
    gateway.say("o0", "说你好价", to="bot")
    await until(lambda: shop.count("outbox WHERE state = 'sent'") == 1)
    return memory(running)["VmRSS"]


def people() -> list[dict[str, str]]:
    """The conversations that flood."""
    return [{"talkerId": f"p{n}", "listenerId": "bot"} for n in range(CONVERSATIONS)]


@pytest.mark.parametrize("how", ["at once", "as read"])
async def test_a_flood(shop: MortalShop, mortal_gateway: Gateway, how: str) -> None:
    gateway = mortal_gateway
    with Running(shop) as running:
        before = await warm(gateway, running, shop)
        began = time.monotonic()
        waits: list[int] = []
        if how == "at once":
            await asyncio.to_thread(gateway.flood, SIZE, people(), text="价格 ")
        else:
            await _pour(gateway)
        await until(lambda: shop.count(HEARD) >= SIZE, tick=0.5)
        took = time.monotonic() - began
        await until(lambda: not shop.count(OPEN), tick=0.5)
        peak = memory(running)["VmHWM"]
        running.terminate()
        assert await running.ends() == 0
    _check(shop)
    line = f"{how}, {shop.root.name}: {SIZE} messages in {took:.0f} s ({SIZE / took:.0f}/s),"
    line += f" memory {before} MB, at most {peak} MB"
    if how == "as read":
        waits = _waits(shop, gateway)
        p95, longest = waits[len(waits) * 95 // 100], waits[-1]
        line += f"; {len(waits)} others: median {waits[len(waits) // 2]} ms, p95 {p95} ms,"
        line += f" longest {longest} ms"
    print(line)  # noqa: T201 - the figures
    assert peak < PEAK
    assert peak - before < GROWTH
    assert not waits or p95 < PATIENT


async def _pour(gateway: Gateway) -> None:
    """Flood as fast as the bot reads, while others ask something."""
    one_at_a_time = asyncio.Lock()
    asking = asyncio.create_task(_ask(gateway, one_at_a_time))
    asked = 0
    while asked < SIZE:
        async with one_at_a_time:
            counters = await asyncio.to_thread(gateway.counters)
            if counters["told"] - counters["fetched"]["message"] <= AHEAD:
                who = people()[asked % CONVERSATIONS :][:AHEAD]
                text = f"价格 {asked // CONVERSATIONS} "
                await asyncio.to_thread(gateway.flood, AHEAD, who, text=text)
                asked += AHEAD
        await asyncio.sleep(0.02)
    asking.cancel()


async def _ask(gateway: Gateway, one_at_a_time: asyncio.Lock) -> None:
    number = 0
    while True:
        async with one_at_a_time:
            who = f"o{number % OTHERS}"
            await asyncio.to_thread(gateway.say, who, f"说{number}", to="bot")
        number += 1
        await asyncio.sleep(BETWEEN)


def _waits(shop: MortalShop, gateway: Gateway) -> list[int]:
    """How long each of the others waited for the answer, in ms, by the gateway's clock."""
    asked = dict(
        shop.rows(
            "SELECT text, at FROM event WHERE kind = 'message' AND NOT from_self"
            " AND SUBSTR(text, 1, 1) = '说'"
        )
    )
    answered = {entry["text"]: entry["at"] for entry in gateway.log("text")}
    return sorted(answered[text] - asked[text] for text in asked)


def _check(shop: MortalShop) -> None:
    """Nothing lost, nothing twice, each conversation in its order."""
    said: dict[str, list[str]] = defaultdict(list)
    for who, text in shop.rows(
        "SELECT contact.external_id, text FROM event JOIN contact ON contact.id = contact_id"
        " WHERE kind = 'message' AND NOT from_self AND SUBSTR(text, 1, 2) = '价格'"
        " ORDER BY event.id"
    ):
        said[who].append(text)
    assert sum(map(len, said.values())) == SIZE
    for who, texts in said.items():
        numbers = [[int(part) for part in text.split()[1:]] for text in texts]
        assert numbers == sorted(numbers), f"{who} is out of order"
        assert len(texts) == len(set(texts)) == SIZE // CONVERSATIONS
    assert shop.count("outbox WHERE source = 'rule:price'") == CONVERSATIONS
