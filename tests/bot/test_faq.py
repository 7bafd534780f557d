"""Finding the right answer: the figures of docs/answers.md may not get worse."""

from __future__ import annotations

import pytest

from bench.faq import Book, hits, shares, shop
from bot.language import Matcher, Pattern, Questions
from sop.answering import SURE, Guess, sure


def test_a_small_shop_finds_its_answers_and_declines_what_it_does_not_know() -> None:
    asked, _ = shop()
    assert len(asked) == 110
    assert hits(asked, first=1) >= 0.90
    assert hits(asked, first=5) >= 0.98
    found = shares(asked, SURE)
    assert found.answered >= 0.55
    assert found.wrong <= 0.02
    assert found.declined >= 0.95


def test_sure_needs_likeness_and_a_lead() -> None:
    alone = Guess("a", SURE.score, 0.9)
    assert sure([alone]) == alone
    assert sure([Guess("a", SURE.score - 0.01, 0.9)]) is None
    assert sure([alone, Guess("b", 0.4, 0.9 - SURE.lead + 0.01)]) is None
    assert sure([]) is None


@pytest.mark.parametrize("text", ["怎么退", "怎么", "可以吗", "请问这个怎么弄呀", "？", ""])
def test_ways_of_asking_alone_are_like_nothing(text: str) -> None:
    book = Book([("leak", ["侧漏怎么办"]), ("trial", ["有试用装可以买吗"])])
    assert sure(book.ask(text)) is None


def test_one_index_serves_rules_and_knowledge() -> None:
    index = Questions(["怎么退货"], ["退货运费谁出"])
    matcher = Matcher([Pattern(id="p", like=("怎么退货",))], questions=index)
    assert matcher.match("请问如何退货") == {"p": ("怎么退货",)}
    assert [one.position for one in index.rank("退货运费谁承担", first=1)] == [1]
    assert index.rank("退货运费谁承担")[0].position == 1


def test_synonyms_and_traditional_spelling_count() -> None:
    index = Questions((), ["多少钱一包", "发什么快递"], synonyms={"多少钱": ["啥价"]})
    assert index.rank("啥价一包")[0].position == 0
    assert index.rank("發什麼快遞")[0].score == pytest.approx(1.0)


def test_a_question_scores_one_with_itself_and_never_more() -> None:
    texts = ["拆开了还能退吗", "退退退退退", "a", "😀", "1 2 3"]
    index = Questions((), texts)
    for position, text in enumerate(texts):
        ranked = index.rank(text)
        assert all(one.score <= 1.0 + 1e-9 for one in ranked)
        if ranked:
            assert ranked[0].position == position
