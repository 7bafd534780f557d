"""Moments: posted where the channel can, handed over where not, recorded either way."""

from __future__ import annotations

from typing import Any

import pytest

from bot.almanac import ChineseAlmanac
from bot.channels.port import Capability
from bot.channels.simulator import Failure
from bot.clock import CronTimes
from sop.messages import Moment
from sop.moments import objections, slots
from sop.planning import Planner
from sop.pushes import MomentPlan
from tests.support import DAY, HOUR, MINUTE, START, ZONE, Perform, Play, at, write

PLAN = """
tags: {VIP: {}, 空: {}}
moments:
  - {id: tip, title: 小抄, pillar: 干货, at: {on: 2026-11-21 12:30}, say: tip}
"""
TEMPLATES = {"tip": "今天的小抄，{{ community }}"}
NOON = at("2026-11-21 12:30")


def runs(play: Play) -> list[tuple[Any, ...]]:
    return play.rows("SELECT name, state, reason FROM run ORDER BY planned_at, id")


def without_moments(play: Play) -> None:
    play.world.lacks = frozenset({Capability.MOMENT})


async def test_it_is_posted_at_its_minute(perform: Perform) -> None:
    play = await perform(PLAN, templates=TEMPLATES)
    await play.stage.advance(NOON - 1)
    assert play.world.moments == []
    await play.stage.advance(NOON + MINUTE)
    (posted,) = play.world.moments
    assert posted.body == Moment(text="今天的小抄，小满家")
    assert NOON <= posted.at <= NOON + 5_000
    assert runs(play) == [("tip", "done", "机器人发的")]
    assert play.rows("SELECT kind, purpose, source, because, state FROM outbox") == [
        ("moment", "notice", "moment:tip", "朋友圈 小抄（干货）", "sent")
    ]
    assert play.said == []


async def test_quiet_hours_do_not_hold_it_and_the_budget_counts_it(perform: Perform) -> None:
    settings = 'hours: {quiet: "12:00-14:00"}\nlimits: {account: {gap: 1s, reply_gap: 1s}}'
    play = await perform(PLAN, templates=TEMPLATES, settings=settings)
    await play.stage.advance(NOON + MINUTE)
    assert len(play.world.moments) == 1
    assert play.one("SELECT COUNT(*) FROM outbox WHERE left_at IS NOT NULL") == 1


async def test_what_the_channel_cannot_is_handed_over_and_confirmed(perform: Perform) -> None:
    play = await perform(PLAN, templates=TEMPLATES)
    without_moments(play)
    await play.stage.advance(NOON + MINUTE)
    head = "请发一条朋友圈：小抄（干货）。下面是现成的，发好了回我 /已发"
    assert play.said == [("wxid_boss", head), ("wxid_boss", "今天的小抄，小满家")]
    assert runs(play) == [("tip", "handed", "")]
    assert await play.hear("wxid_boss", "/已发") == ["好的，「tip」记为已发"]
    assert runs(play) == [("tip", "done", "运营 老板 发的")]
    assert await play.hear("wxid_boss", "/已发") == ["没有朋友圈在等你发"]


async def test_of_several_the_operator_says_which(perform: Perform) -> None:
    two = PLAN + "  - {id: life, pillar: 日常, at: {on: 2026-11-21 12:40}, say: a}\n"
    play = await perform(two, templates=TEMPLATES)
    without_moments(play)
    await play.stage.advance(NOON + HOUR)
    (asked,) = await play.hear("wxid_boss", "/已发")
    assert asked == "有 2 条在等：tip、life。说一下是哪条，比如 /已发 tip"
    assert await play.hear("wxid_boss", "/已发 life") == ["好的，「life」记为已发"]
    assert await play.hear("wxid_boss", "/已发 不在") == ["没有叫「不在」的朋友圈在等你发"]
    await play.stage.wait(2 * DAY)
    assert runs(play) == [
        ("tip", "unconfirmed", "一天里没有人回 /已发"),
        ("life", "done", "运营 老板 发的"),
    ]


async def test_nobody_to_hand_it_to(perform: Perform) -> None:
    play = await perform(PLAN, templates=TEMPLATES, operators="[]")
    without_moments(play)
    await play.stage.advance(NOON + MINUTE)
    ((_, state, reason),) = runs(play)
    assert state == "failed"
    assert "没有写 operators" in reason


