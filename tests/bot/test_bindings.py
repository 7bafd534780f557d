"""Groups are bound once to the gateway's id, and asked about when a name is not enough."""

from __future__ import annotations

from bot.channels.port import Status, StatusKind
from sop.events import EventKind, Person, Room
from storage.people import upsert_groups
from storage.prune import prune
from tests.support import DAY, HOUR, Perform, Play, World, populate

RULES = """
tags: {福利群: {}, 手工: {}}
groups: [{match: "小满福利群*", kind: 转化, tags: [福利群]}]
rules:
  - {id: hi, on: message, where: {group_tag: 福利群}, do: [{say: a}]}
"""
NAME = "小满福利群1"


def twins(world: World) -> None:
    """Two groups of one name, before the bot ever looked."""
    populate(world)
    world.add_group("g2", NAME, ["eve"])


def told(play: Play) -> list[str]:
    """What the operator was told, oldest first."""
    return [text for who, text in play.said if who == "wxid_boss"]


def state(play: Play, group: str) -> tuple[str, str]:
    ((binding, kind),) = play.rows("SELECT binding, kind FROM room WHERE external_id = ?", group)
    return binding, kind


async def appear(play: Play, group: str, topic: str = NAME) -> None:
    """A group the bot has not seen before comes into the world, and somebody talks there."""
    play.world.add_group(group, topic, ["eve"])
    await play.channel.say("eve", "大家好", group=group)
    await play.settle()


async def test_a_group_is_bound_by_its_name_once(perform: Perform) -> None:
    play = await perform(RULES)
    assert state(play, "g1") == ("bound", "转化")
    await play.channel.rename("g1", "别的名字")
    await play.settle()
    assert state(play, "g1") == ("bound", "转化")
    assert play.tags("g1") == ["福利群"]


async def test_a_second_group_of_that_name_gets_nothing_and_is_asked_about(
    perform: Perform,
) -> None:
    play = await perform(RULES)
    await appear(play, "copy")
    assert state(play, "copy") == ("asked", "")
    assert play.tags("copy") == []
    assert await play.hear("eve", "在吗", group="copy") == []  # no rule of ours holds there
    (question,) = told(play)
    assert question.startswith(f"又看到一个叫「{NAME}」的群（#{play.group('copy')}）")
    assert "/绑定" in question
    assert "/同群" not in question  # the first one is still there
    await play.stage.wait(HOUR)
    assert len(told(play)) == 1  # and it is asked once


async def test_names_that_look_alike_are_the_same_name(perform: Perform) -> None:
    play = await perform(RULES)
    await appear(play, "copy", "小满福利群 １")
    assert state(play, "copy")[0] == "asked"


async def test_one_word_binds_it(perform: Perform) -> None:
    play = await perform(RULES)
    await appear(play, "copy")
    (answer,) = await play.hear("wxid_boss", "/绑定")
    assert answer.startswith("好的")
    assert state(play, "copy") == ("bound", "转化")
    assert play.tags("copy") == ["福利群"]
    assert await play.hear("eve", "在吗", group="copy") == ["A"]


async def test_one_word_leaves_it_for_good(perform: Perform) -> None:
    play = await perform(RULES)
    await appear(play, "copy")
    await play.hear("wxid_boss", "/不管")
    await play.channel.rename("copy", "小满福利群9")
    await play.settle()
    assert state(play, "copy") == ("left", "")
    assert play.tags("copy") == []


async def test_leaving_a_bound_group_takes_off_what_its_name_gave(perform: Perform) -> None:
    play = await perform(RULES)
    await play.hear("wxid_boss", f"/标签 {NAME} 手工")
    await play.hear("wxid_boss", f"/不管 {NAME}")
    assert state(play, "g1") == ("left", "")
    assert play.tags("g1") == ["手工"]
    assert play.events("tag_removed") == ["福利群"]


