"""Into a group: the same in the simulator and through a real Wechaty gateway."""

from __future__ import annotations

from tests.contract.drama import Drama
from tests.contract.worlds import FANS, Sent, Trouble, World

WORTH = Sent("alice", "text", "小满福利群里天天有好价")
ASKED = Sent("alice", "add", FANS)
GATHER = 30_000


async def outside(drama: Drama, world: World) -> None:
    """Alice is a friend, and no member."""
    await world.part("alice")
    await drama.all_sent(1)


async def test_worth_invitation_arrival_and_no_second_one(drama: Drama, world: World) -> None:
    await outside(drama, world)
    await world.say("alice", "拉我进群")
    await drama.until(lambda: [r[1] for r in drama.outbox()[:3]] == ["sent"] * 3)
    await world.let_in("alice")
    await drama.until(lambda: drama.rows("SELECT 1 FROM invitation WHERE joined_at IS NOT NULL"))
    drama.pass_time(GATHER)
    await drama.until(lambda: len(world.sent()) == 4)
    await world.say("alice", "进群")
    await drama.all_sent(5)
    assert world.sent() == [
        Sent(FANS, "text", "慢走"),
        WORTH,
        ASKED,
        Sent(FANS, "text", "欢迎新来的", ("alice",)),
        Sent("alice", "text", "你已经在里面啦"),
    ]


async def test_a_refusal_becomes_a_request_to_the_operator(drama: Drama, world: World) -> None:
    await outside(drama, world)
    world.trouble(Trouble.NO_ID)  # the words go well
    world.trouble(Trouble.FORBID)
    await world.say("alice", "进群")
    await drama.until(lambda: len(drama.outbox()) == 5)
    rows = drama.outbox()
    assert [row[1] for row in rows[:3]] == ["sent", "sent", "failed"]
    assert "想进「小满福利群」，没拉成：" in rows[3][0]
    assert rows[4][0] == "我拉你进「小满福利群」啦，点一下邀请就能进来～"
    assert ASKED not in world.sent()
    assert drama.rows("SELECT by_hand FROM invitation") == [(1,)]


async def test_what_nobody_knows_is_not_repeated_and_the_arrival_settles_it(
    drama: Drama, world: World
) -> None:
    await outside(drama, world)
    world.trouble(Trouble.NO_ID)
    world.trouble(Trouble.NO_ANSWER)
    await world.say("alice", "进群")
    await drama.until(lambda: drama.outbox()[2:] and drama.outbox()[2][1] in ("unknown", "sent"))
    await world.say("alice", "进群呀")
    await drama.until(lambda: len(drama.events("message")) == 2)
    await world.let_in("alice")
    await drama.until(lambda: drama.outbox()[2][1] == "sent")
    assert world.sent().count(ASKED) == 1
    assert drama.rows("SELECT COUNT(*) FROM invitation") == [(1,)]


async def test_two_hundred_in_a_minute_are_welcomed_in_a_handful(
    drama: Drama, world: World
) -> None:
    names = world.newcomers(200)
    for start in range(0, 200, 20):
        await world.join(names[start : start + 20], by="bob")
        await drama.until(lambda n=start: len(drama.events("group_joined")) == n + 20)
        drama.pass_time(6_000)
    drama.pass_time(GATHER)
    await drama.until(lambda: not drama.rows("SELECT 1 FROM gathering"))
    await drama.until(lambda: {row[1] for row in drama.outbox()} == {"sent"})
    welcomes = world.sent()
    assert 1 <= len(welcomes) <= 4
    assert {w.text for w in welcomes} == {"欢迎新来的"}
    assert all(0 < len(w.mentions) <= 20 for w in welcomes)
    assert drama.rows("SELECT COUNT(*) FROM member WHERE joined_at IS NOT NULL") == [(200,)]
