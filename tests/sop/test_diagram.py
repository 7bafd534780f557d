"""SOPs in words: every kind of condition, action, timing and way in, and the whole as a diagram."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from sop.actions import Action, Match
from sop.conditions import Condition
from sop.diagram import diagram
from sop.engine import Phase
from sop.facets import enter_words, sop_facets, when
from sop.sequences import Enter, Sop, Step
from sop.wording import MOST, actions_words, condition_words, match_words

CONDITION: TypeAdapter[Any] = TypeAdapter(Condition)
ACTION: TypeAdapter[Any] = TypeAdapter(Action)
ENTER: TypeAdapter[Any] = TypeAdapter(Enter)

NEW_FRIEND = {
    "id": "new-friend",
    "title": "新好友七天培育",
    "enter": {"on": "friend_added", "if": {"not": {"tag": "同行"}}},
    "exit": [{"tag": "已购买"}, {"on": "friend_removed"}],
    "goal": {"tag": "已购买", "within": "14d"},
    "window": "09:00-21:00",
    "steps": [
        {"id": "hello", "after": "1m", "do": [{"say": "hello"}]},
        {"id": "quiet", "wait_until": {"on": "order", "within": "2d"}, "do": [{"tag": "宝妈"}]},
        {
            "id": "ask",
            "title": "问一次",
            "day": 3,
            "at": "20:00",
            "if": {"stage": ["引入期", "成长期"]},
            "do": [{"say": "ask"}],
            "reply": {
                "within": "24h",
                "cases": [
                    {
                        "match": {"any": ["要", "想要", "好的"]},
                        "do": [{"tag": "意向/高"}, {"say": "coupon"}],
                    },
                    {"match": {"any": "不用"}, "do": [{"tag": "意向/低"}], "then": "exit"},
                ],
                "none": {"do": [{"tag": "沉默"}], "goto": "hello"},
            },
            "late": "skip after 2h",
        },
        {
            "id": "last",
            "day": 7,
            "at": "19:30",
            "choose": [
                {"if": {"tag": "意向/高"}, "do": [{"say": "offer"}]},
                {"do": [{"say": "bye"}]},
            ],
            "window": "19:00-20:00",
        },
    ],
}


def test_the_whole() -> None:
    standing = {"hello": {Phase.STEP: 2}, "ask": {Phase.STEP: 1, Phase.REPLY: 4}}
    assert diagram(Sop.model_validate(NEW_FRIEND), standing) == [
        "新好友七天培育（new-friend）",
        "谁来走：联系人",
        "怎么进来：成为好友（条件：不带标签「同行」）",
        "能不能再来：一个人只走一次",
        "提前结束：带标签「已购买」；解除好友",
        "目标：14 天之内带标签「已购买」",
        "发送时段：09:00-21:00",
        "",
        "● hello　【2 人】",
        "│   进来之后 1 分钟 → 说 hello",
        "● quiet",
        "│   等到下单，至多 2 天 → 贴标签「宝妈」",
        "│       没等到 → 跳过这一步",
        "● ask　问一次　【5 人，4 在等回复】",
        "│   第 3 天 20:00（条件：生命周期是引入期或成长期） → 说 ask，等回复 1 天：",
        "│       有「要」「想要」「好的」 → 贴标签「意向/高」，说 coupon",
        "│       有「不用」 → 贴标签「意向/低」，到此结束",
        "│       没等到 → 贴标签「沉默」，去 hello",
        "│       晚过 2 小时就跳过",
        "● last",
        "│   第 7 天 19:30 → 看情况：",
        "│       带标签「意向/高」 → 说 offer",
        "│       其他 → 说 bye",
        "│       只在 19:00-20:00 发",
        "■ 走完",
    ]


def test_of_groups_it_says_groups() -> None:
    sop = Sop.model_validate(
        {"id": "camp", "for": "group", "again": "always",
         "steps": [{"id": "a", "do": [{"say": "a"}]}]}
    )  # fmt: skip
    lines = diagram(sop, {"a": {Phase.STEP: 3}})
    assert lines[0] == "camp"
    assert "怎么进来：只能手动或由规则拉进来" in lines
    assert "● a　【3 个群】" in lines


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"tag": "意向/高"}, "带标签「意向/高」"),
        ({"tag": ["宝妈", "VIP", "老客"]}, "带标签「宝妈」「VIP」或「老客」"),
        ({"not": {"tag": ["a", "b"]}}, "不带标签「a」或「b」"),
        ({"stage": ["引入期", "成长期"]}, "生命周期是引入期或成长期"),
        ({"not": {"stage": "流失期"}}, "生命周期不是流失期"),
        ({"last_message": {"within": "7d"}}, "最近 7 天里说过话"),
        ({"last_message": {"before": "7d"}}, "超过 7 天没说过话"),
        ({"not": {"last_message": {"within": "1d"}}}, "超过 1 天没说过话"),
        ({"not": {"last_message": {"before": "1d"}}}, "最近 1 天里说过话"),
        (
            {"count": {"of": "message", "within": "30d", "at_least": 3}},
            "30 天里「收到消息」至少 3 次",
        ),
        (
            {"count": {"of": "order", "at_least": 1, "at_most": 2}},
            "总共「下单」至少 1 次、至多 2 次",
        ),
        ({"not": {"count": {"of": "order", "at_least": 1}}}, "不是「总共「下单」至少 1 次」"),
        ({"attribute": {"城市": ["杭州", "上海"], "娃": 1}}, "城市是杭州或上海，且娃是1"),
        ({"friend": True}, "是好友"),
        ({"not": {"friend": True}}, "不是好友"),
        ({"in_group": "转化群"}, "在带标签「转化群」的群里"),
        ({"not": {"in_group": "转化群"}}, "不在带标签「转化群」的群里"),
        ({"member_of": {"group_tag": "转化群"}}, "在带标签「转化群」的群里"),
        (
            {"not": {"member_of": {"kind": "服务", "joined": {"within": "7d"}}}},
            "不在服务群里（7 天之内进的）",
        ),
        ({"member_of": {"joined": {"before": "1d"}}}, "在群里（1 天以前就进了）"),
        ({"in_sop": ["camp", "vip"]}, "正在走 SOP camp、vip"),
        ({"not": {"finished_sop": "camp"}}, "没有走完过 SOP camp"),
        ({"spent": {"at_least": 99.9, "within": "30d"}}, "30 天里买了至少 99.9 元"),
        ({"spent": {"at_most": 500}}, "总共买了至多 500 元"),
        ({"not": {"not": {"tag": "a"}}}, "带标签「a」"),
        (
            {"all": [{"tag": "a"}, {"any": [{"tag": "b"}, {"friend": False}]}]},
            "带标签「a」，且（带标签「b」，或不是好友）",
        ),
    ],
)
def test_conditions(condition: dict[str, Any], words: str) -> None:
    assert condition_words(CONDITION.validate_python(condition)) == words


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"say": "hello"}, "说 hello"),
        ({"say": "hello", "to": "private"}, "私聊说 hello"),
        ({"tag": "意向/高", "for": "30d"}, "贴标签「意向/高」（30 天）"),
        ({"tag": "热闹", "on": "group"}, "给群贴标签「热闹」"),
        ({"untag": ["a", "b"]}, "摘标签「a」「b」"),
        ({"set": {"城市": "杭州", "娃": None}}, "记下 城市：杭州，清掉「娃」"),
        ({"notify": "来看"}, "告诉运营「来看」"),
        ({"hand_off": "要真人"}, "交给人工「要真人」"),
        ({"accept": True}, "通过好友申请"),
        ({"enroll": "camp"}, "拉进 SOP camp"),
        ({"leave": "camp"}, "移出 SOP camp"),
    ],
)
def test_actions(action: dict[str, Any], words: str) -> None:
    assert actions_words([ACTION.validate_python(action)]) == words


def test_matches_with_too_many_words_are_counted() -> None:
    match = Match.model_validate(
        {"any": [f"词{n}" for n in range(9)], "regex": r"\d+块", "all": "要", "none": "不",
         "type": "image"}
    )  # fmt: skip
    assert match_words(match, most=MOST) == (
        "有「词0」「词1」「词2」「词3」等 9 个或对得上正则「\\d+块」"
        "，且同时有「要」，且没有「不」，且是图片"
    )


@pytest.mark.parametrize(
    ("enter", "words"),
    [
        ({"on": "friend_added"}, "成为好友"),
        (
            {"on": "message", "where": {"kind": "转化"}, "match": {"any": "报名"}},
            "收到消息，在转化群里，有「报名」",
        ),
        ({"tag": ["a", "b"]}, "贴上标签「a」或「b」"),
        ({"stage": "成长期"}, "到了成长期"),
        ({"audience": "老客"}, "在人群「老客」里（每天早上看一次）"),
        ({"date": "2026-12-01"}, "2026-12-01 这一天"),
        ({"birthday": "生日", "days": -3}, "「生日」前 3 天"),
        ({"festival": ["春节", "中秋"], "days": 1}, "春节、中秋后 1 天"),
        ({"festival": "春节", "if": {"friend": True}}, "春节当天（条件：是好友）"),
    ],
)
def test_ways_in(enter: dict[str, Any], words: str) -> None:
    assert enter_words(ENTER.validate_python(enter)) == words


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        ({}, "紧接着上一步"),
        ({"after": "1h30m"}, "上一步之后 1 小时 30 分"),
        ({"after": "1d", "workday": True}, "上一步之后 1 天（赶上休息日就顺延）"),
        ({"day": 0, "at": "00:00"}, "进来当天 00:00"),
        ({"day": 3, "at": "20:00", "workday": True}, "第 3 天 20:00（赶上休息日就顺延）"),
        ({"weekday": ["mon", "wed"], "at": "10:00"}, "周一、周三 10:00"),
        ({"workday": True, "at": "10:00"}, "工作日 10:00"),
        ({"festival": "春节", "days": -3, "at": "09:00"}, "春节前 3 天 09:00"),
        ({"birthday": "生日", "at": "09:00"}, "「生日」当天 09:00"),
        ({"date": "2026-12-01", "at": "09:05"}, "2026-12-01 09:05"),
        ({"on": "order"}, "等到下单"),
        ({"wait_until": {"if": {"tag": "a"}, "within": "3d"}}, "等到带标签「a」，至多 3 天"),
    ],
)
def test_timings(timing: dict[str, Any], words: str) -> None:
    assert when(Step.model_validate({"id": "x", **timing})) == words


def test_a_goal_may_be_an_event_or_a_condition() -> None:
    def goal(value: dict[str, Any]) -> str:
        return sop_facets(
            Sop.model_validate({"id": "x", "goal": value, "steps": [{"id": "a"}]})
        )["目标"]  # fmt: skip

    assert goal({"on": "order", "within": "7d"}) == "7 天之内下单"
    assert goal({"if": {"friend": True}}) == "是好友"
