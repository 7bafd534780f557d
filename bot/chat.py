"""Talking as anybody in the simulator's world, with the clock in hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from bot.channels.simulator import World
from bot.plain import visible
from bot.stage import Stage
from bot.tale import tale
from bot.transcript import Transcript
from sop.errors import SiyuError
from sop.times import DAY, SECOND, parse_duration, show_duration
from storage import story
from storage.search import find
from storage.store import Store
from storage.telling import explain

PAUSE = 30 * SECOND  # virtual time that passes after each line, so that replies arrive
HELP = """直接打字，就是用现在的身份跟机器人说话。另外还有：
/我是 名字     换一个人来说；没有这个人，就当是新朋友来加好友
/人            看看有谁、有哪些群
/进群 群名     让现在这个人进一个群，没有就建一个；/退群 群名
/群 群名       到群里说，话前面加 @ 就是 @ 机器人；只写 /群 回到私聊
/真人 文字     扮演账号的主人，亲自回复现在这个人
/为什么        机器人刚才为什么这么做，或者为什么不说话
/+1d           把时钟往前拨一天（/+2h 两小时，/+30m 半小时）
/我是 运营     换成运营，就能给机器人下命令：/状态、/看 小雨、/标签 小雨 VIP……
/帮助  /退出"""
MOST = 366 * DAY  # of virtual time at once
WHY = 12  # how many of the last things /为什么 tells
_SLASHES = ("/", "／", "、")  # what a Chinese keyboard gives for the same key
_LAST = ("退出", "quit", "exit", "q")


def load_world(store: Store, world: World, *, operators: Sequence[str]) -> None:
    """Fill a world with the contacts and groups a database knows, and with the operators."""
    with store.read() as connection:
        for person in story.people_of(connection):
            world.add_person(person.external_id, person.name, friend=bool(person.friend))
        for external_id, topic, members in story.rooms_of(connection):
            world.add_group(external_id, topic, [m for m in members if m in world.people])
    for n, operator in enumerate(operators):
        if operator not in world.people:
            world.add_person(operator, f"运营{n + 1 if n else ''}", friend=True)


class Chat:
    """One sitting at the keyboard. `line` takes one line and returns False when it is the last."""

    def __init__(self, stage: Stage, transcript: Transcript) -> None:
        self._stage = stage
        self._transcript = transcript
        self._out = transcript.line
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
            "help": self._help,
        }

    @property
    def prompt(self) -> str:
        """Who speaks, and where."""
        where = f"［{self._topic}］" if self._group else ""
        return visible(f"{where}{self._name} > ")

    @property
    def _world(self) -> World:
        return self._stage.world

    @property
    def _name(self) -> str:
        return self._world.people[self._who].name

    @property
    def _topic(self) -> str:
        return self._world.rooms[self._group].topic if self._group else ""

    @property
    def _operators(self) -> Sequence[str]:
        return self._stage.bot.heart.settings.operators

    async def begin(self, name: str | None) -> None:
        """Start as `name`, or as the first person who is not an operator, or as a new friend."""
        known = [p.name for id_, p in self._world.people.items() if id_ not in self._operators]
        await self._become(name or (known[0] if known else "小雨"))

    async def line(self, text: str, *, echo: bool = False) -> bool:
        """Take one line; False ends the sitting. Mistakes are said, not raised.

        `echo` writes down what was said, where no terminal has shown it.
        """
        text = text.strip()
        command = text[1:].strip() if text.startswith(_SLASHES) else ""
        if command in _LAST:
            return False
        try:
            await self._take(command, text, echo)
        except SiyuError as error:
            self._out(str(error))
        return True

    async def _take(self, command: str, text: str, echo: bool) -> None:
        word, _, rest = command.partition(" ")
        if word.startswith("+"):
            await self._skip(word[1:])
        elif word in self._commands and not self._is_for_the_bot(command):
            await self._commands[word](rest.strip())
        elif text:
            await self._say(text, echo)
            if text[0] in "/／" and self._who not in self._operators:
                note = f"（没有 /{word} 这个命令，所以当成一句话说了出去。/帮助 看看有哪些）"
                self._transcript.note(note)

    def _is_for_the_bot(self, command: str) -> bool:
        """Whether an operator asks for the groups; from a group, /群 is the way back to private."""
        return command == "群" and self._group is None and self._who in self._operators

    async def _say(self, text: str, echo: bool) -> None:
        if echo:
            self._transcript.said(self._name, text, where=self._topic)
        before = self._transcript.answers
        mention = self._group is not None and text.startswith("@")
        await self._stage.channel.say(self._who, text, group=self._group, mention=mention)
        await self._let_pass(PAUSE)
        if self._transcript.answers == before:
            quiet = self._why_quiet(listens=self._group is not None and not mention)
            self._transcript.note(f"（机器人没说话：{quiet}）")

    def _why_quiet(self, *, listens: bool) -> str:
        with self._stage.store.read() as connection:
            found = find(connection, self._group or self._who)
            paused = story.paused_because(connection, found.id, now=self._stage.clock.now())
        if paused:
            return f"已由人工接管，{paused}"
        return "群里没有 @ 它，它就听着" if listens else "没有一条规则要回这句话"

    async def _let_pass(self, span: int) -> None:
        await self._stage.wait(span)
        self._transcript.results()

    async def _skip(self, span: str) -> None:
        try:
            length = parse_duration(span)
        except ValueError:
            raise SiyuError("时间这样写：/+1d、/+2h、/+30m") from None
        if length > MOST:
            raise SiyuError(f"一次至多往前拨 {show_duration(MOST)}")
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
            raise SiyuError("要写群名，比如 /进群 妈妈群")
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
        zone = self._stage.bot.heart.settings.zone
        with self._stage.store.read() as connection:
            found = find(connection, self._group or self._who)
            rows = explain(connection, found, zone=zone)
        for line in tale(rows[-WHY:]):
            self._out(f"  {line}")

    async def _help(self, _rest: str) -> None:
        self._out(HELP)

    def _room(self, topic: str) -> str:
        for id_, room in self._world.rooms.items():
            if topic and topic in room.topic:
                return id_
        hint = "/人 看看有哪些" if self._world.rooms else "先 /进群 群名，建一个"
        raise SiyuError(f"没有叫「{topic}」的群，{hint}")
