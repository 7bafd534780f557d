"""What smells of an advert, in whatever disguise, and what only looks a little like one.

The texts are our own; `bench/guard.py` measures on real chat, which is not part of this repository.
"""

from __future__ import annotations

from time import process_time

import pytest

from bot.language import Forbidden, advert_signs
from bot.language.disguise import joined, unmask
from sop.guarding import Finding, Guard, Level, SignKind, weigh

ADVERTS = [
    "低价出二手婴儿车，加微信：mama_2020",
    "兼职日结 一天三百 加V abc12345",
    "加薇❤信 xiaomei8866 免费领取试用装",
    "➕vx：love_888 一手货源 厂家直销",
    "扣 裙 123 456 789 每天红包",
    "ｑｑ：１２３４５６７８９ 代刷代练 先做后付",
    "招代理！一件代发，有意者加Q 壹贰叁肆伍陆柒捌",
    "电话 1 3 8 0 0 1 3 8 0 0 0 高价回收茅台，诚信交易",
    "一三八零零一三八零零零 专业贷款秒批",
    "①③⑧⓪⓪①③⑧⓪⓪⓪ 代理招商",
    "【淘宝】复制这段 ￥5M1OXxZOBhU￥ 打开即可领券",
    "新店开业 全场特价 http://bad.example/x 先到先得 限时秒杀",
    "群发勿踢，需要代购的私我，价格美丽",
    "外部群：987654321 免费送资料，进群领取",
    "刷单返利 扫码进群 日赚五百",
    "有意私聊，出售账号 100元",
    "加微信abc12345有惊喜价哦，限时优惠",
]
INNOCENT = [
    "今天宝宝会翻身了，好开心",
    "这个价格多少呀，包邮吗",
    "订单号 20261122001122 怎么还没到",
    "快递单号 773012345678 帮我查一下",
    "我的电话13800138000，收货地址杭州市西湖区文三路12号3栋402室，帮我下单两包",
    "取件码 12-3-4567，麻烦帮我拿一下",
    "验证码是 665178，别告诉别人",
    "138块钱两包，比上次便宜",
    "原价一百现价五十，我上周在店里购买的，优惠了不少，群里好多人都买了，售后也挺好的",
    "身高 110，体重 20 斤，穿多大码",
    "2026-11-22 到 2026-12-12 有活动吗",
    "威信很高的一位医生",
    "这条裙子真好看，加裙撑更好看",
    "找维修师傅修一下洗衣机",
    "可以加微量元素吗",
    "出了一身汗",
    "收到啦谢谢",
    "接娃放学去了",
    "群里的姐妹们早上好",
    "666666",
    "哈哈哈哈哈哈哈哈",
    "@12345678 你说得对",
    "会议号 123456789 今晚八点",
    "",
]


def weighed(text: str, guard: Guard | None = None) -> Finding:
    return weigh(advert_signs(text), guard or Guard())


@pytest.mark.parametrize("text", ADVERTS)
def test_adverts_are_at_least_told(text: str) -> None:
    assert weighed(text).level is not Level.FINE, weighed(text).because


def test_most_adverts_are_acted_on() -> None:
    acted = [text for text in ADVERTS if weighed(text).level is Level.ACT]
    assert len(acted) >= 12


@pytest.mark.parametrize("text", INNOCENT)
def test_customers_are_never_acted_on(text: str) -> None:
    assert weighed(text).level is not Level.ACT, weighed(text).because


def test_hardly_any_customer_is_told_about() -> None:
    assert [text for text in INNOCENT if weighed(text).level is not Level.FINE] == [
        "原价一百现价五十，我上周在店里购买的，优惠了不少，群里好多人都买了，售后也挺好的"
    ]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("微❤信", "微信"),
        ("加V：abc", "加微信:abc"),
        ("加薇x abc", "加微信 abc"),
        ("➕vx", "+微信"),
        ("咖微信", "加微信"),
        ("进裙", "进群"),
        ("１３８００１３８０００", "13800138000"),
        ("138-0013-8000", "13800138000"),
        ("一三八零零一三八零零零", "13800138000"),
        ("①③⑧⓪⓪①③⑧⓪⓪⓪", "13800138000"),
        ("13✨800✨138✨000", "13800138000"),
        ("1\u200b38001\u200b38000", "13800138000"),
        ("2026-11-22", "2026-11-22"),
        ("20-8、20-10", "20-8、20-10"),
        ("裙子", "裙子"),
        ("找维修", "找维修"),
        ("加微量元素", "加微量元素"),
    ],
)
def test_disguises_are_undone(written: str, read_as: str) -> None:
    assert unmask(written) == read_as


def test_marks_inside_a_word_are_dropped() -> None:
    assert joined("刷*单 刷/单 日.结") == "刷单 刷单 日结"


WORDS = Forbidden(("刷单", "代购", "尿不湿代理"), ("群友价",), known=("代购车",))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("有人刷单吗", {SignKind.WORD}),
        ("刷😀单", {SignKind.WORD}),
        ("刷\u200b单", {SignKind.WORD}),
        ("刷 單", {SignKind.WORD}),
        ("刷*单", {SignKind.DISGUISED}),
        ("唰丹了解", {SignKind.DISGUISED}),
        ("今天群友价", {SignKind.WATCHED}),
        ("书单分享", set()),
        ("有代沟", set()),
        ("推着代购车", set()),
        ("我的带宽不够", set()),
        ("", set()),
    ],
)
def test_forbidden_words(text: str, kinds: set[SignKind]) -> None:
    assert {sign.kind for sign in WORDS.find(text)} == kinds


def test_sound_and_pieces_alone_are_never_enough() -> None:
    many = Forbidden(("刷单", "代购", "贷款", "返利"))
    finding = weigh(many.find("唰丹 带钩 袋款 凡利 刷*单"), Guard())
    assert finding.level is Level.ALERT


@pytest.mark.parametrize(
    "text",
    [
        "1-" * 2_000,
        "a." * 2_000,
        "q" * 4_000,
        "9" * 4_000,
        "加" * 4_000,
        "群1" * 2_000,
        "加微信:" + "a-" * 2_000,
        "[+]" * 1_300,
        "出 收 卖 " * 600,
        "http://" * 600,
        "唰丹" * 2_000,
        "￥a" * 2_000,
        "省" * 2_000 + "路",
        "一" * 4_000,
    ],
    ids=range(14),
)
def test_no_text_costs_much(text: str) -> None:
    advert_signs("唰丹兼直")  # loads what is loaded once
    begun = process_time()
    weighed(text)
    list(WORDS.find(text))
    assert process_time() - begun < 2.0


def test_a_reason_says_what_it_saw() -> None:
    finding = weighed("加V：abc12345 低价代购")
    assert finding.because == (
        "留了联系方式「微信:abc12345」 +40，叫人去别处找 TA「加微信」 +20，"
        "买卖用语「低价」「代购」 +24"
    )
    assert finding.points == sum(reason.points for reason in finding.reasons) == 84


def test_points_end_at_a_hundred_and_never_below_nothing() -> None:
    assert weighed(" ".join(ADVERTS)).points == 100
    assert weighed("怎么办").points == 0
