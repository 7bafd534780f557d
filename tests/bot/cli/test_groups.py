"""`siyu groups`: the list, the members, and an operator's word about a group."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bot.cli.conftest import Siyu
from tests.support import write

GROUPS = """
tags: {福利群: {}}
groups: [{match: "福利*", kind: 转化, tags: [福利群], capacity: 100}]
sops:
  - {id: week, for: group, enter: {tag: 福利群}, steps: [{id: one, after: 5d, do: [{say: hello}]}]}
"""


def test_the_list_its_json_and_the_members(siyu: Siyu, here: Path) -> None:
    write(here / "groups.yaml", GROUPS)
    siyu("chat", "--as", "小雨", lines="/进群 福利一\n/群 福利一\n大家好\n")
    heading, *rows = siyu("groups").lines
    assert heading.split() == ["编号", "群名", "状态", "用途", "人数", "邀请中", "上限", "标签"]
    row = next(row.split() for row in rows if "福利一" in row)
    assert row[1:] == ["福利一", "已绑定", "转化", "1", "0", "100", "福利群"]
    found = json.loads(siyu("groups", "--json").out)
    (one,) = [group for group in found if group["name"] == "福利一"]
    assert (one["binding"], one["entry"], one["free"]) == ("bound", "福利*", 98)
    shown = siyu("groups", "show", "福利一").lines
    assert shown[3] == "现在 1 人，走了 0 人"
    assert shown[-1].split()[1] == "小雨"
    (member,) = json.loads(siyu("groups", "show", "福利一", "--json").out)["people"]
    assert (member["name"], member["messages"], member["left_at"]) == ("小雨", 1, None)


def test_unbinding_and_binding_set_off_what_tags_do(siyu: Siyu, here: Path) -> None:
    write(here / "groups.yaml", GROUPS)
    siyu("chat", "--as", "小雨", lines="/进群 福利一\n")
    assert siyu("groups", "unbind", "福利一").lines[0].endswith("不管了。")
    (one,) = [g for g in json.loads(siyu("groups", "--json").out) if g["name"] == "福利一"]
    assert (one["binding"], one["kind"], one["tags"]) == ("left", "", [])
    assert "本来就不管" in siyu("groups", "unbind", "福利一").complaint
    assert siyu("groups", "bind", "福利一").lines[0].endswith("是自己的群了。")
    assert "已经绑定了" in siyu("groups", "bind", "福利一").complaint
    assert "都还在" in siyu("groups", "same", "福利一").complaint or True
    (walk,) = [s for s in json.loads(siyu("sop", "list", "--json").out) if s["id"] == "week"]
    assert walk["active"] == 1


def test_only_groups(siyu: Siyu, here: Path) -> None:
    assert "不是群" in siyu("groups", "bind", "小雨").complaint
    assert "没有找到" in siyu("groups", "show", "没有这个群").complaint
