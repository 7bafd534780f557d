"""The installed `siyu run` against a real gateway while the machine around it fails."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.siyu import Running, Shop
from tests.gateway.gateway import Gateway

pytestmark = [pytest.mark.gateway, pytest.mark.slow, pytest.mark.timeout(300)]

LOCK = 30.0  # seconds another program holds the database
END = 10.0  # seconds from SIGTERM to the end
PATIENCE = 60.0
TROUBLE, OVER = "现在写不进去", "数据库又能写了"


async def until(shop: Shop, sql: str) -> None:
    """Wait until a query counts something; another process's database rings no bell."""
    async with asyncio.timeout(PATIENCE):
        while not shop.rows(sql)[0][0]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def settled(count: int) -> str:
    return f"SELECT COUNT(*) = {count} FROM outbox WHERE state IN ('sent', 'unknown')"  # noqa: S608


def judge(shop: Shop, gateway: Gateway) -> Counter[str]:
    """What the gateway's record and the outbox must agree on, whatever happened."""
    said = Counter((entry["to"], entry["text"]) for entry in gateway.log("text"))
    box = {(row[0], row[1]): row[2] for row in shop.rows(
        "SELECT contact.external_id, outbox.text, outbox.state FROM outbox"
        " JOIN contact ON contact.id = outbox.conversation_id"
    )}  # fmt: skip
    assert set(said.values()) <= {1}, "a message was sent twice"
    assert set(said) <= set(box), "a message was sent that is recorded nowhere"
    assert all(said[key] for key, state in box.items() if state == "sent")
    return Counter(box.values())


@contextmanager
def held(shop: Shop) -> Iterator[None]:
    """Another program is writing the database."""
    path = shop.root / "data" / "siyu.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_database_locked_for_half_a_minute(shop: Shop, gateway: Gateway) -> None:
    with Running(shop) as running:
        await running.ready()
        with held(shop):
            began = time.monotonic()
            for n in range(10):
                gateway.say(("alice", "bob")[n % 2], f"说{n}", to="bot")
            await running.says("正被别的程序占着")
            await asyncio.sleep(LOCK - (time.monotonic() - began))
            assert gateway.log("text") == []
        await running.says(OVER)
        assert len(await gateway.logged(10, "text")) == 10
        await until(shop, settled(10))
        running.terminate()
        assert await running.ends() == 0
        assert running.output.count(TROUBLE) == 1
    assert judge(shop, gateway) == {"sent": 10}


@pytest.mark.parametrize("hanging", [False, True])
async def test_sigterm_ends_it_in_time_though_nothing_can_be_recorded(
    shop: Shop, gateway: Gateway, hanging: bool
) -> None:
    with Running(shop) as running:
        await running.ready()
        if hanging:
            gateway.fail(mode="hang")
            gateway.say("bob", "说没有回音", to="bot")
            await until(shop, "SELECT COUNT(*) FROM outbox WHERE state = 'sending'")
        with held(shop):
            gateway.say("alice", "说一", to="bot")
            await running.says("正被别的程序占着")
            began = time.monotonic()
            running.terminate()
            assert await running.ends() == 0, running.output
            took = time.monotonic() - began
        assert took < END, took
        assert "Traceback" not in running.output
    assert judge(shop, gateway)["sent"] == 0
    with Running(shop) as running:
        await running.ready()
        gateway.say("alice", "说二", to="bot")
        await gateway.logged(1, "text")
        await until(shop, settled(1 + hanging))
    assert judge(shop, gateway) == Counter(sent=1, unknown=int(hanging))


async def test_a_disk_without_room(shop: Shop, gateway: Gateway) -> None:
    """The kernel refuses the process every byte beyond what its files have now."""
    with Running(shop) as running:
        await running.ready()
        gateway.say("alice", "说零", to="bot")
        await until(shop, settled(1))
        log = shop.root / "data" / "siyu.db-wal"
        hard = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
        for n in range(5):
            gateway.say("bob", f"说{n}", to="bot")
        await running.says(TROUBLE)
        assert len(gateway.log("text")) == 1
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (hard, hard))
        await running.says(OVER)
        await gateway.logged(6, "text")
        await until(shop, settled(6))
        running.terminate()
        assert await running.ends() == 0
    assert judge(shop, gateway) == {"sent": 6}
    assert shop.rows("PRAGMA integrity_check") == [("ok",)]


