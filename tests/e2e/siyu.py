"""A real `siyu run` in a process of its own, and the other commands beside it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.gateway.gateway import Gateway
from tests.support import NO_GAPS, write

SIYU = Path(sys.executable).with_name("siyu")  # the installed entry point
PATIENCE = 60.0  # seconds; only a broken test waits so long

RULES = """
tags:
  意向: {values: [低, 中, 高], one_of: true}
rules:
  - {id: price, on: message, match: {any: [多少钱]}, do: [{tag: 意向/中}, {say: price}]}
  - {id: echo, on: message, match: {regex: "^说"}, do: [{say: echo}]}
"""


class Shop:
    """A workspace on disk whose channel is a gateway, and the `siyu` commands on it."""

    def __init__(self, root: Path, gateway: Gateway, *, token: str = "", more: str = "") -> None:
        self.root = root
        channel = f"kind: wechaty, endpoint: '{gateway.endpoint}', tls: false"
        channel += f", token: '{token or gateway.token}'{more}"
        self.write("siyu.yaml", f"community: 小满家\nchannel: {{{channel}}}\n{NO_GAPS}\n")
        self.write("rules.yaml", RULES)
        self.write("templates/price.j2", "三十九")
        self.write("templates/echo.j2", "{{ text }}")

    def write(self, name: str, text: str) -> None:
        """Save a file, as an editor does: whole, under its name at once."""
        draft = self.root / ".draft"
        write(draft, text)
        (self.root / name).parent.mkdir(exist_ok=True)
        draft.replace(self.root / name)

    async def ask(self, *words: str) -> str:
        """What a command prints."""
        done = await asyncio.to_thread(
            subprocess.run, self.command(*words), capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    async def json(self, *words: str) -> Any:
        """What a command prints with `--json`."""
        return json.loads(await self.ask(*words, "--json"))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of its database, without the price of another process."""
        with closing(sqlite3.connect(self.root / "data" / "siyu.db", timeout=PATIENCE)) as database:
            return [tuple(row) for row in database.execute(sql)]

    def command(self, *words: str) -> list[str]:
        """The command line."""
        return [str(SIYU), *words, "--workspace", str(self.root)]


class Running:
    """`siyu run` on a shop, until it ends or is ended."""

    def __init__(self, shop: Shop, *options: str, before: Sequence[str] = ()) -> None:
        """`before`: words in front of the command, as `nice` would be."""
        self._process = subprocess.Popen(
            [*before, *shop.command("run", *options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                self._lines.append(line.rstrip("\n"))
                self._more.notify_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """All it said so far."""
        with self._more:
            return "\n".join(self._lines)

    async def says(self, words: str, times: int = 1) -> None:
        """Wait until it said this so many times."""

        def wait() -> bool:
            with self._more:
                return self._more.wait_for(lambda: self._said(words) >= times, timeout=PATIENCE)

        assert await asyncio.to_thread(wait), f"never said {words}, but:\n{self.output}"

    def _said(self, words: str) -> int:
        return sum(words in line for line in self._lines)

    async def ready(self) -> None:
        """Wait until it is logged in."""
        await self.says("登录成功")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def freeze(self) -> None:
        """SIGSTOP; returns once no thread of it runs any more."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    async def ends(self) -> int:
        """Wait for its end and return its exit status."""
        status = await asyncio.to_thread(self._process.wait, PATIENCE)
        await asyncio.to_thread(self._reader.join, PATIENCE)
        return status

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
