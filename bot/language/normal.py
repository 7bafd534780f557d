"""One spelling for the many ways of writing the same message."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

import opencc

LIMIT = 4_000
"""Text beyond this many characters is not looked at, so a novel costs no more than a page."""

HAN = "々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"

_HAN_RANGES = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0x20000, 0x323B0))

# What carries no text: controls, zero-width, bidi, fillers, variation selectors, stacked accents,
# tag characters, and lone surrogates, which no UTF-8 library would accept.
_NOTHING = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20d0-\u20ff\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
)
# Pictures: symbols, dingbats, emoji, flags, skin tones, and the private area old WeChat used.
_PICTURE = "\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\ue000-\uf8ff\U0001f000-\U0001faff"

_DROPPED = re.compile(f"[{_NOTHING}]+")
_GAP = re.compile(f"(?<=[{HAN}])(?:[^\\S\\n]|[{_PICTURE}])+(?=[{HAN}])")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")
_COLUMN = re.compile(r"(?m)^(\S)\n(?=\S$)")
_TIGHT = re.compile(f"(?<=[{HAN}]) (?=[^\\W{HAN}])|(?<=[^\\W{HAN}]) (?=[{HAN}])")
_SIMPLE = {
    code: unicodedata.normalize("NFKC", chr(code)).casefold()
    for code in (*range(ord("A"), ord("Z") + 1), *range(ord("！"), ord("～") + 1), ord("…"))
}


class _Script:
    """Traditional characters, found by one scan so that most messages never reach OpenCC."""

    def __init__(self) -> None:
        self.converter = opencc.OpenCC("t2s")
        every = [chr(code) for start, stop in _HAN_RANGES for code in range(start, stop)]
        plain = self.converter.convert("\n".join(every)).split("\n")
        # OpenCC changes 覆 only inside words (回覆), so a look at single characters misses it.
        self.traditional = frozenset(
            old for old, new in zip(every, plain, strict=True) if old != new or old == "覆"
        )
        # Characters that no stage below would touch; a message made of them is already normal.
        # Only the basic plane: beyond it, `re` gives up its bitmap and crawls.
        kept = [code for code in range(0x3400, 0xA000) if chr(code) not in self.traditional]
        settled = f"!-@\\[-~。、《》【】“”‘’—·{_ranges(kept)}"
        self.settled = re.compile(f"[{settled}]*")
        # Besides these, what a character table folds just as well, and four times as fast.
        self.simple = re.compile(f"[{settled}A-Z！-～…]*")


def _ranges(codes: Sequence[int]) -> str:
    """The codes as the inside of a character class; one by one, `re` takes seconds to compile."""
    steps = [i for i in range(1, len(codes)) if codes[i] != codes[i - 1] + 1]
    edges = zip([0, *steps], [*steps, len(codes)], strict=True)
    return "".join(f"{chr(codes[first])}-{chr(codes[stop - 1])}" for first, stop in edges)


@cache
def _script() -> _Script:
    return _Script()


def normalise(text: str) -> str:
    """Fold width, case and script; drop what is invisible; close gaps inside Chinese words.

    Blanks and pictures between two Chinese characters vanish (多 少 钱 and 多😀少钱 become 多少钱);
    other blanks collapse to one. A line break stays one, as it ends a sentence, unless it only
    stacks single characters. Text beyond 4,000 characters is cut.
    """
    text = text[:LIMIT]
    script = _script()
    if script.settled.fullmatch(text):
        return text
    if script.simple.fullmatch(text):
        return text.translate(_SIMPLE)[:LIMIT]
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _DROPPED.sub("", text)
    if "\n" in text or "\r" in text:
        text = _COLUMN.sub(r"\1", _LINES.sub("\n", text.replace("\r", "\n")).strip())
    if not script.traditional.isdisjoint(text):
        text = script.converter.convert(text)
    text = _SPACES.sub(" ", _GAP.sub("", text))
    return text.strip()[:LIMIT]


def tighten(text: str) -> str:
    """Also drop the blank between Chinese and Latin or digits: taste, not meaning."""
    return _TIGHT.sub("", text) if " " in text else text
