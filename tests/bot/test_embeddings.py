"""Comparing by meaning: what it adds, and that no server of embeddings can get in the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.llm import OpenAIEmbedder
from bot.meaning import COMMON, FILE, Vector, load_vectors, read_vectors, save_vectors, texts_of
from bot.model import CannedModel, ModelTrouble
from bot.process import Bot
from bot.stage import Stage
from bot.workspace import Workspace
from sop.answering import BOTH, Guess, Thresholds, fuse, sure, sure_of_both
from sop.answers import EmbeddingSettings
from storage.store import Store
from tests.bot.test_asker import GOOD, HALF, Thinking, say
from tests.bot.test_llm import _drip, _flood, _hang, _head, _raw, _server
from tests.support import MINUTE, NO_GAPS, START, Play, populate, workspace

pytestmark = pytest.mark.usefixtures("sqlite_url")  # the file is there, and migrated
FAQ = """
faq:
  - {id: opened, question: 拆开了还能退吗, answer: 没用过的 7 天内都能退，用过的那包留着用}
  - {id: freight, question: 退货的运费谁出, answer: 谁的错谁出运费}
  - {id: old, question: 店庆送什么, answer: 送帆布袋, until: 2026-11-20}
rules: []
"""
SETTINGS = f"""{NO_GAPS}
answers:
  hold: 我问一下～
  embeddings: {{url: http://127.0.0.1:1/v1, name: tiny, timeout: 400ms}}
"""
MODEL = "  model: {url: http://127.0.0.1:1/v1, name: tiny, longest: 60}\n"
ELSE = "寄回去那笔钱算谁头上？"  # shares no word that matters with any entry
_ABOUT = (("运费", "寄回去"), ("拆开", "退"), ("店庆", "周年"))


class StubEmbedder:
    """Knows three subjects; everything else is unlike everything."""

    def __init__(self, name: str = "stub") -> None:
        self.name, self.asked, self.closed = name, list[str](), 0

    async def embed(self, texts: Sequence[str]) -> list[Vector[float]]:
        self.asked += texts
        return read_vectors([self._of(text) for text in texts], len(texts))

    def _of(self, text: str) -> list[float]:
        vector = [0.01] * 40
        axis = next((n for n, words in enumerate(_ABOUT) if any(w in text for w in words)), None)
        other = 4 + (COMMON.index(text) if text in COMMON else 30)
        vector[other if axis is None else axis] = 1.0
        return vector

    async def close(self) -> None:
        self.closed += 1


class BrokenEmbedder(StubEmbedder):
    """Turns the knowledge into vectors, but no question."""

    async def embed(self, texts: Sequence[str]) -> list[Vector[float]]:
        if len(texts) == 1:
            self.asked += texts
            raise ModelTrouble("向量服务拒绝了请求 500")
        return await super().embed(texts)


class BuggyEmbedder(StubEmbedder):
    """Fails as nobody foresaw: for questions, or from the start."""

    def __init__(self, *, longest: int) -> None:
        super().__init__()
        self.longest = longest

    async def embed(self, texts: Sequence[str]) -> list[Vector[float]]:
        if len(texts) <= self.longest:
            self.asked += texts
            raise RuntimeError(texts[0])
        return await super().embed(texts)


class SlowEmbedder(StubEmbedder):
    """Compares nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> list[Vector[float]]:
        if len(texts) == 1:
            await self.go.wait()
        return await super().embed(texts)


class Perch:
    """A stage in a folder, opened as often as a test likes."""

    def __init__(self, root: Path, *, model: str = "") -> None:
        self.space = workspace(root / "workspace", FAQ, settings=SETTINGS + model)
        self.store = Store(f"sqlite:///{root / 'siyu.db'}")
        self.model = CannedModel(lambda _: say(GOOD)) if model else None

    async def open(self, embedder: StubEmbedder | OpenAIEmbedder | None) -> Play:
        stage = Stage(
            self.space, self.store, start=START,
            make_model=lambda _space: self.model, make_embedder=lambda _space: embedder,
        )  # fmt: skip
        populate(stage.world)
        await stage.open()
        return Play(stage)


@pytest.fixture
def perch(tmp_path: Path) -> Perch:
    return Perch(tmp_path)


async def test_what_is_said_in_other_words_is_found(perch: Perch) -> None:
    play = await perch.open(StubEmbedder())
    await play.hear("amy", ELSE)
    (notice,) = [text for to, text in play.said if to == "wxid_boss"]
    assert "/1 退货的运费谁出（像 0." in notice
    assert play.notes("handed")[0].endswith("，词和意思一起比")


async def test_without_a_server_the_same_is_a_gap(tmp_path: Path) -> None:
    play = await Perch(tmp_path).open(None)
    await play.hear("amy", ELSE)
    (notice,) = [text for to, text in play.said if to == "wxid_boss"]
    assert "知识里没有像的" in notice


async def test_half_sure_by_words_and_sure_by_both_is_answered(perch: Perch) -> None:
    play = await perch.open(StubEmbedder())
    assert await play.hear("amy", HALF) == ["没用过的 7 天内都能退，用过的那包留着用"]
    assert play.rows("SELECT state, who, entry FROM question") == [("answered", "entry", "opened")]
    assert play.notes("done")[0].endswith("，词和意思一起比")


async def test_meaning_alone_never_answers(perch: Perch) -> None:
    play = await perch.open(StubEmbedder())
    await play.hear("amy", "周年庆有礼物吗？")
    assert [text for to, text in play.said if to == "amy"] == ["我问一下～"]


async def test_an_entry_that_no_longer_holds_is_not_found_by_meaning(perch: Perch) -> None:
    play = await perch.open(StubEmbedder())
    await play.hear("amy", "周年庆有礼物吗？")
    (notice,) = [text for to, text in play.said if to == "wxid_boss"]
    assert "店庆" not in notice


async def test_what_only_meaning_finds_reaches_the_model(tmp_path: Path) -> None:
    perch = Perch(tmp_path, model=MODEL)
    assert perch.model is not None
    play = await perch.open(StubEmbedder())
    await play.hear("amy", ELSE)
    (prompt,) = perch.model.asked
    assert json.loads(prompt.data)["资料"][0]["问题"] == "退货的运费谁出"


async def test_chatting_is_not_compared(perch: Perch) -> None:
    embedder = StubEmbedder()
    play = await perch.open(embedder)
    before = len(embedder.asked)
    for text in ("哈哈", "在吗", "好的收到"):
        assert await play.hear("amy", text) == []
    assert len(embedder.asked) == before


# --- vectors are kept ----------------------------------------------------------------------------


async def test_entries_are_compared_once_and_kept(perch: Perch) -> None:
    first, second, other = StubEmbedder(), StubEmbedder(), StubEmbedder("another")
    await perch.open(first)
    assert sorted(first.asked) == sorted(texts_of(perch.space.knowledge))
    play = await perch.open(second)
    assert second.asked == []
    write = perch.space.root / "rules.yaml"
    write.write_text(FAQ.replace("退货的运费谁出", "退货运费谁掏"), encoding="utf-8")
    play.stage.bot.reload(workspace(perch.space.root, write.read_text("utf-8"), settings=SETTINGS))
    await play.settle()
    assert second.asked == ["退货运费谁掏"]
    await perch.open(other)
    assert len(other.asked) == len(first.asked)


def test_a_broken_file_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / FILE
    vectors = dict(zip("ab", read_vectors([[1, 0], [0, 2]], 2), strict=True))
    save_vectors(path, "m", vectors)
    assert load_vectors(path, "m", "abc") == vectors
    assert load_vectors(path, "n", "abc") == {}
    for broken in ("", "[]", '{"model": "m"}', '{"model": "m", "vectors": {"x": 1}}', "\x00"):
        path.write_text(broken, encoding="utf-8")
        assert load_vectors(path, "m", "abc") == {}


@pytest.mark.parametrize(
    "nonsense",
    [[], [[1, 0]], [[1, 0], [1, 0, 0]], [[0, 0], [1, 0]], [[float("nan"), 1], [1, 0]],
     [["1", 0], [1, 0]], [None, [1, 0]], [[1e308, 1e308], [1, 0]], [[], []], ["ab", "cd"],
     [[True, False], [1, 0]]],
)  # fmt: skip
def test_nonsense_is_no_vector(nonsense: list[object]) -> None:
    with pytest.raises(ModelTrouble):
        read_vectors(nonsense, 2)


# --- a server that misbehaves --------------------------------------------------------------------


def _body(*vectors: object) -> bytes:
    data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
    body = {"object": "list", "model": "tiny", "data": data, "usage": {"prompt_tokens": 1}}
    return _head("200 OK", "application/json") + json.dumps(body).encode()


def _json(value: object) -> bytes:
    return _head("200 OK", "application/json") + json.dumps(value).encode()


BAD = {
    "429": (_raw(_head("429 Busy", "application/json", "Retry-After: 3600") + b"{}"), "请求 429"),
    "500": (_raw(_head("500 Oops", "text/plain") + b"no"), "请求 500"),
    "401": (_raw(_head("401 No", "application/json") + b"{}"), "请求 401"),
    "404": (_raw(_head("404 No", "text/html") + b"<html>"), "请求 404"),
    "hangs": (_hang, "没有回答"),
    "slow drip": (_drip, "没有回答"),
    "closes": (_raw(b""), "连不上"),
    "no http": (_raw(b"\x00\xff garbage\r\n\r\n"), "连不上"),
    "html": (_raw(_head("200 OK", "text/html") + b"<html>hi</html>"), "读不懂"),
    "cut json": (_raw(_body([1.0, 2.0])[:-20]), "读不懂"),
    "foreign json": (_raw(_json({"answer": [1, 2]})), "读不懂"),
    "no data": (_raw(_json({"data": []})), "对不上"),
    "null data": (_raw(_json({"data": None})), "读不懂"),
    "too many": (_raw(_body([1.0] * 40, [1.0] * 40)), "对不上"),
    "other length": (_raw(_body([1.0, 2.0])), "对不上"),
    "zeros": (_raw(_body([0.0] * 40)), "对不上"),
    "nan": (_raw(_body([float("nan")] * 40)), "对不上"),
    "words": (_raw(_body(["a"] * 40)), "对不上"),
    "10 MB": (_flood, "没有听完"),
}


@pytest.mark.parametrize("name", list(BAD))
async def test_whatever_a_server_does_words_answer(
    name: str, perch: Perch, caplog: pytest.LogCaptureFixture
) -> None:
    """The knowledge is turned into vectors well, the questions are not."""
    behave, why = BAD[name]
    stub, sizes = StubEmbedder(), [8, 8, 7]
    texts = texts_of(perch.space.knowledge)
    good = [_body(*(stub._of(text) for text in texts[n : n + 8])) for n in range(0, len(texts), 8)]
    assert len(good) == len(sizes)

    async def answer(writer: asyncio.StreamWriter, n: int) -> None:
        if n < len(good):
            writer.write(good[n])
        else:
            await behave(writer, n)

    async with _server(answer) as (url, asked):
        embedder = OpenAIEmbedder(_settings(url))
        play = await perch.open(embedder)
        assert await play.hear("amy", "拆开了还能退吗") == [
            "没用过的 7 天内都能退，用过的那包留着用"
        ]
        await play.hear("bob", ELSE)
        assert [text for to, text in play.said if to == "bob"] == ["我问一下～"]
        assert len(asked) == len(good) + 2
        await embedder.close()
    (done,) = play.notes("done")
    assert "只比了词" in done
    assert why in done
    assert play.rows("SELECT 1 FROM question WHERE state IN ('pending', 'asking')") == []
    assert "k-e-y" not in caplog.text
    assert "拆开" not in caplog.text


@pytest.mark.parametrize("name", ["hangs", "500", "html", "closes", "zeros", "too many"])
async def test_a_server_that_is_broken_from_the_start_costs_nothing(
    name: str, perch: Perch
) -> None:
    async with _server(BAD[name][0]) as (url, asked):
        embedder = OpenAIEmbedder(_settings(url))
        play = await perch.open(embedder)
        for _ in range(5):
            await play.hear("amy", "拆开了还能退吗")
        assert len(asked) == 1
        assert "没用过的 7 天内都能退，用过的那包留着用" in play.texts
        assert "只比了词" in play.notes("done")[0]
        await embedder.close()


def _settings(url: str) -> EmbeddingSettings:
    return EmbeddingSettings(url=url, name="tiny", key="k-e-y", timeout="400ms")  # type: ignore[arg-type]


async def test_after_three_failures_nobody_waits(perch: Perch) -> None:
    embedder = BrokenEmbedder()
    play = await perch.open(embedder)
    before = len(embedder.asked)
    for _ in range(5):
        await play.hear("amy", ELSE)
    assert len(embedder.asked) == before + 3
    assert "先歇 2 分钟" in play.notes("handed")[-1]
    await play.stage.wait(3 * MINUTE)
    await play.hear("amy", ELSE)
    assert len(embedder.asked) == before + 4


@pytest.mark.parametrize("longest", [1, 8])
async def test_what_nobody_foresaw_costs_no_answer_either(
    perch: Perch, longest: int, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = BuggyEmbedder(longest=longest)
    play = await perch.open(embedder)
    before = len(embedder.asked)
    assert await play.hear("amy", "拆开了还能退吗") == ["没用过的 7 天内都能退，用过的那包留着用"]
    assert "只比了词" in play.notes("done")[0]
    for _ in range(5):
        await play.hear("bob", ELSE)
    assert len(embedder.asked) - before == (3 if longest == 1 else 0)
    assert "拆开" not in caplog.text


# --- while it compares ---------------------------------------------------------------------------


class Comparing(Thinking):
    """A bot turned by hand, so that things happen while a question is compared."""

    def __init__(self, perch: Perch) -> None:
        self.embedder = SlowEmbedder()
        super().__init__(perch)  # type: ignore[arg-type]

    def _bot(self, perch: Perch) -> Bot:  # type: ignore[override]
        return Bot(
            workspace=perch.space, store=self.store, channel=self.channel, clock=self.clock,
            make_embedder=lambda _space: self.embedder,
        )  # fmt: skip

    async def open(self) -> None:
        await super().open()
        await self.bot.asker.landed()

    async def compare(self) -> None:
        self.embedder.go.set()
        await self.bot.asker.landed()
        await self.turn()


@pytest.fixture
async def comparing(perch: Perch) -> Comparing:
    comparing = Comparing(perch)
    await comparing.open()
    await comparing.channel.say("amy", HALF)
    await comparing.turn()
    assert comparing.to_amy == []
    assert comparing.rows("SELECT state FROM question") == [("pending",)]
    return comparing


async def test_rules_and_people_go_on_while_it_compares(comparing: Comparing) -> None:
    await comparing.channel.say("amy", "在吗")
    await comparing.turn()
    await comparing.compare()
    assert comparing.to_amy == ["没用过的 7 天内都能退，用过的那包留着用"]


async def test_two_questions_are_both_answered(comparing: Comparing) -> None:
    await comparing.channel.say("amy", "退货的运费谁出")
    await comparing.turn()
    await comparing.compare()
    assert comparing.to_amy == ["没用过的 7 天内都能退，用过的那包留着用", "谁的错谁出运费"]


async def test_a_human_who_is_faster_silences_it(comparing: Comparing) -> None:
    await comparing.channel.hand("能退的，放心", to="amy")
    await comparing.turn()
    await comparing.compare()
    assert comparing.to_amy == []
    assert comparing.rows("SELECT state FROM question") == [("closed",)]


async def test_who_waited_when_the_process_died_waits_no_longer(
    comparing: Comparing, perch: Perch
) -> None:
    await comparing.bot.asker.close()
    comparing.embedder = SlowEmbedder()
    comparing.bot = comparing._bot(perch)
    await comparing.open()
    assert comparing.to_amy == ["我问一下～"]
    await comparing.compare()
    assert comparing.to_amy == ["我问一下～"]
    assert comparing.rows("SELECT because FROM question") == [
        ("拿不准，最像的只有 0.43，只比了词：知识的向量还没算好",)
    ]


# --- clients that are replaced -------------------------------------------------------------------


class ClosingModel(CannedModel):
    """Counts how often it is closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1


async def test_replaced_clients_are_closed_and_so_are_the_last(tmp_path: Path) -> None:
    perch = Perch(tmp_path, model=MODEL)
    models: list[ClosingModel] = []
    embedders: list[StubEmbedder] = []

    def make_model(_space: Workspace) -> ClosingModel:
        models.append(ClosingModel())
        return models[-1]

    def make_embedder(_space: Workspace) -> StubEmbedder:
        embedders.append(StubEmbedder())
        return embedders[-1]

    stage = Stage(
        perch.space, perch.store, start=START, make_model=make_model, make_embedder=make_embedder
    )
    populate(stage.world)
    await stage.open()
    same = SETTINGS + MODEL
    stage.bot.reload(workspace(perch.space.root, FAQ, settings=same))
    await stage.wait(0)
    assert (len(models), len(embedders)) == (1, 1)
    stage.bot.reload(workspace(perch.space.root, FAQ, settings=same.replace("tiny", "huge")))
    await stage.wait(0)
    assert [one.closed for one in models] == [1, 0]
    assert [one.closed for one in embedders] == [1, 0]
    await stage.bot.drain()
    assert [one.closed for one in models] == [1, 1]
    assert [one.closed for one in embedders] == [1, 1]


# --- fusing --------------------------------------------------------------------------------------


def test_without_meaning_a_score_is_what_it_was_times_its_share() -> None:
    words = [Guess("a", 0.6, 0.6), Guess("b", 0.3, 0.3)]
    assert [guess.entry for guess in fuse(words, {"c": 0.0})] == ["a", "b"]
    same = fuse(words, {"a": 0.6, "b": 0.3})
    assert [round(guess.score, 9) for guess in same] == [0.6, 0.3]


def test_what_words_are_sure_of_no_meaning_takes_away() -> None:
    words = [Guess("a", 0.6, 0.6), Guess("b", 0.3, 0.3)]
    fused = fuse(words, {"b": 1.0})
    assert fused[0].entry == "b"
    assert sure_of_both(words, fused) == words[0]


def test_both_must_put_the_same_entry_first() -> None:
    words = [Guess("a", 0.42, 0.42), Guess("b", 0.4, 0.4)]
    agreed, opposed = fuse(words, {"a": 1.0}), fuse(words, {"b": 1.0})
    assert sure(words) is None
    assert sure_of_both(words, agreed) == agreed[0]
    easy = Thresholds(BOTH.score, 0.15)
    assert sure(opposed, easy) == opposed[0]
    assert sure_of_both(words, opposed, easy) is None
