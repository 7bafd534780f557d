"""Operators by chat: `/标签 张三 VIP` and the like, sent to the bot in private."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot import calendar_commands
from bot.bindings import Bindings
from bot.by_hand import let_in, take_out
from bot.desk import Desk
from bot.doors import Doors
from bot.group_commands import HELP as GROUP_HELP
from bot.group_commands import Asking, GroupCommands
from bot.guarding.commands import HELP as GUARD_HELP
from bot.guarding.commands import GuardCommands
from bot.happening import Happening, Me
from bot.plain import operator_name
from bot.score_commands import HELP as SCORE_HELP
from bot.score_commands import ScoreCommands, read_gift, read_spent
from bot.wording import Wording
from bot.workspace import Workspace
from sop.acting import give_tag
from sop.decisions import Note, StepBack, TakeTag
from sop.diagram import counted, heading
from sop.errors import SiyuError
from sop.messages import Text
from sop.point_decisions import EntryKind
from sop.times import DAY, parse_duration, show_duration
from storage import story
from storage.apply import Changes, Message, resume
from storage.circuit import close_circuit
from storage.progress import Progress, progress
from storage.search import Found, find
from storage.store import Tx
from storage.tags import tags_of

HELP = f"""可以用的命令：
/看 张三 —— 看看这个人：标签、最近几句话
/标签 张三 VIP —— 加标签
/去标签 张三 VIP —— 去掉标签
/暂停 张三 —— 机器人先不管这个人（/暂停 张三 2h 只停两小时）
/恢复 张三 —— 机器人接着管
/恢复 发送 —— 账号被保护性停发以后，马上恢复发送
/SOP —— 有哪些 SOP，各有多少人在走
/加入 张三 new-friend —— 拉进一个 SOP
/移出 张三 new-friend —— 移出一个 SOP，以后不会自动再进来
{SCORE_HELP}
{calendar_commands.HELP}
/1 —— 有人问了机器人答不上的话，把它猜的第 1 个答案发出去
/状态 —— 机器人现在怎么样
{GROUP_HELP}
{GUARD_HELP}
群也可以：/暂停 小满福利群①
有重名时用编号，比如 /看 #12"""

LONGEST_PAUSE = 3_650 * DAY


@dataclass(frozen=True, slots=True)
class _Call:
    tx: Tx
    me: Me
    happening: Happening
    args: str
    now: int
    out: Changes


