"""Seeing through disguises: glyph swaps, numbers in pieces, words that only sound forbidden."""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

from bot.language.normal import HAN, normalise, tighten
from bot.language.words import Sentence, Vocabulary

LONGEST_SOUND = 8
"""Words longer than this have no look-alikes by sound: too many ways to hit by chance."""

_PLUS = {"➕": "+", "✚": "+", "✙": "+", "☩": "+"}
_LETTERS = dict(
    zip(
        "асԁеһіјӏорԛѕԝхуνωοαρτυκχ✓√∨",
        "acdehijlopqswxyvwoaptukxvvv",
        strict=True,
    )
)
_FACES = str.maketrans(_PLUS | _LETTERS)
_DIGITS = {**dict(zip("〇零一二三四五六七八九", "00123456789", strict=True)),
           **dict(zip("壹贰叁肆伍陆柒捌玖幺", "1234567891", strict=True))}  # fmt: skip
_SPELLED = re.compile(f"[{''.join(_DIGITS)}]{{5,}}")
_PICTURES = re.compile("[\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\ue000-\uf8ff"
                       "\U0001f000-\U0001faff]+")  # fmt: skip
_IN_PIECES = re.compile(r"\d{1,4}(?:([ .\-_·•*~=|])\d{1,4})(?:\1\d{1,4})+")
_DATE = re.compile(r"20\d\d[01]\d[0-3]\d")
_HAN_ONLY = re.compile(f"[{HAN}]+")
# What people write for 微信, 加 and 群 so that nobody finds them. 裙 and 威信 are words, too: only
# beside what betrays them.
_SWAPS = (
    (re.compile(r"[薇徽溦嶶v](?:信|芯|x(?![a-z]))"), "微信"),
    (
        re.compile(
            r"(?<=[加+咖茄伽珈泇])(?:[微薇威维徽唯魏v](?:信|芯|心|xin|x(?![a-z]))"
            r"|[微薇威](?=[^a-z\u4e00-\u9fff]|$)|v(?=[^a-z]|$))"
        ),
        "微信",
    ),
    (re.compile(r"[咖茄伽珈泇](?=微信|q|群|扣|我)"), "加"),
    (
        re.compile(
            r"(?<=[加进拉扣q入建本])[裙峮宭帬](?!子|撑|摆|裤|装)|[裙峮宭帬](?=[号主里聊:]|\d)"
        ),
        "群",
    ),
)
_BETWEEN = re.compile(rf"(?<=[{HAN}])[*·.~_|丨/\\^`'\"+=-]{{1,3}}(?=[{HAN}])")


def unmask(text: str) -> str:
    """The text as its reader hears it: normalised, no pictures, numbers whole, in plain digits."""
    text = normalise(text.translate(_FACES)).translate(_FACES)  # lower case has faces too
    text = normalise(_PICTURES.sub("", text))
    text = _SPELLED.sub(lambda m: "".join(_DIGITS[c] for c in m[0]), text)
    text = tighten(_IN_PIECES.sub(_whole, text))
    for disguise, plain in _SWAPS:
        text = disguise.sub(plain, text)
    return text


def joined(text: str) -> str:
    """The text without the marks that somebody put between the characters of a word: 刷*单."""
    return _BETWEEN.sub("", text)


def _whole(found: re.Match[str]) -> str:
    """A number in pieces put together, when that makes one that somebody could be reached by."""
    number = found[0].replace(found[1], "")
    return number if 8 <= len(number) <= 11 and not _DATE.fullmatch(number) else found[0]


@cache
def _pinyin() -> Any:
    """pypinyin, loaded when the first forbidden word needs it (0.2 s, 40 MB)."""
    return importlib.import_module("pypinyin")


def sound(word: str) -> tuple[str, ...]:
    """The syllables of Chinese characters, without tones; what southern speakers merge is one."""
    return tuple(map(_syllable, word))


@cache
def _syllable(char: str) -> str:
    """By the character, not by the word: both sides are read alike, and it is quick."""
    return _blurred(_pinyin().lazy_pinyin(char)[0])


def _blurred(syllable: str) -> str:
    for sharp, flat in (("zh", "z"), ("ch", "c"), ("sh", "s")):
        if syllable.startswith(sharp):
            syllable = flat + syllable[2:]
    return syllable[:-1] if syllable.endswith(("ang", "eng", "ing")) else syllable


class Homophones:
    """Words looked for by sound. What a reader would take for ordinary words is no hit."""

    def __init__(self, words: Iterable[str], *, known: Collection[str] = ()) -> None:
        chosen = [w for w in words if _HAN_ONLY.fullmatch(w) and 2 <= len(w) <= LONGEST_SOUND]
        self._sounds: Mapping[tuple[str, ...], str] = {sound(word): word for word in chosen}
        self._lengths = sorted({len(word) for word in chosen})
        self._vocabulary = Vocabulary({*known, *chosen})

    def find(self, text: str) -> dict[str, str]:
        """The words that the text only sounds like, each with what stands there instead."""
        found: dict[str, str] = {}
        if not self._sounds:
            return found
        for run in _HAN_ONLY.finditer(text):
            if len(run[0]) >= self._lengths[0]:
                self._listen(run[0], found)
        return found

    def _listen(self, run: str, found: dict[str, str]) -> None:
        syllables = sound(run)
        edges: set[int] | None = None
        for length in self._lengths:
            for start in range(len(run) - length + 1):
                word = self._sounds.get(syllables[start : start + length])
                piece = run[start : start + length]
                if word is None or piece == word:
                    continue
                edges = _joints(run, self._vocabulary) if edges is None else edges
                if self._strange(start, start + length, edges):
                    found.setdefault(word, piece)

    def _strange(self, start: int, end: int, joints: set[int]) -> bool:
        """Whether jieba falls apart into single characters here: no ordinary word explains it."""
        return all(edge in joints for edge in range(start, end + 1))


def _joints(run: str, vocabulary: Vocabulary) -> set[int]:
    """Where words begin or end in the most likely reading."""
    edges, at = {0}, 0
    for word in Sentence(run, vocabulary).cut():
        at += len(word)
        edges.add(at)
    return edges
