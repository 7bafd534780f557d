"""What a walk says of itself, and the answers to "why not": one for each reason there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.by_hand import doors_of, let_in, take_out
from bot.cli.table import table
from bot.tale import tale
from bot.workspace import read_workspace
from sop.errors import NotFound, SiyuError
from sop.events import EventKind
from storage.migration import migrate
from storage.progress import pause_sop
from storage.search import find
from storage.telling import explain
from storage.whynot import Asked, why_not, why_not_rule
from tests.conftest import Perform
from tests.support import DAY, HOUR, MINUTE, ZONE, Play, World, write

RULES = """
tags: {意向: {values: [低, 高], one_of: true}, 已购买: {}, 老客: {}, VIP: {}}
rules:
  - {id: price, on: message, match: {any: [价格]}, if: {tag: VIP}, do: [{say: a}]}
sops:
  - id: nf
    title: 新友
    enter: {on: friend_added, if: {not: {tag: 老客}}}
    exit: [{tag: 已购买}]
    steps:
      - {id: hello, after: 1m, do: [{say: a}]}
      - {id: vip, after: 1h, if: {all: [{tag: VIP}, {friend: true}]}, do: [{say: b}]}
      - id: ask
        after: 1h
        do: [{say: b}]
        reply:
          within: 1d
          cases: [{match: {any: [要]}, do: [{tag: 意向/高}, {say: c}], goto: bye}]
      - {id: wait, wait_until: {on: order, within: 2d}, do: [{say: c}]}
      - {id: bye, after: 3d, do: [{tag: 意向/低}]}
      - {id: last, after: 1d, do: [{say: d}]}
