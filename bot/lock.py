"""One bot a workspace: a second one would take the first one's sends for stranded."""

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
def sole_bot(root: Path) -> Iterator[None]:
    """Hold the workspace. The system lets go of it when the process dies, however it dies."""
    path = _path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        if not _grab(file):
            raise WorkspaceError(
                f"这个工作区已经有一个机器人在跑（进程号 {_pid(file)}）。要重新启动，先停掉那一个。"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def running(root: Path) -> int | None:
    """The process id of the workspace's bot; None when none runs."""
    path = _path(root)
    if not path.exists():
        return None
    with path.open("r", encoding="ascii") as file:
        return None if _grab(file) else _pid(file)


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