async def test_what_an_operator_took_off_stays_off_when_old_events_are_forgotten(
    perform: Perform,
) -> None:
    play = await perform(RULES)
    await play.hear("wxid_boss", f"/去标签 {NAME} 福利群")
    play.stage.clock.set(play.now + 400 * DAY)
    play.write(lambda tx: prune(tx, [], keep=180 * DAY, now=play.now, limit=500))
    assert play.events("tag_removed") == []  # which is forgotten
    await play.channel.rename("g1", "小满福利群9")
    await play.settle()
    assert play.tags("g1") == []


async def test_a_group_changes_hands(perform: Perform) -> None:
    play = await perform(RULES)

    def owner() -> object:
        return play.one("SELECT owner_external_id FROM room WHERE external_id = 'g1'")

    me = play.stage.bot.me
    assert me is not None
    for says, then in (("bob", "bob"), ("", "bob"), ("amy", "amy")):
        room = Room(external_id="g1", owner_id=says)
        play.write(lambda tx, room=room: upsert_groups(tx, me.id, [room], now=play.now))
        assert owner() == then


async def test_of_two_new_ones_neither_is_guessed(perform: Perform) -> None:
    play = await perform(RULES, people=twins)
    assert [state(play, "g1"), state(play, "g2")] == [("asked", ""), ("asked", "")]
    (question,) = told(play)
    assert question.startswith("又看到 2 个重名的群")
    (answer,) = await play.hear("wxid_boss", "/绑定")
    assert answer.startswith("等你认的群有 2 个，带上编号")
    await play.hear("wxid_boss", f"/绑定 #{play.group('g2')}")
    assert state(play, "g2") == ("bound", "转化")
    assert state(play, "g1") == ("asked", "")


async def test_many_groups_of_a_new_login_are_one_question_and_one_answer(
    perform: Perform,
) -> None:
    def many(world: World) -> None:
        populate(world)
        world.rooms.clear()
        for n in range(30):
            world.add_group(f"g{n}", f"小满福利群{n}", ["amy"])

    play = await perform(RULES, people=many)
    old = {n: play.group(f"g{n}") for n in range(30)}
    play.world.rooms.clear()
    for n in range(30):
        play.world.add_group(f"new{n}", f"小满福利群{n}", ["amy"])
    await play.channel.disconnect()
    await play.channel.reconnect()
    await play.settle()
    (question,) = told(play)
    assert question.startswith("又看到 30 个重名的群")
    assert "……还有 10 个" in question
    (answer,) = await play.hear("wxid_boss", "/同群 全部")
    assert len(answer.splitlines()) == 30
    assert {n: play.group(f"new{n}") for n in range(30)} == old
    assert play.one("SELECT COUNT(*) FROM room") == 30


async def test_a_hundred_copies_are_not_a_hundred_questions(perform: Perform) -> None:
    play = await perform(RULES)
    for n in range(10):
        await appear(play, f"copy{n}")
    assert len(told(play)) == 1
    assert state(play, "copy9") == ("asked", "")
    (answer,) = await play.hear("wxid_boss", "/不管 全部")
    assert answer.count("我不管") == 10


async def test_after_a_new_login_the_operator_says_that_it_is_the_same(perform: Perform) -> None:
    play = await perform(RULES)
    await play.hear("wxid_boss", f"/标签 {NAME} 手工")
    await play.hear("amy", "早", group="g1")
    old = play.group("g1")
    room = play.world.rooms.pop("g1")  # every room has another id now
    play.world.add_group("g1-again", room.topic, ["amy", "bob"])
    await play.channel.disconnect()
    await play.channel.reconnect()
    await play.settle()
    assert state(play, "g1-again") == ("asked", "")
    assert "/同群" in told(play)[-1]
    await play.channel.join("g1-again", ["eve"])
    await play.hear("amy", "晚", group="g1-again")
    (answer,) = await play.hear("wxid_boss", "/同群")
    assert answer == f"好的，就是原来的 {NAME} #{old}，标签、成员、记录都接着用"
    assert play.group("g1-again") == old
    assert play.tags("g1-again") == ["手工", "福利群"]
    assert state(play, "g1-again") == ("bound", "转化")
    assert play.one("SELECT COUNT(*) FROM room") == 1
    rows = play.rows(
        "SELECT contact.external_id, messages, left_at IS NULL FROM member"
        " JOIN contact ON contact.id = member.contact_id WHERE group_id = ? ORDER BY 1",
        old,
    )
    assert [(who, count, bool(here)) for who, count, here in rows] == [
        ("amy", 2, True), ("bob", 0, True), ("eve", 0, True),
    ]  # fmt: skip
    assert await play.hear("bob", "在", group="g1-again") == ["A"]


