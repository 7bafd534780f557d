"""How alike texts are in meaning: vectors that a server of embeddings made, kept and compared.

Vectors have length 1, so that the product of two is their cosine. They are derived from what the
operator wrote, so they live in a file that anybody may delete, not in the database.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from operator import mul
from pathlib import Path
from typing import Protocol

from bot.knowledge import Knowledge
from bot.model import ModelTrouble

log = logging.getLogger("siyu.meaning")
Vector = array  # of single floats
FILE = Path("data", "vectors.json")
_LONGEST = 8_192  # numbers in a vector; no model in use has more
_FOREIGN = "向量服务的回答对不上"

COMMON = (
    "今天天气不错", "你吃饭了吗", "周末去哪里玩", "这部电影好看吗", "明天几点开会",
    "孩子作业写完了", "帮我拿一下快递", "路上堵车要晚到", "手机没电了", "昨天没睡好",
    "这个多少钱", "什么时候能到", "可以便宜一点吗", "怎么联系你们", "谢谢你的帮助",
    "我再考虑考虑", "你们是做什么的", "在哪里可以看到", "我不太明白", "这个怎么弄",
)  # fmt: skip
"""Sentences about this and that. Between them and the entries is what "unrelated" comes to: models
differ, and with some nothing is below .7."""


class Embedder(Protocol):
    """Something that turns texts into vectors."""

    @property
    def name(self) -> str:
        """What its vectors are kept under: another name means other vectors."""

    async def embed(self, texts: Sequence[str]) -> list[Vector[float]]:
        """A vector for each text; raises `ModelTrouble` with the reason when there is none."""

    async def close(self) -> None:
        """Let go of what it holds."""


def read_vectors(found: Sequence[object], count: int) -> list[Vector[float]]:
    """What a server sent, as `count` vectors of length 1; raises `ModelTrouble` if it is not."""
    if len(found) != count:
        raise ModelTrouble(_FOREIGN)
    vectors = [_vector(one) for one in found]
    if len({len(vector) for vector in vectors}) > 1:
        raise ModelTrouble(_FOREIGN)
    return vectors


def _vector(found: object) -> Vector[float]:
    if not isinstance(found, list) or not 2 <= len(found) <= _LONGEST:
        raise ModelTrouble(_FOREIGN)
    if not all(type(number) in (int, float) and isfinite(number) for number in found):
        raise ModelTrouble(_FOREIGN)
    length = sqrt(sum(number * number for number in found))
    if not 0 < length < float("inf"):
        raise ModelTrouble(_FOREIGN)
    return array("f", [number / length for number in found])


def cosine(one: Vector[float], other: Vector[float]) -> float:
    """How alike two vectors are, -1 to 1."""
    return float(sum(map(mul, one, other)))


@dataclass(frozen=True)
class Meanings:
    """What all wordings of one version of the knowledge mean, and what the common sentences do."""

    knowledge: Knowledge
    entries: Sequence[tuple[str, Vector[float]]]
    common: Sequence[Vector[float]]

    def alike(self, asked: Vector[float]) -> Mapping[str, float]:
        """Each entry's likeness to a question: 0 as like as anything, 1 the same.

        Raises `ModelTrouble` if the vector is not of the same kind.
        """
        if any(len(asked) != len(vector) for _, vector in self.entries[:1]):
            raise ModelTrouble(_FOREIGN)
        return likeness(asked, self.entries, self.common)


def likeness(
    asked: Vector[float],
    entries: Sequence[tuple[str, Vector[float]]],
    common: Sequence[Vector[float]],
) -> dict[str, float]:
    """Each entry's likeness to a question, above the mean of all entries and the common."""
    found = [(entry, cosine(asked, vector)) for entry, vector in entries]
    every = [*(score for _, score in found), *(cosine(asked, one) for one in common)]
    usual = sum(every) / len(every)
    out: dict[str, float] = {}
    for entry, score in found:
        alike = min(1.0, max(0.0, score - usual) / max(1.0 - usual, 1e-6))
        out[entry] = max(out.get(entry, 0.0), alike)
    return out


def texts_of(knowledge: Knowledge) -> list[str]:
    """All that has to be turned into vectors before questions can be compared."""
    own = [text for entry in knowledge.entries for text in entry.wordings]
    return list(dict.fromkeys([*own, *COMMON]))


def meanings_of(knowledge: Knowledge, vectors: Mapping[str, Vector[float]]) -> Meanings:
    """The meanings of a knowledge all of whose `texts_of` have a vector."""
    entries = [(entry.id, vectors[text]) for entry in knowledge.entries for text in entry.wordings]
    return Meanings(knowledge, entries, [vectors[text] for text in COMMON])


# --- the file ------------------------------------------------------------------------------------


def load_vectors(path: Path, model: str, texts: Iterable[str]) -> dict[str, Vector[float]]:
    """The kept vectors of these texts by this model; a file that cannot be read is none."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["model"] != model:
            return {}
        known = {
            text: _unpacked(kept["vectors"][key])
            for text in texts
            if (key := _key(text)) in kept["vectors"]
        }
    except FileNotFoundError:
        return {}
    except Exception as error:
        log.warning("the kept vectors could not be read: %s", type(error).__name__)
        return {}
    return known if len({len(vector) for vector in known.values()}) == 1 else {}


def save_vectors(path: Path, model: str, vectors: Mapping[str, Vector[float]]) -> None:
    """Keep these vectors and no others: the file is whole, whenever the process dies."""
    kept = {_key(text): _packed(vector) for text, vector in vectors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"model": model, "vectors": kept}), encoding="utf-8")
    draft.replace(path)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _packed(vector: Vector[float]) -> str:
    return base64.b64encode(vector.tobytes()).decode()


def _unpacked(text: str) -> Vector[float]:
    vector = array("f")
    vector.frombytes(base64.b64decode(text, validate=True))
    return vector
