"""Core people: when they write, operators are told within seconds, with what could be answered."""

from __future__ import annotations

from collections.abc import Sequence

from bot.happening import Happening, Me
from bot.notices import notices
from bot.wording import Wording
from bot.workspace import Workspace
from sop.actions import Say
from sop.conditions import many
from sop.core import CorePeople
from sop.decisions import Note
from sop.definitions import Rule
from sop.events import Event, EventKind
from storage import core as rows
from storage import events as facts
from storage.apply import Changes, apply
from storage.conditions import answers
from storage.core import Line, Talk
from storage.store import Tx
from storage.tags import tags_of

LINES = 5  # last lines of the conversation that operators see
WIDTH = 80  # characters of each
ANSWERED = {"queued", "sending", "sent", "unknown"}


class Core:
    """The core people of one version of a workspace."""

    def __init__(self, workspace: Workspace, wording: Wording) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._wording = wording
        self._core: CorePeople | None = workspace.definitions.core
        self._wanted = frozenset(many(self._core.tag)) if self._core else frozenset[str]()

    def hear(self, tx: Tx, me: Me, wave: Sequence[Happening], *, now: int) -> None:
        """Note what core people wrote; the telling waits for the rest of what they have to say."""
        if self._core is None:
            return
        spoke = [h for h in wave if h.event.kind is EventKind.MESSAGE and self._counts(h)]
        tags = tags_of(tx, {h.contact_id for h in spoke if h.contact_id}, now=now) if spoke else {}
        messages = [
            (h.contact_id, h.conversation, h.group_id is not None, h.id)
            for h in spoke
            if h.contact_id and h.conversation and self._is_core(tags.get(h.contact_id, ()))
        ]
        due, rest = now + self._core.gather, self._core.cooldown
        rows.heard(tx, me.id, messages, due=due, longest=rest)

    def tick(self, tx: Tx, me: Me, *, now: int) -> int | None:
        """Tell what is due; returns when to come again, ms UTC."""
        due = rows.next_talk(tx, me.id)
        if due is None or due > now:
            return due
        for talk in rows.due_talk(tx, me.id, now=now):
            self._tell(tx, me, talk, now)
        return rows.next_talk(tx, me.id)

    def _counts(self, h: Happening) -> bool:
        person = h.event.contact
        return (
            not h.event.from_self
            and person is not None
            and person.external_id not in self._settings.operators
        )

    def _is_core(self, tags: Sequence[str]) -> bool:
        return any(tag in self._wanted or tag.split("/")[0] in self._wanted for tag in tags)

    def _tell(self, tx: Tx, me: Me, talk: Talk, now: int) -> None:
        hand = rows.hand_at(tx, talk)
        if self._core is None or (hand is not None and now - hand < self._settings.takeover):
            rows.told(tx, talk, quiet_until=None)  # a human is there already
            return
        lines = rows.lines_of(tx, talk)
        out = Changes()
        event = lines[-1].event_id if lines else None
        for message in notices(
            tx, me, self._settings, self._news(tx, me, talk, lines, now),
            source="core", because="核心用户说话了", now=now,
        ):  # fmt: skip
            out.add(message, event)
        note = Note(
            subject_id=talk.contact_id, what="核心用户", outcome="done",
            because=f"核心用户：说了 {len(lines)} 句，告诉了运营",
        )  # fmt: skip
        out.add(note, event)
        apply(tx, me.id, out, now=now)
        rows.told(tx, talk, quiet_until=now + self._core.cooldown)

    def _news(self, tx: Tx, me: Me, talk: Talk, lines: Sequence[Line], now: int) -> str:
        portrait = facts.portraits(tx, [talk.contact_id])[talk.contact_id]
        who = portrait.alias or portrait.name or portrait.external_id
        where = "私聊"
        if talk.in_group:
            where = (
                f"在「{facts.groups_of(tx, [talk.conversation_id])[talk.conversation_id].name}」"
            )
        count = f"（{len(lines)} 条）" if len(lines) > 1 else ""
        told = facts.last_lines(
            tx.connection, talk.conversation_id, in_group=talk.in_group, count=LINES
        )
        return "\n".join(
            [
                f"【核心用户】{who} {where}说话了{count}",
                *(f"{name}：{text[:WIDTH]}" for _, name, text in told),
                *self._reply(tx, me, talk, lines, now),
            ]
        )

    def _reply(self, tx: Tx, me: Me, talk: Talk, lines: Sequence[Line], now: int) -> list[str]:
        """Whether the bot answered, or else what could be answered."""
        meant = rows.answers(tx, talk, [line.event_id for line in lines])
        said = [text for text, state, _ in meant if state in ANSWERED]
        if said:
            return [f"机器人已经回了：{_flat(said[0])}" + ("……" if len(said) > 1 else "")]
        why = next((f"（{reason}）" for _, _, reason in meant if reason), "")
        for line in reversed(lines):
            rule, words = self._suggestion(tx, me, talk, line, now)
            if rule:
                return [f"机器人没有回{why}。可以这样回（规则 {rule}）：", *words]
        return [f"机器人没有回{why}，也没有现成的话术，等你来回"]

    def _suggestion(
        self, tx: Tx, me: Me, talk: Talk, line: Line, now: int
    ) -> tuple[str, list[str]]:
        """What the first rule that fits the words would say, wherever it usually speaks."""
        matched = {
            key.removeprefix("rule:"): words
            for key, words in self._workspace.matcher.match(line.text).items()
        }
        happening = Happening(
            event=Event(kind=EventKind.MESSAGE, at=line.at, external_id="", text=line.text),
            id=line.event_id,
            contact_id=talk.contact_id,
            group_id=talk.conversation_id if talk.in_group else None,
            matched=matched,
        )
        for rule in self._workspace.definitions.rules:
            say = next((action for action in rule.do if isinstance(action, Say)), None)
            if say is None or rule.on is not EventKind.MESSAGE or rule.id not in matched:
                continue
            if self._holds(tx, rule, talk.contact_id, now):
                words = self._wording.preview(
                    tx, me.id, say.say, happening, f"rule:{rule.id}", now=now
                )
                return (rule.id, words) if words else ("", [])
        return "", []

    def _holds(self, tx: Tx, rule: Rule, contact: int, now: int) -> bool:
        if rule.if_ is None:
            return True
        (held,) = answers(tx.connection, [(rule.if_, {contact})], now=now)
        return contact in held


def _flat(text: str) -> str:
    return f"「{' '.join(text.split())[:WIDTH]}」"
