"""What a model wrote may only leave if it stands in what the operator wrote. Pure.

The gate is code and not a sentence in a prompt, because a prompt can be talked out of it. It errs
on the side of refusing: what it refuses goes to a human.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sop.polarity import turned

HAN = "\u4e00-\u9fff\u3400-\u4dbf"
_DIGITS = dict(
    zip("零〇一二三四五六七八九两幺壹贰叁肆伍陆柒捌玖", "0012345678921123456789", strict=True)
)
_TENS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1_000, "仟": 1_000, "万": 10_000}
_NUMERAL = f"[{''.join(_DIGITS)}{''.join(_TENS)}]"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_AMOUNT = re.compile(
    rf"(?:[¥$€]\s*(?P<after>\d+(?:\.\d+)?))|(?P<value>\d+(?:\.\d+)?|{_NUMERAL}+|半)\s*"
    r"(?P<unit>元|块|圆|毛|角|分钱|折|%|成|倍|rmb|yuan|w(?![a-z])|k(?![a-z]))"
)
_COUNTED = re.compile(rf"({_NUMERAL}+)(?=[天日年月周号点时个小件箱包盒瓶片次位人斤克只双套张份])")
_HARMLESS = {"一", "两"}  # 一下, 一个: said without counting
_WORD = re.compile(r"[a-z]+")
_ADDRESS = re.compile(
    r"[a-z]+://[^\s，。！？、]+|[a-z0-9-]+(?:\s*[.。·]\s*[a-z0-9-]+)+[^\s，。！？、]*"
)
_LONG = re.compile(r"\d(?:[\s\-_.,，、·/~]{0,3}\d){4,}")
_FOREIGN = re.compile(rf"[^\W\d_a-z{HAN}]")
_MARKUP = re.compile(r"\{[{%]|```|</?[a-z!]|\]\(|@")
_PAIR = re.compile(f"(?=([{HAN}]{{2}}))")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PROMISES = _words("""
    免费 白送 赠送 送你 送您 送一 买一送 返现 返利 半价 特价 打折 折扣 优惠 减免 满减 立减 红包
    全额 退一赔 赔偿 赔你 赔您 假一 补偿 包邮 免邮 免单 抽奖 中奖 清仓 内部价 最低价 全网最低
    保证 承诺 一定能 百分之 根治 治疗 治愈 疗效 无副作用 赠品 券 特权
""")
"""Words that promise: they bind the shop, so they may only repeat what the shop itself says."""

ELSEWHERE = _words("""
    加我 加微 微信号 微信 威信 薇信 v信 扣扣 企鹅 淘口令 口令 扫码 扫一扫 二维码 转账 汇款 打款
    付款码 收款 支付宝 银行卡 卡号 账号 帐号 私下 电话 手机号 号码 网址 网站 链接 点击 点开 下载
    验证码 密码 身份证 住址 公众号 小程序 抖音 点com 点cn
""")
"""Words that lead away from the chat or ask for what nobody should tell."""

IMPOSTURE = _words("""
    我是老板 我是店主 我是运营 我是管理员 我是真人 我是人工 我不是机器人 本人老板 作为老板
    官方客服 管理员 老板说 老板同意 老板批准 运营同意 已经批准 已批准 已授权 系统消息 系统提示
    系统通知 提示词 指令 设定 语言模型 人工智能 开发者 越狱 资料一 根据资料 资料里 以上规则
    不能透露 保密
""")
"""Words by which a model speaks as somebody it is not, or of its own instructions."""

WINDOW = 12  # so many characters of the instructions in a row are a leak
GROUNDED = 0.35  # the share of an answer's pairs of characters that must stand in the sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a model wrote, all texts in one spelling (`bot.language.normalise`).

    `raw` is the answer as it would be sent; `instructions` is what the model was told; `facts` are
    the answers among the sources, without what customers ask.
    """

    raw: str
    answer: str
    sources: str
    facts: str
    instructions: str = ""


def refuse(draft: Draft, *, longest: int, forbidden: Collection[str]) -> str:
    """Why the answer may not leave, in Chinese; empty when it may."""
    return next(_objections(draft, longest, forbidden), "")


