"""`siyu demo`: a newcomer's first minute."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from bot.cli.main import siyu

_MUST_TELL = {
    "a welcome": "小满家 → 林夕妈妈：林夕妈妈，又来一位一起熬夜的",
    "an answer to a keyword": "小满家 → 林夕妈妈：纸尿裤一包 59 起",
    "a tag and its rule": "＋ 林夕妈妈 有了标签「意向/中」（规则 price-interest）",
    "a cooldown": "规则 price 没有执行，还在冷却时间 cooldown 里",
    "words per tag": "小满家 → 小鱼：还没出生的话，NB 先备一两包",
    "traditional characters": "美玲阿嬤：請問 紙尿褲 多 少 錢？",
    "a name that is code": "小满家 → {{7*7}} 的妈妈：{{7*7}} 的妈妈，你来啦",
    "one welcome for many": "小满家 → 小满福利群①：@小鱼 @momo @{{7*7}} 的妈妈 来啦",
    "a takeover": "‖ 林夕妈妈：主人亲自回复了，机器人退后 2 小时",
    "a reply withheld": "已由人工接管（人工接管：主人在手机上亲自回复了），机器人不插话",
    "a refusal and another try": "排队中：网关没有发出去（网关忙，没有发出），稍后重试",
    "an unknown": "不确定：网关迟迟没有回音，不知道对方收到没有",
    "a hand-over": "小满家 → 小满：momo 想找真人聊",
    "an operator's command": "小满家 → 小满：好的，给 豆包妈",
    "the end": "建一个你自己的：siyu init 我的社群",
}


def _play() -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        siyu.main(["demo", "--no-chat"], standalone_mode=False)
    return out.getvalue()


@pytest.fixture(scope="module")
def week() -> str:
    return _play()


def test_it_tells_what_it_must(week: str) -> None:
    assert [what for what, line in _MUST_TELL.items() if line not in week] == []


def test_it_is_the_same_every_time_and_leaves_nothing(
    week: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _play() == week
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_message_is_told_once_and_never_sent_again(week: str) -> None:
    assert week.count("小满家 → momo：下午 4 点前下单当天发") == 1
    assert week.count("不确定：") == 1
