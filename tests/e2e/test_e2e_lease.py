"""Several `siyu run` on one PostgreSQL: an account has one, and gets another when that one dies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.shop import MortalShop, until
from tests.e2e.siyu import Running
from tests.gateway.gateway import Gateway

pytestmark = [
    pytest.mark.gateway, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300),
]  # fmt: skip

TAKEOVER = 30.0  # seconds that are promised
BURST = 300
PEOPLE = [f"p{n}" for n in range(30)]
OPEN = "outbox WHERE state IN ('queued', 'sending')"
Make = Callable[..., MortalShop]


@pytest.fixture
def make(tmp_path: Path, bare_postgres: str) -> Make:
    """Workspaces on one database, each on a gateway."""

    def shop(name: str, gateway: Gateway) -> MortalShop:
        made = MortalShop(tmp_path / name, gateway, bare_postgres)
        made.write("templates/echo.j2", "{{ text }}")
        return made

    return shop


def crowd(gateway: Gateway) -> list[dict[str, str]]:
    """People, who talk to the account."""
    for person in PEOPLE:
        gateway.contact(person, name=f"人{person}")
    return [{"talkerId": person, "listenerId": "bot"} for person in PEOPLE]


async def test_two_accounts_in_two_processes_work_at_once(
    make: Make, gateway: Gateway, shared_gateway: Gateway
) -> None:
    shared_gateway.reset()
    shared_gateway.contact("second", name="小满二号")
    people = crowd(gateway), crowd(shared_gateway)
    shared_gateway.login("second")
    others = [{**one, "listenerId": "second"} for one in people[1]]
    with Running(make("a", gateway)) as one, Running(make("b", shared_gateway)) as two:
        await one.ready()
        await two.ready()
        gateway.flood(BURST, people[0], text="说")
        shared_gateway.flood(BURST, others, text="说")
        for each in (gateway, shared_gateway):
            said = Counter(entry["text"] for entry in await each.logged(BURST, "text"))
            assert said == Counter(f"说{n}" for n in range(BURST))
        held = (await make("a", gateway).json("status"))["held_by"]
        assert {(entry["account"], entry["pid"]) for entry in held} == {
            ("bot", one.pid), ("second", two.pid),
        }  # fmt: skip
        assert f"进程 {two.pid} 管着" in await make("a", gateway).ask("status")
        for running in (one, two):
            running.terminate()
            assert await running.ends() == 0
    shop = make("a", gateway)
    by_account = "SELECT account_id, COUNT(*) FROM {} GROUP BY 1"
    assert {count for _, count in shop.rows(by_account.format("outbox"))} == {BURST}
    assert shop.count("lease WHERE expires_at > 0") == 0


async def test_a_second_process_on_an_account_refuses(make: Make, gateway: Gateway) -> None:
    first = make("a", gateway)
    with Running(first) as one:
        await one.ready()
        with Running(make("b", gateway)) as two:
            assert await two.ends() == 2
            (refusal,) = (line for line in two.output.splitlines() if "账号「" in line)
            assert str(first.root) in refusal
            assert f"进程号 {one.pid}" in refusal
            assert "已续到" in refusal and "--standby" in refusal
        gateway.say("alice", "多少钱", to="bot")
        await gateway.logged(1, "text")
        one.terminate()
        assert await one.ends() == 0


async def test_a_standby_takes_over_at_once_after_a_clean_end(make: Make, gateway: Gateway) -> None:
    with Running(make("a", gateway)) as one:
        await one.ready()
        with Running(make("b", gateway), "--standby") as two:
            await two.says("等它停了就接手")
            one.terminate()
            assert await one.ends() == 0
            began = time.monotonic()
            await two.ready()
            print(f"standby ready {time.monotonic() - began:.1f} s after a clean end")  # noqa: T201
            gateway.say("alice", "多少钱", to="bot")
            await gateway.logged(1, "text")
            two.terminate()
            assert await two.ends() == 0


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_a_standby_takes_over_from_the_dead(make: Make, gateway: Gateway, how: str) -> None:
    people = crowd(gateway)
    shop = make("a", gateway)
    with Running(shop) as one:
        await one.ready()
        with Running(make("b", gateway), "--standby") as two:
            await two.says("等它停了就接手")
            gateway.flood(BURST, people, text="说")
            await gateway.logged(BURST // 3, "text")
            one.kill() if how == "killed" else one.freeze()
            began = time.monotonic()
            await two.says("接手了")
            took = time.monotonic() - began
            assert took < TAKEOVER
            if how == "frozen":  # its connection lives on: the gateway has to be told
                await two.says("已被另一个程序占用")
                gateway.hang_up()
            await _answers_all(two, shop, gateway)
            print(f"{how}: taken over {took:.1f} s, done {time.monotonic() - began:.1f} s later")  # noqa: T201
            if how == "frozen":
                await _thaws_and_sends_nothing(one, gateway)
            two.terminate()
            assert await two.ends() == 0
    _judge(shop, gateway)


async def _answers_all(running: Running, shop: MortalShop, gateway: Gateway) -> None:
    await running.ready()
    gateway.say("alice", "说完了", to="bot")
    await until(lambda: shop.count("outbox WHERE text = '说完了' AND state = 'sent'") == 1)
    await until(lambda: not shop.count(OPEN))


async def _thaws_and_sends_nothing(frozen: Running, gateway: Gateway) -> None:
    before = len(gateway.log("text"))
    frozen.thaw()
    assert await frozen.ends() == 2
    assert "已经由另一个机器人进程接手" in frozen.output
    assert len(gateway.log("text")) == before


def _judge(shop: MortalShop, gateway: Gateway) -> None:
    rows = shop.rows(
        "SELECT contact.external_id, text, state FROM outbox"
        " JOIN contact ON contact.id = conversation_id"
    )
    box = {(who, text): state for who, text, state in rows}
    said = Counter((entry["to"], entry["text"]) for entry in gateway.log("text"))
    heard = shop.count("event WHERE kind = 'message' AND NOT from_self")
    assert len(box) == len(rows) == heard, "a message was answered twice, or not at all"
    assert set(said.values()) == {1}, "sent twice"
    assert set(said) <= set(box)
    assert all(said[key] for key, state in box.items() if state == "sent")
    assert set(box.values()) <= {"sent", "unknown"}
    unknown = sum(state == "unknown" for state in box.values())
    print(f"{len(box)} answers, {unknown} of them unknown")  # noqa: T201


async def test_two_that_start_together_agree_on_one(make: Make, gateway: Gateway) -> None:
    with (
        Running(make("a", gateway), "--standby") as one,
        Running(make("b", gateway), "--standby") as two,
    ):
        first, second = await _who_logs_in(one, two)
        gateway.say("alice", "多少钱", to="bot")
        await gateway.logged(1, "text")
        first.kill()
        await second.ready()
        gateway.say("alice", "多少钱", to="bot")
        await gateway.logged(2, "text")


async def _who_logs_in(one: Running, two: Running) -> tuple[Running, Running]:
    """The one that got the account, and the other."""
    both = [asyncio.create_task(running.ready()) for running in (one, two)]
    done, waits = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    return (one, two) if both[0] in done else (two, one)


async def test_the_next_process_of_the_same_workspace_need_not_wait(
    make: Make, gateway: Gateway
) -> None:
    shop = make("a", gateway)
    with Running(shop) as one:
        await one.ready()
        one.kill()
    began = time.monotonic()
    with Running(shop) as two:
        await asyncio.wait_for(two.ready(), TAKEOVER / 3)
        print(f"ready again {time.monotonic() - began:.1f} s after SIGKILL")  # noqa: T201
        two.terminate()
        assert await two.ends() == 0