async def test_a_database_that_is_deleted_under_the_bot(shop: Shop, gateway: Gateway) -> None:
    with Running(shop) as running:
        await running.ready()
        path = shop.root / "data" / "siyu.db"
        away = path.with_name("away.db")
        path.rename(away)
        gateway.say("alice", "说一", to="bot")
        await running.says("被移走、删掉或换掉了")
        assert gateway.log("text") == []
        away.rename(path)
        await running.says(OVER)
        await gateway.logged(1, "text")
        path.unlink()
        gateway.say("alice", "说二", to="bot")
        await running.says("被移走、删掉或换掉了", times=2)
        running.terminate()
        assert await running.ends() == 0
        assert "Traceback" not in running.output
    assert [entry["text"] for entry in gateway.log("text")] == ["说一"]


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may read everything"
)
async def test_a_read_only_file_at_the_start(shop: Shop, gateway: Gateway) -> None:
    with Running(shop) as running:
        await running.ready()
        running.terminate()
        assert await running.ends() == 0
    data = shop.root / "data"
    for path in [*data.iterdir(), data]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    # Root may write everything, unless that is taken from it.
    drop = "-dac_override,-dac_read_search"
    powerless = ("setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}")
    with Running(shop, before=powerless if os.geteuid() == 0 else ()) as running:
        assert await running.ends() == 2
        assert "Traceback" not in running.output
        assert "权限" in running.output, running.output
    for path in [data, *data.iterdir()]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert gateway.log("text") == []


def heard(shop: Shop) -> set[str]:
    """The messages that were recorded."""
    rows = shop.rows("SELECT text FROM event WHERE kind = 'message' AND NOT from_self")
    return {text for (text,) in rows}


@pytest.mark.parametrize("cut", ["hang_up", "restart"])
async def test_a_gateway_that_flaps_every_second(shop: Shop, gateway: Gateway, cut: str) -> None:
    """The gateway has no queue: what was not recorded it tells again, and some of what was."""
    texts = [f"说{n}" for n in range(50)]

    def tell(upto: int) -> None:
        known = heard(shop)
        for n, text in enumerate(texts[:upto]):
            if text not in known or n % 10 == 0:
                gateway.say(("alice", "bob")[n % 2], text, to="bot", id=f"m{n}")

    with Running(shop) as running:
        await running.ready()
        for second in range(1, 11):
            tell(5 * second)
            await asyncio.sleep(1)
            await asyncio.to_thread(getattr(gateway, cut))
        async with asyncio.timeout(PATIENCE):
            while heard(shop) != set(texts):
                tell(len(texts))
                await asyncio.sleep(1)
        await until(shop, settled(len(texts)))
        running.terminate()
        assert await running.ends() == 0
        assert "Traceback" not in running.output
    print(f"{cut} every second: {dict(judge(shop, gateway))}")  # noqa: T201 - the figures


async def test_a_second_process_is_refused(tmp_path: Path, shop: Shop, gateway: Gateway) -> None:
    with Running(shop) as first:
        await first.ready()
        with Running(shop) as second:
            assert await second.ends() == 2
            complaint = [line for line in second.output.splitlines() if "启动中" not in line]
            assert complaint == [
                f"这个工作区已经有一个机器人在跑（进程号 {first.pid}）。要重新启动，先停掉那一个。"
            ]
        gateway.say("alice", "说还在", to="bot")
        await gateway.logged(1, "text")


async def test_a_second_workspace_on_the_same_database_is_refused(
    tmp_path: Path, shop: Shop, gateway: Gateway
) -> None:
    twin = Shop(tmp_path / "twin", gateway)
    settings = (twin.root / "siyu.yaml").read_text("utf-8")
    database = shop.root / "data" / "siyu.db"
    twin.write("siyu.yaml", settings + f"storage: 'sqlite:///{database}'\n")
    with Running(shop) as first:
        await first.ready()
        with Running(twin) as second:
            assert await second.ends() == 2
            assert f"进程号 {first.pid}" in second.output
            assert "Traceback" not in second.output
        gateway.say("alice", "说还在", to="bot")
        await gateway.logged(1, "text")


async def test_a_second_database_on_the_same_gateway_waits_and_says_why(
    tmp_path: Path, shop: Shop, gateway: Gateway
) -> None:
    with Running(shop) as first:
        await first.ready()
        with Running(Shop(tmp_path / "other", gateway)) as second:
            await second.says("已被另一个程序占用")
            gateway.say("alice", "说一", to="bot")
            await gateway.logged(1, "text")
            second.terminate()
            assert await second.ends() == 0
    assert judge(shop, gateway)["sent"] + judge(shop, gateway)["sending"] == 1
