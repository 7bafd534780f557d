"""From decisions to changes: filling templates with the facts of the moment.

Decisions are worked off in order, so a `say` after a `tag` already speaks to the new tag.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from bot.happening import Happening
from bot.inviting import Granted, Inviting, keep
from bot.render.facts import RANKED, SCORE_NAMES
from bot.word_facts import MENTIONS, WordFacts
from bot.workspace import Workspace
from sop.decisions import (
    AcceptRequest,
    Decision,
    EnterSop,
    Gather,
    GiveTag,
    InviteInto,
    LeaveSop,
    Note,
    PostBoard,
    Rest,
    SetValue,
    Speak,
    StepBack,
    TakeTag,
    Tell,
    Utter,
)
from sop.errors import RenderError
from sop.events import EventKind, Person
from sop.messages import Accept, Body, Text, summary
from sop.point_decisions import GivePoints, RecordCheckIn
from sop.times import DAY, show_duration
from storage import events as stored
from storage import people
from storage.apply import Changes, Message, Value
from storage.store import Tx

log = logging.getLogger("siyu.wording")
LINES = 5  # how many last lines an operator gets at a hand-over


class Wording:
    """Fills the words of one version of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._inviting = Inviting(workspace)

    def is_personal(self, decision: Decision) -> bool:
        """Whether a decision of a gathered rule is for each person, not once for the group."""
        personal = GiveTag | TakeTag | SetValue | InviteInto | GivePoints | RecordCheckIn
        return isinstance(decision, personal) or (
            isinstance(decision, Speak) and not decision.in_group
        )

    def changes(
        self,
        tx: Tx,
        account: int,
        decided: Sequence[tuple[Decision, Happening]],
        *,
        now: int,
        members: Sequence[int] = (),
    ) -> Changes:
        """What to write for these decisions. A template that fails leaves a note, never a crash."""
        page = WordFacts(tx, account, self._workspace, decided, members, now)
        out = Changes()
        for decision, happening in decided:
            self._work_off(tx, account, page, decision, happening, out)
        return out

    def _work_off(
        self,
        tx: Tx,
        account: int,
        page: WordFacts,
        decision: Decision,
        happening: Happening,
        out: Changes,
    ) -> None:
        match decision:
            case Speak():
                self._speak(page, decision, happening, out, page.now)
            case Utter():
                self._utter(page, decision, happening, out)
            case Tell():
                self._tell(tx, account, page, decision, happening, out)
            case AcceptRequest():
                out.add(_accept(decision, page.now), happening.id)
            case InviteInto():
                self._invite(tx, account, page, decision, happening, out)
            case SetValue():
                self._set(page, decision, happening, out)
            case GiveTag() | TakeTag():
                page.retag(decision)
                out.add(decision, happening.id)
            case GivePoints() | RecordCheckIn():
                page.score(decision, happening, out)
            case PostBoard():
                self._board(tx, page, decision, happening, out)
            case StepBack() | Rest() | Gather() | Note() | EnterSop() | LeaveSop():
                out.add(decision, happening.id)
            case _:
                assert_never(decision)

    def _invite(
        self,
        tx: Tx,
        account: int,
        page: WordFacts,
        decision: InviteInto,
        happening: Happening,
        out: Changes,
    ) -> None:
        for step in self._inviting.steps(tx, account, decision, now=page.now):
            about = page.in_group(tx, happening, step.group_id)
            if isinstance(step.what, Granted):
                said = self._worth(page, step.what, about, out)
                out.add(keep(tx, step.what, said, now=page.now), happening.id)
            else:
                self._work_off(tx, account, page, step.what, about, out)

    def _worth(
        self, page: WordFacts, granted: Granted, about: Happening, out: Changes
    ) -> tuple[Body, ...]:
        """What is said before an invitation; one without these words still goes out."""
        if not granted.before:
            return ()
        return self._rendered(page, granted.before, granted.message, about, out) or ()

    def _rendered(
        self, page: WordFacts, say: str, of: Speak | Message, happening: Happening, out: Changes
    ) -> tuple[Body, ...] | None:
        tags, facts = page.tags[happening.contact_id or 0], page.of(happening, of.source)
        try:
            if SCORE_NAMES & self._workspace.templates.uses(say, tags):
                ranked = self._workspace.templates.mentions(say, tags, RANKED)
                facts = {**facts, **page.points(happening, ranked=ranked)}
            return self._workspace.templates.render(say, tags=tags, facts=facts)
        except RenderError as error:
            log.warning("template %s failed: %s", say, error)
            out.add(_failed(of.conversation_id, f"模板 {say}", error), happening.id)
            return None

    def preview(
        self, tx: Tx, account: int, say: str, happening: Happening, source: str, *, now: int
    ) -> list[str]:
        """What a template would say about a happening, a line a bubble; nothing if it fails."""
        speak = Speak(
            say=say, conversation_id=happening.contact_id or 0, in_group=False, purpose="reply",
            source=source, because="",
        )  # fmt: skip
        rows = self.changes(tx, account, [(speak, happening)], now=now).rows
        meant = [change for change, _ in rows if isinstance(change, Message)]
        return [summary(body) for message in meant for body in message.bodies]

    def _speak(
        self, page: WordFacts, decision: Speak, happening: Happening, out: Changes, now: int
    ) -> None:
        bodies = self._rendered(page, decision.say, decision, happening, out)
        if bodies is None:
            return
        expires_at = decision.expires_at
        if expires_at is None:
            fleeting = decision.purpose == "reply" and happening.event.kind is EventKind.MESSAGE
            expires_at = now + (self._settings.stale if fleeting else DAY)
        message = Message(
            bodies=bodies,
            conversation_id=decision.conversation_id,
            in_group=decision.in_group,
            purpose=decision.purpose,
            source=decision.source,
            because=decision.because,
            expires_at=expires_at,
            priority=decision.priority,
            window=decision.window,
        )
        if decision.mention:
            self._mention(page, message, happening, out)
        else:
            out.add(message, happening.id)

    def _mention(
        self, page: WordFacts, message: Message, happening: Happening, out: Changes
    ) -> None:
        """Say it to a member in the group; who is told the same at once is mentioned as well."""
        who = page.external_id(happening.contact_id or 0)
        plain = replace(message, bodies=_mentioning(message.bodies, without=who))
        at = page.mentioned.get((plain.conversation_id, plain.source, plain.bodies))
        if at is None or len(page.mentions[at]) == MENTIONS:
            at = len(out.rows)
            page.mentioned[plain.conversation_id, plain.source, plain.bodies] = at
            page.mentions[at] = [who]
            bodies = _mentioning(plain.bodies, of=(who,))
            out.add(replace(plain, bodies=bodies), happening.id)
        else:
            page.mentions[at].append(who)
            bodies = _mentioning(plain.bodies, of=tuple(page.mentions[at]))
            out.rows[at] = (replace(plain, bodies=bodies), None)  # it is no single one's any more
        because = f"群里 @ TA：{message.because}"
        note = Note(subject_id=happening.contact_id or 0, what="群里 @ TA", outcome="done",
                    because=because, refs={"source": message.source})  # fmt: skip
        out.add(note, happening.id)

    def _utter(self, page: WordFacts, decision: Utter, happening: Happening, out: Changes) -> None:
        facts = page.of(happening, decision.source)
        try:
            text = (
                decision.text
                if decision.fixed
                else self._workspace.templates.render_inline(decision.text, facts)
            )
        except RenderError as error:
            log.warning("words of %s failed: %s", decision.source, error)
            out.add(_failed(decision.conversation_id, decision.source, error), happening.id)
            return
        asker = facts["sender_id"] if decision.in_group else ""
        message = Message(
            bodies=(Text(text=text, mentions=(asker,) if asker else ()),),
            conversation_id=decision.conversation_id,
            in_group=decision.in_group,
            purpose=decision.purpose,
            source=decision.source,
            because=decision.because,
            expires_at=decision.expires_at or page.now + self._settings.stale,
        )
        out.add(message, happening.id)

    def _tell(
        self,
        tx: Tx,
        account: int,
        page: WordFacts,
        decision: Tell,
        happening: Happening,
        out: Changes,
    ) -> None:
        conversation = happening.conversation
        try:
            text = self._inline(decision.text, page, happening, decision.source)
        except RenderError as error:
            log.warning("notice of %s failed: %s", decision.source, error)
            out.add(_failed(conversation or 0, f"通知 {decision.source}", error), happening.id)
            return
        if decision.lines_of is not None:
            text = f"{text}\n{self._lines(tx, decision.lines_of, happening)}".strip()
        text = f"{text}\n{decision.after}" if decision.after else text
        operators = self._operators(tx, account, now=page.now)
        for operator in operators:
            out.add(_notice((Text(text=text),), operator, decision), happening.id)
        if not operators and conversation is not None:
            reason = "siyu.yaml 里没有写 operators，没有人可以通知"
            note = Note(subject_id=conversation, what="通知运营", outcome="failed", because=reason)
            out.add(note, happening.id)

    def _board(
        self, tx: Tx, page: WordFacts, decision: PostBoard, happening: Happening, out: Changes
    ) -> None:
        """Say a leaderboard, unless the conversation saw it just now."""
        every, rule = self._workspace.definitions.points.boards.every, f"board:{decision.board}"
        conversation = decision.speak.conversation_id
        resting = stored.resting(tx, [conversation], now=page.now).get(conversation, {})
        if rule in resting or (rule, conversation) in page.boards:
            because = f"{show_duration(every)}内刚发过一次，免得刷屏"
            note = Note(subject_id=conversation, what="排行榜", outcome="withheld", because=because)
            out.add(note, happening.id)
            return
        page.boards[rule, conversation] = page.scores.board(
            decision.board, happening, everyone=decision.everyone
        )
        page.board = page.boards[rule, conversation]
        self._speak(page, decision.speak, happening, out, page.now)
        page.board = []
        rest = Rest(rule=rule, subject_id=conversation, until=page.now + every)
        out.add(rest, happening.id)

    def _inline(self, text: str, page: WordFacts, happening: Happening, source: str) -> str:
        facts = page.of(happening, source)
        if any(name in text for name in SCORE_NAMES):
            ranked = any(word in text for word in RANKED)
            facts = {**facts, **page.points(happening, ranked=ranked)}
        return self._workspace.templates.render_inline(text, facts)

    def _lines(self, tx: Tx, conversation: int, happening: Happening) -> str:
        lines = stored.last_lines(
            tx.connection, conversation, in_group=happening.group_id is not None, count=LINES
        )
        return "\n".join(f"{who}：{text[:80]}" for _, who, text in lines)

    def _operators(self, tx: Tx, account: int, *, now: int) -> list[int]:
        wanted = [Person(external_id=external) for external in self._settings.operators]
        known = people.upsert_contacts(tx, account, wanted, now=now)
        return [known[person.external_id].id for person in wanted]

    def _set(self, page: WordFacts, decision: SetValue, happening: Happening, out: Changes) -> None:
        try:
            value = decision.value and self._inline(
                decision.value, page, happening, decision.source
            )
        except RenderError as error:
            out.add(_failed(decision.subject_id, f"属性 {decision.key}", error), happening.id)
            return
        page.attributes[decision.subject_id][decision.key] = value or ""
        change = Value(
            subject_id=decision.subject_id, key=decision.key, value=value, source=decision.source
        )
        out.add(change, happening.id)


def _mentioning(
    bodies: tuple[Body, ...], *, of: tuple[str, ...] = (), without: str = ""
) -> tuple[Body, ...]:
    """The bodies with these mentions in their first text, and without that one in any."""
    out: list[Body] = []
    for body in bodies:
        if isinstance(body, Text):
            kept = tuple(id_ for id_ in body.mentions if id_ != without)
            out.append(body.model_copy(update={"mentions": (*of, *kept)}))
            of = ()
        else:
            out.append(body)
    return tuple(out)


def _accept(decision: AcceptRequest, now: int) -> Message:
    return Message(
        bodies=(Accept(request_id=decision.request_id),),
        conversation_id=decision.contact_id,
        in_group=False,
        purpose="reply",
        source=decision.source,
        because=decision.because,
        expires_at=now + DAY,
    )


def _notice(bodies: tuple[Body, ...], operator: int, decision: Tell) -> Message:
    return Message(
        bodies=bodies,
        conversation_id=operator,
        in_group=False,
        purpose="notice",
        source=decision.source,
        because=decision.because,
        expires_at=None,
    )


def _failed(subject: int, what: str, error: RenderError) -> Note:
    return Note(subject_id=subject, what=what, outcome="failed", because=str(error))
