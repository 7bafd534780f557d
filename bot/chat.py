"""Talking as anybody in the simulator's world, with the clock in hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.channels.simulator import World
from bot.stage import Stage
from bot.transcript import Transcript
from sop.errors import SiyuError
from sop.times import SECOND, parse_duration, show_duration
from storage import story
from storage.search import find
from storage.store import Store
from storage.words import OUTCOMES

PAUSE = 30 * SECOND  # virtual time that passes after each line, so that replies arrive
HELP = """直接打字：用现在的身份跟机器人说话
/我是 名字      换一个人来说（没有这个人，就当是新朋友来加好友）
/群 群名        到群里说（/群 不写名字：回到私聊）   群里 @ 机器人：在话前面加 @
/人            看看有谁、有哪些群
/真人 文字      扮演账号的主人，亲自回复现在这个人
/进群 群名  /退群 群名
/为什么         机器人刚才为什么这么做
/+1d  /+2h      把时钟往前拨
/退出
其他以 / 开头的话会原样发给机器人（运营的命令，比如 /状态，要先 /我是 运营的名字）"""


def load_world(store: Store, world: World) -> None:
    """Fill a world with the contacts and groups a database knows."""
    with store.read() as connection:
        for person in story.people_of(connection):
            world.add_person(person.external_id, person.name, friend=bool(person.friend))
        for external_id, topic, members in story.rooms_of(connection):
            world.add_group(external_id, topic, [m for m in members if m in world.people])


class Chat:
    """One sitting at the keyboard. `line` takes one line and returns False when it is the last."""

    def __init__(self, stage: Stage, transcript: Transcript, out: Callable[[str], None]) -> None:
        self._stage = stage
        self._transcript = transcript
        self._out = out
        self._who = ""
        self._group: str | None = None
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "我是": self._become,
            "群": self._enter,
            "人": self._list,
            "真人": self._by_hand,
            "进群": self._join,
            "退群": self._leave,
            "为什么": self._why,
            "帮助": self._help,
        }

    @property
    def prompt(self) -> str:
        """Who speaks, and where."""
        if not self._who:
            return "> "
        where = f"［{self._world.rooms[self._group].topic}］" if self._group else ""
        return f"{where}{self._world.people[self._who].name} > "

    @property
    def _world(self) -> World:
        return self._stage.world

    async def begin(self, name: str | None) -> None:
        """Start as `name`, or as the first person who is not an operator, or as a new friend."""
        operators = self._stage.bot.heart.settings.operators
        known = [p.name for id_, p in self._world.people.items() if id_ not in operators]
        await self._become(name or (known[0] if known else "小雨"))

    async def line(self, text: str) -> bool:
        """Take one line; False ends the sitting. Mistakes are said, not raised."""
        text = text.strip()
        if text in ("/退出", "/quit", "/q"):
            return False
        try:
            await self._take(text)
        except SiyuError as error:
            self._out(str(error))
        return True

    async def _take(self, text: str) -> None:
        if not text:
            return
        if text.startswith("/+"):
            await self._skip(text[2:])
            return
        word, _, rest = text[1:].partition(" ")
        command = self._commands.get(word) if text.startswith("/") else None
        if command is not None:
            await command(rest.strip())
            return
        mention = self._group is not None and text.startswith("@")
        await self._stage.channel.say(self._who, text, group=self._group, mention=mention)
        await self._let_pass(PAUSE)

    async def _let_pass(self, span: int) -> None:
        await self._stage.wait(span)
        self._transcript.results()

    async def _skip(self, span: str) -> None:
        try:
            length = parse_duration(span)
        except ValueError:
            raise SiyuError("时间这样写：/+1d、/+2h、/+30m") from None
        await self._let_pass(length)
        self._out(f"（过去了 {show_duration(length)}）")

    async def _become(self, name: str) -> None:
        if not name:
            raise SiyuError("要写名字，比如 /我是 小雨")
        found = [id_ for id_, person in self._world.people.items() if name in (person.name, id_)]
        if found:
            self._who = found[0]
            self._out(f"你现在是 {name}")
            return
        self._who = self._world.next_id("person")
        self._world.add_person(self._who, name)
        self._out(f"{name} 来加好友，说：你好，我是{name}")
        await self._stage.channel.request_friend(self._who, f"你好，我是{name}")
        await self._let_pass(PAUSE)

    async def _enter(self, topic: str) -> None:
        self._group = self._room(topic) if topic else None

    async def _list(self, _rest: str) -> None:
        people = [
            p.name + ("" if p.friend else "（不是好友）") for p in self._world.people.values()
        ]
        self._out("人：" + "、".join(people))
        groups = [f"{room.topic}（{len(room.members)} 人）" for room in self._world.rooms.values()]
        self._out("群：" + ("、".join(groups) or "还没有"))

    async def _by_hand(self, text: str) -> None:
        if not text:
            raise SiyuError("要写真人说的话，比如 /真人 我来了")
        where = self._group or self._who
        await self._stage.channel.hand(text, to=where, group=self._group is not None)
        await self._let_pass(PAUSE)

    async def _join(self, topic: str) -> None:
        known = [id_ for id_, room in self._world.rooms.items() if room.topic == topic]
        if not topic:
            raise SiyuError("要写群名，比如 /进群 小满福利群①")
        if not known:
            known = [self._world.next_id("room")]
            self._world.add_group(known[0], topic, [])
        await self._stage.channel.join(known[0], [self._who])
        await self._let_pass(2 * PAUSE)

    async def _leave(self, topic: str) -> None:
        await self._stage.channel.leave(self._room(topic), self._who)
        self._group = None
        await self._let_pass(PAUSE)

    async def _why(self, _rest: str) -> None:
        settings = self._stage.bot.heart.settings
        with self._stage.store.read() as connection:
            rows = story.explain(connection, find(connection, self._who), zone=settings.zone)
        for row in rows[-12:]:
            outcome = OUTCOMES.get(row["outcome"], row["outcome"])
            self._out(f"  {row['what']}［{outcome}］{row['because']}")

    async def _help(self, _rest: str) -> None:
        self._out(HELP)

    def _room(self, topic: str) -> str:
        for id_, room in self._world.rooms.items():
            if topic and topic in room.topic:
                return id_
        raise SiyuError(f"没有叫「{topic}」的群，/人 看看有哪些")
