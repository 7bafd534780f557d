"""What no rule answered: from the knowledge when sure, else to a human, and nothing said twice."""

from __future__ import annotations

from pathlib import Path

from bot.gaps import gaps
from bot.plain import source_name
from storage.questions import unanswered
from tests.support import DAY, HOUR, MINUTE, NO_GAPS, Perform, Play, write

FAQ = """
tags:
  退货: {}
  宝妈: {}
faq:
  - id: opened
    question: 拆开了还能退吗
    also: [拆封了能退不, 包装打开过了可以退么]
    answer: 没用过的，{{ vars.天数 }} 天内都能退
    tag: 退货
  - id: leak
    question: 侧漏怎么办
    also: [老是从边上漏]
    say: leak
  - {id: hours, question: 店里几点关门, answer: 晚上八点, until: 2026-11-21}
rules:
  - {id: hi, on: message, match: {any: [你好]}, do: [{say: a}]}
  - {id: price, on: message, match: {any: [多少钱]}, do: [{say: b}], cooldown: 10m}
  - {id: mum, on: message, match: {any: [宝妈]}, do: [{tag: 宝妈}]}
  - {id: hand, on: message, match: {any: [人工]}, do: [{hand_off: 请来}]}
"""
SETTINGS = f"{NO_GAPS}\nvars: {{天数: 7}}\nanswers: {{hold: 我问一下～}}"
TEXTS = {"leak/default": "换大一号试试", "leak/宝妈": "妈妈别急，换大一号"}


async def _open(perform: Perform, rules: str = FAQ, settings: str = SETTINGS) -> Play:
    return await perform(rules, settings=settings, templates=TEXTS)


async def test_sure_is_said_in_the_entrys_own_words_and_tagged(perform: Perform) -> None:
    play = await _open(perform)
    assert await play.hear("amy", "拆封了还能退不") == ["没用过的，7 天内都能退"]
    assert play.tags("amy") == ["退货"]
    assert play.rows("SELECT state, who, entry FROM question") == [("answered", "entry", "opened")]
    (why,) = play.notes("done")
    assert why.startswith("知识 opened：最像「拆开了还能退吗」")


async def test_the_answer_is_chosen_by_tag(perform: Perform) -> None:
    play = await _open(perform)
    assert await play.hear("bob", "老是从边上漏怎么弄") == ["换大一号试试"]
    await play.hear("amy", "我是宝妈")
    assert await play.hear("amy", "老是从边上漏怎么弄") == ["妈妈别急，换大一号"]


async def test_an_entry_holds_until_its_last_day(perform: Perform) -> None:
    play = await _open(perform)
    assert await play.hear("amy", "店里几点关门") == ["晚上八点"]
    await play.stage.wait(DAY)
    assert "晚上八点" not in await play.hear("bob", "店里几点关门")


async def test_rules_come_first_also_when_they_hold_back(perform: Perform) -> None:
    play = await _open(perform)
    assert await play.hear("amy", "侧漏的那款多少钱") == ["B"]
    assert await play.hear("amy", "侧漏的那款多少钱") == []
    assert play.rows("SELECT 1 FROM question") == []


async def test_a_rule_that_only_tags_has_not_answered(perform: Perform) -> None:
    play = await _open(perform)
    assert await play.hear("amy", "我是宝妈，拆封了还能退不") == ["没用过的，7 天内都能退"]
    assert play.tags("amy") == ["宝妈", "退货"]


async def test_chatting_is_left_alone(perform: Perform) -> None:
    play = await _open(perform)
    for text in ("哈哈哈", "在吗", "好的", "嗯嗯收到", "👍", "今天天气真好", "吃了吗"):
        assert await play.hear("amy", text) == [], text
    assert play.rows("SELECT 1 FROM question") == []


async def test_unknown_goes_to_a_human_with_guesses_and_the_holding_line_once(
    perform: Perform,
) -> None:
    play = await _open(perform)
    said = await play.hear("amy", "拆开的里面有一包坏了可以换别的款吗")
    assert said[-1] == "我问一下～" or said[0] == "我问一下～"
    (notice,) = [text for to, text in play.said if to == "wxid_boss"]
    assert "小雨 问「拆开的里面有一包坏了可以换别的款吗」，请你来回。" in notice
    assert "/1 拆开了还能退吗（像 0." in notice
    await play.hear("amy", "那什么时候能换呀")
    assert [text for to, text in play.said if to == "amy"] == ["我问一下～"]
    assert len([1 for to, _ in play.said if to == "wxid_boss"]) == 2