class Commands:
    """What an operator can ask of the bot by private message."""

    def __init__(self, workspace: Workspace, doors: Doors, desk: Desk) -> None:
        self._workspace = workspace
        self._doors = doors
        self._scores = ScoreCommands(workspace)
        self._desk = desk
        self._wording = Wording(workspace)
        groups = GroupCommands(Bindings(workspace))
        self._known: dict[str, Callable[[_Call], str]] = {
            "标签": self._tag,
            "去标签": self._untag,
            "暂停": self._pause,
            "恢复": self._resume,
            "看": self._show,
            "状态": self._status,
            "sop": self._sops,
            "加入": self._enroll,
            "移出": self._remove,
            "积分": self._points,
            "兑换": self._spend,
            "排行": lambda call: self._scores.board(call.tx, call.me, call.args, now=call.now),
            "群发": self._push,
            "已发": self._posted,
            "群": self._about(groups.list),
            "绑定": self._about(groups.bind),
            "同群": self._about(groups.same),
            "不管": self._about(groups.leave),
            **self._guard_commands(),
            "帮助": lambda _call: HELP,
        }

    def handle(self, tx: Tx, me: Me, happening: Happening, *, now: int) -> Changes | None:
        """What a private message of an operator changes; None when it is no command.

        The answer to the operator is among the changes; a command that cannot be carried out is
        answered with why.
        """
        text = happening.event.text.strip()
        if not text.startswith(("/", "／")) or happening.contact_id is None:
            return None
        # Chinese keyboards type a full-width space.
        word, args = (*text[1:].split(None, 1), "", "")[:2]
        command = self._send_guess if _is_number(word) else self._known.get(word.lower())
        out = Changes()
        if command is None:
            answer = f"没有 /{word[:20]} 这个命令。发 /帮助 看看有哪些。"
        else:
            try:
                typed = word if command == self._send_guess else args.strip()
                answer = command(_Call(tx, me, happening, typed, now, out))
            except SiyuError as error:
                answer = str(error)
        out.add(_answer(answer, happening.contact_id), happening.id)
        return out

    def _tag(self, call: _Call) -> str:
        name, tag = _two(call.args, "/标签 张三 VIP")
        who = _find(call, name)
        definitions = self._workspace.definitions
        group, _, value = tag.partition("/")
        spec = definitions.tags.get(group)
        if spec and spec.values and value not in spec.values:
            return f"「{group}」这一组只有：{'、'.join(f'{group}/{v}' for v in spec.values)}"
        give = give_tag(
            definitions, subject_id=who.id, tag=tag, source=self._source(call), now=call.now
        )
        call.out.add(give, call.happening.id)
        new = "" if spec else "（这是一个新标签，文件里还没有写过）"
        return f"好的，给 {who.label} 加上了「{tag}」{new}"

    def _untag(self, call: _Call) -> str:
        name, tag = _two(call.args, "/去标签 张三 VIP")
        who = _find(call, name)
        held = tags_of(call.tx, [who.id], now=call.now)[who.id]
        if not any(tag in (one, one.split("/")[0]) for one in held):
            return f"{who.label} 本来就没有「{tag}」"
        take = TakeTag(subject_id=who.id, tags=(tag,), source=self._source(call))
        call.out.add(take, call.happening.id)
        return f"好的，{who.label} 去掉了「{tag}」"

    def _pause(self, call: _Call) -> str:
        who, span = self._whom_and_how_long(call)
        until = None if span is None else call.now + span
        pause = StepBack(
            conversation_id=who.id,
            until=until,
            because=f"{operator_name(self._operator(call))} 暂停了",
        )
        call.out.add(pause, call.happening.id)
        call.out.add(_noted(who, "paused", "运营发了 /暂停"), call.happening.id)
        how_long = "，直到你发 /恢复" if span is None else f" {show_duration(span)}"
        return f"好的，{who.label} 先交给你，机器人不说话{how_long}"

    def _resume(self, call: _Call) -> str:
        if call.args == "发送":
            closed = close_circuit(call.tx, call.me.id, now=call.now)
            return "好的，恢复发送" if closed else "发送本来就是正常的"
        who = _find(call, call.args)
        if not resume(call.tx, who.id):
            return f"{who.label} 本来就没有暂停"
        call.out.add(_noted(who, "resumed", "运营发了 /恢复"), call.happening.id)
        return f"好的，{who.label} 又交给机器人了"

    def _show(self, call: _Call) -> str:
        who = _find(call, call.args)
        zone = self._workspace.settings.zone
        return story.portrait(call.tx.connection, who, zone=zone, now=call.now)

    def _status(self, call: _Call) -> str:
        moment = datetime.fromtimestamp(call.now / 1000, self._workspace.settings.zone)
        lines = story.status_lines(call.tx.connection, now=call.now)
        return "\n".join([f"{moment:%m-%d %H:%M} {self._workspace.settings.community}", *lines])

    def _sops(self, call: _Call) -> str:
        found = progress(call.tx.connection)
        lines = []
        for one in self._workspace.definitions.sops:
            walks = found.get(one.id, Progress())
            still = "（暂停中）" if walks.paused_since is not None else ""
            lines.append(f"{heading(one)}{still}：{counted(one, walks.active)}在走")
        return "\n".join(lines) or "还没有 SOP"

    def _enroll(self, call: _Call) -> str:
        name, sop = _two(call.args, "/加入 张三 new-friend")
        who = _find(call, name)
        because = f"{operator_name(self._operator(call))} 拉进来的"
        why = let_in(call.tx, self._doors, who, sop, because=because, now=call.now)
        return f"{who.label} 没有进去：{why}" if why else f"好的，{who.label} 进了 {sop}"

    def _remove(self, call: _Call) -> str:
        name, sop = _two(call.args, "/移出 张三 new-friend")
        who = _find(call, name)
        because = f"{operator_name(self._operator(call))} 移出的"
        if take_out(call.tx, self._doors, who, sop, because=because, now=call.now):
            return f"好的，{who.label} 移出了 {sop}，以后不会自动再进来"
        return f"{who.label} 本来就不在 {sop} 里"

    def _guard_commands(self) -> dict[str, Callable[[_Call], str]]:
        guard = GuardCommands(self._workspace)
        known = {"群管": guard.show, "踢": guard.dismiss, "放过": guard.spare, "撤销": guard.undo,
                 "拉黑": guard.blacklist, "不拉黑": guard.pardon}  # fmt: skip
        return {name: self._about(command) for name, command in known.items()}

    def _points(self, call: _Call) -> str:
        gift = read_gift(call.args)
        if gift is None:
            return self._scores.show(call.tx, _find(call, call.args), now=call.now)
        name, amount, why = gift
        return self._book(call, name, amount, why, "grant" if amount > 0 else "fine")

    def _spend(self, call: _Call) -> str:
        name, amount, why = read_spent(call.args)
        return self._book(call, name, -amount, why, "spend")

    def _book(self, call: _Call, name: str, amount: int, why: str, kind: EntryKind) -> str:
        changes, answer = self._scores.book(
            call.tx, call.me, call.happening, _find(call, name), amount, why, kind=kind,
            now=call.now,
        )  # fmt: skip
        for change in changes:
            call.out.add(change, call.happening.id)
        return answer

    def _push(self, call: _Call) -> str:
        return calendar_commands.push_command(
            call.tx, call.me, self._workspace, call.args, operator=self._operator(call),
            now=call.now,
        )  # fmt: skip

    def _posted(self, call: _Call) -> str:
        return calendar_commands.moment_command(
            call.tx, call.me, call.args, operator=self._operator(call), now=call.now
        )

    def _send_guess(self, call: _Call) -> str:
        decided, told = self._desk.send_guess(call.tx, call.me, int(call.args), now=call.now)
        if not decided:
            return told
        found = self._wording.changes(call.tx, call.me.id, decided, now=call.now)
        call.out.rows += found.rows
        return f"好的，照「{told}」替你发了"

    def _about(self, command: Callable[[Asking], str]) -> Callable[[_Call], str]:
        return lambda call: command(
            Asking(
                tx=call.tx, me=call.me, args=call.args, by=self._operator(call), now=call.now,
                out=call.out,
            )
        )  # fmt: skip

    def _whom_and_how_long(self, call: _Call) -> tuple[Found, int | None]:
        name, last = ("", "", *call.args.rsplit(None, 1))[-2:]
        try:
            span = min(parse_duration(last), LONGEST_PAUSE) if name else None
        except (ValueError, OverflowError):
            span = None  # no span: the last word is part of the name
        return _find(call, call.args if span is None else name), span

    def _operator(self, call: _Call) -> str:
        person = call.happening.event.contact
        return (person.name or person.external_id) if person else ""

    def _source(self, call: _Call) -> str:
        return f"operator:{self._operator(call)}"


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 2


def _two(args: str, example: str) -> tuple[str, str]:
    words = args.rsplit(None, 1)
    if len(words) < 2:
        raise SiyuError(f"后面要写两样，比如 {example}")
    return words[0], words[1]


def _find(call: _Call, typed: str) -> Found:
    """Who is meant, among the contacts and groups of the account the operator writes to."""
    if not typed:
        raise SiyuError("要写名字，比如 /看 张三")
    return find(call.tx.connection, typed, account=call.me.id)


def _noted(who: Found, outcome: str, because: str) -> Note:
    return Note(subject_id=who.id, what="自动回复", outcome=outcome, because=because)


def _answer(text: str, operator: int) -> Message:
    return Message(
        bodies=(Text(text=text),),
        conversation_id=operator,
        in_group=False,
        purpose="notice",
        source="command",
        because="运营发来的命令",
        expires_at=None,
    )
