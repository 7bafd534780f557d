"""Wechaty plugins as people write them, for the tests: they know nothing of Siyu."""

from __future__ import annotations

from typing import Any

from wechaty import WechatyPlugin
from wechaty_puppet import FileBox

HEARD: list[tuple[str, ...]] = []


class DingDong(WechatyPlugin):
    """Answers ding with dong, in a group and in private, and remembers what it saw."""

    async def init_plugin(self, wechaty: Any) -> None:
        HEARD.append(("init", self.name))

    async def on_login(self, contact: Any) -> None:
        HEARD.append(("login", contact.contact_id))

    async def on_message(self, msg: Any) -> None:
        if msg.is_self():
            return
        room = msg.room()
        topic = await room.topic() if room is not None else ""
        HEARD.append(("message", msg.text(), msg.talker().name, topic, msg.type().name))
        if msg.text() == "ding":
            sent = await msg.say("dong")
            HEARD.append(("said", sent.text() if sent else ""))
        if msg.text() == "file":
            await msg.say(FileBox.from_buffer(b"x" * 50_000, name="a.bin"))

    async def on_room_join(self, room: Any, invitees: Any, inviter: Any, date: Any) -> None:
        HEARD.append(("join", await room.topic(), *(person.name for person in invitees)))


class Broken(WechatyPlugin):
    """Fails at whatever it is asked."""

    async def on_message(self, msg: Any) -> None:
        raise RuntimeError("plugin bug")


class NeedsScheduler(WechatyPlugin):
    """Uses the SDK's scheduler, which is not there."""

    async def init_plugin(self, wechaty: Any) -> None:
        self.add_interval_job(1, handler=print)


class NotAPlugin:
    """Has the wrong base."""
