"""Puts questions to the model: outside of every transaction, and never one twice.

Like the courier it works in rounds. A round belongs to the turn's transaction: it records what came
back, checks again whether the answer still fits, and notes which questions are being asked now;
only when that is committed are they asked. What came back waits for the next round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from bot.comparing import Comparer
from bot.desk import SOURCE, happening_of
from bot.happening import Happening, Me
from bot.heart import Heart
from bot.meaning import Embedder
from bot.model import Model, ModelTrouble, Prompt, Said
from bot.prompting import Source, objection, prompt_of, reading_prompt, sources_of
from bot.workspace import Workspace
from sop.answering import Ranking, likely
from sop.decisions import Decision, Note, Utter
from sop.sending import day_start
from sop.times import MINUTE, show_duration
from sop.timing import local_day
from storage import events as facts
from storage import questions
from storage.apply import write_notes
from storage.questions import Asked
from storage.store import Tx

log = logging.getLogger("siyu.asker")
ATTEMPTS = 2  # times a question is put to the model, should the process die meanwhile
FAILURES = 5  # in a row, and the model is left alone
REST = 2 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A question on its way to the model."""

    asked: Asked
    call: int
    heart: Heart
    sources: tuple[Source, ...]
    prompt: Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came back: an answer, or why there is none. `took` is in ms."""

    job: Job
    said: Said | None = None
    trouble: str = ""
    took: int = 0


class Asker:
    """Asks for one account."""

    def __init__(self, *, wake: Callable[[], None], now: Callable[[], int]) -> None:
        self.model: Model | None = None
        self.comparer = Comparer(wake=wake, now=now)
        self._wake = wake
        self._now = now
        self._look = True  # whether questions may wait although there is no model
        self._prepared: list[Job] = []
        self._seen = 0  # results that the round under way has taken
        self._results: list[Result] = []
        self._tasks: dict[asyncio.Task[None], int] = {}  # and the question each of them asks
        self._closing: set[asyncio.Task[None]] = set()
        self._settled: list[int] = []  # questions that the round under way found an answer for

    @property
    def unrecorded(self) -> bool:
        """Whether answers came back that no round has recorded yet."""
        return bool(self._results) or self.comparer.news

    @property
    def under_way(self) -> set[int]:
        """Questions that are being asked, or whose answers no round has recorded yet."""
        return {*self._tasks.values(), *(result.job.asked.id for result in self._results)}

    def use(self, model: Model | None) -> None:
        """From here on ask this model, or none; the one before is closed."""
        before, self.model, self._look = self.model, model, True
        if before is not None and before is not model:
            self._retire(before)

    def compare_with(self, embedder: Embedder | None, workspace: Workspace) -> None:
        """From here on compare with this knowledge by this embedder, or none."""
        before = self.comparer.use(embedder, workspace)
        if before is not None:
            self._retire(before)

    def _retire(self, client: Model | Embedder) -> None:
        """Close a client that was replaced, when what it still works on is through."""
        under_way = [*self._tasks, *self.comparer.tasks]

        async def close() -> None:
            if under_way:
                await asyncio.wait(under_way)
            await client.close()

        task = asyncio.create_task(close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def round(self, tx: Tx, me: Me, heart: Heart, *, now: int) -> None:
        """One round, in the turn's transaction; follow it with `launch` once it is committed."""
        self._prepared, self._settled, self._seen = [], [], len(self._results)
        self.comparer.forget_wanted()
        for result in self._results[: self._seen]:
            self._take(tx, me, heart, result, now)
        answers = heart.settings.answers
        if answers.model is None and answers.embeddings is None and not self._look:
            return
        for asked in questions.in_state(tx, me.id, "pending"):
            if self._go_on(tx, me, heart, asked, now):
                self._settled.append(asked.id)

    def launch(self) -> None:
        """The round is committed: forget what it recorded, ask what it prepared."""
        del self._results[: self._seen]
        self._seen, self._look = 0, False
        prepared, self._prepared = self._prepared, []
        for job in prepared:
            task = asyncio.create_task(self._ask(job))
            self._tasks[task] = job.asked.id
            task.add_done_callback(self._tasks.pop)
        self.comparer.launch(self._settled)

    async def landed(self) -> bool:
        """Wait for all that is being asked; True when anything was."""
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks)
        return await self.comparer.landed() or bool(tasks)

    async def close(self) -> None:
        """Give up on what is being asked: the rows say so, and the next start asks again."""
        for task in self._tasks:
            task.cancel()
        await self.comparer.close()
        await asyncio.gather(*self._tasks, *self._closing, return_exceptions=True)
        if self.model is not None:
            await self.model.close()

    # --- before ---------------------------------------------------------------------------------

    def _go_on(self, tx: Tx, me: Me, heart: Heart, asked: Asked, now: int) -> bool:
        """Bring a pending question on; False while it waits to be compared or for its turn."""
        if asked.who == questions.READING:
            return self._read(tx, me, heart, asked, now)
        if asked.conversation_id in facts.paused(tx, {asked.conversation_id}, now=now):
            self._drop(tx, asked, "已由人工接管，机器人不答了")
            return True
        if now - asked.at > heart.settings.stale:
            because = f"等了 {show_duration(now - asked.at)}，太久了"
            self._hand_over(tx, me, heart, asked, because, now)
            return True
        ranking = self._ranking(heart, asked, now)
        if ranking is None:
            return False
        decided = heart.desk.weigh(tx, me, asked, ranking, now=now)
        if decided is not None:
            heart.carry_out(tx, me, decided, now=now)
            return True
        if why_not := self._obstacle(tx, me, heart, asked, now):
            self._hand_over(tx, me, heart, asked, why_not, now)
            return True
        if self.model is None or not self._has_room(heart):
            return False
        self._prepare(tx, me, heart, asked, ranking, self.model, now)
        return True

    def _read(self, tx: Tx, me: Me, heart: Heart, asked: Asked, now: int) -> bool:
        """Have a message read that asks nothing, while at most half of the day's calls are used."""
        late = now - asked.at > heart.settings.stale
        if late or self._obstacle(tx, me, heart, asked, now, share=0.5) or self.model is None:
            questions.forget(tx, asked.id)
            return True
        if not self._has_room(heart):
            return False
        call = questions.reserve(tx, asked, model=self.model.name, sources=[], now=now)
        prompt = reading_prompt(asked.text)
        self._prepared.append(Job(asked=asked, call=call, heart=heart, sources=(), prompt=prompt))
        return True

    def _has_room(self, heart: Heart) -> bool:
        return len(self._tasks) + len(self._prepared) < self._at_once(heart)

    def _at_once(self, heart: Heart) -> int:
        settings = heart.settings.answers.model
        return settings.at_once if settings else 0

    def _ranking(self, heart: Heart, asked: Asked, now: int) -> Ranking | None:
        """What may answer a question; None while its meaning is being compared."""
        knowledge, settings = heart.workspace.knowledge, heart.settings.answers.embeddings
        today = local_day(now, heart.settings.zone)
        if settings is None:
            return knowledge.weigh(asked.text, today=today)
        found = self.comparer.look(asked, knowledge, at_once=settings.at_once, now=now)
        if found is None:
            return None
        return knowledge.weigh(asked.text, today=today, alike=found.alike, how=found.how)

    def _obstacle(
        self, tx: Tx, me: Me, heart: Heart, asked: Asked, now: int, *, share: float = 1.0
    ) -> str:
        """Why a question may not go to the model now; `share` of the budgets is there for it."""
        settings = heart.settings.answers.model
        if self.model is None or settings is None:
            return "没有配模型"
        if asked.attempts >= ATTEMPTS:
            return f"问了 {asked.attempts} 次都没有问完"
        today = day_start(now, heart.settings.zone)
        of_contact, of_account = questions.calls_since(tx, me.id, asked.contact_id, since=today)
        if of_contact >= share * settings.per_day.contact:
            return f"今天已经为这个人问了模型 {of_contact} 次，到了上限"
        if of_account >= share * settings.per_day.account:
            return f"今天已经问了模型 {of_account} 次，到了上限"
        last = questions.last_calls(tx, me.id, FAILURES)
        failing = len(last) == FAILURES and all(outcome == "trouble" for outcome, _ in last)
        if failing and 0 <= now - last[0][1] < REST:
            return f"模型接连 {FAILURES} 次没有答上，先歇 {show_duration(REST)}"
        return ""

    def _prepare(
        self, tx: Tx, me: Me, heart: Heart, asked: Asked, ranking: Ranking, model: Model, now: int
    ) -> None:
        knowledge = heart.workspace.knowledge
        entries = [knowledge.by_id[guess.entry] for guess in likely(ranking.guesses)]
        sources = sources_of(heart.workspace, entries, now=now)
        if not sources:
            self._hand_over(tx, me, heart, asked, "没有能给模型看的资料", now)
            return
        call = questions.reserve(
            tx, asked, model=model.name, sources=[s.entry for s in sources], now=now
        )
        prompt = prompt_of(heart.workspace, sources, asked.text)
        self._prepared.append(
            Job(asked=asked, call=call, heart=heart, sources=tuple(sources), prompt=prompt)
        )

    # --- asking ---------------------------------------------------------------------------------

    async def _ask(self, job: Job) -> None:
        model, began = self.model, self._now()
        said, trouble = None, ""
        try:
            if model is None:
                raise ModelTrouble("模型刚刚被撤掉了")
            said = await model.ask(job.prompt)
        except ModelTrouble as error:
            trouble = str(error)
        except Exception as error:
            log.warning("asking the model: %s", type(error).__name__)
            trouble = f"问模型时出错（{type(error).__name__}）"
        took = max(0, self._now() - began)
        self._results.append(Result(job=job, said=said, trouble=trouble, took=took))
        self._wake()

    # --- after ----------------------------------------------------------------------------------

    def _take(self, tx: Tx, me: Me, heart: Heart, result: Result, now: int) -> None:
        """Record one answer, and send it if it still fits."""
        job, said = result.job, result.said
        outcome, because, asked = "answered", "", questions.get(tx, job.asked.id)
        if asked is None or asked.state != "asking":
            outcome, because = "late", "等模型的时候，这句话已经有人答了"
        elif said is None:
            outcome, because = "trouble", result.trouble
        elif asked.who == questions.READING:
            outcome = "read"
        elif moved := self._moved_on(tx, asked, heart, now):
            outcome, because = "late", moved
        elif said.intent == "投诉":
            outcome, because = "refused", "模型听着像投诉，不由机器人答"
        elif not said.known:
            outcome, because = "unknown", "模型说资料里没有"
        elif refused := objection(job.heart.workspace, job.sources, job.prompt, said.answer):
            outcome, because = "refused", f"模型的回答没有用，{refused}"
        tokens = (said.tokens_in, said.tokens_out) if said else (0, 0)
        questions.finish_call(
            tx, job.call, outcome, because=because, tokens=tokens, took=result.took
        )
        if asked is None or asked.state != "asking":
            return
        if said is not None:
            heart.carry_out(
                tx, me, heart.desk.heard(tx, asked, said.intent, said.mood, now), now=now
            )
        if asked.who == questions.READING:
            questions.forget(tx, asked.id)
        elif outcome == "answered" and said is not None:
            heart.carry_out(tx, me, self._answer(tx, asked, job, said), now=now)
        elif outcome == "late" and self._is_over(tx, asked, now):
            self._drop(tx, asked, because)
        else:
            self._hand_over(tx, me, heart, asked, because, now)

    def _moved_on(self, tx: Tx, asked: Asked, heart: Heart, now: int) -> str:
        """Why an answer comes too late for the conversation; empty when it does not."""
        paused = facts.paused(tx, {asked.conversation_id}, now=now)
        if asked.conversation_id in paused:
            return f"已由人工接管（{paused[asked.conversation_id]}），模型的回答不发了"
        if now - asked.at > heart.settings.stale:
            return f"模型 {show_duration(now - asked.at)}才答，太晚了，不发了"
        match questions.moved_on(tx, asked):
            case "asked":
                return "对方又问了别的，模型的回答不发了"
            case "said":
                return "对方又说了话，模型的回答不发了"
            case _:
                return ""

    def _is_over(self, tx: Tx, asked: Asked, now: int) -> bool:
        """Whether nobody waits for it any more: a human came, or something else is asked."""
        taken = asked.conversation_id in facts.paused(tx, {asked.conversation_id}, now=now)
        return taken or questions.moved_on(tx, asked) == "asked"

    def _answer(
        self, tx: Tx, asked: Asked, job: Job, said: Said
    ) -> list[tuple[Decision, Happening]]:
        used = [job.sources[n - 1] for n in said.used if 0 < n <= len(job.sources)]
        read = "」「".join(source.question for source in used or job.sources)
        because = f"知识：模型照着「{read}」写的"
        entry = (used or job.sources)[0].entry
        questions.settle(tx, asked.id, "answered", because=because, who="model", entry=entry)
        h = happening_of(asked)
        model = self.model.name if self.model else ""
        note = Note(
            subject_id=asked.contact_id, what="知识", outcome="done",
            because=f"{because}，过了检查",
            refs={"model": model, "entries": [s.entry for s in job.sources], "call": job.call},
        )  # fmt: skip
        words = Utter(
            text=said.answer, fixed=True, conversation_id=asked.conversation_id,
            in_group=asked.in_group, purpose="reply", source=f"{SOURCE}:model", because=because,
        )  # fmt: skip
        return [(note, h), (words, h)]

    def _drop(self, tx: Tx, asked: Asked, because: str) -> None:
        questions.settle(tx, asked.id, "dropped", because=because)
        note = Note(subject_id=asked.contact_id, what="知识", outcome="withheld", because=because)
        write_notes(tx, [(note, asked.event_id)], now=self._now())

    def _hand_over(
        self, tx: Tx, me: Me, heart: Heart, asked: Asked, because: str, now: int
    ) -> None:
        decided = heart.desk.hand_over(tx, me, asked, because, now=now)
        heart.carry_out(tx, me, decided, now=now)
