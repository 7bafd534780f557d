"""SIGKILL at random instants of `siyu run`, on either storage; the gateway's record judges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.shop import (
    FLOOD,
    PEOPLE,
    SENDS,
    STEPS,
    Lives,
    MortalShop,
    judge,
    populate,
    share,
    until,
)
from tests.e2e.siyu import Running
from tests.gateway.gateway import Gateway

pytestmark = [pytest.mark.gateway, pytest.mark.slow, pytest.mark.timeout(7200)]

SOP = """
sops:
  - id: walk
    enter: {tag: 报名}
    steps:
"""
JOIN = """
tags: {报名: {}}
rules:
  - {id: join, on: message, match: {any: [报名]}, do: [{tag: 报名}]}
"""
OPEN = "outbox WHERE state IN ('queued', 'sending')"
SETTLED = "outbox WHERE state IN ('sent', 'unknown')"
HEARD = "event WHERE kind = 'message' AND NOT from_self"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request: pytest.FixtureRequest, tmp_path: Path, mortal_gateway: Gateway) -> MortalShop:
    """A shop on a storage without tables."""
    populate(mortal_gateway)
    url = f"sqlite:///{tmp_path / 'siyu.db'}"
    if request.param == "postgres":
        url = str(request.getfixturevalue("bare_postgres"))
    return MortalShop(tmp_path / request.param, mortal_gateway, url)


class Phone:
    """What people say, and the gateway that tells again what the bot may have missed."""

    def __init__(self, lives: Lives, gateway: Gateway, total: int, *, lot: int) -> None:
        self.expected = {(f"p{n % PEOPLE}", f"说{n}") for n in range(total)}
        self._lives = lives
        self._gateway = gateway
        self._total = total
        self._lot = lot
        self._told = 0

    def tell(self) -> None:
        """The next lot; before it what was not recorded, and some of what was."""
        known = {id for (id,) in self._lives.shop.rows(f"SELECT external_id FROM {HEARD}")}  # noqa: S608
        again = [n for n in range(self._told)
                 if f"m{n}" not in known or self._lives.random.random() < 0.02]  # fmt: skip
        upto = min(self._total, self._told + self._lot)
        for n in [*again, *range(self._told, upto)]:
            self._gateway.say(f"p{n % PEOPLE}", f"说{n}", to="bot", id=f"m{n}")
        self._told = upto

    def tell_all(self) -> None:
        """All there is left."""
        self._lot = self._total
        self.tell()


@pytest.mark.parametrize(("scene", "part", "total", "of"), [
    ("sends", 0.4, SENDS, SETTLED),
    ("flood", 0.1, FLOOD, HEARD),
])  # fmt: skip
async def test_killed_while_people_talk(
    shop: MortalShop, mortal_gateway: Gateway, scene: str, part: float, total: int, of: str
) -> None:
    lives = Lives(shop, f"{scene} on {shop.root.name}")
    kills = share(part)
    lot = total // (kills + 1)
    phone = Phone(lives, mortal_gateway, total, lot=lot)
    for _ in range(kills):
        await lives.one(phone.tell, lambda: shop.count(of), lot, total=total)
    await lives.last(phone.tell_all, lambda: shop.count(HEARD) >= total and not shop.count(OPEN))
    heard = [id for (id,) in shop.rows(f"SELECT external_id FROM {HEARD}")]  # noqa: S608
    assert len(heard) == len(set(heard)) == total, "a message was lost or taken twice"
    print(await judge(lives, mortal_gateway, phone.expected))  # noqa: T201 - the figures


def _walk(shop: MortalShop, steps: int) -> None:
    """An SOP that speaks at every other step."""
    lines = []
    for n in range(steps):
        what = f"say: s{n}" if n % 2 == 0 else f"set: {{步: '{n}'}}"
        lines.append(f"      - {{id: s{n}, after: 100ms, do: [{{{what}}}]}}\n")
        shop.write(f"templates/s{n}.j2", f"第{n}步")
    shop.write("rules.yaml", JOIN + SOP + "".join(lines))


async def test_killed_while_steps_are_due(shop: MortalShop, mortal_gateway: Gateway) -> None:
    lives = Lives(shop, f"steps on {shop.root.name}")
    kills, steps = share(0.4), STEPS // PEOPLE
    _walk(shop, steps)
    with Running(shop) as running:
        await running.ready()
        for n in range(PEOPLE):
            mortal_gateway.say(f"p{n}", "报名", to="bot", id=f"j{n}")
        await until(lambda: shop.count("enrollment") == PEOPLE)
        running.terminate()
        assert await running.ends() == 0
    lot = 2 * (steps * PEOPLE - shop.count("steprun")) // (kills + 2)
    for _ in range(kills):
        await lives.one(lambda: None, lambda: shop.count("steprun"), lot, total=steps * PEOPLE)
    await lives.last(
        lambda: None,
        lambda: not shop.count("enrollment WHERE state = 'active'") and not shop.count(OPEN),
    )
    ran = shop.rows("SELECT enrollment_id, step, outcome FROM steprun")
    assert len(ran) == len({row[:2] for row in ran}), "a step ran twice"
    assert len(ran) == PEOPLE * steps, "a step was lost"
    assert {row[2] for row in ran} == {"done"}
    (walk,) = await shop.json("sop", "list")
    assert (walk["active"], walk["done"]) == (0, PEOPLE), walk
    expected = {(f"p{who}", f"第{n}步") for who in range(PEOPLE) for n in range(0, steps, 2)}
    print(await judge(lives, mortal_gateway, expected), f"{len(ran)} steps, each once")  # noqa: T201
