"""`siyu run` whose PostgreSQL goes away: cut off, or so that only its answers are lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.crash.shop import IN_FLIGHT, MortalShop, until
from tests.e2e.relay import Relay
from tests.e2e.siyu import Running
from tests.gateway.gateway import Gateway

pytestmark = [
    pytest.mark.gateway, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300),
]  # fmt: skip

TROUBLE, OVER = "数据库连不上", "数据库又能写了"
BURST = 300
AWAY = 3.0  # seconds
END = 10.0  # seconds from SIGTERM to the end
OPEN = "outbox WHERE state IN ('queued', 'sending')"


@pytest.mark.parametrize("answers_lost", [False, True], ids=["cut", "answers_lost"])
async def test_it_waits_for_its_database_and_goes_on(
    tmp_path: Path, gateway: Gateway, bare_postgres: str, answers_lost: bool
) -> None:
    for n in range(30):
        gateway.contact(f"p{n}", name=f"人{n}")
    talks = [{"talkerId": f"p{n}", "listenerId": "bot"} for n in range(30)]
    url = make_url(bare_postgres)
    shop = MortalShop(tmp_path / "shop", gateway, bare_postgres)
    shop.write("templates/echo.j2", "{{ text }}")
    async with Relay(url.host or "127.0.0.1", url.port or 5432) as relay:
        _point(shop, bare_postgres, relay.port)
        with Running(shop) as running:
            await running.ready()
            gateway.flood(BURST, talks, text="说")
            await gateway.logged(BURST // 3, "text")
            if answers_lost:
                relay.lose_answers()
                await asyncio.sleep(0.3)  # what is under way reaches the server
            await relay.cut()
            await running.says(TROUBLE)
            quiet = len(gateway.log("text"))
            gateway.say("alice", "说断了", to="bot")
            await asyncio.sleep(AWAY)
            since = [entry["text"] for entry in gateway.log("text")][quiet:]
            assert len(since) <= IN_FLIGHT and "说断了" not in since, "it went on sending"
            await relay.mend()
            await running.says(OVER)
            await until(lambda: shop.count("outbox WHERE text = '说断了' AND state = 'sent'") == 1)
            await until(lambda: not shop.count(OPEN))
            running.terminate()
            assert await running.ends() == 0
            assert running.output.count(TROUBLE) == 1
    said = Counter(entry["text"] for entry in gateway.log("text"))
    assert said == Counter(["说断了", *(f"说{n}" for n in range(BURST))])
    assert shop.rows("SELECT state, COUNT(*) FROM outbox GROUP BY 1") == [("sent", BURST + 1)]


async def test_it_ends_in_time_though_its_database_is_silent(
    tmp_path: Path, gateway: Gateway, bare_postgres: str
) -> None:
    url = make_url(bare_postgres)
    shop = MortalShop(tmp_path / "shop", gateway, bare_postgres)
    async with Relay(url.host or "127.0.0.1", url.port or 5432) as relay:
        _point(shop, bare_postgres, relay.port)
        with Running(shop) as running:
            await running.ready()
            relay.lose_answers()
            gateway.say("alice", "多少钱", to="bot")
            await until(
                lambda: shop.count("pg_stat_activity WHERE state = 'idle in transaction'") > 0
            )
            running.terminate()
            began = time.monotonic()
            assert await running.ends() == 0
            assert time.monotonic() - began < END
    assert gateway.log("text") == []


def _point(shop: MortalShop, url: str, port: int) -> None:
    """Let the workspace reach the database by another port."""
    settings = (shop.root / "siyu.yaml").read_text("utf-8")
    there = make_url(url).set(port=port).render_as_string(hide_password=False)
    shop.write("siyu.yaml", settings.replace(url, there))