async def test_one_word_sends_a_guess_once(perform: Perform) -> None:
    play = await _open(perform)
    await play.hear("amy", "拆开的里面有一包坏了可以换别的款吗")
    before = len(play.said)
    await play.hear("wxid_boss", "/1")
    assert sorted(play.said[before:]) == [
        ("amy", "没用过的，7 天内都能退"),
        ("wxid_boss", "好的，照「拆开了还能退吗」替你发了"),
    ]
    assert play.tags("amy") == ["退货"]
    assert await play.hear("wxid_boss", "/1") == ["这个问题已经有人答过了，没有再发。"]
    assert await play.hear("wxid_boss", "/77") == ["没有 /77 这个答案，可能已经过了一天。"]


async def test_numbers_go_on_so_that_none_is_mistaken(perform: Perform) -> None:
    play = await _open(perform)
    await play.hear("amy", "拆开的里面有一包坏了可以换别的款吗")
    await play.hear("bob", "拆开以后发现有一包坏的能不能换别的")
    first, second = [text for to, text in play.said if to == "wxid_boss"]
    assert "/1 拆开了还能退吗" in first
    assert "/1 " not in second
    await play.hear("wxid_boss", "/2")
    assert ("bob", "没用过的，7 天内都能退") in play.said


async def test_a_human_who_answers_closes_it(perform: Perform) -> None:
    play = await _open(perform)
    await play.hear("amy", "你们老板结婚了吗")
    await play.channel.hand("结了呀", to="amy")
    await play.settle()
    assert play.rows("SELECT state, who FROM question") == [("closed", "hand")]
    before = len(play.said)
    assert await play.hear("amy", "拆封了还能退不") == []
    assert len(play.said) == before
    assert play.notes("withheld") == [
        "已由人工接管（人工接管：主人在手机上亲自回复了），机器人不插话"
    ]


async def test_asked_again_at_once_goes_to_a_human(perform: Perform) -> None:
    play = await _open(perform)
    await play.hear("amy", "拆封了还能退不")
    said = await play.hear("amy", "我问拆封了还能不能退")
    assert "我问一下～" in said
    await play.stage.wait(HOUR)
    assert await play.hear("bob", "拆封了还能退不") == ["没用过的，7 天内都能退"]


async def test_in_a_group_only_when_mentioned_and_mentioning_who_asked(perform: Perform) -> None:
    play = await _open(perform)
    assert await play.hear("amy", "拆封了还能退不", group="g1") == []
    await play.channel.say("amy", "@小满家 拆封了还能退不", group="g1", mention=True)
    await play.settle()
    (delivery,) = play.world.deliveries
    assert delivery.to.external_id == "g1"
    assert delivery.body.model_dump()["mentions"] == ("amy",)


async def test_operators_are_no_customers(perform: Perform) -> None:
    play = await _open(perform)
    assert await play.hear("wxid_boss", "拆封了还能退不") == []


async def test_without_knowledge_nothing_changes(perform: Perform) -> None:
    play = await _open(perform, "rules: []")
    assert await play.hear("amy", "拆封了还能退不") == []
    assert play.rows("SELECT 1 FROM question") == []


async def test_without_operators_no_promise_is_made(perform: Perform) -> None:
    play = await perform(FAQ, settings=SETTINGS, templates=TEXTS, operators="[]")
    assert await play.hear("amy", "你们老板结婚了吗") == []
    assert play.notes("handed") == ["知识里没有答案"]


async def test_hostile_questions_are_only_text(perform: Perform) -> None:
    play = await _open(perform)
    await play.hear("amy", "{{ 7*7 }}{% for %} 怎么退\n'; DROP TABLE question; --？")
    (notice,) = [text for to, text in play.said if to == "wxid_boss"]
    assert "49" not in notice
    assert "{{ 7*7 }}" in notice
    assert await play.hear("amy", "？" * 5_000) == []


