"""10,000 keyword rules against short chat messages, with the naive loop beside them."""

import random
from collections.abc import Callable, Iterable
from time import perf_counter

from bench import Row
from bot.language import Matcher, Pattern, normalise
from bot.language.matcher import Keywords
from bot.language.words import Vocabulary

RULES = 10_000

_TRADE, _TAILS = (
    line.split()
    for line in """
价格 优惠 快递 退货 运费 会员 报名 付款 客服 发货 尺码 面膜 奶粉 课程 团购 直播
多少 怎么算 表 说明 链接 什么时候 还有吗 太贵 能便宜 图片 流程 地址 电话 名额 规则 截止
""".strip().splitlines()
)
_CHAT = (
    "在吗，今天天气不错呀",
    "我先看看再说吧，晚上回你",
    "昨天回家太晚了没看到群里的",
    "哈哈哈太好笑了，转给我妈看",
    "周末带娃一起出去玩吗？",
    "孩子刚睡着，晚点聊",
    "收到啦，辛苦了，早点休息",
    "Good morning，早上好",
    "這兩天有點忙 晚點回你",
    "嗯嗯😀我也觉得那家不错",
)


def keywords(count: int, seed: int = 7) -> list[str]:
    """Trade words first, then pairs of them, then made-up brand names, all different."""
    dice = random.Random(seed)  # noqa: S311 - a fixed seed for comparable runs
    made = dict.fromkeys(_TRADE + [head + tail for head in _TRADE for tail in _TAILS])
    while len(made) < count:
        made["".join(chr(dice.randrange(0x4E00, 0x9000)) for _ in range(dice.randint(2, 4)))] = None
    return list(made)[:count]


def messages(words: list[str], count: int, *, with_candidate: bool, seed: int = 8) -> list[str]:
    """Chat lines of about 15 characters, on request with one of the keywords in the middle."""
    dice = random.Random(seed)  # noqa: S311
    lines = []
    for number in range(count):
        line = f"{dice.choice(_CHAT)}{dice.choice('呢啊哦嘛')}{number % 10}"
        if with_candidate:
            line = f"{dice.choice('请问我想问这个那个')}{dice.choice(words)}{line[:8]}"
        lines.append(line)
    return lines


def naive(words: Iterable[str], text: str) -> set[str]:
    text = normalise(text)
    return {word for word in words if word in text}


def recall(words: list[str], lines: list[str]) -> float:
    """The share of what the naive loop finds that the automaton finds too, spelled normally."""
    plain = {normalise(word) for word in words}
    index = Keywords(sorted(plain), vocabulary=Vocabulary(()), synonyms={})
    expected = [naive(plain, line) for line in lines]
    found = [index.candidates(normalise(line)) for line in lines]
    hits = sum(len(want & got) for want, got in zip(expected, found, strict=True))
    return hits / sum(map(len, expected))


def _rate(work: Callable[[str], object], lines: list[str]) -> float:
    """Messages a second, the best of three passes, so that a busy machine counts less."""
    best = float("inf")
    for _ in range(3):
        start = perf_counter()
        for line in lines:
            work(line)
        best = min(best, perf_counter() - start)
    return len(lines) / best


def main() -> list[Row]:
    words = keywords(RULES)
    start = perf_counter()
    matcher = Matcher([Pattern(id=word, any=(word,)) for word in words])
    built = perf_counter() - start
    chat = messages(words, 1_000, with_candidate=False)
    idle = [line for line in chat if not naive(words, line)] * 20
    busy = messages(words, 2_000, with_candidate=True)
    matcher.match("请问价格表多少")  # loads jieba, which is not the rate to measure
    loop = _rate(lambda line: naive(words, line), idle[:300])
    few = Matcher([Pattern(id=word, any=(word,)) for word in words[:100]])
    small = _rate(few.match, idle)
    quiet, judged = _rate(matcher.match, idle), _rate(matcher.match, busy)
    length = sum(map(len, idle)) / len(idle)
    return [
        (f"build, {RULES:,} keyword rules", f"{built * 1000:,.0f} ms", "at each edit of the files"),
        ("naive substring loop", f"{loop:,.0f} msg/s", "normalise included, as below"),
        ("no candidate, 100 rules", f"{small:,.0f} msg/s", "the cost hardly knows the number"),
        (
            f"no candidate, {RULES:,} rules",
            f"{quiet:,.0f} msg/s",
            f"{quiet / loop:,.0f} x naive; {length:.0f} chars",
        ),
        ("with a candidate, judged", f"{judged:,.0f} msg/s", f"{judged / loop:,.1f} x naive"),
        ("recall of candidates", f"{recall(words, busy[:300] + idle[:300]):.4f}", "against naive"),
    ]
