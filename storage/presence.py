"""Whether the database's file is still the one that is being written, and is on the disk.

SQLite goes on writing to a file that was moved, replaced or deleted, and over a log that was cut
off; nobody who opens the database later would find any of it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from storage.trouble import DatabaseTrouble, NotFlushed


class Presence:
    """Watches an open SQLite file and its write-ahead log from outside."""

    def __init__(self, path: Path) -> None:
        self._path, self._log = path, Path(f"{path}-wal")
        self._file = _identity(path)
        self._length = _length(self._log)
        self._folder_is_safe = False

    def check(self) -> None:
        """Raise `DatabaseTrouble` when what is written now could not be found again."""
        if self._file is None:
            return  # in memory
        if _identity(self._path) != self._file:
            raise DatabaseTrouble(
                f"数据库文件 {self._path.name} 被移走、删掉或换掉了。没有消息会发出去；"
                "请把原来的文件放回去。想换成备份的话，先停下机器人再换。"
            )
        if _length(self._log) < self._length:
            raise DatabaseTrouble(
                f"数据库的 {self._log.name} 文件被删掉或截短了，最近的记录可能丢了。"
                "没有消息会发出去；请停下机器人再启动，起不来就换回备份。"
            )

    def note(self) -> None:
        """Remember how long the log is; while it is open it never gets shorter."""
        self._length = _length(self._log)

    def flush(self) -> None:
        """Have all that is committed on the disk, so that a power cut cannot take it back.

        Call it before `note`. Raises `NotFlushed` when the disk refuses.
        """
        if self._file is None:
            return
        try:
            _sync(self._log)
            if not self._folder_is_safe:
                with suppress(OSError):  # some systems open no folders, or do not flush them
                    _sync(self._log.parent)
                self._folder_is_safe = True
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not self._length:
                return  # where no log is possible SQLite flushes at every commit
            raise NotFlushed(
                f"磁盘没有写下 {self._log.name}，没有消息会发出去。请看看磁盘是不是好的。"
            ) from error


def _sync(path: Path) -> None:
    found = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(found)
    finally:
        os.close(found)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