async def test_gaps_put_alike_questions_together(perform: Perform) -> None:
    play = await _open(perform)
    for who, text in (
        ("amy", "可以开发票吗"),
        ("bob", "能开发票吗"),
        ("eve", "发票可以开吗"),
        ("amy", "你们老板结婚了吗"),
    ):
        await play.hear(who, text)
        await play.stage.wait(MINUTE)
    with play.stage.store.read() as connection:
        asked = unanswered(connection, since=0)
    found = gaps(asked, play.stage.bot.heart.workspace.knowledge)
    assert [(gap.people, len(gap.asked)) for gap in found] == [(3, 3), (1, 1)]
    assert found[0].asked[0].text == "发票可以开吗"


# --- reading -------------------------------------------------------------------------------------

READ = """
tags:
  诉求: {values: [咨询, 意向, 投诉, 闲聊], one_of: true, expires: 7d}
  情绪: {values: [好, 差], one_of: true, expires: 1d}
reading: {投诉: [不讲武德]}
"""


async def test_what_people_are_after_becomes_tags_with_evidence(perform: Perform) -> None:
    play = await _open(perform, READ)
    await play.hear("amy", "这款怎么用呀？")
    assert play.tags("amy") == ["诉求/咨询"]
    await play.hear("amy", "哈哈谢谢")
    assert play.tags("amy") == ["情绪/好", "诉求/咨询"]
    await play.hear("amy", "给我来两包")
    assert play.tags("amy") == ["情绪/好", "诉求/意向"]
    rows = play.rows("SELECT source, event_id IS NOT NULL, expires_at IS NOT NULL FROM tagging")
    assert {bool(evidence and expires) for _, evidence, expires in rows} == {True}
    assert {source for source, _, _ in rows} == {"reading:谢谢", "reading:来两包、给我来两包"}
    await play.stage.wait(8 * DAY)
    assert play.tags("amy") == []


async def test_a_complaint_alerts_at_once_and_stops_promotion(perform: Perform) -> None:
    play = await _open(perform, READ)
    await play.hear("amy", "你们太不讲武德了！！！")
    (notice,) = [text for to, text in play.said if to == "wxid_boss"]
    assert notice.startswith("小雨 像是在投诉：「你们太不讲武德了！！！」，请你尽快去看。")
    assert play.tags("amy") == ["情绪/差", "诉求/投诉"]
    play.enqueue("amy", "新品来啦", purpose="touch", expires_at=play.now + 10 * DAY)
    play.enqueue("bob", "新品来啦", purpose="touch")
    await play.stage.wait(2 * DAY)
    assert [to for to, text in play.said if text == "新品来啦"] == ["bob"]
    assert await play.hear("amy", "好") == []
    await play.stage.wait(2 * DAY)
    assert [to for to, text in play.said if text == "新品来啦"] == ["bob", "amy"]


async def test_a_rule_that_calls_a_human_is_alarm_enough(perform: Perform) -> None:
    play = await _open(perform)
    await play.hear("amy", "骗子！我要找人工")
    assert len([1 for to, _ in play.said if to == "wxid_boss"]) == 1
    assert play.rows("SELECT COUNT(*) FROM peace") == [(1,)]


async def test_a_complaint_is_never_answered_from_the_knowledge(perform: Perform) -> None:
    play = await _open(perform)
    said = await play.hear("amy", "骗子！拆封了还能退不")
    assert "没用过的，7 天内都能退" not in said
    assert play.rows("SELECT state, because FROM question") == [("handed", "是投诉，不由机器人答")]


async def test_pages_are_knowledge_too(perform: Perform, tmp_path: Path) -> None:
    write(
        tmp_path / "workspace/knowledge/退换.md",
        "# 退换货\n\n## 运费谁出\n- **谁的错**谁出，详见[说明](https://shop.test/a)\n",
    )
    play = await perform("rules: []", settings=SETTINGS)
    assert await play.hear("amy", "退货运费谁出呀") == [
        "· 谁的错谁出，详见说明 https://shop.test/a"
    ]


def test_nobody_is_told_that_chatting_was_a_word() -> None:
    assert source_name("reading:") == "听不出别的意思"
    assert source_name("reading:多少钱") == "话里的 多少钱"
