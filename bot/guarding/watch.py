"""Watching groups: every message is weighed, and what is bad enough is acted on.

Nothing here speaks or removes by itself: acts are rows, words and removals go through the outbox,
all in the transaction of the event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bot.guarding.reading import Reader, needs_history
from bot.guarding.removal import removal
from bot.happening import Happening, Me
from bot.workspace import Workspace
from sop.conditions import many
from sop.decisions import Decision, Note, Rest, Speak
from sop.events import EventKind
from sop.guarding import (
    Finding,
    Guard,
    Level,
    Reason,
    Record,
    Sentence,
    Sign,
    SignKind,
    dismissal,
    judge,
    weigh,
)
from sop.rules import group_fits
from sop.sending import day_start
from sop.times import MINUTE, show_duration
from storage import events as facts
from storage import guarding as rows
from storage.apply import Changes
from storage.guarding import Act
from storage.store import Tx
from storage.tags import tags_of

SOURCE = "guard"
HUSH = "guard:say"  # the rest of a group between two warnings; no rule can be called so
BETWEEN_WARNINGS = MINUTE  # a raid is answered once, not once for each advert
EXCERPT = 200


@dataclass(slots=True)
class Watched:
    """What came of a wave: words to say, rows to write, and events that rules keep silent on."""

    decided: list[tuple[Decision, Happening]] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    hushed: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is known about the senders of a wave, loaded at once."""

    standings: Mapping[tuple[int, int], rows.Standing]
    before: Mapping[int, list[tuple[int, str]]]
    tags: Mapping[int, list[str]]
    owners: Mapping[int, str]
    blacklisted: Mapping[str, str]
    strikes: dict[int, int]
    paused: Mapping[int, str]
    resting: set[int]  # groups in which somebody was just told off


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One wave under judgement."""

    tx: Tx
    me: Me
    guard: Guard
    scene: _Scene
    out: Watched
    now: int


class Guarding:
    """The guard of one version of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self.guard: Guard | None = workspace.definitions.guard
        self.reader = Reader(workspace, self.guard or Guard())

    def watch(self, tx: Tx, me: Me, wave: Sequence[Happening], *, now: int) -> Watched:
        """What a wave of events means for guarded groups."""
        out = Watched()
        guard = self.guard
        if guard is None:
            return out
        joined, spoken = self._concerned(tx, wave, guard, now)
        if joined or spoken:
            scene = self._scene(tx, [*joined, *spoken], guard, now)
            turn = _Turn(tx=tx, me=me, guard=guard, scene=scene, out=out, now=now)
            for h in joined:
                self._joined(turn, h)
            for h in spoken:
                self._spoken(turn, h)
        return out

    def warm_up(self) -> None:
        """Load now what the first message in a guarded group would load."""
        if self.guard is not None:
            self.reader.warm_up()

    def weigh(self, text: str) -> Finding:
        """What a text alone would come to."""
        return weigh(self.reader.text(text), self.guard or Guard())

    # --- who and what is looked at ------------------------------------------------------------

    def _concerned(
        self, tx: Tx, wave: Sequence[Happening], guard: Guard, now: int
    ) -> tuple[list[Happening], list[Happening]]:
        kinds = (EventKind.MESSAGE, EventKind.GROUP_JOINED)
        own = [h for h in wave if h.event.kind in kinds and h.group_id and h.contact_id]
        if not own:
            return [], []
        guarded = self._guarded(tx, {h.group_id for h in own if h.group_id}, guard, now)
        own = [h for h in own if h.group_id in guarded]
        return (
            [h for h in own if h.event.kind is EventKind.GROUP_JOINED],
            [h for h in own if h.event.kind is EventKind.MESSAGE],
        )

    def _guarded(self, tx: Tx, groups: set[int], guard: Guard, now: int) -> set[int]:
        if guard.where is None:
            return groups - rows.foreign(tx, groups)
        tags = tags_of(tx, groups, now=now)
        return {
            group.id
            for group in facts.groups_of(tx, groups).values()
            if group_fits(guard.where, tags.get(group.id, ()), group.kind)
        }

    def _scene(self, tx: Tx, own: Sequence[Happening], guard: Guard, now: int) -> _Scene:
        contacts = {h.contact_id for h in own if h.contact_id is not None}
        groups = {h.group_id for h in own if h.group_id is not None}
        compared = {h.contact_id for h in own if h.contact_id and needs_history(h.event.text)}
        people = {h.event.contact.external_id for h in own if h.event.contact}
        return _Scene(
            standings=rows.standings(
                tx, {(h.group_id, h.contact_id) for h in own if h.group_id and h.contact_id}
            ),
            before=rows.said_before(
                tx, compared, since=now - guard.repeat, but={h.id for h in own}
            ),
            tags=tags_of(tx, contacts, now=now) if guard.allow.tags else {},
            owners=rows.owners(tx, groups),
            blacklisted=rows.blacklisted(tx.connection, people),
            strikes=rows.strikes(tx.connection, contacts, now=now),
            paused=facts.paused(tx, groups, now=now),
            resting={g for g, found in facts.resting(tx, groups, now=now).items() if HUSH in found},
        )

    def _trusted(self, turn: _Turn, h: Happening) -> str:
        """Why nothing is held against the sender, or nothing."""
        who = h.event.contact.external_id if h.event.contact else ""
        if who in self._settings.operators:
            return "TA 是运营"
        if who and who == turn.scene.owners.get(h.group_id or 0):
            return "TA 是群主"
        allowed = set(many(turn.guard.allow.tags))
        for tag in turn.scene.tags.get(h.contact_id or 0, ()):
            if tag in allowed or tag.split("/")[0] in allowed:
                return f"TA 有「{tag}」标签，在免管名单里"
        return ""

    # --- what is made of it -------------------------------------------------------------------

    def _spoken(self, turn: _Turn, h: Happening) -> None:
        finding = weigh(self._signs(h, turn.scene), turn.guard)
        if finding.level is Level.FINE:
            return
        trusted = self._trusted(turn, h)
        if trusted:
            because = f"{_looks(finding)}，但{trusted}，不管"
            turn.out.changes.add(_note(h, "withheld", because), h.id)
            return
        record = self._record(turn, h)
        sentence = judge(finding, record, turn.guard)
        if sentence is not None:
            self._act(turn, h, finding, sentence, record)

    def _joined(self, turn: _Turn, h: Happening) -> None:
        """Somebody blacklisted came in: removed or reported, as the guard is told to."""
        who = h.event.contact.external_id if h.event.contact else ""
        if who not in turn.scene.blacklisted or self._trusted(turn, h):
            return
        reason = Reason(SignKind.BLACKLISTED, (turn.scene.blacklisted[who],), turn.guard.act)
        finding = Finding(turn.guard.act, Level.ACT, (reason,))
        record = self._record(turn, h)
        self._act(turn, h, finding, dismissal(record, turn.guard), record)

    def _signs(self, h: Happening, scene: _Scene) -> list[Sign]:
        newcomer = self.reader.is_newcomer(
            h, scene.standings.get((h.group_id or 0, h.contact_id or 0))
        )
        signs = self.reader.text(h.event.text) if h.event.text else []
        signs += self.reader.kind(h.event.type, newcomer=newcomer)
        signs += self.reader.repeats(h, scene.before.get(h.contact_id or 0, ()))
        if newcomer:
            signs.append(Sign(SignKind.NEWCOMER, ""))
        if signs and h.event.contact and h.event.contact.external_id in scene.blacklisted:
            signs.append(Sign(SignKind.BLACKLISTED, ""))
        return signs

    def _record(self, turn: _Turn, h: Happening) -> Record:
        return Record(
            strikes=turn.scene.strikes.get(h.contact_id or 0, 0),
            hindrance=self._hindrance(turn, h),
        )

    def _hindrance(self, turn: _Turn, h: Happening) -> str:
        """Why nobody is removed unasked now, or nothing."""
        guard, age = turn.guard, turn.now - h.event.at
        if guard.mode != "auto":
            return ""
        if age > self._settings.stale:
            return f"这是 {show_duration(age)}前的事"
        today = day_start(turn.now, self._settings.zone)
        if rows.removed_since(turn.tx, turn.me.id, today) >= guard.per_day:
            return f"今天已经自己移了 {guard.per_day} 个，到了 per_day"
        return ""

    def _act(
        self, turn: _Turn, h: Happening, finding: Finding, sentence: Sentence, record: Record
    ) -> None:
        shadow = turn.guard.mode == "shadow"
        # Coming in is no offence of its own.
        strike = sentence is not Sentence.ALERT and h.event.kind is EventKind.MESSAGE
        act = replace(
            _new_act(turn, h, finding, sentence),
            shadow=shadow,
            strikes=record.strikes + strike,
            strike_until=turn.now + turn.guard.expires if strike and not shadow else None,
            settled=record.hindrance,
        )
        if shadow:
            because = f"{_looks(finding)}，现在只报告，不动手"
            turn.out.changes.add(_note(h, "withheld", because, act=act.id), h.id)
            rows.add_act(turn.tx, act)
            return
        if sentence is not Sentence.ALERT:
            turn.out.hushed[h.id] = "群管判了这条像广告，不接话"
            turn.scene.strikes[act.contact_id] = act.strikes
        self._carry_out(turn, h, act, finding)

    def _carry_out(self, turn: _Turn, h: Happening, act: Act, finding: Finding) -> None:
        done = _looks(finding)
        match Sentence(act.sentence):
            case Sentence.ALERT:
                done += "，告诉运营"
            case Sentence.WARN:
                done += f"，记第 {act.strikes} 次，提醒本人"
                self._warn(turn, h, done)
            case Sentence.ASK:
                done += "，问运营要不要移出群"
                act = replace(act, state="asked")
            case Sentence.REMOVE:
                done += "，移出群"
                message = removal(turn.tx, act, because=_looks(finding), now=turn.now)
                act = replace(act, state="removing", outbox_id=message.ids[0])
                turn.out.changes.add(message, h.id)
                rows.blacklist(
                    turn.tx, act.contact_id, act.external_id, "被移出过群", act=act.id, now=turn.now
                )
        rows.add_act(turn.tx, act)
        turn.out.changes.add(_note(h, "done", done, act=act.id), h.id)

    def _warn(self, turn: _Turn, h: Happening, done: str) -> None:
        """Say a word in the group, unless one was just said or nobody should speak there now."""
        group = h.group_id or 0
        if not turn.guard.say:
            return
        silence = self._silence(turn, h, group)
        if silence:
            because = f"群里的提醒没有说：{silence}"
            turn.out.changes.add(_note(h, "withheld", because), h.id)
            return
        speak = Speak(
            say=turn.guard.say, conversation_id=group, in_group=True, purpose="reply",
            source=SOURCE, because=done,
        )  # fmt: skip
        rest = Rest(rule=HUSH, subject_id=group, until=turn.now + BETWEEN_WARNINGS)
        turn.out.decided += [(rest, h), (speak, h)]
        turn.scene.resting.add(group)

    def _silence(self, turn: _Turn, h: Happening, group: int) -> str:
        if group in turn.scene.paused:
            return f"已由人工接管（{turn.scene.paused[group]}）"
        if turn.now - h.event.at > self._settings.stale:
            return "话太旧了"
        return "这个群里刚刚提醒过别人" if group in turn.scene.resting else ""


def _new_act(turn: _Turn, h: Happening, finding: Finding, sentence: Sentence) -> Act:
    person = h.event.contact
    return Act(
        id=turn.tx.new_id(),
        account_id=turn.me.id,
        at=turn.now,
        group_id=h.group_id or 0,
        contact_id=h.contact_id or 0,
        event_id=h.id,
        sentence=sentence.value,
        state="noted",
        shadow=False,
        points=finding.points,
        reasons=tuple(reason.sentence for reason in finding.reasons),
        said=" ".join(h.event.text.split())[:EXCERPT],
        strikes=0,
        strike_until=None,
        outbox_id=None,
        told_at=None,
        settled_at=None,
        settled="",
        name=(person.name or person.external_id) if person else "",
        external_id=person.external_id if person else "",
    )


def _looks(finding: Finding) -> str:
    return f"群管：像广告（{finding.points} 分，{finding.because}）"


def _note(h: Happening, outcome: str, because: str, **refs: int) -> Note:
    return Note(
        subject_id=h.contact_id or h.group_id or 0,
        what="群管",
        outcome=outcome,
        because=because,
        refs=dict(refs),
    )
