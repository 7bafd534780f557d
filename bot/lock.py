"""One bot a workspace and a database: a second would take the first one's sends for stranded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sop.errors import WorkspaceError

try:
    import fcntl
except ImportError:  # Windows: nothing to hold on to, so nothing is promised
    fcntl = None  # type: ignore[assignment]


@contextmanager
def sole_bot(root: Path) -> Iterator[str]:
    """Hold the workspace. The system lets go of it when the process dies, however it dies.

    Gives a name of the workspace on this host: an earlier process of that name is surely dead.
    Empty where the system cannot hold anything.
    """
    path = _path(root)
    refused = "这个工作区已经有一个机器人在跑（进程号 {pid}）。要重新启动，先停掉那一个。"
    with _held(path, refused) as file:
        here = os.fstat(file.fileno())
        yield f"{here.st_dev}:{here.st_ino}:{path}" if fcntl else ""


@contextmanager
def sole_user(database: Path | None) -> Iterator[None]:
    """Hold an SQLite file, which a bot of another workspace may name too. None: nothing to hold."""
    if database is None:
        yield
        return
    refused = (
        f"数据库 {database} 已经有另一个工作区的机器人在用（进程号 {{pid}}）。"
        "先停掉那一个，或者把这里 siyu.yaml 的 storage 换成自己的数据库。"
    )
    with _held(Path(f"{database.resolve()}.lock"), refused):
        yield


def running(root: Path) -> int | None:
    """The process id of the workspace's bot; None when none runs."""
    path = _path(root)
    if not path.exists():
        return None
    with path.open("r", encoding="ascii") as file:
        return None if _grab(file) else _pid(file)


@contextmanager
def _held(path: Path, refused: str) -> Iterator[IO[str]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        if not _grab(file):
            raise WorkspaceError(refused.format(pid=_pid(file)))
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file


def _path(root: Path) -> Path:
    return root / "data" / "siyu.lock"


def _grab(file: IO[str]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(file: IO[str]) -> int:
    file.seek(0)
    return int(file.read() or 0)
