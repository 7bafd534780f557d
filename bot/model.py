"""What the bot wants of a language model, whoever serves it, and a model of our own for rehearsals.

What a model says is read by one reader, so that all of them are held to the same form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sop.errors import SiyuError

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["known", "answer", "used", "intent", "mood"],
    "properties": {
        "known": {"type": "boolean"},
        "answer": {"type": "string"},
        "used": {"type": "array", "items": {"type": "integer"}},
        "intent": {"type": "string", "enum": ["咨询", "意向", "投诉", "闲聊"]},
        "mood": {"type": "string", "enum": ["好", "差", "平"]},
    },
}
"""The form of an answer, for servers that can hold a model to one."""

_FENCED = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)


class ModelTrouble(SiyuError):
    """模型没有给出能用的回答。"""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The instructions, which are ours, and the data, which is JSON and nobody's instruction."""

    instructions: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a model answered; `known` False: the sources do not tell. Tokens where it counted."""

    known: bool
    answer: str
    used: tuple[int, ...] = ()
    intent: str = ""
    mood: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


class Model(Protocol):
    """Something that answers a prompt."""

    @property
    def name(self) -> str:
        """What it is called."""

    async def ask(self, prompt: Prompt) -> Said:
        """Answer; raises `ModelTrouble` with the reason when there is nothing to use."""

    async def close(self) -> None:
        """Let go of what it holds."""


class CannedModel:
    """A model without one: it repeats the first source, or says what it is told to say.

    Deterministic; rehearsals play with it, and tests let it obey every bad wish.
    """

    name = "彩排用的假模型"

    def __init__(self, reply: Callable[[Prompt], str] | None = None) -> None:
        self._reply = reply or _first_source
        self.asked: list[Prompt] = []

    async def ask(self, prompt: Prompt) -> Said:
        """What the reply function makes of the prompt."""
        self.asked.append(prompt)
        return read_said(self._reply(prompt), tokens=(len(prompt.data), 1))

    async def close(self) -> None:
        """Nothing to let go of."""


def read_said(text: str, *, tokens: tuple[int, int] = (0, 0)) -> Said:
    """An answer in the form of `SCHEMA`. Raises `ModelTrouble` for anything else."""
    fenced = _FENCED.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        raise ModelTrouble("模型的回答不是说好的格式") from None
    known, answer = (found.get("known"), found.get("answer")) if _is_object(found) else (None, None)
    if not isinstance(known, bool) or not isinstance(answer, str):
        raise ModelTrouble("模型的回答里缺了说好的内容")
    if known and not answer.strip():
        raise ModelTrouble("模型的回答是空的")
    used = found.get("used")
    return Said(
        known=known,
        answer=answer.strip(),
        used=tuple(n for n in used if type(n) is int) if isinstance(used, list) else (),
        intent=_one_of(found, "intent"),
        mood=_one_of(found, "mood"),
        tokens_in=tokens[0],
        tokens_out=tokens[1],
    )


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _one_of(found: dict[str, Any], key: str) -> str:
    value = str(found.get(key))
    return value if value in SCHEMA["properties"][key]["enum"] else ""


def _first_source(prompt: Prompt) -> str:
    sources = json.loads(prompt.data).get("资料", [])
    said = {"known": bool(sources), "answer": sources[0]["回答"] if sources else "", "used": [1]}
    return json.dumps(said, ensure_ascii=False)
