"""What the program keeps to itself: files are their owner's, secrets and words are not shown."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from bot.discreet import Formatter, discreet
from bot.live import make_channel
from bot.workspace import read_workspace
from sop.errors import ChannelError, StorageError
from storage.sql import run_rows
from storage.store import Store
from tests.bot.cli.conftest import Siyu, open_shop
from tests.gateway.gateway import free_port
from tests.support import write

CANARY = "kanarienvogel"


def modes(root: Path) -> dict[str, int]:
    """What others may do with everything below a folder."""
    found = {str(p.relative_to(root)): p.stat().st_mode & 0o077 for p in root.rglob("*")}
    return {name: mode for name, mode in found.items() if mode}


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
def test_what_is_written_is_its_owners_alone(siyu: Siyu, tmp_path: Path) -> None:
    root = tmp_path / "shop"
    assert siyu("init", str(root)).status == 0
    assert siyu("chat", "--workspace", str(root), lines="多少钱\n").status == 0
    out = tmp_path / "people.csv"
    assert siyu("export", str(out), "--workspace", str(root)).status == 0
    assert (root / "data" / "siyu.db").exists()
    assert modes(root) == {}
    assert root.stat().st_mode & 0o077 == out.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
def test_doctor_says_what_others_can_read(siyu: Siyu, tmp_path: Path) -> None:
    channel = f"channel: {{kind: wechaty, endpoint: '127.0.0.1:{free_port()}', token: {CANARY}}}"
    root = open_shop(tmp_path / "shop", channel)
    found = siyu("doctor", "--workspace", str(root))
    assert "这台机器上的别人也能读 siyu.yaml" in found.out
    assert "能读 siyu.db" not in found.out
    assert CANARY not in found.out + found.err
    (root / "siyu.yaml").chmod(0o600)
    (root / "data" / "siyu.db").chmod(0o640)
    found = siyu("doctor", "--workspace", str(root))
    assert "能读 siyu.yaml" not in found.out
    assert "能读 siyu.db" in found.out


SETTINGS = [
    "channel: {kind: wechaty, endpoint: nowhere, token: %s}",
    "channel: {kind: wechaty, endpoint: '127.0.0.1:1', token: [%s]}",
    "channel: {kind: wechaty, endpoint: '127.0.0.1:1', token: {%s: 1}}",
    "channel: {kind: wechaty, endpoint: '127.0.0.1:1', token: %s, extra: 1}",
    "channel: {kind: wechaty, endpoint: '127.0.0.1:1', token: 4711.%s}\nlimits: 1",
    "answers: {model: {url: nowhere, name: x, key: %s}}",
    "answers: {model: {url: 'https://a.cn', name: x, key: [%s]}}",
    "answers: {embeddings: {url: 'https://a.cn', name: x, key: {%s: 1}}}",
    "storage: 'postgresql://u:%s@127.0.0.1:1/x'",
    "storage: 'postgresql//u:%s@127.0.0.1:1/x'",
    "storage: 'postgresql://u:%s@127.0.0.1:port/x'",
    "storage: 'postgres//u:%s@127.0.0.1:1/x'",
    "storage: 'mysql://u:p@%s@127.0.0.1/x'",
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_no_secret_is_said_whatever_is_wrong(
    siyu: Siyu, tmp_path: Path, settings: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    root = open_shop(tmp_path / "shop", settings % CANARY)
    for command in (("check",), ("doctor",), ("status", "--json"), ("-v", "contacts")):
        found = siyu(*command, "--workspace", str(root))
        assert CANARY not in found.out + found.err, (command, found)
    assert CANARY not in caplog.text


def test_a_number_as_token_is_not_shown(siyu: Siyu, tmp_path: Path) -> None:
    channel = "channel: {kind: wechaty, endpoint: '127.0.0.1:1', token: 4711471147}"
    root = open_shop(tmp_path / "shop", channel)
    said = siyu("check", "--workspace", str(root))
    assert "（不显示）" in said.out + said.err
    assert "4711471147" not in said.out + said.err


def test_json_and_reprs_hold_no_secret(siyu: Siyu, tmp_path: Path) -> None:
    more = (
        f"channel: {{kind: wechaty, endpoint: '127.0.0.1:1', token: {CANARY}}}\n"
        f"answers: {{model: {{url: 'http://127.0.0.1:1', name: x, key: {CANARY}}}}}"
    )
    root = open_shop(tmp_path / "shop", more)
    said = "".join(siyu("status", "--json", "--workspace", str(root)).lines)
    assert CANARY not in said and json.loads(said)["running"] is False
    space = read_workspace(root, env={})
    assert CANARY not in repr(space.settings)
    assert CANARY not in repr(make_channel(space, now=lambda: 0))


async def test_a_gateways_and_its_librarys_errors_hold_no_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = f"channel: {{kind: wechaty, endpoint: '127.0.0.1:{free_port()}', token: {CANARY}}}"
    space = read_workspace(open_shop(tmp_path / "shop", channel), env={})
    link = make_channel(space, now=lambda: 0)._link  # type: ignore[attr-defined]
    with pytest.raises(ChannelError) as caught:
        async with asyncio.timeout(20):
            await link.open()
    await link.close()
    assert CANARY not in discreet(caught.value) + repr(caught.value.__cause__) + caplog.text


# --- tracebacks ----------------------------------------------------------------------------------


def _fail(words: str) -> None:
    try:
        raise ValueError(words)
    except ValueError as error:
        raise RuntimeError(f"again {words}") from error


def test_a_traceback_says_where_and_what_but_no_words(caplog: pytest.LogCaptureFixture) -> None:
    try:
        _fail(CANARY)
    except RuntimeError as error:
        told = discreet(ExceptionGroup(CANARY, [error, StorageError("磁盘满了"), KeyError(CANARY)]))
        logging.getLogger("siyu.x").exception("it failed")
        record = caplog.records[-1]
        record.exc_text = None  # as pytest's own handler told it
        line = Formatter("%(message)s").format(record)
    for text in (told, line):
        assert CANARY not in text
        assert "builtins.ValueError" in text and "builtins.RuntimeError" in text
        assert "in _fail" in text
    assert "sop.errors.StorageError: 磁盘满了" in told


def test_a_row_that_the_database_quotes_stays_out_of_the_log(url: str) -> None:
    """PostgreSQL's own words quote the row that it refuses."""
    store = Store(url)
    with pytest.raises(IntegrityError) as caught:
        store.write(
            lambda tx: run_rows(
                tx.connection, "INSERT INTO counter (name, next) VALUES (?, ?)", [(CANARY, None)]
            )
        )
    assert CANARY not in discreet(caught.value)
    store.close()