"""


def answer(play: Play, step: str, who: str = "amy") -> str:
    with play.stage.store.read() as connection:
        asked = Asked(connection, find(connection, who), ZONE, play.now)
        return "\n".join(why_not(asked, current(play), step))


def current(play: Play) -> Any:
    return play.stage.bot.heart.sops.current["nf"].sop


def story(play: Play, **options: Any) -> list[dict[str, Any]]:
    with play.stage.store.read() as connection:
        return explain(connection, find(connection, "amy"), zone=ZONE, **options)


def strangers(world: World) -> None:
    """An operator, and two who are no friends yet."""
    world.add_person("wxid_boss", "老板", friend=True)
    world.add_person("amy", "小雨")
    world.add_person("bob", "阿杰")
    world.add_group("g1", "小满福利群1", ["amy", "bob"])


async def begun(perform: Perform, **options: Any) -> Play:
    play = await perform(RULES, people=strangers, **options)
    await play.befriend("amy")
    return play


# --- the story -----------------------------------------------------------------------------------


async def test_a_walk_is_told_in_order(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(3 * HOUR)
    await play.hear("amy", "我要")
    rows = [r for r in story(play, now=play.now) if "SOP" in r["what"] or "SOP" in r["because"]]
    assert [(r["what"], r["outcome"], r["because"]) for r in rows] == [
        ("SOP 新友", "entered", "成为好友"),
        ("SOP 新友 的步骤 hello", "done", "SOP 新友 的步骤 hello：到时间了"),
        ("触达「A」", "sent", "SOP 新友 的步骤 hello：到时间了"),
        ("SOP 新友 的步骤 vip", "skipped", "条件不满足（带标签「VIP」，且是好友）"),
        ("SOP 新友 的步骤 ask", "done", "SOP 新友 的步骤 ask：到时间了"),
        ("触达「B」", "sent", "SOP 新友 的步骤 ask：到时间了"),
        ("SOP 新友 的步骤 ask", "replied", "SOP 新友 的步骤 ask：回复里有「要」"),
        ("回复「C」", "sent", "SOP 新友 的步骤 ask：回复里有「要」"),
        ("加上标签「意向/高」", "happened", "来自 SOP 新友 的步骤 ask"),
        ("SOP 新友 的步骤 bye", "waiting", "还没到时间，要到 11-24 13:00"),
    ]


async def test_the_tale_puts_what_a_step_did_under_it(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(3 * HOUR)
    await play.hear("amy", "我要")
    lines = "\n".join(tale(story(play, now=play.now)))
    assert "［进来］SOP 新友：成为好友" in lines
    assert "SOP 新友 的步骤 hello：到时间了\n         ［已发出］触达「A」" in lines
    assert "［略过］SOP 新友 的步骤 vip：条件不满足（带标签「VIP」，且是好友）" in lines
    assert "SOP 新友 的步骤 ask：回复里有「要」\n         ［已发出］回复「C」" in lines
    assert "［等着］SOP 新友 的步骤 bye：还没到时间，要到 11-24 13:00" in lines


async def test_an_end_says_how_and_why(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(HOUR)
    await play.hear("wxid_boss", "/标签 小雨 已购买")
    ended = [r for r in story(play, now=play.now) if r["outcome"] == "ended"]
    assert [r["because"] for r in ended] == ["退出：带标签「已购买」"]
    assert not [r for r in story(play, now=play.now) if r["outcome"] == "waiting"]


async def test_one_sop_alone(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(3 * HOUR)
    await play.hear("amy", "我要")
    await play.hear("amy", "价格")
    told = story(play, sop="nf", now=play.now)
    assert {row["refs"].get("sop") or row["refs"]["source"].split("/")[0] for row in told} == {
        "nf",
        "sop:nf",
    }
    assert [r["what"] for r in told if r["outcome"] == "happened"] == ["加上标签「意向/高」"]
    assert story(play, sop="other") == []


# --- why not -------------------------------------------------------------------------------------


async def test_it_was_sent(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(2 * MINUTE)
    assert answer(play, "hello") == "11-21 10:01 已经发了「A」。"


async def test_not_reached_yet(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(2 * MINUTE)
    assert answer(play, "ask") == "还没走到，现在停在 vip：还没到时间，要到 11-21 11:01。"


async def test_standing_there_and_what_is_to_come(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(2 * MINUTE)
    assert answer(play, "vip") == (
        "站在这一步：还没到时间，要到 11-21 11:01。\n"
        "照现在的样子，到时候会跳过，因为这些不成立：带标签「VIP」。"
    )


async def test_skipped_for_its_condition(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(2 * HOUR)
    assert answer(play, "vip") == (
        "11-21 11:01 轮到这一步，跳过了：条件不满足（带标签「VIP」，且是好友）。\n"
        "现在看，这些仍然不成立：带标签「VIP」。"
    )


async def test_waiting_for_a_reply_or_an_event(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(3 * HOUR)
    assert answer(play, "bye") == "还没走到，现在停在 ask：在等回复，最晚等到 11-22 12:01。"
    await play.stage.wait(DAY)
    assert answer(play, "wait") == "站在这一步：在等「下单」，最晚等到 11-24 12:01。"
    await play.stage.wait(2 * DAY)
    assert answer(play, "wait") == "11-24 12:01：等的事情到时间也没有发生。"


async def test_passed_by(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(3 * HOUR)
    await play.hear("amy", "我要")
    assert answer(play, "wait").startswith("走的路没有经过这一步，现在已经到了 bye：还没到时间")


async def test_put_off_by_a_human(perform: Perform) -> None:
    play = await begun(perform)
    await play.hear("wxid_boss", "/暂停 小雨 1d")
    await play.stage.wait(2 * MINUTE)
    assert answer(play, "hello") == ("站在这一步：运营 老板 暂停了，推到 11-22 10:00。")


async def test_the_sop_is_paused(perform: Perform) -> None:
    play = await begun(perform)
    play.write(lambda tx: pause_sop(tx, "nf", now=play.now))
    await play.stage.wait(HOUR)
    assert answer(play, "hello") == "站在这一步：SOP 暂停着，停在原地。"
    assert "这个 SOP 暂停着，不进人。" in answer(play, "hello", "bob")


async def test_due_and_not_yet_done(perform: Perform) -> None:
    play = await begun(perform)
    play.stage.clock.set(play.now + HOUR)
    assert answer(play, "hello") == "站在这一步：已经到时间，机器人在运行的话马上就做。"


async def test_queued_dropped_and_broken(perform: Perform, tmp_path: Path) -> None:
    play = await begun(perform)
    await play.stage.wait(2 * MINUTE)
    play.write(
        lambda tx: tx.connection.exec_driver_sql(
            "UPDATE outbox SET state = 'queued', reason = '今天发满了'"
        )
    )
    assert answer(play, "hello") == ("「A」在发件箱里排队，最早 11-21 10:01 发，因为今天发满了。")
    play.write(
        lambda tx: tx.connection.exec_driver_sql(
            "UPDATE outbox SET state = 'dropped', reason = '对方已经不是好友'"
        )
    )
    assert answer(play, "hello") == "「A」没有发：对方已经不是好友。"


OFTEN = f"{{% for n in {list(range(60))} %}}"


async def test_a_template_that_broke(perform: Perform) -> None:
    play = await perform(
        RULES,
        people=lambda world: world.add_person("amy", "很长" * 450) and None,
        templates={"a": OFTEN + "{{ nickname }}{% endfor %}"},
    )
    await play.befriend("amy")
    await play.stage.wait(2 * MINUTE)
    assert answer(play, "hello").startswith("11-21 10:01 模板 a 没有成：")


async def test_done_without_a_word(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(3 * HOUR)
    await play.hear("amy", "我要")
    await play.stage.wait(3 * DAY)
    assert answer(play, "bye") == "11-24 13:00 已经做了这一步（到时间了），它没有对他说话。"


async def test_it_ended_before(perform: Perform) -> None:
    play = await begun(perform)
    await play.stage.wait(HOUR)
    await play.hear("wxid_boss", "/标签 小雨 已购买")
    assert answer(play, "last") == (
        "还没走到这一步，11-21 11:00 就结束了：退出：带标签「已购买」。停在 vip。"
    )


async def test_never_came_in(perform: Perform) -> None:
    play = await begun(perform)
    assert answer(play, "hello", "bob") == (
        "没有进过这个 SOP。进来的路：成为好友（条件：不带标签「老客」）。"
    )
    await play.hear("wxid_boss", "/标签 阿杰 老客")
    await play.befriend("bob")
    assert answer(play, "hello", "bob") == (
        "没有进过这个 SOP：11-21 10:00 到了门口，不满足 enter 的 if 条件。\n"
        "现在看，这些不成立：不带标签「老客」。"
    )


async def test_another_version(perform: Perform) -> None:
    play = await begun(perform)
    new = RULES.replace("{id: hello,", "{id: extra, do: []}\n      - {id: hello,")
    root = play.stage.bot.heart.workspace.root
    write(root / "rules.yaml", new)
    play.stage.bot.reload(read_workspace(root, env={}))
    assert answer(play, "extra") == (
        "走的是旧版本，那一版里没有 extra 这一步，现在停在 hello。\n"
        "想换到新版本：siyu sop migrate nf"
    )
    await play.stage.wait(2 * MINUTE)
    facts = play.stage.bot.heart.walker._facts.plain()
    sop = current(play)
    play.write(lambda tx: migrate(tx, sop, 1, facts=facts, now=play.now))
    assert answer(play, "extra").startswith("走的路没有经过这一步")
    play.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM steprun"))
    assert answer(play, "hello") == "换版本之前已经走过这一步，不会再走。"


async def test_a_rule(perform: Perform) -> None:
    play = await begun(perform)
    rule = play.stage.bot.heart.book.by_id["price"]

    def said() -> list[str]:
        with play.stage.store.read() as connection:
            return why_not_rule(Asked(connection, find(connection, "amy"), ZONE, play.now), rule)

    assert said() == ["这条规则等的事还没有发生过：收到消息，有「价格」。"]
    await play.hear("amy", "价格")
    assert said() == [
        "最近一次是 11-21 10:00：条件 if 不满足。",
        "条件是：带标签「VIP」。",
        "现在看，这些不成立：带标签「VIP」。",
    ]


# --- by hand -------------------------------------------------------------------------------------


async def test_in_and_out_by_hand(perform: Perform) -> None:
    play = await perform(RULES)  # here they are friends
    doors = doors_of(play.stage.bot.heart.workspace)
    with play.stage.store.read() as connection:
        amy, group = find(connection, "amy"), find(connection, "g1")

    def enter(who: Any = amy, sop: str = "nf") -> str:
        return play.write(lambda tx: let_in(tx, doors, who, sop, because="手", now=play.now))

    assert enter() == ""
    assert enter() == "已经在里面了"
    assert play.notes("withheld") == ["已经在里面了"]
    await play.stage.wait(2 * MINUTE)
    assert play.texts == ["A"]
    with pytest.raises(SiyuError, match="是给联系人走的"):
        enter(group)
    with pytest.raises(NotFound, match="没有「x」这个 SOP。有：nf"):
        enter(sop="x")
    assert play.write(lambda tx: take_out(tx, doors, amy, "nf", because="够了", now=play.now))
    assert not play.write(lambda tx: take_out(tx, doors, amy, "nf", because="", now=play.now))
    play.world.befriend("amy", friend=False)
    await play.tell(EventKind.FRIEND_REMOVED, who="amy")
    await play.befriend("amy")  # not by itself
    assert play.notes("withheld")[-1] == "之前被手动移出过，不再自动进来"
    assert enter() == ""  # but again by hand


def test_nothing_is_told_twice_and_no_reason_is_lost() -> None:
    told = [
        ("投诉", "done", "听着像投诉（「太差」）"),
        ("群管", "withheld", "群管：像广告"),
        ("核心用户", "done", "核心用户：说了 2 句"),
        ("加上标签「VIP」", "happened", "来自 operator:运营"),
    ]
    rows = [
        {"at": "2026-03-02T10:00:00+08:00", "refs": {"event": n}, "what": what,
         "outcome": outcome, "because": because}
        for n, (what, outcome, because) in enumerate(told)
    ]  # fmt: skip
    assert [line[7:] for line in tale(rows)][1:] == [
        "投诉：听着像投诉（「太差」）",
        "［没有执行］群管：像广告",
        "核心用户：说了 2 句",
        "加上标签「VIP」，来自 运营",
    ]


def test_an_overlong_name_widens_its_own_row_only() -> None:
    lines = list(table([("名字", "标签"), ("小雨", "VIP"), ("长" * 128, "VIP")], width=None))
    assert lines == ["名字  标签", "小雨  VIP", f"{'长' * 128}  VIP"]