async def test_an_invitation_on_its_way_follows_the_group(perform: Perform) -> None:
    rules = RULES.replace(
        "rules:",
        "rules:\n  - {id: j, on: message, where: private, do: [{invite: {group_tag: 福利群}}]}",
    )
    limits = "limits: {account: {gap: 10m, reply_gap: 10m}}"
    play = await perform(rules, settings=limits)
    play.world.add_person("zoe", "小周", friend=True)
    await play.hear("amy", "先来的")  # what the bot says first, so that the next one waits
    play.enqueue("bob", "占着")
    await play.settle()
    await play.hear("zoe", "进群")
    assert play.one("SELECT state FROM outbox WHERE kind = 'invite'") == "queued"
    room = play.world.rooms.pop("g1")
    play.world.add_group("g1-again", room.topic, ["amy"])
    await play.channel.disconnect()
    await play.channel.reconnect()
    await play.settle()
    await play.hear("wxid_boss", "/同群")
    await play.stage.wait(HOUR)
    assert [m.external_id for m in play.world.rooms["g1-again"].members] == ["amy", "zoe"]


async def test_the_same_as_nothing_is_refused(perform: Perform) -> None:
    play = await perform(RULES)
    await appear(play, "copy")
    assert await play.hear("wxid_boss", "/同群") == [
        f"没有哪个绑定过的「{NAME}」不见了，它们都还在"
    ]
    assert await play.hear("wxid_boss", f"/绑定 #{play.group('g1')}") == [
        f"{NAME} #{play.group('g1')} 已经绑定了"
    ]


async def test_a_message_from_a_group_shows_that_it_is_still_there(perform: Perform) -> None:
    play = await perform(RULES)
    hidden = play.world.rooms.pop("g1")
    play.world.add_group("other", "别的群", [])
    await play.channel.disconnect()
    await play.channel.reconnect()
    await play.settle()
    assert play.one("SELECT missing_at FROM room WHERE external_id = 'g1'") == play.now
    play.world.rooms["g1"] = hidden
    await play.tell(EventKind.MESSAGE, who="amy", group="g1", text="在")
    assert play.one("SELECT missing_at FROM room WHERE external_id = 'g1'") is None


async def test_the_list_by_chat(perform: Perform) -> None:
    play = await perform(RULES)
    await appear(play, "copy")
    one, two = play.group("g1"), play.group("copy")
    assert await play.hear("wxid_boss", "/群") == [
        f"{NAME} #{one}：已绑定，转化，3 人\n{NAME} #{two}：等你认，1 人"
    ]


async def test_the_account_itself_may_have_another_id(perform: Perform) -> None:
    play = await perform(RULES)
    old = play.group("g1")
    room = play.world.rooms.pop("g1")
    play.world.add_group("g1-again", room.topic, ["amy"])
    await play.stage.bot.status(
        Status(kind=StatusKind.LOGIN, at=play.now, account=Person(external_id="again", name="我"))
    )
    await play.stage.bot.roster([], list(play.world.rooms.values()))
    await play.settle()
    assert state(play, "g1-again") == ("asked", "")
    await play.hear("wxid_boss", "/同群")
    assert play.group("g1-again") == old
    assert play.tags("g1-again") == ["福利群"]
    account = "SELECT external_id FROM account WHERE id = (SELECT account_id FROM room)"
    assert play.one(account) == "again"
    await play.channel.say("bob", "在吗", group="g1-again")
    await play.settle()
    assert play.texts[-1] == "A"
