"""Read a birthday the way people write it: `1990-05-01`, `5月1号`, `农历闰四月初三`, `腊月三十`."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from unicodedata import normalize

from sop.almanac import Birthday

_LONGEST = 40
_LUNAR = re.compile(r"农历|阴历|旧历|夏历|老历|lunar|农|阴")
_SOLAR = re.compile(r"公历|阳历|新历|西历|国历|solar|阳")
_LUNAR_ONLY = re.compile(r"闰|初|廿|[正冬腊]月")  # nobody says these of the solar calendar
_NOISE = re.compile(r"生日|日期|[出生于我的是为]|[()\[\]【】:,;]")
_CLOCK = re.compile(r"[\st]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?z?$")  # spreadsheets add midnight
_SIMPLE = str.maketrans("農曆歷陰陽閏臘號節", "农历历阴阳闰腊号节")
_NAMED = {
    "除夕": "腊月三十",
    "大年三十": "腊月三十",
    "年三十": "腊月三十",
    "春节": "正月初一",
    "元宵节": "正月十五",
    "端午节": "五月初五",
    "七夕": "七月初七",
    "中秋节": "八月十五",
    "重阳节": "九月初九",
    "腊八": "腊月初八",
}
_DIGITS = {digit: value for value, digit in enumerate("〇一二三四五六七八九")} | {"零": 0}
_MONTHS = {"正": 1, "冬": 11, "腊": 12}
_LAST_INITIAL = 10  # 初十
_NUMERAL = re.compile(r"(?=.)(?:(?P<tens>[二三]?)(?P<ten>十))?(?P<ones>[一二三四五六七八九]?)")
_YEAR = r"(?P<year>[0-9]{4}|[0-9]{2}|[〇零一二三四五六七八九]{4}|[〇零一二三四五六七八九]{2})"
_NUMBER = r"[0-9]{1,2}|[一二三四五六七八九十廿卅]{1,3}"
_WRITTEN = re.compile(
    rf"(?:{_YEAR}[年\-])?(?P<leap>闰)?(?P<month>[正冬腊]|{_NUMBER})月"
    rf"(?P<day>初?(?:{_NUMBER}))(?P<end>[日号])?"
)
_SEPARATED = re.compile(
    r"(?:(?P<year>[0-9]{4}|[0-9]{2})[年\-])?(?P<leap>闰)?"
    r"(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})(?P<end>[日号])?"
)
_COMPACT = re.compile(
    r"(?P<year>[0-9]{4}|[0-9]{2})?(?P<leap>)(?P<month>[0-9]{2})(?P<day>[0-9]{2})(?P<end>)"
)


def parse_birthday(text: str) -> Birthday | None:
    """The birthday that a text names; None when it names none, or not for certain.

    Without a word about the calendar it is solar, unless it is written as only lunar dates are.
    `八月十五` alone may be either and is not guessed at.
    """
    if len(text) > _LONGEST:
        return None
    plain = normalize("NFKC", text).translate(_SIMPLE).strip().lower()
    lunar, solar = bool(_LUNAR.search(plain)), bool(_SOLAR.search(plain))
    plain = _tidy(_SOLAR.sub("", _LUNAR.sub("", plain)))
    if plain in _NAMED or plain + "节" in _NAMED:
        plain, lunar = _NAMED.get(plain) or _NAMED[plain + "节"], True
    lunar = lunar or bool(_LUNAR_ONLY.search(plain))
    found = _WRITTEN.fullmatch(plain) or _SEPARATED.fullmatch(plain) or _COMPACT.fullmatch(plain)
    if not found or (lunar and solar):
        return None
    vague = not found["day"].isascii() and not found["end"] and not (lunar or solar)
    month, day = _number(found["month"]), _number(found["day"])
    if vague or month is None or day is None:
        return None
    if not _exists(_years(found["year"]), month, day, lunar=lunar):
        return None
    return Birthday(month, day, lunar=lunar, leap=bool(found["leap"]))


def _tidy(text: str) -> str:
    """Without clock, small words and blanks; `-` for every mark between numbers."""
    text = _NOISE.sub(" ", _CLOCK.sub("", text.strip())).strip()
    text = re.sub(r"大年(?=初)", "正月", text)
    text = re.sub(r"\s*([年月日号闰/.\-、·—–])\s*", r"\1", text)
    return re.sub(r"[\s/.、·—–]+", "-", text)


def _number(text: str) -> int | None:
    """`8`, `八`, `初八`, `廿八`, `二十八`, `腊` → the number; None when it is none."""
    if text.isascii():
        return int(text)
    if text in _MONTHS:
        return _MONTHS[text]
    if text.startswith("初"):
        number = _number(text[1:])
        return number if number is not None and number <= _LAST_INITIAL else None
    found = _NUMERAL.fullmatch(text.replace("廿", "二十").replace("卅", "三十"))
    if not found:
        return None
    tens = _DIGITS.get(found["tens"], 1) if found["ten"] else 0
    return 10 * tens + _DIGITS.get(found["ones"], 0)


def _years(text: str | None) -> tuple[int, ...]:
    """The years that are meant; 2000, in which every day exists, when none is given."""
    if text is None:
        return (2000,)
    year = int("".join(str(_DIGITS.get(digit, digit)) for digit in text))
    return (1900 + year, 2000 + year) if len(text) == len("90") else (year,)


def _exists(years: tuple[int, ...], month: int, day: int, *, lunar: bool) -> bool:
    for year in years:
        if not 1900 <= year <= 2100:
            continue
        if lunar and 1 <= month <= 12 and 1 <= day <= 30:
            return True
        with suppress(ValueError):
            if not lunar and date(year, month, day):
                return True
    return False
