"""`siyu sop …` and `siyu explain --why-not`, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storage.sql import fetch
from storage.store import Store
from tests.bot.cli.conftest import Siyu
from tests.support import write

FIRST = """
sops:
  - id: nf
    title: 新友
    steps:
      - {id: hello, after: 5d, do: [{say: hello}]}
      - id: ask
        after: 1d
        if: {tag: VIP}
        do: [{say: price}]
        reply: {within: 24h, cases: [{match: {any: [要]}, then: exit}]}
  - {id: camp, for: group, steps: [{id: open, after: 5d, do: [{say: hello}]}]}
"""
SECOND = FIRST.replace("id: hello, after: 5d", "id: hello, after: 9d").replace(
    "      - id: ask", "      - {id: more, after: 1d, do: [{say: price}]}\n      - id: ask"
)


@pytest.fixture
def shop_with_sops(here: Path) -> Path:
    write(here / "sops.yaml", FIRST)
    return here


def rows(root: Path, sql: str) -> list[tuple[Any, ...]]:
    store = Store("sqlite:///data/siyu.db", root=root)
    try:
        with store.read() as connection:
            return [tuple(row) for row in fetch(connection, sql)]
    finally:
        store.close()


def test_the_list_and_its_json(siyu: Siyu, shop_with_sops: Path) -> None:
    siyu("sop", "enroll", "nf", "小雨")
    siyu("sop", "pause", "camp")
    heading, first, second = siyu("sop", "list").lines
    assert heading.split()[:4] == ["SOP", "版本", "在途", "旧版本"]
    assert first.split()[0::8] == ["nf", "新友"]
    assert second.split()[-1] == "（暂停中）"
    one = json.loads(siyu("sop", "list", "--json").out)[0]
    assert (one["id"], one["active"], one["older"], one["paused"]) == ("nf", 1, 0, False)


def test_no_sops_yet(siyu: Siyu, here: Path) -> None:
    assert siyu("sop", "list").lines == [
        "还没有 SOP。写在 YAML 的 sops 里，例子在 siyu init 建出来的 sop 文件夹。"
    ]


def test_the_diagram_and_who_stands_where(siyu: Siyu, shop_with_sops: Path) -> None:
    siyu("sop", "enroll", "nf", "小雨")
    out = siyu("sop", "show", "nf").out
    assert "● hello　【1 人】" in out
    assert "上一步之后 1 天（条件：带标签「VIP」） → 说 price，等回复 1 天：" in out
    write(shop_with_sops / "sops.yaml", SECOND)
    out = siyu("sop", "show", "nf").out
    assert "旧版本" in out
    assert "停在 hello：1 人" in out
    assert "siyu sop migrate nf" in out
    versions = json.loads(siyu("sop", "show", "nf", "--json").out)["versions"]
    assert [(v["current"], v["active"]) for v in versions] == [(True, 0), (False, 1)]
    assert versions[1]["steps"][0]["standing"] == {"step": 1}


def test_a_paused_one_says_so(siyu: Siyu, shop_with_sops: Path) -> None:
    assert siyu("sop", "pause", "nf").lines == ["好的，nf 暂停了。恢复：siyu sop resume nf"]
    assert "本来就停着" in siyu("sop", "pause", "nf").out
    assert siyu("sop", "show", "nf").out.startswith("（从 ")
    ended = siyu("sop", "enroll", "nf", "小雨")
    assert ended.status == 1
    assert "没有进去：这个 SOP 暂停了，不再进人" in ended.out
    assert siyu("sop", "resume", "nf").lines == ["好的，nf 接着走。"]
    assert siyu("sop", "resume", "nf").lines == ["nf 本来就没有暂停。"]


def test_resuming_tells_what_is_overdue(siyu: Siyu, shop_with_sops: Path) -> None:
    write(shop_with_sops / "sops.yaml", FIRST.replace("after: 5d", "after: 0s"))
    siyu("sop", "enroll", "nf", "小雨")
    siyu("sop", "pause", "nf")
    assert "有 1 个在途的误了点" in siyu("sop", "resume", "nf").out


def test_in_and_out_by_name(siyu: Siyu, shop_with_sops: Path) -> None:
    ended = siyu("sop", "enroll", "nf", "小雨", "没有这个人", "妈妈群")
    assert ended.status == 1
    first, second, third = ended.out.splitlines()
    assert first.endswith("：进了 nf")
    assert second.startswith("没有这个人：没有找到「没有这个人」")
    assert "nf 是给联系人走的" in third
    assert siyu("sop", "enroll", "camp", "妈妈群").lines[0].endswith("：进了 camp")
    (told,) = siyu("sop", "remove", "nf", "小雨").lines
    assert told.endswith("移出了 nf，以后不会自动再进来")
    again = siyu("sop", "remove", "nf", "小雨")
    assert again.status == 1
    assert again.out.rstrip().endswith("本来就不在 nf 里")
    assert rows(shop_with_sops, "SELECT sop, state FROM enrollment ORDER BY id") == [
        ("nf", "removed"),
        ("camp", "active"),
    ]


@pytest.mark.parametrize("command", ["show", "pause", "resume", "migrate"])
def test_an_sop_that_is_not_there(siyu: Siyu, shop_with_sops: Path, command: str) -> None:
    assert siyu("sop", command, "x").complaint == "没有「x」这个 SOP。有：nf、camp"


def test_a_migration_is_shown_done_and_undone(siyu: Siyu, shop_with_sops: Path) -> None:
    where = "SELECT digest, step, due_at, past FROM enrollment"
    siyu("sop", "enroll", "nf", "小雨", "{{7*7}}")
    before = rows(shop_with_sops, where)
    assert "没有人在旧版本上，不用换。" in siyu("sop", "migrate", "nf").out
    write(shop_with_sops / "sops.yaml", SECOND)
    out = siyu("sop", "migrate", "nf").out
    assert "＋ 新增 more（在 hello 之后）：上一步之后 1 天，说 price" in out
    assert "～ hello 的时间：上一步之后 5 天 改成 上一步之后 9 天" in out
    assert "停在 hello 2 人 → 留在 hello，时间按新版本重新算" in out
    assert "这是预演，什么都没动" in out
    assert rows(shop_with_sops, where) == before
    plan = json.loads(siyu("sop", "migrate", "nf", "--json").out)
    assert (plan["applied"], plan["moved"]) == (False, 0)
    assert [(g["step"], g["count"], g["how"]) for g in plan["versions"][0]["groups"]] == [
        ("hello", 2, "retimed")
    ]

    assert "换好了：2 人" in siyu("sop", "migrate", "nf", "--yes").out
    after = rows(shop_with_sops, where)
    assert [new[2] - old[2] for old, new in zip(before, after, strict=True)] == [4 * 86_400_000] * 2
    assert "退回了：2 人回到原来站的地方。" in siyu("sop", "migrate", "nf", "--undo").out
    assert rows(shop_with_sops, where) == before
    assert siyu("sop", "migrate", "nf", "--undo").complaint == "nf 没有可以退回的换版本。"
    siyu("sop", "migrate", "nf", "--yes", "--json")
    undone = json.loads(siyu("sop", "migrate", "nf", "--undo", "--json").out)
    assert undone == {"sop": "nf", "restored": 2, "relocated": 0, "left": 0}


def test_what_the_files_no_longer_have(siyu: Siyu, shop_with_sops: Path) -> None:
    siyu("sop", "enroll", "nf", "小雨")
    write(shop_with_sops / "sops.yaml", "sops: []")
    assert "文件里已经没有" in siyu("sop", "list").out
    assert "● hello　【1 人】" in siyu("sop", "show", "nf").out
    assert siyu("sop", "pause", "nf").status == 0
    assert siyu("explain", "小雨", "--sop", "nf", "--why-not", "ask").status == 0
    assert siyu("sop", "remove", "nf", "小雨").status == 0


# --- explain -------------------------------------------------------------------------------------


def test_explain_one_sop(siyu: Siyu, shop_with_sops: Path) -> None:
    siyu("sop", "enroll", "nf", "小雨")
    label, _day, entered, *rest = siyu("explain", "小雨", "--sop", "nf").lines
    assert label.startswith("小雨")
    assert entered[7:] == "［进来］SOP 新友：运营用命令拉进来的"
    assert "［等着］SOP 新友 的步骤 hello：还没到时间，要到" in "\n".join(rest)
    told = json.loads(siyu("explain", "小雨", "--sop", "nf", "--json").out)
    assert [row["outcome"] for row in told] == ["entered", "waiting"]


def test_why_not(siyu: Siyu, shop_with_sops: Path) -> None:
    siyu("sop", "enroll", "nf", "小雨")
    _, answer = siyu("explain", "小雨", "--why-not", "ask").lines
    assert answer.startswith("还没走到，现在停在 hello：还没到时间，要到")
    told = json.loads(siyu("explain", "小雨", "--sop", "nf", "--why-not", "ask", "--json").out)
    assert told["answer"] == [answer]
    _, rule = siyu("explain", "小雨", "--why-not", "price").lines
    assert "还在冷却时间 cooldown 里" in rule
    assert "没有「x」这一步" in siyu("explain", "小雨", "--why-not", "x").complaint
    asked = siyu("explain", "小雨", "--sop", "nf", "--why-not", "x")
    assert asked.complaint == "nf 里没有「x」这一步。有：hello、ask"
    assert siyu("explain", "小雨", "--sop", "x").complaint.startswith("没有「x」这个 SOP")


def test_a_step_of_several_sops_asks_which(siyu: Siyu, shop_with_sops: Path) -> None:
    write(
        shop_with_sops / "sops.yaml",
        FIRST + "  - {id: other, steps: [{id: ask, after: 1d, do: [{say: hello}]}]}\n",
    )
    asked = siyu("explain", "小雨", "--why-not", "ask")
    assert "好几个 SOP 里都有 ask（nf、other）" in asked.complaint
    siyu("sop", "enroll", "other", "小雨")  # which one is plain now
    assert "站在这一步" in siyu("explain", "小雨", "--why-not", "ask").out