def test_the_report_of_a_crash_is_discreet_and_its_owners(
    siyu: Siyu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("bot.cli.look.story.contacts", lambda *_a, **_m: _fail(CANARY))
    root = open_shop(tmp_path / "shop")
    ended = siyu("contacts", "--workspace", str(root))
    (report,) = tmp_path.glob("siyu-error-*.log")
    assert ended.status == 1
    assert report.stat().st_mode & 0o077 == 0
    assert "in _fail" in report.read_text("utf-8")
    assert CANARY not in ended.out + ended.err + report.read_text("utf-8")


# --- media ---------------------------------------------------------------------------------------

PATHS = [
    "../siyu.yaml", "../../outside.txt", "/etc/passwd", "media/../siyu.yaml", "link.txt",
    "folder/a.txt", "..\\siyu.yaml", "media/%2e%2e/siyu.yaml", "file:/etc/passwd",
    "./../siyu.yaml", "~/.ssh/id_rsa",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_template_reaches_beyond_media(siyu: Siyu, tmp_path: Path, path: str) -> None:
    root = open_shop(tmp_path / "shop")
    write(tmp_path / "outside" / "a.txt", "x")
    write(root / "media" / "a.txt", "x")
    (root / "media" / "link.txt").symlink_to(tmp_path / "outside" / "a.txt")
    (root / "media" / "folder").symlink_to(tmp_path / "outside")
    write(root / "templates" / "hello.j2", f"---\nfile: '{path}'\n---\n好")
    said = siyu("check", "--workspace", str(root))
    assert said.status != 0
    assert "templates/hello.j2:2:" in said.out + said.err
    assert "media/link.txt:1:1" in said.out + said.err
