"""The one alarm. Real time passes here, but only milliseconds of it."""

from __future__ import annotations

import asyncio

from bot.clock import Alarm, SystemClock, VirtualClock


async def test_a_virtual_clock_stands_until_it_is_set() -> None:
    clock = VirtualClock(5)
    assert (clock.now(), clock.now()) == (5, 5)
    clock.set(3)
    assert clock.now() == 3


async def test_the_alarm_rings_at_once_for_what_is_already_due() -> None:
    alarm = Alarm(SystemClock())
    try:
        async with asyncio.timeout(2):
            for late in (0, 10_000, 400 * 86_400_000):
                await alarm.wait(SystemClock().now() - late)
                assert not alarm._rung.is_set()
    finally:
        alarm.close()


async def test_the_alarm_rings_on_time_again_and_again() -> None:
    alarm = Alarm(SystemClock())
    try:
        async with asyncio.timeout(5):
            for _ in range(5):
                due = SystemClock().now() + 10
                await alarm.wait(due)
                assert SystemClock().now() >= due - 1
    finally:
        alarm.close()


async def test_a_ring_ends_a_wait_without_an_end() -> None:
    alarm = Alarm(SystemClock())
    try:
        waiting = asyncio.create_task(alarm.wait(None))
        asyncio.get_running_loop().call_soon(alarm.ring)
        async with asyncio.timeout(2):
            await waiting
        assert not alarm._rung.is_set()
    finally:
        alarm.close()


async def test_a_ring_before_the_wait_is_not_lost() -> None:
    alarm = Alarm(SystemClock())
    try:
        alarm.ring()
        async with asyncio.timeout(2):
            await alarm.wait(None)
        assert not alarm._rung.is_set()
    finally:
        alarm.close()


async def test_the_alarm_waits_no_longer_than_a_minute_for_what_is_far_off() -> None:
    clock = VirtualClock(0)
    alarm = Alarm(clock)
    try:
        waiting = asyncio.create_task(alarm.wait(10**15))
        await asyncio.sleep(0)
        next_run = alarm._job.next_run_time
        assert 50 <= next_run.timestamp() - SystemClock().now() / 1000 <= 70
        alarm.ring()
        await waiting
    finally:
        alarm.close()
