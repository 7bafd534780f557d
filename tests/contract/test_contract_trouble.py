"""What becomes of messages when things go wrong, in the simulator and through a real gateway."""

from __future__ import annotations

import asyncio

import pytest

from bot.channels.port import StatusKind
from bot.channels.wechaty import WechatyChannel
from sop.errors import BadToken
from sop.times import MINUTE
from tests.contract.conftest import Begin
from tests.contract.drama import Drama
from tests.contract.worlds import DEADLINE, FANS, GatewayWorld, Sent, Trouble, World
from tests.gateway.world import Recorder

SLOW = "limits: {account: {gap: 1m, reply_gap: 1m, per_hour: 100, per_day: 100}}"


async def test_a_refused_message_is_tried_again(drama: Drama, world: World) -> None:
    world.trouble(Trouble.REFUSE)
    await world.say("alice", "说 一")
    reason = await drama.until(lambda: next((r[2] for r in drama.outbox() if r[2]), None))
    assert "稍后重试" in reason
    assert world.sent() == []
    drama.pass_time(MINUTE)
    await drama.all_sent(1)
    assert world.sent() == [Sent("alice", "text", "说 一")]


async def test_a_forbidden_message_fails(drama: Drama, world: World) -> None:
    world.trouble(Trouble.FORBID)
    await world.say("alice", "说 一")
    await drama.states("failed")
    await world.say("bob", "说 二")
    await drama.states("failed", "sent")
    assert world.sent() == [Sent("bob", "text", "说 二")]


@pytest.mark.parametrize("trouble", [Trouble.HANG, Trouble.DROP])
async def test_what_nobody_knows_is_not_sent_again(
    drama: Drama, world: World, trouble: Trouble
) -> None:
    world.trouble(trouble)
    await world.say("alice", "说 一")
    ((_, _, reason),) = await drama.states("unknown")
    assert "不知道" in reason
    if trouble is Trouble.DROP and isinstance(world, GatewayWorld):
        await drama.saw(StatusKind.LOGIN, times=2)  # the cut was the whole connection
    drama.pass_time(3 * MINUTE)
    await world.say("bob", "说 二")
    await drama.states("unknown", "sent")
    lost = [] if trouble is Trouble.HANG else [Sent("alice", "text", "说 一")]
    assert world.sent() == [*lost, Sent("bob", "text", "说 二")]


async def test_an_echo_settles_what_was_answered_late(drama: Drama, world: World) -> None:
    world.trouble(Trouble.NO_ANSWER)
    await world.say("alice", "说 一")
    await drama.all_sent(1)
    await world.say("alice", "说 二")
    await drama.all_sent(2)
    assert [s.text for s in world.sent()] == ["说 一", "说 二"]
    assert drama.rows("SELECT because FROM pause") == []


async def test_what_waited_goes_out_after_an_outage_and_nothing_twice(
    begin: Begin, world: World
) -> None:
    drama = await begin(world, settings=SLOW)
    await world.say("alice", "说 一")
    await drama.states("sent")
    await world.say("bob", "说 二")
    await drama.states("sent", "queued")
    await world.fall()
    await drama.saw(StatusKind.DISCONNECTED)
    drama.pass_time(MINUTE)
    await drama.until(lambda: drama.outbox()[1][2] == "微信不在线，等连上再发")
    await world.rise(meanwhile="newcomer")
    await drama.until(lambda: len(drama.outbox()) == 3)
    for count in (2, 3):
        drama.pass_time(MINUTE)
        await drama.until(lambda n=count: [r[1] for r in drama.outbox()].count("sent") == n)
    assert world.sent() == [
        Sent("alice", "text", "说 一"),
        Sent("bob", "text", "说 二"),
        Sent("newcomer", "text", "你好呀"),
    ]
    assert drama.events("friend_added") == [("newcomer", "", "")]


async def test_who_was_a_friend_before_the_outage_is_not_welcomed_again(
    drama: Drama, world: World
) -> None:
    for _ in range(2):
        known = drama.rows("SELECT synced_at FROM account")
        await world.fall()
        await drama.until(lambda: drama.rows("SELECT 1 FROM account WHERE state = 'offline'"))
        await world.rise(meanwhile="newcomer")
        await drama.until(lambda: drama.rows("SELECT synced_at FROM account") != known)  # noqa: B023
        await drama.all_sent(1)
    await world.say("alice", "说 一")
    await drama.all_sent(2)
    assert [s.text for s in world.sent()] == ["你好呀", "说 一"]


# --- what only a real gateway can do -------------------------------------------------------------


@pytest.mark.gateway
async def test_a_gateway_that_dies_while_sending(begin: Begin, gateway_world: GatewayWorld) -> None:
    gateway = gateway_world.gateway
    drama = await begin(gateway_world)
    gateway.echo(False)
    gateway.fail(mode="die")
    await gateway_world.say("alice", "说 一")
    await drama.states("unknown")
    await asyncio.to_thread(gateway.restart)
    await drama.saw(StatusKind.LOGIN, times=2)
    await gateway_world.say("alice", "说 二")
    await drama.states("unknown", "sent")
    assert [s.text for s in gateway_world.sent()] == ["说 一", "说 二"]


@pytest.mark.gateway
async def test_a_gateway_that_is_not_there_yet(begin: Begin, gateway_world: GatewayWorld) -> None:
    await gateway_world.fall()
    drama = await begin(gateway_world, ready=False)
    assert "没有程序在监听" in (await drama.saw(StatusKind.DISCONNECTED)).detail
    await gateway_world.rise()
    await drama.saw(StatusKind.LOGIN)
    await gateway_world.say("alice", "多少钱")
    await drama.all_sent(1)


@pytest.mark.gateway
async def test_a_gateway_that_hangs(begin: Begin, gateway_world: GatewayWorld) -> None:
    drama = await begin(gateway_world)
    gateway_world.gateway.freeze()
    try:
        assert "卡死" in (await drama.saw(StatusKind.DISCONNECTED)).detail
    finally:
        gateway_world.gateway.thaw()
    await drama.saw(StatusKind.LOGIN, times=2)
    await gateway_world.say("alice", "多少钱", group=FANS, mention=True)
    await drama.all_sent(1)


@pytest.mark.gateway
async def test_a_wrong_token_is_one_clear_line(gateway_world: GatewayWorld) -> None:
    gateway = gateway_world.gateway
    channel = WechatyChannel(
        endpoint=gateway.endpoint,
        token="wrong",
        tls=gateway.tls,
        media_root=gateway_world.folder / "media",
        data_dir=gateway_world.folder / "data",
        deadline=DEADLINE,
    )
    with pytest.raises(BadToken) as caught:
        await channel.run(Recorder())
    assert "channel.token" in str(caught.value)
    assert "\n" not in str(caught.value)