def _objections(draft: Draft, longest: int, forbidden: Collection[str]) -> Iterator[str]:
    answer, sources = draft.answer, draft.sources
    if not answer.strip():
        yield "回答是空的"
    if len(draft.raw) > longest:
        yield f"回答太长，有 {len(draft.raw)} 个字，最多 {longest}"
    yield from (f"有不许说的词「{word}」" for word in forbidden if word and word in answer)
    yield from (f"有资料里没有的写法「{_show(m[0])}」" for m in _new(_MARKUP, answer, sources))
    yield from (f"有资料里没有的网址「{_show(m[0])}」" for m in _new(_ADDRESS, answer, sources))
    yield from _numbers(answer, sources)
    words = set(_WORD.findall(sources))
    yield from (f"有资料里没有的字母「{w}」" for w in _WORD.findall(answer) if w not in words)
    yield from (f"有资料里没有的文字「{m[0]}」" for m in _new(_FOREIGN, answer, sources))
    for what, told in (("承诺", PROMISES), ("引到别处的话", ELSEWHERE), ("身份或内情", IMPOSTURE)):
        bare = _bare(answer)
        yield from (f"有资料里没有的{what}「{w}」" for w in told if w in bare and w not in sources)
    if _leaks(answer, draft):
        yield "把给模型的说明说出去了"
    if _grounded(answer, sources) < GROUNDED:
        yield "说的大半不在资料里"
    if clause := turned(answer, draft.facts):
        yield f"把资料里的话说反了「{_show(clause)}」"


def _new(pattern: re.Pattern[str], answer: str, sources: str) -> Iterator[re.Match[str]]:
    return (found for found in pattern.finditer(answer) if found[0] not in sources)


def _numbers(answer: str, sources: str) -> Iterator[str]:
    known = set(_values(sources))
    told = {*_NUMBER.findall(answer), *(str(_value(m[1])) for m in _counted(answer))}
    yield from (f"有资料里没有的数字「{number}」" for number in sorted(told - known))
    amounts = set(_amounts(sources))
    yield from (
        f"有资料里没有的价钱或折扣「{value}{unit}」"
        for value, unit in _amounts(answer)
        if (value, unit) not in amounts
    )
    runs = [re.sub(r"\D", "", run) for run in _LONG.findall(_as_digits(sources))]
    for run in _LONG.findall(_as_digits(answer)):
        if not any(re.sub(r"\D", "", run) in one for one in runs):
            yield f"有资料里没有的号码「{_show(run)}」"


def _values(text: str) -> Iterator[str]:
    yield from _NUMBER.findall(text)
    yield from (str(_value(found[1])) for found in _counted(text))
    yield from (value for value, _ in _amounts(text))


def _counted(text: str) -> list[re.Match[str]]:
    return [found for found in _COUNTED.finditer(text) if found[1] not in _HARMLESS]


def _amounts(text: str) -> list[tuple[str, str]]:
    return [
        (found["after"], "元")
        if found["after"]
        else (str(_value(found["value"])), _UNITS.get(found["unit"], found["unit"]))
        for found in _AMOUNT.finditer(text)
    ]


_UNITS = {"块": "元", "圆": "元", "rmb": "元", "yuan": "元", "角": "毛", "w": "万", "k": "千"}


def _value(numeral: str) -> str | int:
    """A number as digits: 七 → 7, 十二 → 12, 七五 → 75; what is digits already stays."""
    if not set(numeral) <= {*_DIGITS, *_TENS}:
        return numeral
    if set(numeral) <= set(_DIGITS):
        return int("".join(_DIGITS[char] for char in numeral))
    whole = part = 0
    for char in numeral:
        if char in _DIGITS:
            part = int(_DIGITS[char])
        else:
            whole, part = whole + (part or 1) * _TENS[char], 0
    return whole + part


def _as_digits(text: str) -> str:
    return "".join(_DIGITS.get(char, char) for char in text)


def _bare(text: str) -> str:
    """Without what is put between characters so that a word is not seen."""
    return re.sub(rf"[^\w{HAN}]|_", "", text)


def _leaks(answer: str, draft: Draft) -> bool:
    told, said = _bare(draft.instructions), _bare(answer)
    known = _bare(draft.sources)
    pieces = (told[n : n + WINDOW] for n in range(max(len(told) - WINDOW + 1, 0)))
    return any(piece in said and piece not in known for piece in pieces)


def _grounded(answer: str, sources: str) -> float:
    pairs = _PAIR.findall(answer)
    if not pairs:
        return 1.0
    known = set(_PAIR.findall(sources))
    return sum(pair in known for pair in pairs) / len(pairs)


def _show(text: str) -> str:
    return text if len(text) <= 30 else text[:30] + "…"
