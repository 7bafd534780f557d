"""Reading a workspace back: contacts, contact, explain, status, outbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.lock import sole_bot
from tests.bot.cli.conftest import Siyu, open_shop


def test_contacts_as_a_table(siyu: Siyu, here: Path) -> None:
    heading, *rows = siyu("contacts").lines
    assert heading.split() == ["编号", "名字", "生命周期", "上次说话", "标签"]
    assert [row.split()[1] for row in rows] == ["运营", "小雨", "{{7*7}}"]
    assert rows[1].endswith("意向")
    assert all(row == row.rstrip() for row in rows)


def test_contacts_as_json(siyu: Siyu, here: Path) -> None:
    amy = json.loads(siyu("contacts", "--json").out)[1]
    assert {"id", "external_id", "name", "tags", "stage"} <= set(amy)
    (tag,) = amy["tags"]
    assert set(tag) == {"name", "source", "evidence", "at", "expires_at"}
    assert (tag["name"], tag["source"]) == ("意向", "rule:price")
    assert "「多少钱」" in tag["evidence"]


def test_contacts_with_a_tag(siyu: Siyu, here: Path) -> None:
    assert [row["name"] for row in json.loads(siyu("contacts", "--tag", "意向", "--json").out)] == [
        "小雨",
        "{{7*7}}",
    ]
    assert siyu("contacts", "--tag", "VIP").lines == ["没有人带「VIP」这个标签。"]


def test_a_contact_and_where_its_tags_come_from(siyu: Siyu, here: Path) -> None:
    out = siyu("contact", "小雨").out
    assert "标签：意向" in out
    assert "来自规则 price，因为消息 #" in out
    assert json.loads(siyu("contact", "小雨", "--json").out)["name"] == "小雨"


def test_a_group(siyu: Siyu, here: Path) -> None:
    assert siyu("contact", "妈妈群").lines[0].startswith("群 妈妈群 #")
    detail = json.loads(siyu("contact", "妈妈群", "--json").out)
    assert [member["name"] for member in detail["members"]] == ["小雨"]


def test_explain_reads_like_a_story(siyu: Siyu, here: Path) -> None:
    lines = siyu("explain", "小雨").lines
    assert lines[0].startswith("小雨 #")
    assert lines[1].startswith("── ")
    said = [line[7:] for line in lines]
    start = next(n for n, line in enumerate(said) if line.startswith("消息「多少钱」"))
    assert said[start + 1 : start + 4] == [
        "规则 price：消息里有「多少钱」",
        "  ［已发出］回复「59 一包」",
        "  加上标签「意向」",
    ]
    withheld = [line for line in said if "没有执行" in line]
    assert withheld == ["［没有执行］规则 price：还在冷却时间 cooldown 里，刚刚已经执行过"]
    assert sum("［已发出］" in line for line in said) == 3  # nothing is told twice


def test_explain_as_json(siyu: Siyu, here: Path) -> None:
    rows = json.loads(siyu("explain", "小雨", "--json").out)
    assert all(set(row) == {"at", "what", "outcome", "because", "refs"} for row in rows)


def test_status_says_whether_the_bot_runs(siyu: Siyu, here: Path) -> None:
    assert siyu("status").lines[0] == "小满家：没有在运行，下面是它停下时的样子"
    assert json.loads(siyu("status", "--json").out)["running"] is False
    with sole_bot(here):
        assert siyu("status").lines[0].startswith("小满家：正在运行（进程号 ")
        assert "已经有一个机器人在跑" in siyu("run").err
    assert json.loads(siyu("status", "--json").out)["running"] is False


def test_outbox_shows_reasons(siyu: Siyu, here: Path, doubtful: int) -> None:
    heading, *rows, hint, ways = siyu("outbox").lines
    assert heading.split() == ["编号", "时间", "给谁", "状态", "内容"]
    assert rows[-1].split()[0] == str(doubtful)
    assert rows[-1].endswith("不确定  回复：59 一包（没有回音）")
    assert rows[-2].endswith("（规则 welcome：成为好友）")
    assert "siyu outbox settle" in hint
    assert "resend" in ways


def test_outbox_of_a_state(siyu: Siyu, here: Path, doubtful: int) -> None:
    (row,) = json.loads(siyu("outbox", "--state", "unknown", "--json").out)
    assert {"id", "contact", "kind", "state", "reason", "text", "created_at", "sent_at"} <= set(row)
    assert row["id"] == doubtful
    assert siyu("outbox", "--state", "failed").lines == ["没有这样的消息。"]
    assert len(siyu("outbox", "--last", "1").lines) == 4


@pytest.mark.parametrize(
    ("how", "state"), [("sent", "sent"), ("failed", "failed"), ("resend", "queued")]
)
def test_settling(siyu: Siyu, here: Path, doubtful: int, how: str, state: str) -> None:
    assert siyu("outbox", "settle", str(doubtful), how).lines[0].startswith("好的")
    row = json.loads(siyu("outbox", "--json").out)[-1]
    assert (row["id"], row["state"]) == (doubtful, state)
    assert "只有「不确定」的才需要下结论" in siyu("outbox", "settle", str(doubtful), how).complaint


def test_settling_what_is_not_there(siyu: Siyu, here: Path) -> None:
    assert siyu("outbox", "settle", "99999999", "sent").complaint.startswith("发件箱里没有")
    assert siyu("outbox", "resume").lines == ["发送本来就是正常的。"]


def test_the_workspace_may_be_named_anywhere(
    siyu: Siyu, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = ("--workspace", str(shop))
    assert siyu("outbox", *named, "resume").status == 0
    assert siyu("outbox", "resume", *named).status == 0
    assert "siyu init" in siyu("outbox", "resume").complaint
    monkeypatch.setenv("SIYU_WORKSPACE", str(shop))
    assert siyu("status").status == 0
    assert siyu("outbox", "resume").status == 0
    monkeypatch.setenv("SIYU_WORKSPACE", str(tmp_path / "gone"))
    assert siyu("outbox", *named, "resume").status == 0
    assert siyu("outbox", "resume", *named).complaint.startswith("工作区 ")


def test_an_empty_workspace(siyu: Siyu, tmp_path: Path) -> None:
    root = str(open_shop(tmp_path / "new"))
    assert siyu("contacts", "--workspace", root).lines == ["还没有联系人。"]
    assert siyu("outbox", "--workspace", root).lines == ["发件箱是空的。"]
    assert json.loads(siyu("outbox", "--json", "--workspace", root).out) == []


def test_what_people_write_cannot_steer_the_terminal(siyu: Siyu, tmp_path: Path) -> None:
    root = str(open_shop(tmp_path / "odd"))
    hostile = "多少钱 \x1b[2J[red]\u202e[/b] {{7*7}}\n"
    played = siyu("chat", "--workspace", root, lines=hostile)
    told = siyu("explain", "小雨", "--workspace", root)
    for ended in (played, told):
        assert ended.status == 0
        assert "\x1b[2J" not in ended.out
        assert "\u202e" not in ended.out
        assert "[red]" in ended.out
        assert "{{7*7}}" in ended.out
