"""Checks of `faq:`, `reading:` and `answers:`: what nobody could ask, say or read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sop.answers import INTENTS, MOODS
from sop.conditions import many
from sop.definitions import Definitions, Settings
from sop.knowledge import Faq
from sop.load import Loaded, keep_one
from sop.mistakes import Mistake
from sop.nodes import Node, each
from sop.source import Path

Explain = Callable[[str], str | None]
_OF_READING = {INTENTS: ("咨询", "意向", "投诉", "闲聊"), MOODS: ("好", "差")}


def answer_mistakes(
    every: Iterable[Node],
    loaded: Loaded,
    settings: Settings | None,
    definitions: Definitions,
    explain: Explain,
) -> Iterator[Mistake]:
    """Every mistake in what the bot knows and how it answers."""
    yield from _questions(every, loaded)
    for path, node in every:
        if isinstance(node, Faq) and node.answer is not None and (why := explain(node.answer)):
            yield Mistake((*path, "answer"), f"这段文字发不出去：{why}")
    for intent, words in definitions.reading:
        yield from _empty(words, ("reading", intent))
    yield from _tags(definitions)
    if settings is not None:
        yield from _settings(settings, explain)


def _questions(every: Iterable[Node], loaded: Loaded) -> Iterator[Mistake]:
    seen: dict[str, Path] = {}
    for path, node in every:
        if not isinstance(node, Faq):
            continue
        asked = [((*path, "question"), node.question), *each(node.also, (*path, "also"))]
        for at, text in asked:
            if not text.strip():
                yield Mistake(at, "问题是空的", hint="写上顾客会怎么问，或者删掉这一项")
                continue
            first = seen.setdefault(text.strip(), at)
            if first != at:
                hint = keep_one(loaded.where(first))
                yield Mistake(at, f"「{text.strip()[:30]}」这个问法写了两次", hint=hint)


def _empty(words: Iterable[str], path: Path) -> Iterator[Mistake]:
    for index, word in enumerate(words):
        if not word.strip():
            yield Mistake((*path, index), "词是空的", hint="写上字，或者删掉这一项")


def _tags(definitions: Definitions) -> Iterator[Mistake]:
    """Groups that the bot fills in by itself must have the names it gives."""
    for group, wanted in _OF_READING.items():
        spec = definitions.tags.get(group)
        if spec is None:
            continue
        lacking = [name for name in wanted if name not in spec.values]
        if lacking:
            values = ", ".join(wanted)
            yield Mistake(
                ("tags", group),
                f"「{group}」是机器人自己贴的，这一组里少了 {'、'.join(lacking)}",
                hint=f"写成 {group}: {{values: [{values}], one_of: true, expires: 7d}}，或换个组名",
                at_key=True,
            )


def _settings(settings: Settings, explain: Explain) -> Iterator[Mistake]:
    answers = settings.answers
    if why := explain(answers.hold):
        yield Mistake(("answers", "hold"), f"这段文字发不出去：{why}")
    for index, word in enumerate(many(answers.forbid)):
        if not word.strip():
            yield Mistake(("answers", "forbid", index), "词是空的", hint="写上字，或者删掉这一项")
    for key, server in (("model", answers.model), ("embeddings", answers.embeddings)):
        if server is None or not server.url.startswith("http://") or _near(server.url):
            continue
        yield Mistake(
            ("answers", key, "url"),
            "http:// 不加密，钥匙和顾客的话会被路上的人看到",
            hint="换成 https:// 开头的地址；在自己机器或内网上才用 http://",
            warning=True,
        )


def _near(url: str) -> bool:
    host = url.split("//", 1)[1].split("/", 1)[0].rsplit(":", 1)[0]
    return host in ("localhost", "[::1]") or host.startswith(("127.", "10.", "192.168."))
