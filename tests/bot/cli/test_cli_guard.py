"""`siyu guard`: what it did, what it thinks of a text, and taking it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bot.cli.conftest import Siyu, open_shop
from tests.support import write

ADVERT = "低价代购，加V：abc12345 有意者私聊"
GUARD = "guard: {mode: confirm, say: hello, words: [刷单], allow: {links: xiaoman.shop}}\n"


@pytest.fixture
def guarded(siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop in whose group somebody advertised, and somebody was nearly suspected."""
    root = open_shop(tmp_path / "guarded")
    write(root / "guard.yaml", GUARD)
    monkeypatch.chdir(root)
    assert (
        siyu("chat", lines=f"/进群 妈妈群\n/群 妈妈群\n{ADVERT}\n进群领券 限时优惠\n").status == 0
    )
    return root


def test_before_anything_happened(siyu: Siyu, here: Path) -> None:
    assert siyu("guard").lines == [
        "还没有写 guard，没有群在管。例子在 siyu init 建出来的 guard.yaml。",
        "群管还没做过什么。",
    ]
    assert json.loads(siyu("guard", "--json").out) == {"acts": [], "strikes": [], "blacklist": []}


def test_what_it_did_and_why(siyu: Siyu, guarded: Path) -> None:
    heading, warn, alert, hint, strike = siyu("guard").lines
    assert heading.split() == ["编号", "时间", "群", "谁", "分", "怎么办了", "说了什么"]
    assert "妈妈群" in warn and "记第 1 次" in warn and "留了联系方式「微信:abc12345」 +40" in warn
    assert "像广告" in alert and "进群领券" in alert
    assert hint == "弄错了的：siyu guard undo 编号"
    assert "记了 1 次" in strike
    (first, second) = json.loads(siyu("guard", "--json").out)["acts"]
    assert {first["sentence"], second["sentence"]} == {"warn", "alert"}
    assert len(json.loads(siyu("guard", "--last", "1", "--json").out)["acts"]) == 1


def test_undoing(siyu: Siyu, guarded: Path) -> None:
    found = json.loads(siyu("guard", "--json").out)
    (warn,) = (act for act in found["acts"] if act["sentence"] == "warn")
    assert siyu("guard", "undo", str(warn["id"])).lines == ["好的，撤销了，这次不记。"]
    assert json.loads(siyu("guard", "--json").out)["strikes"] == []
    assert "已经撤销过了" in siyu("guard", "undo", str(warn["id"])).complaint
    assert "没有 7 号" in siyu("guard", "undo", "7").complaint


def test_what_it_thinks_of_a_text(siyu: Siyu, guarded: Path) -> None:
    first, *reasons = siyu("guard", "test", "加V：abc12345 低价代购").lines
    assert first == "84 分：会记一次（30 分告诉运营，60 分记一次）"
    assert reasons[0] == "  留了联系方式「微信:abc12345」 +40"
    assert siyu("guard", "test", "宝宝会翻身了").lines == [
        "0 分：不算广告（30 分告诉运营，60 分记一次）"
    ]
    told = json.loads(siyu("guard", "test", "谁在刷单", "--json").out)
    assert (told["points"], told["level"]) == (100, "act")
    assert told["reasons"][0]["kind"] == "word"


@pytest.mark.parametrize(
    ("link", "points"),
    [
        ("https://xiaoman.shop/p/1", 0),
        ("https://m.xiaoman.shop", 0),
        ("https://bad.shop/?u=xiaoman.shop", 30),
        ("https://xiaoman.shop.bad.top/p", 30),
        ("https://xiaoman.shop@bad.top/p", 30),
        ("https://notxiaoman.shop/p", 30),
    ],
)
def test_only_our_own_links_are_allowed(siyu: Siyu, guarded: Path, link: str, points: int) -> None:
    told = json.loads(siyu("guard", "test", f"看看这个 {link} ", "--json").out)
    assert told["points"] == points
