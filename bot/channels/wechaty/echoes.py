"""Which of the account's own messages came from a plugin: nobody may take them for a human's."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bot.channels.port import NotSent

REMEMBERED = 5_000  # sends whose echo may still come


@dataclass(slots=True)
class Sent:
    """What a plugin's send came to; whoever sends fills in the id, when there is one."""

    id: str = ""


class Echoes:
    """Remembers what plugins sent, by id, or by place and words when the gateway gave no id."""

    def __init__(self, *, patience: float) -> None:
        """`patience` (s) is how long an echo waits for the send it may belong to."""
        self._patience = patience
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._under_way: dict[str, set[asyncio.Future[None]]] = {}

    @contextmanager
    def sending(self, conversation: str, words: str) -> Iterator[Sent]:
        """Around one send of a plugin. An unclear outcome counts as sent: its echo may come."""
        done = asyncio.get_running_loop().create_future()
        self._under_way.setdefault(conversation, set()).add(done)
        sent = Sent()
        try:
            yield sent
        except NotSent:
            raise
        except BaseException:
            self._remember(conversation, words)
            raise
        else:
            self._remember(*(("", sent.id) if sent.id else (conversation, words)))
        finally:
            done.set_result(None)
            self._under_way[conversation].discard(done)
            if not self._under_way[conversation]:
                del self._under_way[conversation]

    def _remember(self, place: str, mark: str) -> None:
        self._known[place, mark] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def by_plugin(self, payload: Any) -> bool:
        """Whether this self message is a plugin's. The echo may overtake the send's own answer."""
        conversation = payload.room_id or payload.listener_id
        if self._claim(payload, conversation):
            return True
        under_way = self._under_way.get(conversation)
        if not under_way:
            return False
        await asyncio.wait(under_way, timeout=self._patience)
        return self._claim(payload, conversation)

    def _claim(self, payload: Any, conversation: str) -> bool:
        for mark in (("", payload.id), (conversation, payload.text)):
            if mark in self._known:
                del self._known[mark]
                return True
        return False
