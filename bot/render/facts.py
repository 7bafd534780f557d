"""What a template may see: plain data, cleaned of what could break out of a line or a bubble."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from sop.errors import RenderError

NAMES = (
    "nickname",
    "remark",
    "name",
    "tags",
    "stage",
    "group",
    "members",
    "now",
    "community",
    "text",
    "keyword",
    "attributes",
    "vars",
    *("points", "streak", "level", "rank", "invited", "score", "board"),
)
SCORE_NAMES = frozenset({"points", "streak", "level", "rank", "invited", "score"})
RANKED = frozenset({"rank", "month"})  # what costs a look at everybody's month
NO_SCORE: Mapping[str, Any] = {
    "name": "积分",
    "gained": 0,
    "new": False,
    "why": "",
    "days": 0,
    "earned": 0,
    "month": 0,
    "next": "",
    "missing": 0,
}
FALLBACK_NAME = "亲"
LINE_LIMIT = 64
TEXT_LIMIT = 1_000
ITEM_LIMIT = 500
DEPTH_LIMIT = 4

# Control, zero-width and bidirectional characters hide or reorder text. A zero-width joiner stays
# only behind an emoji, where it holds families and professions together.
_JOINER = "(?<![\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d"
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"
    "\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb"
    f"\U000e0000-\U000e007f]|{_JOINER}"
)
_BLANKS = re.compile(r"\s+")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")


def _line(what: str, value: object) -> str:
    """A name: one line, short, nothing unseen."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _not_plain(what, value)
    return _one_line(value[: LINE_LIMIT * 4])


@lru_cache(maxsize=4_096)
def _one_line(value: str) -> str:
    """Kept, for a message has eight of them, mostly empty or the same for everybody."""
    value = _BLANKS.sub(" ", _UNSEEN.sub("", value))
    return value.strip()[:LINE_LIMIT].rstrip()


def _text(value: str) -> str:
    """Free text: keeps its line breaks, loses what is unseen, never fills a whole bubble."""
    if not value:
        return ""
    return _UNSEEN.sub("", _BREAKS.sub("\n", value[:TEXT_LIMIT]))


def _lines(what: str, values: object) -> list[str]:
    if isinstance(values, str | Mapping) or not hasattr(values, "__iter__"):
        raise _not_plain(what, values)
    return [_line(what, value) for value in list(values)[:ITEM_LIMIT]]


def plain(what: str, value: object, *, depth: int = 0) -> Any:
    """A copy of `value` made of plain data only; anything else is refused."""
    match value:
        case str():
            return _text(value)
        case None | bool() | int() | float() | datetime():
            return value
        case list() | tuple() if depth < DEPTH_LIMIT:
            return [plain(what, item, depth=depth + 1) for item in value[:ITEM_LIMIT]]
        case Mapping() if depth < DEPTH_LIMIT:
            pairs = list(value.items())[:ITEM_LIMIT]
            return {str(key): plain(what, item, depth=depth + 1) for key, item in pairs}
    raise _not_plain(what, value)


def clean(facts: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """These names of a template with their values; facts that the caller does not know are empty.

    Other names than a template's own are passed over.
    """
    return {name: _CLEAN[name](name, facts) for name in names if name in _CLEAN}


def _called(_name: str, facts: Mapping[str, Any]) -> str:
    """What to call somebody: the name given, else the remark, else the nickname."""
    for name in ("name", "remark", "nickname"):
        if said := _line(name, facts.get(name)):
            return said
    return FALLBACK_NAME


_Cleaner = Callable[[str, Mapping[str, Any]], Any]
_CLEAN: Mapping[str, _Cleaner] = {
    **dict.fromkeys(
        ("nickname", "remark", "stage", "group", "community", "keyword", "level"),
        lambda name, facts: _line(name, facts.get(name)),
    ),
    **dict.fromkeys(("tags", "members"), lambda name, facts: _lines(name, facts.get(name, ()))),
    **dict.fromkeys(
        ("points", "streak", "rank", "invited"), lambda name, facts: int(facts.get(name) or 0)
    ),
    "name": _called,
    "now": lambda name, facts: plain(name, facts.get(name)),
    "text": lambda name, facts: plain(name, facts.get(name) or ""),
    "attributes": lambda name, facts: plain(name, facts.get(name) or {}),
    "score": lambda name, facts: {**NO_SCORE, **plain(name, facts.get(name) or {})},
    "board": lambda name, facts: plain(name, facts.get(name) or []),
}


def _not_plain(what: str, value: object) -> RenderError:
    return RenderError(f"{what} 里有模板不能用的数据（{type(value).__name__}）", fact=what)


_CHINA = timezone(timedelta(hours=8))
_PRIVATE: dict[str, Any] = {
    "nickname": "小雨",
    "remark": "王小雨",
    "tags": ["宝妈", "意向/高"],
    "stage": "成长期",
    "group": "",
    "members": [],
    "now": datetime(2026, 11, 21, 9, 30, tzinfo=_CHINA),
    "community": "小满家",
    "text": "这个多少钱呀",
    "keyword": "多少钱",
    "attributes": {},
    "points": 36,
    "streak": 7,
    "level": "小麦",
    "rank": 3,
    "invited": 2,
    "score": {
        "gained": 12,
        "new": True,
        "days": 9,
        "earned": 86,
        "month": 40,
        "next": "稻穗",
        "missing": 14,
    },
    "seed": 1,
    "sender_id": "wxid_sample",
    "member_ids": [],
}
_GROUP: dict[str, Any] = {
    "remark": "",
    "tags": ["转化群"],
    "stage": "",
    "group": "小满福利群1",
    "members": ["小雨", "阿杰"],
    "now": datetime(2026, 12, 31, 23, 59, tzinfo=_CHINA),
    "score": {"why": "今天已经签到过了"},
    "board": [
        {"place": 1, "name": "小雨", "value": 120, "me": False},
        {"place": 2, "name": "阿杰", "value": 86, "me": True},
    ],
    "seed": 2,
    "member_ids": ["wxid_sample", "wxid_other"],
}
_NAMELESS: dict[str, Any] = {
    "nickname": "",
    "remark": "",
    "tags": [],
    "stage": "引入期",
    "text": "",
    "keyword": "",
    "points": 0,
    "streak": 0,
    "level": "",
    "rank": 0,
    "invited": 0,
    "score": {},
    "seed": 3,
}

SAMPLE_NAMES = ("私聊", "群聊", "没有昵称和备注的新好友")
SAMPLE_FACTS: tuple[Mapping[str, Any], ...] = (
    _PRIVATE,
    _PRIVATE | _GROUP,
    _PRIVATE | _NAMELESS,
)
"""Every template is tried on these when it is loaded."""
