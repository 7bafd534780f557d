"""The Chinese calendar: days people work, festivals, lunar birthdays.

The only module that knows `chinesecalendar` (the State Council's arrangement of holidays, year by
year) and `borax` (lunar months and solar terms, 1900 to 2100).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Collection
from datetime import date, timedelta
from functools import lru_cache

import chinese_calendar
from borax.calendars.lunardate import TERMS_CN, LCalendars, LunarDate, TermUtils

from sop.almanac import Birthday
from sop.definitions import CalendarSettings

_SOLAR = {
    "元旦": (1, 1),
    "情人节": (2, 14),
    "妇女节": (3, 8),
    "植树节": (3, 12),
    "消费者权益日": (3, 15),
    "愚人节": (4, 1),
    "劳动节": (5, 1),
    "青年节": (5, 4),
    "护士节": (5, 12),
    "五二零": (5, 20),
    "儿童节": (6, 1),
    "六一八": (6, 18),
    "建党节": (7, 1),
    "建军节": (8, 1),
    "教师节": (9, 10),
    "国庆": (10, 1),
    "万圣夜": (10, 31),
    "双十一": (11, 11),
    "双十二": (12, 12),
    "平安夜": (12, 24),
    "圣诞节": (12, 25),
    "跨年夜": (12, 31),
}
_SUNDAY, _THURSDAY = 6, 3
_NTH_WEEKDAY = {  # month, which, weekday
    "母亲节": (5, 2, _SUNDAY),
    "父亲节": (6, 3, _SUNDAY),
    "感恩节": (11, 4, _THURSDAY),
}
_LUNAR = {
    "春节": (1, 1),
    "迎财神": (1, 5),
    "元宵节": (1, 15),
    "龙抬头": (2, 2),
    "上巳节": (3, 3),
    "端午": (5, 5),
    "七夕": (7, 7),
    "中元节": (7, 15),
    "中秋": (8, 15),
    "重阳": (9, 9),
    "腊八": (12, 8),
    "小年": (12, 23),
    "南方小年": (12, 24),
    "除夕": (12, 30),
}
_ALIASES = {
    "元旦节": "元旦",
    "女神节": "妇女节",
    "女王节": "妇女节",
    "三八节": "妇女节",
    "三八妇女节": "妇女节",
    "315": "消费者权益日",
    "清明节": "清明",
    "五一": "劳动节",
    "五一节": "劳动节",
    "五一劳动节": "劳动节",
    "五四青年节": "青年节",
    "520": "五二零",
    "六一": "儿童节",
    "六一节": "儿童节",
    "六一儿童节": "儿童节",
    "618": "六一八",
    "国庆节": "国庆",
    "十一": "国庆",
    "万圣节前夜": "万圣夜",
    "双11": "双十一",
    "光棍节": "双十一",
    "双12": "双十二",
    "圣诞": "圣诞节",
    "跨年": "跨年夜",
    "冬至节": "冬至",
    "大年初一": "春节",
    "正月初一": "春节",
    "农历新年": "春节",
    "破五": "迎财神",
    "元宵": "元宵节",
    "上元节": "元宵节",
    "二月二": "龙抬头",
    "端午节": "端午",
    "七夕节": "七夕",
    "中元": "中元节",
    "中秋节": "中秋",
    "重阳节": "重阳",
    "腊八节": "腊八",
    "北方小年": "小年",
    "除夕夜": "除夕",
    "大年三十": "除夕",
    "年三十": "除夕",
}
_NAMES = (*_SOLAR, *_NTH_WEEKDAY, *_LUNAR, *TERMS_CN, *_ALIASES)
_LAST_MONTH = 12


class ChineseAlmanac:
    """`sop.almanac.Almanac` for China.

    `on_unknown_year` hears once of every year without published holidays that was asked for.
    """

    def __init__(
        self,
        calendar: CalendarSettings | None = None,
        *,
        on_unknown_year: Callable[[int], None] = lambda year: None,
    ) -> None:
        calendar = calendar or CalendarSettings()
        self._own = dict.fromkeys(calendar.workdays, True) | dict.fromkeys(calendar.holidays, False)
        self._on_unknown_year = on_unknown_year
        self._told: set[int] = set()

    def is_workday(self, day: date) -> bool:
        """Whether people work on this day; Monday to Friday in a year nobody has published."""
        official = _official(day)
        if official is None and day.year not in self._told:
            self._told.add(day.year)
            self._on_unknown_year(day.year)
        own = self._own.get(day)
        if own is not None:
            return own
        return day.weekday() < 5 if official is None else official

    def festivals(self) -> Collection[str]:
        """The names that `festival:` may use, the usual ones first."""
        return _NAMES

    def festival(self, name: str, year: int) -> date:
        """The day of a festival of the solar year `year`; KeyError for other names and years.

        As with birthdays, a lunar festival belongs to one year each: 腊八 of 2023 was on 30
        December 2022.
        """
        return _festival(_ALIASES.get(name, name), year)

    def birthday(self, born: Birthday, year: int) -> date:
        """The day a birthday is kept for the solar year `year`; KeyError out of 1900 to 2100.

        A day that the month lacks moves to the last one it has (29 February to the 28th, lunar
        30th to the 29th), a leap month to the ordinary one when the year has none. A lunar year
        counts to the solar year it begins in, its twelfth month to the next one: every lunar year
        is kept once, though in rare years a few days before or after the solar year itself.
        """
        if born.lunar:
            return _lunar(born.month, born.day, born.leap, year)
        return date(year, born.month, min(born.day, monthrange(year, born.month)[1]))


@lru_cache(maxsize=4096)
def _official(day: date) -> bool | None:
    """What was published about a day, None when nothing was."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return None


@lru_cache(maxsize=4096)
def _festival(name: str, year: int) -> date:
    if name in _SOLAR:
        return date(year, *_SOLAR[name])
    if name in _NTH_WEEKDAY:
        return _nth_weekday(year, *_NTH_WEEKDAY[name])
    if name in _LUNAR:
        return _lunar(*_LUNAR[name], False, year)
    if name in TERMS_CN:
        return _solar_term(name, year)
    raise KeyError(f"没有叫“{name}”的节日")


def _nth_weekday(year: int, month: int, which: int, weekday: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))


def _solar_term(name: str, year: int) -> date:
    try:
        found: date = TermUtils.nth_term_day(year, term_name=name)
    except ValueError:
        raise KeyError(f"节气只查得到 1900 到 2100 年，{year} 年的{name}没有数据") from None
    return found


@lru_cache(maxsize=8192)
def _lunar(month: int, day: int, leap: bool, year: int) -> date:
    lunar_year = year - 1 if month == _LAST_MONTH else year
    try:
        leap = leap and LCalendars.leap_month(lunar_year) == month
        last = LCalendars.ndays(lunar_year, month, leap)
        found: date = LunarDate(lunar_year, month, min(day, last), leap).to_solar_date()
    except ValueError:
        raise KeyError(f"农历只查得到 1900 到 2100 年，{lunar_year} 年没有数据") from None
    return found
