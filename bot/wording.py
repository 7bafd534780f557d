"""From decisions to changes: filling templates with the facts of the moment.

Decisions are worked off in order, so a `say` after a `tag` already speaks to the new tag.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never

from bot.happening import Happening
from bot.workspace import Workspace
from sop.decisions import (
    AcceptRequest,
    Decision,
    EnterSop,
    Gather,
    GiveTag,
    LeaveSop,
    Note,
    Rest,
    SetValue,
    Speak,
    StepBack,
    TakeTag,
    Tell,
)
from sop.errors import RenderError
from sop.events import EventKind, Person
from sop.messages import Accept, Body, Text
from sop.times import DAY
from storage import events as stored
from storage import people
from storage.apply import Changes, Message, Value
from storage.store import Tx
from storage.tags import tags_of

log = logging.getLogger("siyu.wording")
LINES = 5  # how many last lines an operator gets at a hand-over
MENTIONS = 20  # how many people one gathered welcome names; more is noise, and gateways refuse it


class Wording:
    """Fills the words of one version of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settings = workspace.settings

    def is_personal(self, decision: Decision) -> bool:
        """Whether a decision of a gathered rule is for each person, not once for the group."""
        return isinstance(decision, GiveTag | TakeTag | SetValue) or (
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
        page = _Facts(tx, self._workspace, decided, members, now)
        out = Changes()
        for decision, happening in decided:
            match decision:
                case Speak():
                    self._speak(page, decision, happening, out, now)
                case Tell():
                    self._tell(tx, account, page, decision, happening, out)
                case AcceptRequest():
                    out.add(_accept(decision, now), happening.id)
                case SetValue():
                    self._set(page, decision, happening, out)
                case GiveTag() | TakeTag():
                    page.retag(decision)
                    out.add(decision, happening.id)
                case StepBack() | Rest() | Gather() | Note() | EnterSop() | LeaveSop():
                    out.add(decision, happening.id)
                case _:
                    assert_never(decision)
        return out

    def _speak(
        self, page: _Facts, decision: Speak, happening: Happening, out: Changes, now: int
    ) -> None:
        tags = page.tags[happening.contact_id or 0]
        try:
            bodies = self._workspace.templates.render(
                decision.say, tags=tags, facts=page.of(happening, decision.source)
            )
        except RenderError as error:
            log.warning("template %s failed: %s", decision.say, error)
            out.add(_failed(decision.conversation_id, f"模板 {decision.say}", error), happening.id)
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
        out.add(message, happening.id)

    def _tell(
        self,
        tx: Tx,
        account: int,
        page: _Facts,
        decision: Tell,
        happening: Happening,
        out: Changes,
    ) -> None:
        conversation = happening.conversation
        try:
            text = self._workspace.templates.render_inline(
                decision.text, page.of(happening, decision.source)
            )
        except RenderError as error:
            log.warning("notice of %s failed: %s", decision.source, error)
            out.add(_failed(conversation or 0, f"通知 {decision.source}", error), happening.id)
            return
        if decision.lines_of is not None:
            text = f"{text}\n{self._lines(tx, decision.lines_of, happening)}".strip()
        operators = self._operators(tx, account, now=page.now)
        for operator in operators:
            out.add(_notice((Text(text=text),), operator, decision), happening.id)
        if not operators and conversation is not None:
            reason = "siyu.yaml 里没有写 operators，没有人可以通知"
            note = Note(subject_id=conversation, what="通知运营", outcome="failed", because=reason)
            out.add(note, happening.id)

    def _lines(self, tx: Tx, conversation: int, happening: Happening) -> str:
        lines = stored.last_lines(
            tx.connection, conversation, in_group=happening.group_id is not None, count=LINES
        )
        return "\n".join(f"{who}：{text[:80]}" for _, who, text in lines)

    def _operators(self, tx: Tx, account: int, *, now: int) -> list[int]:
        wanted = [Person(external_id=external) for external in self._settings.operators]
        known = people.upsert_contacts(tx, account, wanted, now=now)
        return [known[person.external_id].id for person in wanted]

    def _set(self, page: _Facts, decision: SetValue, happening: Happening, out: Changes) -> None:
        try:
            value = decision.value and self._workspace.templates.render_inline(
                decision.value, page.of(happening, decision.source)
            )
        except RenderError as error:
            out.add(_failed(decision.subject_id, f"属性 {decision.key}", error), happening.id)
            return
        page.attributes[decision.subject_id][decision.key] = value or ""
        change = Value(
            subject_id=decision.subject_id, key=decision.key, value=value, source=decision.source
        )
        out.add(change, happening.id)


class _Facts:
    """The facts of a batch, loaded at once, kept in step with the decisions worked off so far."""

    def __init__(
        self,
        tx: Tx,
        workspace: Workspace,
        decided: Sequence[tuple[Decision, Happening]],
        members: Sequence[int],
        now: int,
    ) -> None:
        contacts = {h.contact_id for _, h in decided if h.contact_id is not None} | set(members)
        groups = {h.group_id for _, h in decided if h.group_id is not None}
        self.now = now
        self._workspace = workspace
        self._portraits = stored.portraits(tx, contacts)
        self._groups = stored.groups_of(tx, groups)
        self._members = [self._portraits[m] for m in members[:MENTIONS] if m in self._portraits]
        self.tags: dict[int, list[str]] = defaultdict(list, tags_of(tx, contacts, now=now))
        self.attributes: dict[int, dict[str, str]] = defaultdict(
            dict, stored.attributes_of(tx, contacts)
        )

    def retag(self, decision: GiveTag | TakeTag) -> None:
        """Let later templates of the batch see a tag that comes or goes."""
        tags = self.tags[decision.subject_id]
        gone = decision.tags if isinstance(decision, TakeTag) else decision.replaces
        tags[:] = [t for t in tags if t not in gone]
        if isinstance(decision, GiveTag) and decision.tag not in tags:
            tags.append(decision.tag)

    def of(self, happening: Happening, source: str) -> Mapping[str, Any]:
        """The facts a template may see about one happening, on behalf of the rule `source`."""
        contact = happening.contact_id or 0
        portrait = self._portraits.get(contact)
        group = self._groups.get(happening.group_id or 0)
        words = happening.matched.get(source.removeprefix("rule:"), ())
        return {
            "nickname": portrait.name if portrait else "",
            "remark": portrait.alias if portrait else "",
            "tags": list(self.tags[contact]),
            "stage": portrait.stage if portrait else "",
            "group": (group.name or "本群") if group else "",
            "members": [m.alias or m.name for m in self._members],
            "now": datetime.fromtimestamp(self.now / 1000, self._workspace.settings.zone),
            "community": self._workspace.settings.community,
            "text": happening.event.text,
            "keyword": words[0] if words else "",
            "attributes": dict(self.attributes[contact]),
            "seed": contact,
            "sender_id": portrait.external_id if portrait else "",
            "member_ids": [m.external_id for m in self._members],
        }


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
