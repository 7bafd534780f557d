"""Whether an answer turns around what its sources say, by negation. Pure.

Every clause becomes its characters that mean something, each with a sign: minus where a negation
reaches it. An answer's clause must agree with some clause of the sources that is about the same.
It is a rule about words and knows no logic: 拆了的不能退 does not follow from 没拆的能退, though it
may be true, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CLAUSES = re.compile(r"[^,，。.!！?？;；:：\n~～…、()（）]+[?？]?")
_ASKS = re.compile(r"[?？吗么呢嘛]$|(.{1,2})[不没]\1|[能会是要行可][不没]|怎么|什么|多久|多少|哪")
_SET = re.compile(
    "不过|不错|不好意思|不仅|不但|不光|不只|差不多|对不起|没问题|没关系|没事|不客气|不用客气|不用谢|"
    "不用担心|别担心|不要担心|不用急|别急|别着急|不管|不论|无论|不妨|不久|不同|不少|不断|不锈|无理由|"
    "无忧|无痕|无纺|不是不|不会不|没有不|不得不|不能不|非常|别的|特别|级别|区别|分别|个别|非|未来|"
    "不可思议|不知不觉|没错"
)
"""What looks like a negation and is none, or is two."""
_AFFIRMS = re.compile("没问题|没错")
_NOT = re.compile(
    "(不可以|不可能|不支持|不接受|不允许|不提供|不给|不能|不会|不行|不可|不要|不用|不必|不需要|不得|"
    "没法|没能|无法|无需|无须|勿|别|禁止|严禁|拒绝|谢绝|停止|暂停|难以|免(?![费得疫]))|"
    "没有|不含|不收|不带|没|未|无|不"
)
_CANNOT = re.compile(r"([\u4e00-\u9fff])?([\u4e00-\u9fff])不[了到掉动]")
"""改不了 is 不能改. Whether the character before belongs to the verb (取消不了) is not known: it
gets both signs."""

_SHORT = 2
"""So far reaches a bare 不, 没, 未 or 无: 没[用过], 不[喜欢]退回来. 不能 and the like reach on."""
_MAY = re.compile("可以|可能|能够|能|会|支持|接受|允许|提供|行|好的|是的|对的|可")
_ENDS = re.compile("[的都就也才但而再还又则不没未]|可以|能|会")
_HAN = re.compile(r"[\u4e00-\u9fff\u3400-\u4dbf\da-z]")
_EMPTY = frozenset(
    "的了吗呢嘛么啊呀哦噢喔哈啦吧呐哟亲您你我他她它们咱这那哪就都也才再还又但而则则是在有和与"
    "把被给请很太更最一个些点时候话如果要想得地着过以及或者所因为只到从向对于让做说"
)
"""Characters that no clause is about."""


@dataclass(frozen=True, slots=True)
class _Clause:
    """A clause: its signs by character, and the sign of its 可以 or 不行 when it has one."""

    text: str
    signs: dict[str, frozenset[bool]]
    may: frozenset[bool]


def turned(answer: str, facts: str) -> str:
    """The first clause of the answer that says the opposite of the facts; empty if none does."""
    known = list(_clauses(facts))
    allowed = frozenset().union(*(clause.may for clause in known))
    for clause in _clauses(answer):
        if not clause.signs:
            if allowed and clause.may and not clause.may & allowed:
                return clause.text
        elif not _agrees(clause, known):
            return clause.text
    return ""


def _agrees(clause: _Clause, known: list[_Clause]) -> bool:
    shared = [(one, clause.signs.keys() & one.signs.keys()) for one in known]
    near = [
        (one, chars)
        for one, chars in shared
        if len(chars) >= 2 or (chars and len(chars) in (len(clause.signs), len(one.signs)))
    ]
    most = max((len(chars) for _, chars in near), default=0)
    return not near or any(
        all(clause.signs[char] & one.signs[char] for char in chars)
        for one, chars in near
        if 2 * len(chars) > most
    )


def _clauses(text: str) -> Iterator[_Clause]:
    for found in _CLAUSES.finditer(text):
        clause = found[0].strip()
        if not clause or _ASKS.search(clause):
            continue
        affirmed = _AFFIRMS.search(clause) is not None
        plain = _CANNOT.sub(r"\1不能\1\2", _SET.sub(" ", clause))
        yield _signed(clause, plain, affirmed=affirmed)


def _signed(told: str, clause: str, *, affirmed: bool) -> _Clause:
    signs: dict[str, set[bool]] = {}
    may: set[bool] = {True} if affirmed else set()
    place = 0
    while place < len(clause):
        negated = _NOT.match(clause, place)
        end = _reach(clause, negated) if negated else place + 1
        part = clause[negated.end() : end] if negated else clause[place]
        allows = _MAY.match(clause, place)
        if negated:
            may |= {False} if _MAY.search(negated[0]) or not part.strip() else set()
        elif allows:
            may.add(True)
            place = allows.end()
            continue
        for char in _HAN.findall(part):
            if char not in _EMPTY:
                signs.setdefault(char, set()).add(negated is None)
        place = end
    return _Clause(told, {char: frozenset(sign) for char, sign in signs.items()}, frozenset(may))


def _reach(clause: str, negated: re.Match[str]) -> int:
    """Where a negation stops to count."""
    start = negated.end()
    found = _ENDS.search(clause, start + 1)
    end = found.start() if found else len(clause)
    return end if negated[1] else min(end, start + _SHORT)
