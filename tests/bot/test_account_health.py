"""An account that is young or in trouble: what leaves, what is said about it, and how it ends."""

from __future__ import annotations

from itertools import pairwise

from bot.channels.port import Status, StatusKind
from bot.channels.simulator import Failure
from bot.health import standing
from tests.support import DAY, HOUR, MINUTE, Perform, Play, World, at

FAST = "gap: 0s, reply_gap: 0s, per_hour: 20, per_day: 50"
YOUNG = (
    f"limits: {{account: {{{FAST}, warmup: [{{until: 2d, per_hour: 3, per_day: 5}},"
    " {until: 4d, per_hour: 6, per_day: 12}]}}"
)
PLAIN = f"limits: {{account: {{{FAST}}}}}"


def crowd(world: World) -> None:
    world.add_person("wxid_boss", "老板", friend=True)
    for n in range(60):
        world.add_person(f"p{n}", f"人{n}", friend=True)


def wish(play: Play, count: int) -> None:
    for n in range(count):
        play.enqueue(f"p{n}", f"话{n}")


async def log_out(play: Play, detail: str = "") -> None:
    await play.stage.bot.status(Status(kind=StatusKind.LOGOUT, at=play.now, detail=detail))
    await play.settle()


async def log_in(play: Play) -> None:
    me = play.world.me
    await play.stage.bot.status(Status(kind=StatusKind.LOGIN, at=play.now, account=me))
    await play.settle()


def to_boss(play: Play) -> list[str]:
    return [text for who, text in play.said if who == "wxid_boss"]


async def test_a_young_account_begins_small_and_grows(perform: Perform) -> None:
    play = await perform(people=crowd, settings=YOUNG)
    wish(play, 60)
    await play.settle()
    assert len(play.said) == 3
    waiting = "账号一小时内已发出 3 条，到了每小时的上限（养号期，还不满 2 天）"
    assert play.rows("SELECT because FROM accounthold WHERE until IS NULL") == [(waiting,)]
    sent = [0]
    for day in range(21, 25):
        await play.stage.advance(at(f"2026-11-{day} 23:59"))
        sent.append(len(play.said))
    assert [later - before for before, later in pairwise(sent)] == [5, 5, 11, 11]


async def test_accepted_friends_count_thrice(perform: Perform) -> None:
    rules = "rules:\n  - {id: in, on: friend_request, do: [{accept: true}]}\n"
    play = await perform(rules, people=crowd, settings=YOUNG)
    for n in range(3):
        play.world.add_person(f"new{n}", f"新{n}")
        await play.channel.request_friend(f"new{n}", "你好")
    await play.settle()
    assert sorted(play.states()) == ["queued", "queued", "sent"]
    with play.stage.store.read() as connection:
        settings = play.stage.bot.heart.settings
        how = standing(connection, play.one("SELECT id FROM account"), settings, now=play.now)
    assert (how.ledger.hour, how.ledger.day, how.budget.per_hour) == (3, 3, 3)


async def test_refusals_slow_it_down_and_operators_hear_of_it_once(perform: Perform) -> None:
    play = await perform(people=crowd, settings=PLAIN)
    for n in range(8):
        play.world.failures.append(Failure.FORBID)
        play.enqueue(f"p{n}", f"lost{n}")
        await play.settle()
    (told,) = to_boss(play)
    assert told.startswith("账号要缓一缓：24 小时里发了 5 条，5 条没发成或者不确定。发送先放慢")
    assert "/恢复 发送" in told
    with play.stage.store.read() as connection:
        settings = play.stage.bot.heart.settings
        how = standing(connection, play.one("SELECT id FROM account"), settings, now=play.now)
    assert (how.slow, how.budget.per_hour, how.budget.per_day) == (True, 10, 25)
    wish(play, 30)
    await play.settle()
    assert play.states().count("sent") == 9 - 8  # of ten an hour one is kept for notices
    await play.stage.wait(6 * HOUR + MINUTE)
    assert len(to_boss(play)) == 1
    with play.stage.store.read() as connection:
        how = standing(connection, play.one("SELECT id FROM account"), settings, now=play.now)
    assert (how.slow, how.budget.because) == (False, "")


async def test_a_lost_login_slows_and_a_second_one_stops(perform: Perform) -> None:
    play = await perform(people=crowd, settings=PLAIN)
    await log_out(play, "在别处登录")
    await log_out(play)  # said twice is not done twice
    assert play.rows("SELECT kind, because FROM accountsignal") == [
        ("logout", "在别处登录"),
        ("slow", "24 小时里被退出登录 1 次"),
    ]
    await log_in(play)
    (told,) = to_boss(play)
    assert told.startswith("账号要缓一缓：24 小时里被退出登录 1 次。")
    await play.stage.wait(HOUR)
    await log_out(play)
    await log_in(play)
    play.enqueue("p1", "喂")
    await play.settle()
    assert ("p1", "喂") not in play.said
    assert play.rows("SELECT because FROM accounthold WHERE until IS NULL") == [
        ("24 小时里被退出登录 2 次，为保护账号暂停发送",)
    ]
    await play.stage.wait(2 * HOUR + MINUTE)
    assert ("p1", "喂") in play.said
    assert to_boss(play)[1].startswith("发送停下了：24 小时里被退出登录 2 次。")
    assert len(to_boss(play)) == 2


async def test_an_operator_may_say_that_all_is_well(perform: Perform) -> None:
    play = await perform(people=crowd, settings=PLAIN)
    for _ in range(2):
        await log_out(play)
        await log_in(play)
    await play.hear("wxid_boss", "/恢复 发送")
    assert to_boss(play)[-1] == "好的，恢复发送"
    assert play.rows("SELECT opened, circuit_until, care_until FROM account") == [(0, None, None)]
    await play.stage.wait(MINUTE)
    await log_out(play)  # what was before no longer counts
    assert play.one("SELECT opened FROM account") == 0
    assert play.one("SELECT care_until FROM account") == play.now + DAY
    assert play.rows("SELECT kind FROM accountsignal ORDER BY id DESC LIMIT 1") == [("slow",)]


async def test_a_dropped_link_is_no_lost_login(perform: Perform) -> None:
    play = await perform(people=crowd, settings=PLAIN)
    await play.stage.bot.status(Status(kind=StatusKind.DISCONNECTED, at=play.now))
    await play.settle()
    assert play.rows("SELECT kind FROM accountsignal") == []
    assert play.one("SELECT care_until FROM account") is None


async def test_a_clock_that_was_set_back_slows_nobody_for_ever(perform: Perform) -> None:
    play = await perform(people=crowd, settings=PLAIN)
    await log_out(play)
    await log_in(play)
    with play.stage.store.read() as connection:
        settings = play.stage.bot.heart.settings
        account = play.one("SELECT id FROM account")
        assert standing(connection, account, settings, now=play.now).slow
        assert not standing(connection, account, settings, now=play.now - DAY).slow
        assert not standing(connection, account, settings, now=play.now + DAY).slow
