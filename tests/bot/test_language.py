"""Normalising, the meaning of patterns, regexes, similar questions, and the cost of it all."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.keywords import keywords, messages, recall
from bot.language import Matcher, Pattern, matcher, normalise, regex_problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("這個多少錢呀", "这个多少钱呀"),
        ("ＶＩＰ会员！", "vip会员!"),
        ("多 少　钱", "多少钱"),
        ("多\u200b少\u202e钱\ufeff", "多少钱"),
        ("多😀少❤️钱", "多少钱"),
        ("好的👍", "好的👍"),
        ("👍👍", "👍👍"),
        ("  Hello \t World ", "hello world"),
        ("买 iPhone 15", "买 iphone 15"),
        ("1️⃣", "1"),
        ("①", "1"),
        ("想买和\n服务好", "想买和\n服务好"),
        ("多\n少\r\n钱", "多少钱"),
        ("什麼時候回覆", "什么时候回复"),
        ("乾淨，乾隆", "干净,乾隆"),
        ("打坏了", "打坏了"),
        ("\ud800价格\udfff", "价格"),
        ("多\u0336少\u0336钱", "多少钱"),
        ("等等…ＯＫ", "等等...ok"),
        ("\u200b \n", ""),
        ("", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.text(alphabet="这個多少錢Ａb1１ ，,.😀\u200b\n　…覆ß①", max_size=30))
def test_normal_text_stays(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_long_text_is_cut() -> None:
    assert len(normalise("价" * 10_000)) == 4_000
    assert len(normalise("\ufdfa" * 4_000)) == 4_000
    assert Matcher([Pattern(id="p", any=("价格",))]).match("啊" * 4_000 + "价格") == {}


def _hits(text: str, **conditions: tuple[str, ...]) -> tuple[str, ...] | None:
    return Matcher([Pattern(id="p", **conditions)]).match(text).get("p")


def test_alternatives_and_requirements() -> None:
    assert _hits("价格多少", any=("价格", "多少钱")) == ("价格",)
    assert _hits("加我13812345678", any=("价格",), regex=(r"\d{11}",)) == ("13812345678",)
    assert _hits("请问如何退货", any=("价格",), like=("怎么退货？",)) == ("怎么退货？",)
    assert _hits("会员价格多少", any=("价格",), all=("会员",)) == ("价格", "会员")
    assert _hits("价格多少", any=("价格",), all=("会员",)) is None
    assert _hits("会员优惠", all=("会员", "优惠")) == ("会员", "优惠")
    assert _hits("会员", all=("会员", "优惠")) is None
    assert _hits("同行问价格", any=("价格",), none=("同行",)) is None


def test_only_none_matches_every_other_message() -> None:
    assert _hits("你好", none=("广告",)) == ()
    assert _hits("这是广告", none=("广告",)) is None
    assert _hits(" \u200b", none=("广告",)) is None


def test_a_pattern_needs_a_condition() -> None:
    with pytest.raises(ValueError, match="没有任何条件"):
        Pattern(id="空")


def test_evidence_is_as_the_operator_wrote_it() -> None:
    assert _hits("這個多少錢", any=("多 少 錢", "价格")) == ("多 少 錢",)
    assert _hits("这个多少钱", any=("多少钱", "多少錢")) == ("多少钱", "多少錢")


def test_a_character_that_jieba_has_only_in_longer_words() -> None:
    assert _hits("他是仫佬族", any=("仫", "是仫")) is None


def test_patterns_come_in_their_order() -> None:
    patterns = [Pattern(id=name, any=("价格",)) for name in "cab"]
    assert list(Matcher(patterns).match("价格")) == ["c", "a", "b"]


def test_synonyms_count_as_their_keyword_only() -> None:
    patterns = [Pattern(id="key", any=("多少钱",)), Pattern(id="variant", any=("咋卖",))]
    synonyms = {"多少錢": ["几多钱", "咋卖"]}
    with_synonyms = Matcher(patterns, synonyms=synonyms)
    assert with_synonyms.match("这个咋卖呀") == {"key": ("多少钱",), "variant": ("咋卖",)}
    assert with_synonyms.match("這個幾多錢") == {"key": ("多少钱",)}
    assert with_synonyms.match("多少钱") == {"key": ("多少钱",)}


def test_reply_cases_of_the_design() -> None:
    yes, no = ("要", "想要", "好的"), ("不用", "不需要")
    cases = Matcher([Pattern(id="yes", any=yes), Pattern(id="no", any=no)])
    for text in ("要", "我要！", "想要的", "好的呀", "要兩盒"):
        assert list(cases.match(text)) == ["yes"], text
    for text in ("不用了", "不需要，谢谢", "暫時不需要"):
        assert list(cases.match(text)) == ["no"], text
    for text in ("不要", "这很重要", "不想要", "要不要我帮你问", "再看看"):
        assert cases.match(text) == {}, text


def test_words_of_one_matcher_do_not_reach_another() -> None:
    apple = [Pattern(id="p", any=("苹果",))]
    hiding, plain = Matcher(apple, words=["苹果手机壳"]), Matcher(apple)
    assert hiding.match("苹果手机壳有吗") == {}
    assert plain.match("苹果手机壳有吗") == {"p": ("苹果",)}
    assert hiding.match("苹果和苹果手机壳") == {"p": ("苹果",)}


def test_another_rules_keyword_hides_nothing() -> None:
    both = Matcher([Pattern(id="short", any=("价格",)), Pattern(id="long", any=("批发价格",))])
    assert list(both.match("批发价格多少")) == ["short", "long"]


def test_links_and_addresses_are_one_piece() -> None:
    assert _hits("看 https://shop.cn/buy/1?no=2", any=("buy", "1", "no", "2")) is None
    assert _hits("发到 no@shop.cn", any=("no", "shop")) is None


@pytest.mark.parametrize(
    ("regex", "text", "matches"),
    [
        (r"1[3-9]\d{9}", "我电话13812345678", True),
        ("WX[a-z]+", "加wxabc", True),
        ("（\\d+）", "(12)", True),
        ("幾多|几块", "几多", True),
        ("^价格$", "价格表", False),
        (r"买\s*\d+\s*[件盒]", "我买 3 盒", True),
    ],
)
def test_regex_runs_on_normal_text(regex: str, text: str, matches: bool) -> None:
    assert bool(_hits(text, regex=(regex,))) is matches


@pytest.mark.parametrize(
    ("regex", "said"),
    [
        ("", "空的"),
        ("(价格", "右括号"),
        ("价格)", "多了右括号"),
        ("[价格", "右方括号"),
        ("(?<!不)要", "环视"),
        (r"(.)\1", "反向引用"),
        ("*价", "可重复"),
        ("a**", "连用"),
        ("a{5000}", "1000"),
        ("[z-a]", "写反"),
        ("价\\", "反斜杠"),
        ("(优惠)?", "空消息"),
        ("价" * 501, "太长"),
        ("\ud800", "空消息"),
        ("(?P<a", "写法不对"),
    ],
)
def test_a_useless_regex_is_explained(regex: str, said: str) -> None:
    assert said in (regex_problem(regex) or "")
    with pytest.raises(ValueError, match="正则"):
        Matcher([Pattern(id="p", regex=(regex,))])


def test_a_good_regex_has_no_problem() -> None:
    assert regex_problem(r"(退|换)货.{0,10}\d+") is None


SIMILAR = [
    ("怎么退货", "请问一下退货怎么弄呀 / 你好，我想问下咋退货 / 想退货要怎么操作 / 如何退貨"),
    ("什么时候发货", "啥时候发货呀 / 多久能发货 / 几天发货 / 什么时候可以发货呢亲"),
    ("怎么付款", "如何付款 / 付款怎么付"),
    ("宝宝能吃吗", "一岁宝宝可以吃吗 / 这个宝宝能不能吃"),
    ("快递到哪了", "我的快递到哪里了 / 快递在哪"),
    ("有没有优惠", "有优惠吗 / 现在有什么优惠"),
    ("在吗", "在吗"),
]
DIFFERENT = [
    ("怎么退货", "怎么发货 / 退款到账了吗 / 怎么进货 / 怎么办 / 你好"),
    ("什么时候发货", "什么时候上课 / 发货地址在哪 / 货收到了"),
    ("怎么付款", "付款失败了 / 怎么用"),
    ("宝宝能吃吗", "宝宝几岁了 / 孕妇能吃吗"),
    ("快递到哪了", "快递费多少 / 到哪里上课"),
    ("过敏了怎么办", "会过敏吗 / 迟到了怎么办"),
]


@pytest.mark.parametrize(("question", "texts"), SIMILAR)
def test_similar_questions_match(question: str, texts: str) -> None:
    for text in texts.split(" / "):
        assert _hits(text, like=(question,)) == (question,), text


@pytest.mark.parametrize(("question", "texts"), DIFFERENT)
def test_different_questions_do_not(question: str, texts: str) -> None:
    for text in texts.split(" / "):
        assert _hits(text, like=(question,)) is None, text


def test_similar_questions_know_the_operators_synonyms() -> None:
    refund = [Pattern(id="p", like=("怎么退货",))]
    assert Matcher(refund, synonyms={"退货": ["退掉"]}).match("如何退掉") == {"p": ("怎么退货",)}


def test_only_concerned_patterns_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def spy(pattern: Pattern, _found: object) -> None:
        seen.append(pattern.id)

    many = [Pattern(id=word, any=(word,)) for word in keywords(2_000)]
    many.append(Pattern(id="all", all=("会员", "优惠力度"), none=("价格",)))
    built = Matcher(many)
    monkeypatch.setattr(matcher, "_evidence", spy)
    built.match("你好")
    assert seen == []
    built.match("会员价格？")
    assert seen == ["价格", "会员"]


def test_the_automaton_misses_nothing() -> None:
    words = keywords(1_000)
    lines = messages(words, 200, with_candidate=True)
    assert recall(words, [*lines, "".join(words[:300])]) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        unit * 3_000
        for unit in (
            "不要",
            "要不",
            "1.",
            "a-",
            "a@",
            "xx",
            "多少钱包",
            "退货",
            "\u200b",
            "😀",
            "重重",
        )
    ],
)
@pytest.mark.timeout(5)
def test_hostile_text_is_cheap(text: str) -> None:
    patterns = [
        Pattern(id="k", any=("要", "不要", "多少钱", "a", "1")),
        Pattern(id="r", regex=("(x+x+)+y", "(.*)*z")),
        Pattern(id="l", like=("怎么退货",)),
    ]
    assert isinstance(Matcher(patterns, words=["不要啊要"]).match(text), dict)


@given(st.text(max_size=60))
def test_any_text_is_survived(text: str) -> None:
    pattern = Pattern(id="p", any=("要", "a", "1"), regex=("x+",), like=("怎么退货",))
    assert set(Matcher([pattern]).match(text + "要a1退货")) <= {"p"}


def test_jieba_waits_for_a_doubt_and_leaves_nothing_behind(tmp_path: Path) -> None:
    script = """
import sys
from bot.language import Matcher, Pattern
m = Matcher([Pattern(id="p", any=("多少钱",))])
assert m.match("你好") == {} and m.match("多少钱") and "jieba" not in sys.modules
assert m.match("这个多少钱呀") and "jieba" in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
