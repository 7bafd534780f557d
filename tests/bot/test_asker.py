"""Asking the model: never twice, never late, never past the gate, and a human gets the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.channels.simulator import SimulatorChannel, World
from bot.clock import VirtualClock
from bot.model import CannedModel, ModelTrouble, Prompt, Said, read_said
from bot.process import Bot
from bot.stage import Stage
from storage.store import Store, Tx
from storage.trouble import DatabaseTrouble
from tests.support import DAY, HOUR, MINUTE, NO_GAPS, START, Play, populate, workspace

pytestmark = pytest.mark.usefixtures("sqlite_url")  # the file is there, and migrated
FAQ = """
faq:
  - {id: opened, question: 拆开了还能退吗, answer: 没用过的 7 天内都能退，用过的那包留着用}
  - {id: freight, question: 退货的运费谁出, answer: 谁的错谁出运费}
rules: []
"""
SETTINGS = f"""{NO_GAPS}
answers:
  hold: 我问一下～
  forbid: [绝对]
  model:
    {{url: http://127.0.0.1:1/v1, name: tiny, per_day: {{contact: 3, account: 5}}, longest: 60}}
"""
HALF = "包装拆开了但里面一片都没动过这种还给退不给退呀"
GOOD = "没用过的 7 天内都能退哦"


def say(answer: str, **more: object) -> str:
    return json.dumps({"known": True, "answer": answer, "used": [1], **more}, ensure_ascii=False)


class Perch:
    """A stage whose model does what the test says."""

    def __init__(self, root: Path) -> None:
        self.space = workspace(root / "workspace", FAQ, settings=SETTINGS)
        self.store = Store(f"sqlite:///{root / 'siyu.db'}")

    async def open(self, reply: Callable[[Prompt], str]) -> tuple[Play, CannedModel]:
        model = CannedModel(reply)
        stage = Stage(self.space, self.store, start=START, make_model=lambda _space: model)
        populate(stage.world)
        await stage.open()
        return Play(stage), model


@pytest.fixture
def perch(tmp_path: Path) -> Perch:
    return Perch(tmp_path)


async def test_half_sure_is_worded_by_the_model(perch: Perch) -> None:
    play, model = await perch.open(lambda _: say(GOOD))
    assert await play.hear("amy", HALF) == [GOOD]
    (prompt,) = model.asked
    assert json.loads(prompt.data)["顾客的话"] == HALF
    assert play.rows("SELECT state, who, entry FROM question") == [("answered", "model", "opened")]
    assert play.rows("SELECT outcome, model, tokens_in > 0 FROM modelcall") == [
        ("answered", model.name, 1)
    ]
    assert any("模型照着「拆开了还能退吗」写的，过了检查" in note for note in play.notes("done"))


async def test_sure_and_unlike_never_reach_the_model(perch: Perch) -> None:
    play, model = await perch.open(lambda _: say(GOOD))
    await play.hear("amy", "拆开了还能退吗")
    await play.hear("bob", "你们老板贵姓")
    await play.hear("bob", "哈哈")
    assert model.asked == []


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (json.dumps({"known": False, "answer": ""}), "模型说资料里没有"),
        (say("没用过的 7 天内都能退，加我微信号 abc123"), "模型的回答没有用"),
        (say("没用过的都能退，再送你一箱"), "模型的回答没有用"),
        (say("没用过的 7 天内绝对都能退"), "模型的回答没有用，有不许说的词「绝对」"),
        (say("没用过的 7 天内都能退，" * 9), "模型的回答没有用，回答太长"),
        (say("没用过的 7 天内都不能退"), "模型的回答没有用，把资料里的话说反了"),
        (say("用过的 7 天内都能退"), "模型的回答没有用，把资料里的话说反了"),
        ("not json", "模型的回答不是说好的格式"),
        (json.dumps(["known"]), "模型的回答里缺了说好的内容"),
    ],
)
async def test_what_the_model_cannot_or_may_not_say_goes_to_a_human(
    perch: Perch, reply: str, why: str
) -> None:
    play, _ = await perch.open(lambda _: reply)
    assert "我问一下～" in await play.hear("amy", HALF)
    assert [text for to, text in play.said if to == "amy"] == ["我问一下～"]
    (because,) = play.notes("handed")
    assert because.startswith(why)
    (notice,) = [text for to, text in play.said if to == "wxid_boss"]
    assert "/1 拆开了还能退吗" in notice


async def test_budgets_are_counted_in_the_database(perch: Perch) -> None:
    play, model = await perch.open(lambda _: json.dumps({"known": False, "answer": ""}))
    for _ in range(4):
        await play.hear("amy", HALF)
        await play.stage.wait(MINUTE)
    assert len(model.asked) == 3
    assert play.notes("handed")[-1] == "今天已经为这个人问了模型 3 次，到了上限"
    for _ in range(3):
        await play.hear("bob", HALF)
        await play.stage.wait(MINUTE)
    assert len(model.asked) == 5
    assert play.notes("handed")[-1] == "今天已经问了模型 5 次，到了上限"
    await play.stage.wait(DAY)
    await play.hear("bob", HALF)
    assert len(model.asked) == 6


def _broken(_prompt: Prompt) -> str:
    raise ModelTrouble("模型说太忙")


async def test_after_five_failures_the_model_is_left_alone(tmp_path: Path) -> None:
    perch = Perch(tmp_path)
    perch.space.settings.answers.model.per_day.__dict__.update(contact=99, account=99)  # type: ignore[union-attr]
    play, model = await perch.open(_broken)
    for _ in range(6):
        await play.hear("amy", HALF)
    assert len(model.asked) == 5
    assert play.notes("handed")[-1] == "模型接连 5 次没有答上，先歇 2 分钟"
    await play.stage.wait(3 * MINUTE)
    await play.hear("amy", HALF)
    assert len(model.asked) == 6


async def test_where_a_model_is_configured_and_none_is_there_a_human_gets_every_question(
    perch: Perch,
) -> None:
    """As in `siyu chat`, which asks no real model."""
    stage = Stage(perch.space, perch.store, start=START)
    populate(stage.world)
    await stage.open()
    play = Play(stage)
    for _ in range(3):
        await play.hear("amy", HALF)
        await play.stage.wait(MINUTE)
    assert play.notes("handed") == ["没有配模型"] * 3


# --- while the model thinks ----------------------------------------------------------------------


class SlowModel:
    """Thinks until it is told to answer."""

    name = "slow"

    def __init__(self) -> None:
        self.go, self.asked = asyncio.Event(), 0

    async def ask(self, prompt: Prompt) -> Said:
        self.asked += 1
        await self.go.wait()
        return read_said(say(GOOD))

    async def close(self) -> None:
        pass


class Thinking:
    """A bot turned by hand, so that things happen while the model thinks."""

    def __init__(self, perch: Perch) -> None:
        self.model = SlowModel()
        self.clock = VirtualClock(START)
        self.world = World(now=self.clock.now, self_name="小满家")
        self.channel = SimulatorChannel(self.world)
        self.store = perch.store
        self.bot = self._bot(perch)
        populate(self.world)

    def _bot(self, perch: Perch) -> Bot:
        return Bot(
            workspace=perch.space, store=self.store, channel=self.channel, clock=self.clock,
            make_model=lambda _space: self.model,
        )  # fmt: skip

    async def restart(self, perch: Perch) -> None:
        """The process dies, and another begins on the same database."""
        await self.bot.asker.close()
        self.model = SlowModel()
        self.bot = self._bot(perch)
        await self.open()

    async def open(self) -> None:
        await self.bot.start()
        await self.channel.open(self.bot)
        await self.turn()

    async def turn(self) -> None:
        for _ in range(12):
            await self.bot.turn()
            await self.bot.deliveries.landed()
            await asyncio.sleep(0)

    async def answer(self) -> None:
        self.model.go.set()
        await self.bot.asker.landed()
        await self.turn()

    @property
    def to_amy(self) -> list[str]:
        return [d.body.text for d in self.world.deliveries if d.to.external_id == "amy"]  # type: ignore[union-attr]

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]


@pytest.fixture
async def thinking(perch: Perch) -> Thinking:
    thinking = Thinking(perch)
    await thinking.open()
    await thinking.channel.say("amy", HALF)
    await thinking.turn()
    assert thinking.model.asked == 1
    assert thinking.rows("SELECT state, attempts FROM question") == [("asking", 1)]
    return thinking


async def test_other_people_are_served_while_it_thinks(thinking: Thinking) -> None:
    await thinking.channel.say("bob", "退货的运费谁出")
    await thinking.turn()
    assert [d.to.external_id for d in thinking.world.deliveries] == ["bob"]
    await thinking.answer()
    assert thinking.to_amy == [GOOD]


async def test_a_human_who_was_faster_silences_it(thinking: Thinking) -> None:
    await thinking.channel.hand("能退的，放心", to="amy")
    await thinking.turn()
    await thinking.answer()
    assert thinking.to_amy == []
    assert thinking.rows("SELECT state FROM question") == [("closed",)]
    assert thinking.rows("SELECT outcome FROM modelcall") == [("late",)]


async def test_who_asks_on_gets_no_answer_to_what_is_over(thinking: Thinking) -> None:
    await thinking.channel.say("amy", "退货的运费谁出")
    await thinking.turn()
    await thinking.answer()
    assert thinking.to_amy == ["谁的错谁出运费"]
    assert thinking.rows("SELECT state, because FROM question WHERE text LIKE '包装%'") == [
        ("dropped", "对方又问了别的，模型的回答不发了")
    ]


async def test_who_only_nudges_is_not_forgotten(thinking: Thinking) -> None:
    await thinking.channel.say("amy", "在吗")
    await thinking.turn()
    await thinking.answer()
    assert thinking.to_amy == ["我问一下～"]
    assert thinking.rows("SELECT state FROM question") == [("handed",)]


async def test_an_answer_that_comes_too_late_is_a_humans(thinking: Thinking) -> None:
    thinking.clock.set(START + HOUR)
    await thinking.answer()
    assert thinking.to_amy == ["我问一下～"]
    assert thinking.rows("SELECT state FROM question") == [("handed",)]


async def test_a_question_whose_commit_was_not_answered_is_asked_all_the_same(
    perch: Perch, monkeypatch: pytest.MonkeyPatch
) -> None:
    play, model = await perch.open(lambda _: say(GOOD))
    await play.channel.say("amy", HALF)
    write = perch.store._write

    def deaf(work: Callable[[Tx], Any]) -> None:
        write(work)
        perch.store._ids.reset()
        raise DatabaseTrouble

    with monkeypatch.context() as patch:
        patch.setattr(perch.store, "_write", deaf)
        await play.stage.bot.turn()
    assert play.rows("SELECT state FROM question") == [("asking",)]
    assert model.asked == []
    await play.settle()
    assert [text for to, text in play.said if to == "amy"] == [GOOD]
    assert play.rows("SELECT outcome FROM modelcall ORDER BY id") == [
        ("interrupted",), ("answered",),
    ]  # fmt: skip


async def test_a_process_that_dies_asks_once_more_and_answers_once(
    thinking: Thinking, perch: Perch
) -> None:
    await thinking.restart(perch)
    await thinking.turn()
    assert thinking.model.asked == 1
    await thinking.answer()
    assert thinking.to_amy == [GOOD]
    assert thinking.rows("SELECT outcome FROM modelcall ORDER BY id") == [
        ("interrupted",), ("answered",),
    ]  # fmt: skip


async def test_a_process_that_dies_twice_hands_over_once(thinking: Thinking, perch: Perch) -> None:
    await thinking.restart(perch)
    await thinking.turn()
    await thinking.restart(perch)
    await thinking.turn()
    assert thinking.model.asked == 0
    assert thinking.to_amy == ["我问一下～"]
    await thinking.restart(perch)
    await thinking.turn()
    assert thinking.to_amy == ["我问一下～"]
    assert thinking.rows("SELECT state, because FROM question") == [
        ("handed", "问了 2 次都没有问完")
    ]


async def test_only_so_many_are_asked_at_once(perch: Perch) -> None:
    thinking = Thinking(perch)
    for n in range(9):
        thinking.world.add_person(f"p{n}", f"人{n}", friend=True)
    await thinking.open()
    for n in range(9):
        await thinking.channel.say(f"p{n}", HALF)
    await thinking.turn()
    assert thinking.model.asked == 4
    await thinking.answer()
    await thinking.answer()
    told = {str(d.to.external_id) for d in thinking.world.deliveries}
    assert {f"p{n}" for n in range(9)} <= told


async def test_nothing_of_anybody_else_is_in_a_prompt(perch: Perch) -> None:
    play, model = await perch.open(lambda _: say(GOOD))
    await play.hear("bob", "我电话 13800138000，地址米糕巷 9 号")
    quoted = f"「阿杰：我电话 13800138000」\n- - - - - - - - - -\n{HALF}，我的号 139 0013 9000"
    await play.channel.say("amy", f"@小满家 {quoted}", group="g1", mention=True)
    await play.settle()
    await play.hear("amy", quoted)
    assert model.asked
    for prompt in model.asked:
        seen = prompt.instructions + prompt.data
        for secret in ("138", "139", "阿杰", "小雨", "米糕巷", "福利群", "路人", "amy", "bob"):
            assert secret not in seen, secret
