"""What nobody had a rule for: answered from the knowledge, put to the model, or handed to a human.

Also reads what people are after, and sees to complaints. Everything here happens inside the
transaction of the turn; the model itself is asked by `bot.asker`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bot.happening import Happening, Me
from bot.knowledge import own_words
from bot.language.intent import Reading
from bot.workspace import Workspace
from sop.acting import give_tag
from sop.answering import Guess, Ranking, likely, waits
from sop.answers import INTENTS, MOODS
from sop.decisions import Decision, Note, Speak, StepBack, Tell, Utter
from sop.events import Event, EventKind, MessageType
from sop.knowledge import Entry
from sop.rules import RuleBook, speaks
from sop.times import DAY, HOUR, MINUTE, show_duration
from sop.timing import local_day
from storage import questions
from storage.questions import Asked, Numbered
from storage.store import Tx
from storage.tags import tags_of

AGAIN = 10 * MINUTE  # who asks the same so soon again was not helped by the answer
SOURCE = "answers"
BY_MODEL = "模型听出来的"
Decided = list[tuple[Decision, Happening]]


@dataclass(frozen=True, slots=True)
class _Case:
    """One message that is looked at, and what it is after."""

    h: Happening
    contact: int
    conversation: int
    reading: Reading


class Desk:
    """The front desk of one version of a workspace."""

    def __init__(self, workspace: Workspace, book: RuleBook) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._definitions = workspace.definitions
        self._book = book
        self._groups = [g for g in (INTENTS, MOODS) if g in self._definitions.tags]
        self.answers = bool(workspace.definitions.faq or workspace.pages)
        self.listens = self.answers or bool(self._groups)

    def answer(
        self,
        tx: Tx,
        me: Me,
        wave: Sequence[Happening],
        decided: Decided,
        *,
        ours: Collection[int],
        silenced: Mapping[int, str],
        now: int,
    ) -> Decided:
        """What to do about those of a wave that no rule answered.

        `decided` is what rules and SOPs do already; `ours` are the events an SOP took
        for an answer.
        """
        by_hand = {h.conversation for h in wave if h.event.from_self and h.conversation}
        questions.close_by_hand(tx, {c for c in by_hand if c is not None})
        taken = self._taken(decided) | set(ours)
        told = {h.id for d, h in decided if isinstance(d, Tell | StepBack)}
        out: Decided = []
        for h in wave:
            if (case := self._case(h)) is not None:
                out += self._tag(tx, case, now)
                if case.reading.intent == "投诉":
                    out += self._complaint(tx, case, now, alert=h.id not in told | silenced.keys())
                if self.answers and h.id not in taken:
                    out += self._open(tx, me, case, silenced.get(h.id, ""), now)
                if h.id not in silenced:
                    self._let_read(tx, me, case, now)
        return out

    def _case(self, h: Happening) -> _Case | None:
        """A message to read: in private, or in a group with the bot mentioned."""
        event = h.event
        if event.kind is not EventKind.MESSAGE or event.from_self or h.contact_id is None:
            return None
        if event.type is not MessageType.TEXT or not own_words(event.text) or h.depth:
            return None
        if h.group_id is not None and not event.mentions_self:
            return None
        if event.contact is not None and event.contact.external_id in self._settings.operators:
            return None
        reading = self._workspace.knowledge.read(event.text)
        return _Case(h, h.contact_id, h.conversation or h.contact_id, reading)

    def _taken(self, decided: Decided) -> set[int]:
        """The events that a rule or an SOP answers, or that a rule's words caught in vain."""
        out: set[int] = set()
        for decision, h in decided:
            match decision:
                case Speak() | Tell() | StepBack():
                    out.add(h.id)
                case Note(outcome="withheld" | "skipped"):
                    rule = self._book.by_id.get(str(decision.refs.get("rule", "")))
                    if rule is not None and speaks(rule):
                        out.add(h.id)
                case _:
                    pass
        return out

    # --- reading ------------------------------------------------------------------------------

    def _tag(self, tx: Tx, case: _Case, now: int) -> Decided:
        """Tags for what is heard; chatting takes no other intent's place."""
        heard = {INTENTS: case.reading.intent, MOODS: case.reading.mood}
        if not self._groups:
            return []
        held = tags_of(tx, [case.contact], now=now)[case.contact]
        if case.reading.intent == "闲聊" and any(t.startswith(f"{INTENTS}/") for t in held):
            heard[INTENTS] = ""
        told = {INTENTS: case.reading.words, MOODS: case.reading.mood_words}
        return [
            (self._tag_for(case.contact, group, heard[group], told[group], now), case.h)
            for group in self._groups
            if heard[group]
        ]

    def _tag_for(
        self, contact: int, group: str, name: str, words: Sequence[str], now: int
    ) -> Decision:
        """The tag for what was heard, with the words that told."""
        return give_tag(
            self._definitions, subject_id=contact, tag=f"{group}/{name}",
            source=f"reading:{'、'.join(words)[:60]}", now=now,
        )  # fmt: skip

    def heard(self, tx: Tx, asked: Asked, intent: str, mood: str, now: int) -> Decided:
        """What a model heard in a message: tags where the words told nothing, and complaints."""
        words = self._workspace.knowledge.read(asked.text)
        reading = Reading(
            "" if words.words else intent, "" if words.mood or mood == "平" else mood,
            (BY_MODEL,), (BY_MODEL,),
        )  # fmt: skip
        case = _Case(happening_of(asked), asked.contact_id, asked.conversation_id, reading)
        out = self._tag(tx, case, now)
        if reading.intent == "投诉":
            out += self._complaint(tx, case, now, alert=True)
        return out

    def _let_read(self, tx: Tx, me: Me, case: _Case, now: int) -> None:
        """Have the model read a message whose words told nothing, if it does not read it anyway."""
        reading, text = case.reading, own_words(case.h.event.text)
        if reading.words or reading.mood or self._settings.answers.model is None:
            return
        if not self._groups or self._workspace.knowledge.empty(text):
            return
        if not questions.has_asked(tx, case.conversation, case.h.id):
            self._put(tx, me, case, now, who=questions.READING)

    def _complaint(self, tx: Tx, case: _Case, now: int, *, alert: bool) -> Decided:
        """Leave the person in peace, and tell the operators at once."""
        span = self._settings.answers.complaint
        words = "」「".join(case.reading.words)
        fresh = questions.peace_began(tx, case.contact) < now - HOUR
        because = f"听着像投诉（「{words}」）"
        if span:
            questions.give_peace(
                tx, case.contact, until=now + span, event=case.h.id,
                because=f"刚投诉过，{show_duration(span)}内不主动打扰", now=now,
            )  # fmt: skip
        note = Note(
            subject_id=case.contact, what="投诉", outcome="done",
            because=f"{because}，{show_duration(span)}内不主动打扰", refs={"words": words},
        )  # fmt: skip
        if not (alert and fresh):
            return [(note, case.h)]
        where = "{{ group }}里 " if case.h.group_id is not None else ""
        text = (
            f"{where}{{{{ name }}}} 像是在投诉：「{{{{ text | truncate(80) }}}}」，请你尽快去看。"
        )
        lines = None if self.answers else case.conversation
        tell = Tell(text=text, source=SOURCE, because=because, lines_of=lines)
        return [(note, case.h), (tell, case.h)]

    # --- answering ----------------------------------------------------------------------------

    def _open(self, tx: Tx, me: Me, case: _Case, silenced: str, now: int) -> Decided:
        today = local_day(now, self._settings.zone)
        ranking = self._workspace.knowledge.weigh(case.h.event.text, today=today)
        asks, complains = case.reading.asks, case.reading.intent == "投诉"
        best = None if complains else ranking.best
        if silenced:
            return [(self._withheld(case, best, silenced), case.h)] if best else []
        if not waits(ranking.guesses, asks=asks):
            return []
        if best is not None and not asks and self._said_lately(tx, case.conversation, best, now):
            return []  # 好的, 退货谢谢: said, not asked
        asked = self._put(tx, me, case, now)
        if complains:
            return self._hand(tx, me, asked, ranking.guesses, "是投诉，不由机器人答", now)
        if self._settings.answers.embeddings is not None:
            return []  # the asker compares what is meant, or says why not
        return self.weigh(tx, me, asked, ranking, now=now) or []

    def weigh(self, tx: Tx, me: Me, asked: Asked, ranking: Ranking, *, now: int) -> Decided | None:
        """What to do about a pending question; None: put it to the model."""
        if (best := ranking.best) is not None:
            if not self._said_lately(tx, asked.conversation_id, best, now):
                return self._give(tx, asked, best, ranking.how, now)
            because = "刚照着知识答过，又问了一遍"
            return self._hand(tx, me, asked, ranking.guesses, because, now)
        if likely(ranking.guesses) and self._settings.answers.model is not None:
            return None
        because = _unsure(ranking.guesses) + _remark(ranking.how)
        return self._hand(tx, me, asked, ranking.guesses, because, now)

    def _said_lately(self, tx: Tx, conversation: int, best: Guess, now: int) -> bool:
        return questions.answered_lately(tx, conversation, best.entry, since=now - AGAIN)

    def _withheld(self, case: _Case, best: Guess, silenced: str) -> Note:
        return Note(
            subject_id=case.conversation, what=f"知识 {best.entry}", outcome="withheld",
            because=silenced, refs={"entry": best.entry, "score": round(best.score, 2)},
        )  # fmt: skip

    def _give(self, tx: Tx, asked: Asked, best: Guess, how: str, now: int) -> Decided:
        entry, h = self._workspace.knowledge.by_id[best.entry], happening_of(asked)
        because = f"知识 {entry.id}：最像「{entry.question}」（{best.score:.2f}）{_remark(how)}"
        questions.settle(tx, asked.id, "answered", because=because, who="entry", entry=entry.id)
        refs = {"entry": entry.id, "score": round(best.score, 2)}
        note = Note(
            subject_id=asked.contact_id, what=f"知识 {entry.id}", outcome="done",
            because=because, refs=refs,
        )  # fmt: skip
        return [(note, h), *self.say(entry, h, because=because, now=now)]

    def say(
        self, entry: Entry, h: Happening, *, because: str, now: int, by_operator: bool = False
    ) -> Decided:
        """The entry's own answer and tags, for whoever asked."""
        source = f"faq:{entry.id}"
        tags = [
            (give_tag(self._definitions, subject_id=h.contact_id or 0, tag=tag, source=source,
                      now=now), h)
            for tag in entry.tags
        ]  # fmt: skip
        conversation = h.conversation or 0
        in_group = h.group_id is not None
        # What an operator sends is no automatic reply: neither a takeover nor its age holds it.
        late = now + DAY if by_operator else None
        words: Decision
        if entry.say:
            words = Speak(
                say=entry.say, conversation_id=conversation, in_group=in_group,
                purpose="notice" if by_operator else "reply", source=source, because=because,
                expires_at=late,
            )  # fmt: skip
        else:
            words = Utter(
                text=entry.text, conversation_id=conversation, in_group=in_group,
                purpose="notice" if by_operator else "reply", source=source, because=because,
                expires_at=late,
            )  # fmt: skip
        return [*tags, (words, h)]

    def _put(self, tx: Tx, me: Me, case: _Case, now: int, *, who: str = "") -> Asked:
        asked = Asked(
            id=tx.new_id(), account_id=me.id, conversation_id=case.conversation,
            contact_id=case.contact, in_group=case.h.group_id is not None, event_id=case.h.id,
            at=now, text=own_words(case.h.event.text)[:1_000], state="pending",
            who=who, because="还没有定下来怎么答",
        )  # fmt: skip
        questions.add(tx, asked)
        return asked

    # --- handing over -------------------------------------------------------------------------

    def hand_over(self, tx: Tx, me: Me, asked: Asked, because: str, *, now: int) -> Decided:
        """Hand over a question that waited for the model."""
        today = local_day(now, self._settings.zone)
        guesses = self._workspace.knowledge.rank(asked.text, today=today)
        return self._hand(tx, me, asked, guesses, because, now)

    def _hand(
        self, tx: Tx, me: Me, asked: Asked, guesses: Sequence[Guess], because: str, now: int
    ) -> Decided:
        first = not questions.waits_for_human(tx, asked.conversation_id, now=now)
        numbered = self._numbered(tx, me, guesses)
        questions.hand_over(tx, asked.id, numbered, because=because)
        return self._handed(happening_of(asked), numbered, because, first=first)

    def _numbered(self, tx: Tx, me: Me, guesses: Sequence[Guess]) -> list[Numbered]:
        best = [(guess.entry, round(guess.score, 2)) for guess in likely(guesses)]
        return questions.numbered(tx, me.id, best) if best else []

    def _handed(
        self, h: Happening, numbered: Sequence[Numbered], because: str, *, first: bool
    ) -> Decided:
        where = "{{ group }}里 " if h.group_id is not None else ""
        tell = Tell(
            text=f"{where}{{{{ name }}}} 问「{{{{ text | truncate(80) }}}}」，请你来回。",
            source=SOURCE,
            because=f"知识：{because}",
            lines_of=h.conversation,
            after=self._offer(numbered, because),
        )
        note = Note(
            subject_id=h.contact_id or 0, what="知识", outcome="handed", because=because,
            refs={"guesses": [[entry, score] for _, entry, score in numbered]},
        )  # fmt: skip
        out: Decided = [(note, h), (tell, h)]
        if first and self._settings.operators:  # a promise that somebody comes needs somebody
            hold = Utter(
                text=self._settings.answers.hold, conversation_id=h.conversation or 0,
                in_group=h.group_id is not None, purpose="reply", source=SOURCE,
                because="知识：先稳住，等人来答",
            )  # fmt: skip
            out.append((hold, h))
        return out

    def _offer(self, numbered: Sequence[Numbered], because: str) -> str:
        if not numbered:
            return f"（{because}；知识里没有像的）"
        known = self._workspace.knowledge.by_id
        lines = [
            f"/{n} {known[entry].question if entry in known else entry}（像 {score:.2f}）"
            for n, entry, score in numbered
        ]
        return "\n".join([f"（{because}）回一个数就替你发：", *lines])

    def send_guess(self, tx: Tx, me: Me, number: int, *, now: int) -> tuple[Decided, str]:
        """Send the answer an operator chose by its number; also what to tell the operator."""
        found = questions.guessed(tx, me.id, number, now=now)
        if found is None:
            return [], f"没有 /{number} 这个答案，可能已经过了一天。"
        asked, entry_id = found
        if asked.state != "handed":
            return [], "这个问题已经有人答过了，没有再发。"
        entry = self._workspace.knowledge.by_id.get(entry_id)
        if entry is None:
            return [], "这一条已经从知识里删掉了，没有发。"
        because = f"运营选了 /{number}，知识 {entry.id}"
        questions.settle(tx, asked.id, "answered", because=because, who="operator", entry=entry_id)
        h = happening_of(asked)
        return self.say(entry, h, because=because, now=now, by_operator=True), entry.question


def happening_of(asked: Asked) -> Happening:
    """A question as the message it was."""
    event = Event(kind=EventKind.MESSAGE, at=asked.at, external_id="", text=asked.text)
    group = asked.conversation_id if asked.in_group else None
    return Happening(event=event, id=asked.event_id, contact_id=asked.contact_id, group_id=group)


def _remark(how: str) -> str:
    return f"，{how}" if how else ""


def _unsure(guesses: Sequence[Guess]) -> str:
    if not likely(guesses):
        return "知识里没有答案"
    return f"拿不准，最像的只有 {guesses[0].score:.2f}"
