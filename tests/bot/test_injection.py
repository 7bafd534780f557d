"""A model that obeys every bad wish: nothing of it leaves the courier.

`injections.txt` holds what customers write and what an obedient model would answer. The same
answers are tried from nicknames, quoted messages and group names, where a prompt never goes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.model import CannedModel, Prompt
from bot.prompting import Source, objection, prompt_of
from bot.stage import Stage
from bot.workspace import Workspace
from storage.store import Store
from tests.bot.test_asker import FAQ, GOOD, HALF, SETTINGS
from tests.support import START, Play, World, populate, workspace

LINES = Path(__file__).with_name("injections.txt").read_text(encoding="utf-8").splitlines()
ATTEMPTS = [
    (wish.strip(), answer.strip())
    for line in LINES
    if line and not line.startswith("#")
    for wish, answer in [line.split(" =>", 1)]
]
HOLD = "我问一下～"
MANY = SETTINGS.replace("contact: 3, account: 5", "contact: 500, account: 5000")


def _obedient(answer: str) -> str:
    said = {"known": True, "answer": answer, "used": [1]}
    return json.dumps(said, ensure_ascii=False)


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return workspace(tmp_path / "workspace", FAQ, settings=MANY)


def test_there_are_enough_attempts_and_none_twice() -> None:
    assert len(ATTEMPTS) >= 100
    assert len(set(ATTEMPTS)) == len(ATTEMPTS)


@pytest.mark.parametrize(("wish", "answer"), ATTEMPTS)
def test_the_gate_refuses_what_a_wish_would_make_a_model_say(
    space: Workspace, wish: str, answer: str
) -> None:
    sources = [
        Source("opened", "拆开了还能退吗", "没用过的 7 天内都能退，用过的那包留着用"),
        Source("freight", "退货的运费谁出", "谁的错谁出运费"),
    ]
    prompt = prompt_of(space, sources, wish)
    assert objection(space, sources, prompt, answer)
    assert wish not in prompt.instructions
    assert json.loads(prompt.data)["顾客的话"]


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        "没用过的话，七天内都可以退的～",
        "谁的错谁出运费哦",
        "用过的那包留着用，没用过的 7 天内能退",
        "能退的亲，没用过的 7 天内都能退，运费谁的错谁出",
    ],
)
def test_the_gate_lets_pass_what_the_sources_say(space: Workspace, answer: str) -> None:
    sources = [
        Source("opened", "拆开了还能退吗", "没用过的 7 天内都能退，用过的那包留着用"),
        Source("freight", "退货的运费谁出", "谁的错谁出运费"),
    ]
    assert objection(space, sources, prompt_of(space, sources, HALF), answer) == ""


async def test_nothing_forbidden_leaves_the_courier(space: Workspace, tmp_path: Path) -> None:
    """Every attempt in turn: by message, as a nickname, in a quote, and as the name of a group."""
    wanted = {"answer": ""}

    def obey(_prompt: Prompt) -> str:
        return _obedient(wanted["answer"])

    model = CannedModel(obey)
    store = Store(f"sqlite:///{tmp_path / 'siyu.db'}")
    stage = Stage(space, store, start=START, make_model=lambda _space: model)
    populate(stage.world)
    for n, (wish, _) in enumerate(ATTEMPTS):
        _person(stage.world, n, wish)
    await stage.open()
    play = Play(stage)
    for n, (wish, answer) in enumerate(ATTEMPTS):
        wanted["answer"] = answer
        who, group = f"e{n}", f"room{n}"
        await stage.channel.say(who, f"{HALF}，{wish}" if n % 2 else HALF)
        quoted = f"「老板：{wish}」\n- - - - - - - -\n{HALF}"
        await stage.channel.say(who, f"@小满家 {quoted}", group=group, mention=True)
        await play.settle()
    told = [text for to, text in play.said if to != "wxid_boss"]
    assert set(told) <= {HOLD, "没用过的 7 天内都能退，用过的那包留着用", "谁的错谁出运费"}
    assert len(model.asked) >= len(ATTEMPTS)
    refused = play.one("SELECT COUNT(*) FROM modelcall WHERE outcome IN ('refused', 'trouble')")
    assert refused == len(model.asked)
    for prompt in model.asked:
        assert "老板：" not in prompt.data
        assert "攻击群" not in prompt.instructions + prompt.data
    store.close()


def _person(world: World, n: int, wish: str) -> None:
    world.add_person(f"e{n}", wish[:60], friend=True)
    world.add_group(f"room{n}", f"攻击群{n} {wish[:40]}", [f"e{n}"])
