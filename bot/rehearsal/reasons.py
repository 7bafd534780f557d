"""Why something was not done, sorted: the sentences of the engine under a few headings.

The first heading fits whose words stand in the sentence. What none fits comes under `other`, and a
test sees to it that no sentence of ours does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Reason:
    """A heading: its key for machines, its name on the screen."""

    key: str
    label: str


_TABLE: tuple[tuple[str, str, str], ...] = (
    ("push_over", "群发取消了，或者没轮到就结束了", "没轮到|取消了这次群发"),
    ("push_ours", "自己人，不群发", "自己人"),
    ("push_left", "轮到的时候已经不在人群里", "轮到的时候已经不在"),
    ("push_paused", "群发暂停了", "群发暂停"),
    ("push_empty", "话术对这个人是空的", "话术对这个人"),
    ("left_sop", "人已经离开那个 SOP", "已经离开 SOP|这个版本里"),
    ("unreachable", "对方不是好友了，或者机器人不在群里", "不是好友|不在这个群里"),
    ("capped", "到了每个人的触达上限", "每人每[天周]的上限"),
    ("account_budget", "账号发得太多，到了每小时或每天的上限", "到了每(天|小时)的上限"),
    ("late", "等得太久，过了能做的时候", "过了 late|不合时宜|太旧了"),
    ("quiet", "免打扰，或者不在发送时段", "免打扰|发送时段"),
    ("sop_paused", "SOP 暂停了", "SOP 暂停"),
    ("paused", "由人工接管，机器人不插话", "接管|转人工|暂停了|亲自回复|插话"),
    ("answered", "这句话已经由 SOP 接住，规则不再答", "接住"),
    ("cooldown", "同样的话刚说过，规则在冷却", "冷却"),
    ("if", "条件 if 不满足", "if"),
    ("choose", "choose 里没有合适的分支", "choose"),
    ("again", "以前走过，或者正在里面", "again|已经在里面|已经进来|上次走完|移出过|另一个账号"),
    ("birthday", "不知道生日", "生日"),
    ("moved", "换版本之前做过", "换版本"),
    ("upset", "刚投诉过，先不主动打扰", "刚投诉过"),
    ("guard", "群管看出来了，但没有动手", "^群管|放过|撤销"),
    ("points", "签到过了，或者积分到了上限", "签到|补签|一天至多|积分"),
    ("invite", "已经在群里、邀请过，或者没有群可进", "已经在「|不重复邀请|都满了|可以邀请|黑名单"),
    ("chain", "标签规则互相触发，停下了", "互相触发"),
    (
        "trouble",
        "发送出了问题",
        "网关|保护账号|没有发出去|发送失败|不在线|发送途中|模板|渲染|没有人可以通知",
    ),
)
_PATTERNS = tuple((Reason(key, label), re.compile(words)) for key, label, words in _TABLE)
OTHER = Reason("other", "其他")
REASONS = (*(reason for reason, _ in _PATTERNS), OTHER)


@lru_cache(maxsize=10_000)
def reason_of(sentence: str) -> Reason:
    """The heading of a sentence."""
    return next((reason for reason, words in _PATTERNS if words.search(sentence)), OTHER)
