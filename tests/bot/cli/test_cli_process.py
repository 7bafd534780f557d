"""The entry point as a process of its own: exit codes, encodings, pipes, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bot.cli.conftest import open_shop

SIYU = (sys.executable, "-c", "from bot.cli.main import run; run()")


def _start(*words: str, cwd: Path, **more: str) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.Popen(
        [*SIYU, *words],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(Path(__file__).parents[3]), **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return open_shop(tmp_path_factory.mktemp("shop"))


def test_an_ascii_terminal_gets_utf8(shop: Path) -> None:
    process = _start("contacts", cwd=shop, PYTHONIOENCODING="ascii", LC_ALL="C")
    out, err = process.communicate()
    assert (process.returncode, out.decode(), err) == (0, "还没有联系人。\n", b"")


def test_a_terminal_without_chinese_gets_what_it_can_show(shop: Path) -> None:
    process = _start("check", cwd=shop, PYTHONIOENCODING="latin-1")
    out, _ = process.communicate()
    assert process.returncode == 0
    assert set(out.decode("latin-1").strip()) <= set("?\n")


def test_bytes_that_are_no_text(shop: Path) -> None:
    process = _start("chat", cwd=shop, PYTHONIOENCODING="utf-8")
    out, err = process.communicate(b"\xff\xfe\n")
    assert (process.returncode, err) == (0, b"")
    assert "没有一条规则要回这句话" in out.decode()


def test_a_reader_who_leaves(shop: Path) -> None:
    with _start("demo", cwd=shop) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert b"Traceback" not in err
    assert b"Exception" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_until_told_to_stop(shop: Path, number: signal.Signals) -> None:
    process = _start("run", cwd=shop, PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    began = [process.stdout.readline().decode() for _ in range(3)]
    assert began[0].startswith("小满家：启动中")
    assert began[2].endswith("模拟账号登录了，机器人开始工作\n")
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out.decode(), err) == (0, "已停下。\n", b"")


def test_a_mistake_is_status_two(shop: Path) -> None:
    process = _start("chek", cwd=shop)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert err.decode().count("\n") == 1
