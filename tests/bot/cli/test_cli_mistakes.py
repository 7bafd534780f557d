"""What a user may get wrong is one plain Chinese line with what to do, status 2, no traceback."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from bot.cli import write
from tests.bot.cli.conftest import Siyu, open_shop

ENGLISH = re.compile(r"Usage|Error|Options|Commands|Invalid|Missing|No such|argument|directory")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek"], "没有「chek」这个命令，是不是想写 check"),
        (["outbox", "setle"], "没有「setle」这个命令，是不是想写 settle"),
        (["run", "--bogus"], "没有 --bogus 这个选项。怎么写：siyu run --help"),
        (["contacts", "--jsn"], "没有 --jsn 这个选项，是不是想写 --json"),
        (["run", "-v"], "-v 要写在命令前面"),
        (["contacts", "--tag"], "--tag 后面要写内容"),
        (["contacts", "--json=3"], "--json 后面不用写内容"),
        (["contacts", "one", "two"], "「one two」是多出来的"),
        (["contact"], "少写了「名字」"),
        (["init"], "少写了「文件夹」"),
        (["outbox", "--state", "x"], "--state 只能写 queued、sending、"),
        (["moments", "--weeks", "0"], "--weeks 要写 1 到 "),
        (["gaps", "--days", "x"], "--days 要写 1 到 366 的整数"),
        (["outbox", "--last", "x"], "--last 要写一个整数"),
        (["outbox", "settle", "x", "sent"], "「编号」要写一个整数"),
        (["outbox", "settle", "3", "x"], "「sent|failed|resend」只能写 sent、failed、resend"),
        (["schema", "x"], "「settings|definitions」只能写 settings、definitions"),
        (["check", "--workspace", "/nowhere"], "工作区 /nowhere 不存在"),
        (["check", "--workspace", __file__], "是一个文件，不是文件夹"),
    ],
)
def test_mistakes_on_the_line(siyu: Siyu, words: list[str], said: str) -> None:
    complaint = siyu(*words).complaint
    assert said in complaint
    assert "\n" not in complaint
    assert not ENGLISH.search(complaint)


@pytest.mark.parametrize(
    "command", [["contacts"], ["explain", "x"], ["status"], ["outbox"], ["run"], ["chat"]]
)
def test_no_workspace(siyu: Siyu, tmp_path: Path, command: list[str]) -> None:
    assert "先运行 siyu init" in siyu(*command, "--workspace", str(tmp_path)).complaint


def test_broken_files(siyu: Siyu, tmp_path: Path) -> None:
    root = open_shop(tmp_path, "opertors: [x]")
    complaint = siyu("contacts", "--workspace", str(root)).complaint
    assert "siyu.yaml:3:1" in complaint
    assert "siyu check" in complaint
    checked = siyu("check", "--workspace", str(root))
    assert (checked.status, "opertors" in checked.out) == (1, True)
    assert siyu("check", "--json", "--workspace", str(root)).status == 1
    assert siyu("doctor", "--workspace", str(root)).status == 1


def test_a_file_where_the_data_should_be(siyu: Siyu, tmp_path: Path) -> None:
    root = open_shop(tmp_path)
    (root / "data").write_text("", encoding="ascii")
    assert str(root / "data") in siyu("contacts", "--workspace", str(root)).complaint


def test_what_is_no_database(siyu: Siyu, tmp_path: Path) -> None:
    root = open_shop(tmp_path)
    (root / "data").mkdir()
    (root / "data/siyu.db").write_text("nothing of the kind" * 99, encoding="ascii")
    assert "不是 SQLite 数据库" in siyu("contacts", "--workspace", str(root)).complaint
    found = siyu("doctor", "--workspace", str(root))
    assert (found.status, "✗" in found.out) == (1, True)


def test_a_damaged_database(siyu: Siyu, here: Path) -> None:
    connection = sqlite3.connect(here / "data/siyu.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    path = here / "data/siyu.db"
    damaged = bytearray(path.read_bytes())
    damaged[8192:] = bytes(byte ^ 0x5A for byte in damaged[8192:])
    path.write_bytes(damaged)
    ended = siyu("contacts")
    assert ended.status in (1, 2)
    assert len(ended.err.splitlines()) == 1


def test_nobody_of_that_name(siyu: Siyu, here: Path) -> None:
    assert "没有找到「nobody」。用 siyu contacts" in siyu("explain", "nobody").complaint
    assert siyu("explain", "").complaint.startswith("名字是空的")
    assert "没有找到" in siyu("contact", "\udcff\udcfe").complaint


def test_no_group_of_that_name(siyu: Siyu, here: Path) -> None:
    said = siyu("groups", "show", "没有'的\"群").complaint
    assert said == "没有找到「没有'的\"群」。用 siyu groups 看看都有哪些群。"


@pytest.mark.parametrize("empty", ["", "  "])
def test_a_question_of_nothing(siyu: Siyu, here: Path, empty: str) -> None:
    assert siyu("ask", empty).complaint.startswith("问题是空的。")


def test_init_never_overwrites(siyu: Siyu, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="ascii")
    assert "已经有东西了" in siyu("init", str(tmp_path)).complaint
    assert "是一个文件" in siyu("init", str(tmp_path / "file")).complaint
    assert "不是文件夹" in siyu("init", str(tmp_path / "file" / "x")).complaint


def test_init_on_a_full_disk(siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    assert "写不进去：磁盘满了" in siyu("init", str(tmp_path / "new")).complaint


def test_a_mistake_of_ours(siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_folder: Path) -> int:
        raise KeyError("oh")

    monkeypatch.setattr(write, "copy_starter", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = siyu("init", "x")
    (report,) = tmp_path.glob("siyu-error-*.log")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == f"程序自己出错了（KeyError），这是我们的问题。细节写在 {report}\n"
    assert report.read_text(encoding="utf-8").endswith('raise KeyError("oh")\nbuiltins.KeyError\n')


def test_what_the_system_refuses(
    siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_root: Path, **_more: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/shop/siyu.yaml")

    monkeypatch.setattr(write, "inspect_workspace", closed)
    assert siyu("check", "--workspace", str(tmp_path)).complaint == "/srv/shop/siyu.yaml：没有权限"


def test_a_hand_on_ctrl_c(siyu: Siyu, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_folder: Path) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "copy_starter", interrupted)
    assert siyu("init", "x").status == 130
