"""What a model hears in a message whose words told nothing: tags, complaints, within budgets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.model import CannedModel, ModelTrouble, Prompt
from bot.stage import Stage
from storage.questions import unanswered
from storage.store import Store
from tests.bot.test_asker import FAQ, GOOD, HALF, SETTINGS, Thinking, say
from tests.support import DAY, HOUR, START, Play, populate, workspace

TAGS = """
tags:
  诉求: {values: [咨询, 意向, 投诉, 闲聊], one_of: true, expires: 7d}
  情绪: {values: [好, 差], one_of: true, expires: 1d}
"""
VAGUE = "娃夜里老闹腾，隔壁家囤的那种好像挺管用"  # no word of it says what is wanted


def heard(intent: str, mood: str = "平") -> str:
    said = {"known": False, "answer": "", "used": [], "intent": intent, "mood": mood}
    return json.dumps(said, ensure_ascii=False)


class Perch:
    """A stage whose model does what the test says; with or without tags to fill in."""

    def __init__(self, root: Path, rules: str = TAGS + FAQ) -> None:
        settings = SETTINGS.replace("contact: 3, account: 5", "contact: 4, account: 6")
        self.space = workspace(root / "workspace", rules, settings=settings)
        self.store = Store(f"sqlite:///{root / 'siyu.db'}")

    async def open(self, reply: str) -> tuple[Play, CannedModel]:
        model = CannedModel(lambda _: reply)
        stage = Stage(self.space, self.store, start=START, make_model=lambda _space: model)
        populate(stage.world)
        await stage.open()
        return Play(stage), model


async def test_what_words_do_not_tell_the_model_does(tmp_path: Path) -> None:
    play, model = await Perch(tmp_path).open(heard("意向", "差"))
    assert await play.hear("amy", VAGUE) == []
    assert play.tags("amy") == ["情绪/差", "诉求/意向"]
    (prompt,) = model.asked
    assert json.loads(prompt.data) == {"顾客的话": VAGUE}
    rows = play.rows("SELECT source, event_id IS NOT NULL, expires_at IS NOT NULL FROM tagging")
    assert {(source, bool(both and ends)) for source, both, ends in rows} == {
        ("reading:模型听出来的", True)
    }
    assert play.rows("SELECT outcome, sources FROM modelcall") == [("read", "[]")]
    assert play.rows("SELECT 1 FROM question") == []
    await play.stage.wait(8 * DAY)
    assert play.tags("amy") == []


@pytest.mark.parametrize(
    "text", ["给我来两包", "怎么用呀？", "谢谢", "哈哈哈", "在吗", "👍", "好的"]
)
async def test_where_words_tell_or_nothing_is_said_no_model_reads(
    tmp_path: Path, text: str
) -> None:
    play, model = await Perch(tmp_path, TAGS + "rules: []").open(heard("投诉", "差"))
    await play.hear("amy", text)
    assert model.asked == []


async def test_without_tags_to_fill_in_nothing_is_read(tmp_path: Path) -> None:
    play, model = await Perch(tmp_path, FAQ).open(heard("意向"))
    await play.hear("amy", VAGUE)
    assert model.asked == []


async def test_a_complaint_that_only_a_model_hears_is_one(tmp_path: Path) -> None:
    play, _ = await Perch(tmp_path).open(heard("投诉", "差"))
    await play.hear("amy", VAGUE)
    (notice,) = [text for to, text in play.said if to == "wxid_boss"]
    assert notice.startswith("小雨 像是在投诉")
    assert play.tags("amy") == ["情绪/差", "诉求/投诉"]
    play.enqueue("amy", "新品来啦", purpose="touch", expires_at=play.now + 9 * DAY)
    await play.stage.wait(2 * DAY)
    assert "新品来啦" not in play.texts


async def test_an_answering_model_reads_in_the_same_call(tmp_path: Path) -> None:
    play, model = await Perch(tmp_path).open(say(GOOD, intent="意向", mood="好"))
    assert await play.hear("amy", HALF) == [GOOD]
    assert len(model.asked) == 1
    # 给不给退 told 咨询 already: words come first, the mood is the model's
    assert play.tags("amy") == ["情绪/好", "诉求/咨询"]


async def test_who_complains_to_a_model_gets_a_human(tmp_path: Path) -> None:
    play, _ = await Perch(tmp_path).open(say(GOOD, intent="投诉", mood="差"))
    await play.hear("amy", HALF)
    assert [text for to, text in play.said if to == "amy"] == ["我问一下～"]
    assert play.notes("handed") == ["模型听着像投诉，不由机器人答"]


async def test_reading_uses_at_most_half_of_the_budgets(tmp_path: Path) -> None:
    play, model = await Perch(tmp_path).open(heard("闲聊"))
    for n in range(4):
        await play.hear("amy", f"{VAGUE}{n}")
    assert len(model.asked) == 2  # half of the contact's four
    for n in range(4):
        await play.hear("bob", f"{VAGUE}{n}")
    assert len(model.asked) == 3  # half of the account's six
    await play.hear("bob", HALF)
    assert len(model.asked) == 4  # a question still has its own
    assert play.rows("SELECT 1 FROM question WHERE who = 'reading'") == []
    await play.stage.wait(DAY)
    await play.hear("amy", VAGUE)
    assert len(model.asked) == 5


async def test_trouble_costs_nothing_but_the_tag(tmp_path: Path) -> None:
    perch = Perch(tmp_path)

    def broken(_prompt: Prompt) -> str:
        raise ModelTrouble("模型说太忙")

    play, model = await perch.open("")
    model._reply = broken
    assert await play.hear("amy", VAGUE) == []
    assert play.said == []
    assert play.tags("amy") == ["诉求/闲聊"]
    assert play.rows("SELECT 1 FROM question") == []


async def test_what_is_only_read_is_no_gap_and_stands_in_nobodys_way(tmp_path: Path) -> None:
    thinking = Thinking(Perch(tmp_path))  # type: ignore[arg-type]
    await thinking.open()
    await thinking.channel.say("amy", HALF)
    await thinking.turn()
    await thinking.channel.say("bob", VAGUE)
    await thinking.turn()
    await thinking.channel.hand("我来", to="bob")
    await thinking.turn()
    with thinking.store.read() as connection:
        assert unanswered(connection, since=0) == []
    assert thinking.model.asked == 2
    thinking.clock.set(START + HOUR)
    await thinking.answer()
    assert thinking.rows("SELECT text FROM question") == [(HALF,)]
