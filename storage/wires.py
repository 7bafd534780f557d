"""The connections to a database server, to be cut when it answers no more."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event

from storage.trouble import DatabaseTrouble


class Wires:
    """Every connection an engine has open, whichever thread waits on it."""

    def __init__(self, engine: Engine) -> None:
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.Lock()
        self.are_cut = False
        event.listen(engine, "do_connect", self._refuse)
        event.listen(engine, "connect", self._note)

    def cut(self) -> None:
        """From here on no statement waits any longer, and no connection is made.

        What waits ends as if the server had hung up. Call from any thread.
        """
        with self._lock:
            self.are_cut = True
            waiting = list(self._open)
        for connection in waiting:
            _cut(connection)

    def _refuse(self, *_: Any) -> None:
        if self.are_cut:
            raise DatabaseTrouble

    def _note(self, connection: Any, _record: Any) -> None:
        with self._lock:
            self._open.add(connection)
            late = self.are_cut  # it was being made meanwhile
        if late:
            _cut(connection)


def _cut(connection: Any) -> None:
    # The driver's own `close` frees what another thread is just reading from.
    with (
        suppress(Exception),  # one that is closed already has no wire
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)
