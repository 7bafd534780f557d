"""What in a message smells of an advert: signs, each with the piece of text that shows it.

A sign is no verdict; `sop.guarding` weighs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ahocorasick_rs import AhoCorasick, MatchKind

from bot.language.advert_words import ASKS, ILLICIT, MASS, TRADE
from bot.language.disguise import Homophones, unmask
from sop.guarding import Sign, SignKind

_MOBILE = re.compile(r"(?<![\d.])1[3-9]\d{9}(?![\d.])")
_NUMBER = re.compile(r"(?<![\d@.#a-f])\d{6,11}(?![\d.%])")
_LABEL = (
    r"(?:(?<![a-z0-9])q+|扣扣|扣|企鹅|球球|(?:内部|外部|官方|交流|粉丝|公益|服务器)?[一二三四五六\d]?群号?"
    r"|内部|外部|裙号?|微信|薇信?|威信|徽信|威|(?<![a-z0-9])v[x信]?|(?<![a-z0-9])wx|weixin|wechat|电话|手机|热线"
    r"|(?<![a-z0-9])tg|电报|飞机|号码)"
)
_LABELLED = re.compile(
    rf"{_LABEL}[号是为加找\s:：;；=+@,，)）】\]>→—-]{{0,6}}(\d{{5,12}})(?!\d|[人元块个])"
)
_NAMED = re.compile(
    r"(?:微信号?|薇信?|威信|徽信|(?<![a-z0-9])v[x信]|(?<![a-z0-9])wx|weixin|wechat|加(?:微|v))"
    r"[号是为\s:：=+@-]{0,4}([a-z][a-z0-9_-]{5,19})(?![a-z0-9_-])"
)
_ADDRESS = re.compile(
    r"https?:?/{0,2}[!-~]{4,}|(?<![@a-z0-9.-])(?:[a-z0-9-]{1,40}\. ?){1,4}"
    r"(?:com|cn|net|top|xyz|vip|cc|shop|club|site|online|icu|info|org|run|me|io|app|link|fun|pro|ltd|tk|pw)"
    r"(?![a-z0-9-])[!-~]*"
)
_PASSCODE = re.compile(r"[¥￥$€₤]\s?[a-z0-9]{8,14}\s?[¥￥$€₤/]")
_PRICE = re.compile(
    r"(?<!\d)\d{1,7}(?:\.\d{1,2})?\s?(?:元|块钱?|rmb|r(?![a-z])|圆|原|米|usd|¥)(?!\d)|[¥￥$]\s?\d"
    r"|(?<!\d)\d{1,7}(?:/[月年天张个条]|一[个张条斤份月年])"
)
_OFFER = re.compile(
    r"(?:^|[\s,，。!！;；:：、])(?:有人|谁)?(?:急|低价|便宜|高价|长期|诚信|大量|批量|另|自用|闲置|全新)?"
    r"(?:出(?:租|售|个|一[个张台套手部]|几个|两个|\d*手|二手|号|[a-z]+\d|\d)|收(?:个|一[个张台套部]|几个|号|\d)|"
    r"卖(?:个|一[个张台套部]|号|[a-z])|买[\u4e00-\u9fffa-z]{1,8}(?:找我|加我|私)|售卖|接[\u4e00-\u9fff]{0,4}(?:单|定制|制作|代)|"
    r"低价[出卖收]|转让|甩卖|招代理|招[\u4e00-\u9fff]{0,3}兼职|chu个)"
)
_ORDINARY = re.compile(
    r"(?:订单|单号|快递|运单|物流|取件|编号|工号|uid|id|学号|房号|会议号?|验证码|尾号|提取码|密码)[号码是为\s:：]*\d*$"
)
_HOME = re.compile(
    r"收货|收件|地址|小区|单元|[\d一二三四五六]{1,3}[栋幢]|\d{2,4}室|[省市区县].{0,12}[路街道巷]"
)
_QUESTION = re.compile(r"[?？]|吗|呢|怎么|什么|哪|谁|有没有|多少")
_BULLETS = re.compile(r"[-—_=~*·.]{5,}|(?:\[[+\-!*]?\])|[+\-*✓【】|丨▶★☆●]{1,3}(?=[\u4e00-\u9fff])")
_LONG = 60


@cache
def _finder() -> tuple[AhoCorasick, list[tuple[str, SignKind]]]:
    known = [
        (word, kind)
        for kind, words in (
            (SignKind.ASK, ASKS),
            (SignKind.TRADE, TRADE),
            (SignKind.MASS, MASS),
            (SignKind.ILLICIT, ILLICIT),
        )
        for word in sorted(words)
    ]
    return AhoCorasick([word for word, _ in known], matchkind=MatchKind.LeftmostLongest), known


@cache
def _by_sound() -> Homophones:
    return Homophones({*MASS, *ILLICIT, "扫码", "加微信", "加微", "加群", "用户", "红包", "领取"})


def advert_signs(text: str) -> list[Sign]:
    """The signs of an advert in a message, as they come."""
    plain = unmask(text)
    return [
        *_reachable(plain),
        *_links(plain),
        *_worded(plain),
        *(Sign(SignKind.SOUNDS, piece) for piece in _by_sound().find(plain).values()),
        *_shaped(plain),
    ]


def _reachable(text: str) -> Iterator[Sign]:
    """Numbers and names by which strangers could be reached."""
    for pattern in (_LABELLED, _NAMED):
        if found := pattern.search(text):
            yield Sign(SignKind.CONTACT, found[0])
            break
    for found in _MOBILE.finditer(text):
        if not _ORDINARY.search(text[max(found.start() - 8, 0) : found.start()]):
            yield Sign(SignKind.PHONE, found[0])
            break
    for found in _NUMBER.finditer(text):
        if not _ORDINARY.search(text[max(found.start() - 8, 0) : found.start()]):
            yield Sign(SignKind.NUMBER, found[0])
            break


def _links(text: str) -> Iterator[Sign]:
    if found := _PASSCODE.search(text):
        yield Sign(SignKind.PASSCODE, found[0])
    for found in _ADDRESS.finditer(text):
        yield Sign(SignKind.LINK, found[0])


def _worded(text: str) -> Iterator[Sign]:
    finder, known = _finder()
    seen: set[int] = set()
    for index, _start, _end in finder.find_matches_as_indexes(text):
        if index not in seen:
            seen.add(index)
            yield Sign(known[index][1], known[index][0])
    if found := _OFFER.search(text):
        yield Sign(SignKind.OFFER, found[0].strip())
    if found := _PRICE.search(text):
        yield Sign(SignKind.PRICE, found[0].strip())


def _shaped(text: str) -> Iterator[Sign]:
    if len(text) >= _LONG:
        yield Sign(SignKind.LONG, f"{len(text)} 个字")
    if len(_BULLETS.findall(text)) >= 2:
        yield Sign(SignKind.LISTED, "")
    if len(text) < _LONG and _QUESTION.search(_ADDRESS.sub("", text)):
        yield Sign(SignKind.ASKING, "")
    if _HOME.search(text) and _MOBILE.search(text):
        yield Sign(SignKind.HOME, "")
