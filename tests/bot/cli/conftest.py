"""The command line as its users call it, and a small shop in which something has happened."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli.main import run
from bot.cli.main import siyu as siyu_command
from storage.sql import run_rows
from storage.store import Store
from tests.support import write

RULES = """
tags: {意向: {}, VIP: {}}
rules:
  - {id: accept, on: friend_request, do: [{accept: true}]}
  - {id: welcome, on: friend_added, do: [{say: hello}]}
  - {id: price, on: message, match: {any: [多少钱]}, cooldown: 10m, do: [{tag: 意向}, {say: price}]}
"""
LINES = "多少钱\n多少钱\n/进群 妈妈群\n/我是 {{7*7}}\n多少钱\n"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed, after ending well."""
        assert (self.status, self.err) == (0, "")
        return self.out.splitlines()

    @property
    def complaint(self) -> str:
        """What it said after ending for a mistake of its user."""
        assert (self.status, self.out) == (2, "")
        assert "Traceback" not in self.err
        return self.err.rstrip("\n")


Siyu = Callable[..., Ended]


@pytest.fixture
def siyu(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Siyu:
    """`siyu("contacts", "--json")` in this process; `lines` are typed into it."""
    monkeypatch.delenv("SIYU_WORKSPACE", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    mask = os.umask(0o022)
    request.addfinalizer(lambda: os.umask(mask))  # the program sets its own

    def call(*words: str, lines: str = "") -> Ended:
        monkeypatch.setattr(sys, "argv", ["siyu", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return call


def open_shop(root: Path, settings: str = "") -> Path:
    """A workspace of a few lines."""
    write(root / "siyu.yaml", f"community: 小满家\noperators: [wxid_boss]\n{settings}\n")
    write(root / "rules.yaml", RULES)
    write(root / "templates/hello.j2", "你来啦")
    write(root / "templates/price.j2", "59 一包")
    return root


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop where 小雨 asked twice, joined a group, and somebody with an odd name came."""
    root = open_shop(tmp_path_factory.mktemp("played") / "shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(LINES))
        siyu_command.main(["chat", "--workspace", str(root)], standalone_mode=False)
    return root


@pytest.fixture
def shop(played: Path, tmp_path: Path) -> Path:
    """That shop, to do with as the test likes."""
    return shutil.copytree(played, tmp_path / "shop")


@pytest.fixture
def doubtful(shop: Path) -> int:
    """The number of a message of which nobody knows whether it arrived."""
    store = Store("sqlite:///data/siyu.db", root=shop)
    with store.read() as connection:
        (number,) = connection.exec_driver_sql("SELECT MAX(id) FROM outbox").one()
    store.write(
        lambda tx: run_rows(
            tx.connection,
            "UPDATE outbox SET state = 'unknown', reason = '没有回音' WHERE id = ?",
            [(number,)],
        )
    )
    store.close()
    return int(number)


@pytest.fixture
def here(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shop, and we are in it."""
    monkeypatch.chdir(shop)
    return shop


__all__ = ["Ended", "Siyu", "open_shop"]
