"""The queue of what came in: bounded, fair, in order where order matters."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.inbox import Inbox
from sop.events import Event, EventKind, Person, Room


def event(who: str, number: int, group: str = "") -> Event:
    """A message."""
    room = Room(external_id=group) if group else None
    person = Person(external_id=who)
    return Event(
        kind=EventKind.MESSAGE, at=number, external_id="", contact=person, group=room, text=who
    )


async def filled(*items: Event | str) -> Inbox[str]:
    inbox = Inbox[str](1_000)
    for item in items:
        await inbox.put(item)
    return inbox


def drained(inbox: Inbox[str]) -> list[str]:
    """What comes when it is taken one by one."""
    out = []
    while not inbox.empty():
        out += [name_of(item) for item in inbox.take(1)]
    return out


def name_of(item: Event | str) -> str:
    return item if isinstance(item, str) else f"{item.text}{item.at}"


async def test_conversations_take_turns() -> None:
    flood = [event("flood", n) for n in range(4)]
    inbox = await filled(*flood, event("amy", 0), event("bob", 0), event("amy", 1))
    assert drained(inbox) == [
        "flood0", "flood1", "amy0", "flood2", "bob0", "amy1", "flood3",
    ]  # fmt: skip


async def test_who_had_nothing_waiting_does_not_wait_for_a_turn_of_all_others() -> None:
    floods = [event(who, n) for who in "bcdefg" for n in range(9)]
    inbox = await filled(*floods)
    inbox.take(2 * len("bcdefg"))
    await inbox.put(event("amy", 0))
    assert "amy0" in drained(inbox)[:2]


async def test_newcomers_do_not_keep_the_others_out() -> None:
    inbox = await filled(event("old", 0), event("old", 1), event("old", 2))
    inbox.take(1)
    for n in range(9):
        await inbox.put(event(f"new{n}", 0))
    assert [text for text in drained(inbox)[:4] if text.startswith("old")] == ["old1", "old2"]


async def test_a_group_is_one_conversation() -> None:
    inbox = await filled(event("amy", 0, "g"), event("bob", 1, "g"), event("amy", 2))
    assert drained(inbox) == ["amy0", "bob1", "amy2"]


async def test_a_login_keeps_its_place_among_the_events() -> None:
    inbox = await filled(event("a", 0), event("a", 1), event("b", 0), "login", event("a", 2), "out")
    assert drained(inbox) == ["a0", "a1", "b0", "login", "a2", "out"]


@given(st.lists(st.sampled_from(["a", "b", "c", "!"]), max_size=60))
async def test_nothing_is_lost_and_order_is_kept(names: list[str]) -> None:
    items = [name if name == "!" else event(name, n) for n, name in enumerate(names)]
    out = drained(await filled(*items))
    assert len(out) == len(names)
    for who in "abc":
        expected = [f"{name}{n}" for n, name in enumerate(names) if name == who]
        assert [text for text in out if text.startswith(who)] == expected
    parts = "".join(names).split("!")
    found = "".join(text[0] for text in out).split("!")
    assert [sorted(part) for part in found] == [sorted(part) for part in parts]


async def test_a_full_one_waits() -> None:
    inbox = Inbox[str](2)
    await inbox.put(event("a", 0))
    await inbox.put("login")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await inbox.put(event("a", 1))
    inbox.take(1)
    await inbox.put(event("a", 1))
    assert drained(inbox) == ["login", "a1"]


async def test_what_is_taken_together_comes_in_the_order_of_arrival() -> None:
    items = [event("a", 0), event("a", 1), event("b", 2), "login", event("a", 3), event("b", 4)]
    inbox = await filled(*items)
    assert [name_of(item) for item in inbox.take(100)] == [name_of(item) for item in items]
    inbox = await filled(*(event("a", n) for n in range(9)), event("b", 9))
    assert [name_of(item) for item in inbox.take(3)] == ["a0", "a1", "b9"]
