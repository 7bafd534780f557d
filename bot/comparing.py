"""Compares questions with the knowledge by meaning: outside of every transaction, and not for long.

Whatever a server of embeddings does, a question waits at most its time-out; then words alone count,
and the trace says why. After failures in a row nobody waits at all for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.knowledge import Knowledge, own_words
from bot.meaning import (
    FILE,
    Embedder,
    Meanings,
    Vector,
    load_vectors,
    meanings_of,
    save_vectors,
    texts_of,
)
from bot.model import ModelTrouble
from bot.workspace import Workspace
from sop.times import MINUTE, show_duration
from storage.questions import Asked

log = logging.getLogger("siyu.comparing")
FAILURES = 3  # in a row, and the server is left alone
REST = 2 * MINUTE
BATCH = 8  # texts a call; some servers take ten at most
COMPARED = "词和意思一起比"


@dataclass(frozen=True, slots=True)
class Compared:
    """Each entry's likeness in meaning to a question; None if only words count, and `how`."""

    alike: Mapping[str, float] | None
    how: str


class Comparer:
    """Compares for one account. The asker calls it in its rounds."""

    def __init__(self, *, wake: Callable[[], None], now: Callable[[], int]) -> None:
        self._wake = wake
        self._now = now
        self.embedder: Embedder | None = None
        self._knowledge: Knowledge | None = None
        self._path = FILE
        self._meanings: Meanings | None = None
        self._found: dict[int, Compared] = {}
        self._wanted: list[tuple[Asked, Meanings, Embedder]] = []
        self._asking: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._filling: asyncio.Task[None] | None = None
        self._failed = 0  # times in a row
        self._rests_until = 0

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What is under way."""
        return [*self._tasks, *([self._filling] if self._filling else [])]

    @property
    def news(self) -> bool:
        """Whether something was compared that no round has looked at."""
        return bool(self._found)

    def use(self, embedder: Embedder | None, workspace: Workspace) -> Embedder | None:
        """From here on compare with this knowledge; returns the embedder that is not used now."""
        before, self.embedder = self.embedder, embedder
        self._knowledge = workspace.knowledge if embedder else None
        self._path = workspace.root / FILE
        self._meanings = None
        self._failed = self._rests_until = 0
        self._found.clear()
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None
        return before if before is not embedder else None

    def look(
        self, asked: Asked, knowledge: Knowledge, *, at_once: int, now: int
    ) -> Compared | None:
        """How a question compares; None while it is being compared, from `launch` on."""
        if asked.id in self._found:
            return self._found[asked.id]
        if asked.id in self._asking:
            return None
        embedder, meanings = self.embedder, self._meanings
        if embedder is None:
            return Compared(None, "只比了词：彩排和模拟聊天里不问向量服务")
        if now < self._rests_until:
            return Compared(None, f"只比了词：向量服务接连出错，先歇 {show_duration(REST)}")
        if meanings is None or meanings.knowledge is not knowledge:
            return Compared(None, "只比了词：知识的向量还没算好")
        if len(self._asking) + len(self._wanted) < at_once:
            self._wanted.append((asked, meanings, embedder))
        return None

    def forget_wanted(self) -> None:
        """A round begins; what the last one wanted and did not get to launch is void."""
        self._wanted = []

    def launch(self, settled: Collection[int]) -> None:
        """The round is committed: forget what is settled, compare what is wanted."""
        for question in settled:
            self._found.pop(question, None)
        wanted, self._wanted = self._wanted, []
        for asked, meanings, embedder in wanted:
            self._asking.add(asked.id)
            task = asyncio.create_task(self._compare(asked, meanings, embedder))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._fill()

    async def landed(self) -> bool:
        """Wait for all that is being compared or counted; True when anything was."""
        tasks = self.tasks
        if tasks:
            await asyncio.wait(tasks)
        return bool(tasks)

    async def close(self) -> None:
        """Give up on what is under way; the rows say what is open."""
        tasks = self.tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        embedder, self.embedder = self.embedder, None
        if embedder is not None:
            await embedder.close()

    # --- one question ---------------------------------------------------------------------------

    async def _compare(self, asked: Asked, meanings: Meanings, embedder: Embedder) -> None:
        try:
            (vector,) = await embedder.embed([own_words(asked.text)])
            alike = await asyncio.to_thread(meanings.alike, vector)
            found, self._failed = Compared(alike, COMPARED), 0
        except ModelTrouble as trouble:
            found = Compared(None, f"只比了词：{trouble}")
            self._fail()
        except Exception as error:
            log.warning("comparing a question: %s", type(error).__name__)
            found = Compared(None, f"只比了词：比的时候出错 {type(error).__name__}")
            self._fail()
        finally:
            self._asking.discard(asked.id)
        self._found[asked.id] = found
        self._wake()

    def _fail(self) -> None:
        self._failed += 1
        if self._failed >= FAILURES:
            self._rests_until = self._now() + REST

    # --- the knowledge --------------------------------------------------------------------------

    def _fill(self) -> None:
        """Begin to turn the knowledge into vectors, if that is to be done and can be."""
        if self.embedder is None or self._knowledge is None or self._meanings is not None:
            return
        if self._filling is None and self._now() >= self._rests_until:
            work = self._fill_in(self._knowledge, self.embedder, self._path)
            self._filling = asyncio.create_task(work)
            self._filling.add_done_callback(self._filled)

    def _filled(self, task: asyncio.Task[None]) -> None:
        if self._filling is task:
            self._filling = None

    async def _fill_in(self, knowledge: Knowledge, embedder: Embedder, path: Path) -> None:
        try:
            self._meanings = await meanings(knowledge, embedder, path)
            self._failed = 0
        except ModelTrouble as trouble:
            log.warning("the knowledge could not be turned into vectors: %s", trouble)
            self._rests_until = self._now() + REST
        except Exception as error:
            log.warning("turning the knowledge into vectors: %s", type(error).__name__)
            self._rests_until = self._now() + REST


async def compare_once(
    workspace: Workspace, make: Callable[[Workspace], Embedder | None], text: str
) -> Compared:
    """How a question compares, for who asks just once and can wait."""
    embedder = make(workspace)
    if embedder is None:
        return Compared(None, "")
    try:
        known = await meanings(workspace.knowledge, embedder, workspace.root / FILE)
        (vector,) = await embedder.embed([own_words(text) or text])
        return Compared(known.alike(vector), COMPARED)
    except ModelTrouble as trouble:
        return Compared(None, f"只比了词：{trouble}")
    finally:
        await embedder.close()


async def meanings(knowledge: Knowledge, embedder: Embedder, path: Path) -> Meanings:
    """The knowledge as vectors: those that are kept, and the rest from the server, kept then.

    Raises `ModelTrouble`; what came before it is kept all the same.
    """
    texts = texts_of(knowledge)
    vectors = await asyncio.to_thread(load_vectors, path, embedder.name, texts)
    lacking = [text for text in texts if text not in vectors]
    try:
        for start in range(0, len(lacking), BATCH):
            batch = lacking[start : start + BATCH]
            vectors |= dict(zip(batch, await embedder.embed(batch), strict=True))
            if len({len(vector) for vector in vectors.values()}) > 1:
                vectors.clear()  # also what is kept: nobody knows which length is right now
                raise ModelTrouble("向量服务给的向量长短不一")
    finally:
        if lacking:
            await asyncio.to_thread(_keep, path, embedder.name, vectors)
    return meanings_of(knowledge, vectors)


def _keep(path: Path, model: str, vectors: Mapping[str, Vector[float]]) -> None:
    try:
        save_vectors(path, model, vectors)
    except OSError as error:
        log.warning("the vectors could not be kept: %s", error)
