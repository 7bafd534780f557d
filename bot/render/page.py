"""One template file: its front block and its bubbles."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.render.front import Front, Reader
from bot.render.sandbox import Place, Sandbox, Snippet
from sop.errors import RenderError
from sop.messages import Body, Text
from sop.problems import Problem

BUBBLE_LIMIT = 2_000
MESSAGE_LIMIT = 20
SOURCE_LIMIT = 20_000
_RULE = "---"
# A `---` line becomes a mark that no fact can hold, with its line number for messages.
_MARK = re.compile("\x1e(\\d+)\x1f")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Page:
    """A compiled template file, and the names that it uses."""

    front: Front
    body: Snippet
    uses: frozenset[str]

    def says_something(self) -> bool:
        """Whether anything could ever be sent."""
        return bool(self.front.attachments) or self.body.speaks

    def render(
        self, names: dict[str, Any], *, facts: Mapping[str, Any], media: Collection[str]
    ) -> tuple[Body, ...]:
        """The messages in the order in which they are sent."""
        texts = list(self._texts(names))
        mentions = self._mentions(facts)
        bubbles: list[Body] = [
            Text(text=text, mentions=() if index else mentions) for index, text in enumerate(texts)
        ]
        if len(bubbles) + len(self.front.attachments) > MESSAGE_LIMIT:
            raise self.body.place.error(f"一次要发的消息超过 {MESSAGE_LIMIT} 条")
        attached = [item.render(names, media) for item in self.front.attachments]
        return tuple(attached + bubbles if self.front.first else bubbles + attached)

    def _texts(self, names: dict[str, Any]) -> Iterator[str]:
        said = self.body.render(names)
        pieces = _MARK.split(said) if "\x1e" in said else [said]
        lines = (self.body.place.line, *map(int, pieces[1::2]))
        for line, piece in zip(lines, pieces[::2], strict=True):
            text = piece.strip()
            if len(text) > BUBBLE_LIMIT:
                message = f"这一条有 {len(text)} 个字，超过 {BUBBLE_LIMIT} 个"
                hint = f"在中间加一行 {_RULE} 分成几条"
                raise self.body.place.error(message, line=line, hint=hint)
            if text:
                yield text

    def _mentions(self, facts: Mapping[str, Any]) -> tuple[str, ...]:
        """The ids to @: of the first bubble only, since every @ makes a phone ring."""
        if not self.front.mention or not facts.get("group"):
            return ()
        if "all" in self.front.mention:
            return ("@all",)
        ids: list[str] = []
        for word in self.front.mention:
            match word:
                case "sender":
                    ids.append(facts.get("sender_id", ""))
                case "members":
                    ids.extend(facts.get("member_ids", ()))
                case _:
                    ids.append(word)
        return tuple(dict.fromkeys(filter(None, ids)))


def read_page(
    sandbox: Sandbox,
    file: str,
    text: str,
    *,
    variables: Mapping[str, Any],
    media: Collection[str],
) -> tuple[Page | None, list[Problem]]:
    """What could be read of a file, and what is wrong with it."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = tuple(_CONTROL.sub("", text).split("\n"))
    if len(text) > SOURCE_LIMIT:
        return None, [Problem(file, 1, 1, "", f"模板超过 {SOURCE_LIMIT} 个字")]
    end = _front_end(lines)
    if end is None:
        message, hint = "开头的附件区没有结束", f"在附件区后面加一行 {_RULE}"
        return None, [Problem(file, 1, 1, "", message, hint=hint)]
    reader = Reader(sandbox, file, lines, variables, media)
    front = reader.read("\n".join(lines[1 : end - 1])) if end else Front()
    start = end + 1
    while start < len(lines) and not lines[start - 1].strip():
        start += 1
    source = "\n".join(_marked(line, at) for at, line in enumerate(lines[start - 1 :], start))
    body, problems = sandbox.piece(source, Place(file, lines, min(start, len(lines))), variables)
    if body is None:
        return None, [*reader.problems, *problems]
    uses = body.uses.union(*(item.uses for item in front.attachments))
    return Page(front, body, uses), [*reader.problems, *problems]


def _front_end(lines: tuple[str, ...]) -> int | None:
    """The number of the line that closes the front block, 0 without one, None if it never ends."""
    if lines[0].rstrip() != _RULE:
        return 0
    return next((at for at, line in enumerate(lines[1:], 2) if line.rstrip() == _RULE), None)


def _marked(line: str, at: int) -> str:
    return f"\x1e{at}\x1f" if line.strip() == _RULE else line


def problem_of(error: RenderError, sample: str) -> Problem:
    """What went wrong on a sample, as a line on a screen."""
    facts: Any = error.facts
    message = f"{facts['reason']}（用“{sample}”试渲染时）"
    where = (facts["file"], facts["line"], facts["column"], facts["path"])
    return Problem(*where, message, hint=facts["hint"])
