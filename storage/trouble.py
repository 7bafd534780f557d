"""Telling a database in trouble (locked, full, gone) from a mistake of ours."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from sop.errors import StorageError


class DatabaseTrouble(StorageError):
    """数据库现在写不进去。没有丢东西；恢复之前不会发消息。"""


class NotFlushed(DatabaseTrouble):
    """已经记下了，但磁盘没有把它写稳。没有消息会发出去。"""


_WORDS = {
    "locked": "数据库正被别的程序占着",
    "full": "磁盘满了",
    "readonly": "数据库文件变成了只读",
    "disk i/o": "磁盘读写出错",
    "malformed": "数据库文件损坏了，请停下机器人，换回备份",
}


def trouble_of(error: Exception) -> DatabaseTrouble | None:
    """The trouble an error is a sign of; None when the database is not to blame."""
    if isinstance(error, DatabaseTrouble):
        return error
    if not isinstance(error, DBAPIError):
        return None
    text = str(error.orig).lower()
    why = next((words for sign, words in _WORDS.items() if sign in text), None)
    # SQLite calls a mistyped column "operational" too; only PostgreSQL's word can be taken as is.
    from_server = isinstance(error, OperationalError | InterfaceError) and "sqlite" not in str(
        type(error.orig)
    )
    if why is None and not error.connection_invalidated and not from_server:
        return None
    return DatabaseTrouble(
        f"{why or '数据库连不上'}，现在写不进去。没有丢东西；恢复之前不会发消息。"
    )
