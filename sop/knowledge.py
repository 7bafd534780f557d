"""What the operator knows and customers ask: `faq:` in YAML, and pages of `knowledge/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sop.conditions import Definition, OneOrMany, many
from sop.problems import Problem
from sop.sequences import Day

FOLDER, SUFFIX = "knowledge", ".md"
LONGEST = 2_000
"""So many characters a heading may have below it: what is longer fits in no message."""


class Faq(Definition):
    """A question with its answer: an inline template, or with `say` a template for each tag."""

    id: str = Field(pattern=r"^[\w\-./]+$", description="字、字母、数字和 - _ . /，不含空格")
    question: str
    also: OneOrMany = ()
    answer: str | None = None
    say: str | None = None
    tag: OneOrMany = ()
    until: Day | None = None

    @model_validator(mode="after")
    def _one_answer(self) -> Faq:
        if (self.answer is None) == (self.say is None):
            raise PydanticCustomError(
                "siyu", "answer 和 say 要写一个，只能写一个", {"expected": "answer 或 say"}
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing the operator knows.

    `text` is an inline template, `say` the name of a template; one of them is empty. `until` is the
    last day it holds. `where` is `file:line` for people.
    """

    id: str
    question: str
    also: tuple[str, ...] = ()
    text: str = ""
    say: str = ""
    tags: tuple[str, ...] = ()
    until: date | None = None
    where: str = ""

    @property
    def wordings(self) -> tuple[str, ...]:
        """All the ways it is asked, the operator's own first."""
        return (self.question, *self.also)

    def holds(self, today: date) -> bool:
        """Whether it is still true on this day."""
        return self.until is None or today <= self.until


def entry_of(faq: Faq) -> Entry:
    """A question of the YAML as an entry."""
    return Entry(
        id=faq.id,
        question=faq.question,
        also=many(faq.also),
        text=faq.answer or "",
        say=faq.say or "",
        tags=many(faq.tag),
        until=faq.until,
    )


# --- pages ---------------------------------------------------------------------------------------

_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*\s*")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"\s*(```|~~~)")
_MARKS = (
    (re.compile(r"!\[([^\]]*)\]\(([^)\s]*)\)"), r"\1 \2"),
    (re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)"), r"\1 \2"),
    (re.compile(r"\*\*(.+?)\*\*|__(.+?)__"), r"\1\2"),
    (re.compile(r"(?m)^(\s*)[*+-]\s+"), r"\1· "),
    (re.compile(r"(?m)^>\s?"), ""),
    (re.compile(r"`([^`\n]*)`"), r"\1"),
    (re.compile(r"\n{3,}"), "\n\n"),
)


def read_page(file: str, text: str) -> tuple[list[Entry], list[Problem]]:
    """The entries of a Markdown page: each heading with what stands below it.

    A heading without words of its own only groups those below.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    for line, heading, body in _sections(text):
        if not heading:
            if body:
                hint = "在它前面写一行标题，如 # 拆开了还能退吗"
                problems.append(
                    Problem(file, line, 1, "", "标题前面的话不会用到", hint=hint, warning=True)
                )
            continue
        if len(body) > LONGEST:
            problems.append(
                Problem(
                    file, line, 1, "", f"「{heading[:20]}」下面太长了，有 {len(body)} 个字",
                    expected=f"不超过 {LONGEST} 个字", hint="拆成几个小标题，一个标题答一件事",
                )
            )  # fmt: skip
        if body:
            where = f"{file}:{line}"
            entries.append(Entry(id=f"{file}#{heading}", question=heading, text=body, where=where))
    if not entries:
        hint = "一个标题写一个问题，下面写怎么答"
        problems.append(Problem(file, 1, 1, "", "这一页里没有问题", hint=hint, warning=True))
    return entries, [*problems, *_twice(file, entries)]


def _twice(file: str, entries: Iterable[Entry]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for entry in entries:
        first = seen.setdefault(entry.id, entry.where)
        if first != entry.where:
            line = int(entry.where.rpartition(":")[2])
            hint = f"第一次在 {first.replace(':', ' 第 ')} 行；合成一个，或者换个说法"
            yield Problem(file, line, 1, "", f"标题「{entry.question}」写了两次", hint=hint)


def _sections(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, heading and words below it; the words before the first heading have none.

    Comments are to the writer.
    """
    text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    line, heading, body, fenced = 1, "", list[str](), False
    for number, row in enumerate(text.split("\n"), 1):
        fenced ^= bool(_FENCE.match(row))
        found = None if fenced else _HEADING.fullmatch(row.strip())
        if found is None:
            body.append(row)
            continue
        yield line, heading, _plain("\n".join(body))
        line, heading, body = number, _plain(found[2]), []
    yield line, heading, _plain("\n".join(body))


def _plain(text: str) -> str:
    """Markdown as it reads in a chat: without its marks."""
    for mark, instead in _MARKS:
        text = mark.sub(instead, text)
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