@pytest.mark.parametrize("failure", [Failure.DROP, Failure.NO_ANSWER, Failure.HANG])
async def test_when_nobody_knows_somebody_looks(perform: Perform, failure: Failure) -> None:
    play = await perform(PLAN, templates=TEMPLATES)
    play.world.failures.append(failure)
    await play.stage.advance(NOON + 10 * MINUTE)
    assert runs(play)[0][1] == "unknown"
    assert "不知道发出去没有" in play.texts[0]
    posted = len(play.world.moments)
    await play.hear("wxid_boss", "/已发")
    await play.stage.wait(2 * DAY)
    assert runs(play) == [("tip", "done", "运营 老板 发的")]
    assert len(play.world.moments) == posted
    assert play.one("SELECT state FROM outbox WHERE kind = 'moment'") == "sent"


async def test_a_refusal_that_may_pass_is_tried_again(perform: Perform) -> None:
    play = await perform(PLAN, templates=TEMPLATES)
    play.world.failures.append(Failure.REFUSE)
    await play.stage.advance(NOON + 10 * MINUTE)
    assert len(play.world.moments) == 1
    assert runs(play) == [("tip", "done", "机器人发的")]


async def test_pictures_and_a_link(perform: Perform, tmp_path: Any) -> None:
    write(tmp_path / "workspace/media/a.png", "图")
    texts = {
        "tip": "---\nimage: [a.png, a.png]\n---\n两张",
        "shop": '---\nlink: {url: "https://example.com/x", title: 店}\n---\n看看',
    }
    plan = PLAN + "  - {id: shop, pillar: 日常, at: {on: 2026-11-21 15:30}, say: shop}\n"
    play = await perform(plan, templates=texts)
    without_moments(play)
    await play.stage.advance(at("2026-11-21 16:00"))
    assert [text for text in play.texts if "请发" not in text] == [
        "两张", "[图片] media/a.png", "[图片] media/a.png", "看看", "[链接] 店 https://example.com/x",
    ]  # fmt: skip


async def test_only_some_see_it_and_nobody_never_means_everybody(perform: Perform) -> None:
    plan = PLAN.replace("say: tip", "say: tip, visible_to: VIP")
    plan += "  - {id: none, pillar: 日常, at: {on: 2026-11-21 15:00}, say: a, visible_to: 空}\n"
    play = await perform(plan, templates=TEMPLATES)
    await play.hear("wxid_boss", "/标签 小雨 VIP")
    await play.hear("wxid_boss", "/标签 路人 VIP")  # no friend: sees no Moments
    await play.stage.advance(at("2026-11-21 16:00"))
    (posted,) = play.world.moments
    assert isinstance(posted.body, Moment)
    assert posted.body.visible_to == ("amy",)
    assert runs(play)[1][1:] == ("failed", "没有人带「空」这个标签，发出来谁都看不到")


async def test_too_late_is_skipped_and_told(perform: Perform) -> None:
    play = await perform(PLAN, templates=TEMPLATES)
    play.stage.clock.set(NOON + 3 * HOUR)
    await play.settle()
    await play.stage.wait(MINUTE)
    assert play.world.moments == []
    assert runs(play)[0][1] == "skipped"
    assert play.texts[0].startswith("朋友圈「tip」没有发：晚了 3 小时")


async def test_dying_on_the_way_posts_nothing_twice(perform: Perform) -> None:
    play = await perform(PLAN, templates=TEMPLATES)
    play.world.failures.append(Failure.NO_ANSWER)
    await play.stage.advance(NOON)
    await play.stage.bot.start()  # as after a crash: what was in flight is unknown
    await play.stage.wait(3 * HOUR)
    assert len(play.world.moments) == 1


def _objected(*given: tuple[str, str, str]) -> list[str]:
    """What there is to say about four weeks of Moments: (id, pillar, cron) each."""
    plan = [
        MomentPlan.model_validate({"id": id_, "pillar": pillar, "at": {"cron": cron}, "say": "a"})
        for id_, pillar, cron in given
    ]
    planner, end = Planner(ZONE, ChineseAlmanac(), CronTimes()), START + 28 * DAY
    found = slots(plan, planner, start=START, end=end)
    return [one.kind for one in objections(found, start=START, end=end, zone=ZONE)]


def test_adverts_gaps_and_doubles() -> None:
    daily = ("a", "日常", "0 9 * * *")
    assert _objected(daily) == []
    assert _objected(daily, ("b", "广告", "0 20 * * sun")) == []
    assert _objected(daily, ("b", "广告", "0 20 * * mon,sun")) == ["adverts"]
    assert _objected(daily, ("b", "观点", "30 10 * * mon")) == ["double"]
    assert _objected(("a", "干货", "0 9 * * mon")) == ["gap"] * 4
