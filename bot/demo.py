"""A week in the life of the starter community, played on a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from bot.channels.simulator import Failure
from bot.stage import Stage
from bot.transcript import Transcript
from sop.events import MessageType

SCRIPT = Path(__file__).with_name("demo_week.yaml")
_LABELS = {
    MessageType.IMAGE: "[图片]",
    MessageType.VOICE: "[语音]",
    MessageType.RED_ENVELOPE: "[红包]",
    MessageType.VIDEO: "[视频]",
    MessageType.EMOTICON: "[表情]",
}
Beat = Mapping[str, Any]


class Week:
    """The script of `demo_week.yaml`, ready to be played."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._script = yaml.safe_load(SCRIPT.read_text(encoding="utf-8"))
        self._start = datetime.strptime(self._script["start"], "%Y-%m-%d %H:%M").replace(
            tzinfo=zone
        )
        self._people = {person["id"]: person for person in self._script["people"]}

    @property
    def start(self) -> int:
        """When the week begins, ms UTC."""
        return int(self._start.timestamp() * 1000)

    def populate(self, stage: Stage) -> None:
        """Put the people and groups into the stage's world."""
        for person in self._people.values():
            stage.world.add_person(
                self._external(person["id"]), person["name"], friend=person.get("friend", False)
            )
        for group in self._script["groups"]:
            members = [self._external(member) for member in group["members"]]
            stage.world.add_group(group["id"], group["topic"], members)

    async def play(self, stage: Stage, transcript: Transcript) -> None:
        """Play every scene to the end of the week."""
        for scene in self._script["scenes"]:
            transcript.title(scene["title"])
            for beat in scene["beats"]:
                await stage.advance(self._moment(scene["day"], beat["at"]))
                transcript.results()
                await self._beat(stage, transcript, beat)
                await stage.wait(0)
                transcript.results()
            # What SOPs still say that evening belongs under the heading of its day.
            await stage.advance(self._moment(scene["day"], "23:59"))
            transcript.results()

    def _moment(self, day: int, at: str) -> int:
        hour, minute = map(int, at.split(":"))
        date = self._start + timedelta(days=day - 1)
        return int(date.replace(hour=hour, minute=minute).timestamp() * 1000)

    def _external(self, id_: str) -> str:
        return str(self._people[id_].get("external_id", id_))

    def _name(self, id_: str) -> str:
        return str(self._people[id_]["name"])

    async def _beat(self, stage: Stage, script: Transcript, beat: Beat) -> None:
        channel, world = stage.channel, stage.world
        match beat:
            case {"note": text}:
                script.note(text)
            case {"friend_request": who, **more}:
                text = more.get("text", "")
                script.said(self._name(who), f"（申请加好友）{text}")
                await channel.request_friend(self._external(who), text)
            case {"hand": text, "to": to}:
                script.said(f"{world.self_name}（真人）", f"→ {self._name(to)}：{text}")
                await channel.hand(text, to=self._external(to))
            case {"join": who, "group": group, **more}:
                names = "、".join(self._name(w) for w in who)
                script.said(names, "（进群）", where=world.rooms[group].topic)
                by = more.get("by")
                await channel.join(
                    group, [self._external(w) for w in who], by=by and self._external(by)
                )
            case {"leave": who, "group": group}:
                script.said(self._name(who), "（退群）", where=world.rooms[group].topic)
                await channel.leave(group, self._external(who))
            case {"unfriend": who}:
                script.said(self._name(who), "（删除了好友）")
                await channel.unfriend(self._external(who))
            case {"fail": how}:
                stage.world.failures.append(Failure(how))
            case _:
                await self._speak(stage, script, beat)

    async def _speak(self, stage: Stage, script: Transcript, beat: Beat) -> None:
        who, group = beat["as"], beat.get("in")
        type_ = MessageType(beat.get("send", "text"))
        text = beat.get("say", "")
        where = stage.world.rooms[group].topic if group else ""
        script.said(self._name(who), text or _LABELS[type_], where=where)
        await stage.channel.say(
            self._external(who), text, group=group, mention=beat.get("mention", False), type=type_
        )
