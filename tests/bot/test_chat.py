"""`siyu chat`: being anybody, with the clock in hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.chat import HELP, Chat, load_world
from bot.stage import Stage
from bot.transcript import Transcript
from storage.store import Store
from tests.support import START, ZONE, workspace

RULES = """
tags: {VIP: {}}
rules:
  - {id: accept, on: friend_request, do: [{accept: true}]}
  - {id: welcome, on: friend_added, do: [{say: a}]}
  - {id: join, on: group_joined, do: [{say: b}]}
  - {id: price, on: message, match: {any: [多少钱]}, cooldown: 10m, do: [{say: c}]}
"""


class Sitting:
    """A chat, and what it has written since it was last asked."""

    def __init__(self, chat: Chat, out: list[str]) -> None:
        self.chat, self._out = chat, out

    async def type(self, text: str, *, echo: bool = False) -> list[str]:
        """Type a line and look at what it led to, without the times of day."""
        assert await self.chat.line(text, echo=echo)
        written, self._out[:] = list(self._out), []
        return [line[7:] if line[2:3] == ":" else line.strip() for line in written]


@pytest.fixture
async def sitting(tmp_path: Path) -> AsyncIterator[Sitting]:
    store = Store("sqlite:///chat.db", root=tmp_path)
    space = workspace(tmp_path / "workspace", RULES)
    stage = Stage(space, store, start=START)
    load_world(store, stage.world, operators=space.settings.operators)
    out: list[str] = []
    transcript = Transcript(stage, zone=ZONE, out=out.append, dates=True)
    await stage.open()
    chat = Chat(stage, transcript)
    await chat.begin(None)
    yield Sitting(chat, out)
    store.close()


async def test_a_new_friend_begins_and_is_answered(sitting: Sitting) -> None:
    assert sitting.chat.prompt == "小雨 > "
    began = await sitting.type("多少钱")
    assert began[0] == "小雨 来加好友，说：你好，我是小雨"
    assert began[1].endswith("→ 小雨：A")
    assert began[2].endswith("→ 小雨：C")


async def test_silence_is_told(sitting: Sitting) -> None:
    await sitting.type("")
    assert "没有一条规则要回这句话" in (await sitting.type("嗯"))[-1]
    withheld = [await sitting.type("多少钱"), await sitting.type("多少钱")][1]
    assert "还在冷却时间" in withheld[0]
    assert len(withheld) == 1


async def test_what_was_typed_is_written_down_without_a_terminal(sitting: Sitting) -> None:
    await sitting.type("")
    assert "小雨" in (await sitting.type("多少钱", echo=True))[0]


@pytest.mark.parametrize("text", ["/人", "／人", "、人", "/ 人"])
async def test_any_slash_of_a_chinese_keyboard(sitting: Sitting, text: str) -> None:
    await sitting.type("")
    assert await sitting.type(text) == ["人：运营、小雨", "群：还没有"]


async def test_time_passes_by_command_and_says_the_day(sitting: Sitting) -> None:
    await sitting.type("")
    assert await sitting.type("/+1d") == ["── 11月22日 周日 ──", "（过去了 1 天）"]
    assert await sitting.type("/+x") == ["时间这样写：/+1d、/+2h、/+30m"]
    assert await sitting.type("/+9999d") == ["一次至多往前拨 366 天"]


async def test_groups(sitting: Sitting) -> None:
    await sitting.type("")
    assert await sitting.type("/群 妈妈") == ["没有叫「妈妈」的群，先 /进群 群名，建一个"]
    assert (await sitting.type("/进群 妈妈群"))[-1].endswith("→ 妈妈群：B")
    assert await sitting.type("/群 妈妈") == []
    assert sitting.chat.prompt == "［妈妈群］小雨 > "
    assert "群里没有 @ 它" in (await sitting.type("多少钱"))[-1]
    assert (await sitting.type("@小满家 多少钱"))[-1].endswith("→ 妈妈群：C")
    assert await sitting.type("/群 爸爸") == ["没有叫「爸爸」的群，/人 看看有哪些"]
    await sitting.type("/退群 妈妈群")
    assert sitting.chat.prompt == "小雨 > "
    assert await sitting.type("/进群") == ["要写群名，比如 /进群 妈妈群"]


async def test_the_owner_answers_by_hand(sitting: Sitting) -> None:
    await sitting.type("")
    assert "机器人退后 2 小时" in (await sitting.type("/真人 我来"))[-1]
    assert "已由人工接管" in (await sitting.type("多少钱"))[-1]
    assert (await sitting.type("/真人"))[-1].startswith("要写真人说的话")


async def test_why(sitting: Sitting) -> None:
    await sitting.type("多少钱")
    why = await sitting.type("/为什么")
    assert any("规则 price：消息里有「多少钱」" in line for line in why)


async def test_operators_command_the_bot(sitting: Sitting) -> None:
    await sitting.type("")
    assert await sitting.type("/我是 运营") == ["你现在是 运营"]
    assert "加上了「VIP」" in (await sitting.type("/标签 小雨 VIP"))[0]
    assert "没有 /乱写 这个命令" in (await sitting.type("/乱写"))[-1]


async def test_strangers_do_not(sitting: Sitting) -> None:
    await sitting.type("")
    answer = await sitting.type("/状态")
    assert "没有一条规则要回" in answer[0]
    assert "没有 /状态 这个命令" in answer[1]
    assert "没有" not in "".join(await sitting.type("/我是 阿杰"))
    assert await sitting.type("/我是") == ["要写名字，比如 /我是 小雨"]


@pytest.mark.parametrize("text", ["/退出", "／退出", "/quit", "/exit", "/q"])
async def test_leaving(sitting: Sitting, text: str) -> None:
    assert not await sitting.chat.line(text)


async def test_help_names_every_command(sitting: Sitting) -> None:
    await sitting.type("")
    assert await sitting.type("/帮助") == HELP.splitlines() or HELP in await sitting.type("/help")
    for word in ("我是", "人", "进群", "退群", "群", "真人", "为什么", "+1d", "帮助", "退出"):
        assert f"/{word}" in HELP


async def test_an_operator_in_private_asks_the_bot_for_its_groups(sitting: Sitting) -> None:
    await sitting.type("/进群 妈妈群")
    await sitting.type("/我是 运营")
    asked, answer, *_ = await sitting.type("/群", echo=True)
    assert asked.endswith("：/群")
    assert "妈妈群" in answer
    await sitting.type("/进群 妈妈群")
    await sitting.type("/群 妈妈群")
    await sitting.type("/群")
    assert sitting.chat.prompt == "运营 > "
