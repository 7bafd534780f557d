"""The guard on real group chat: how much of what it acts on and alerts on is advert, and how much
of the adverts that is.

The data is labelled chat of a gaming group, third-party and not part of this repository: a TSV of
`text` and `is_advert`, at `SIYU_GUARD_DATA` or beside the repository in `shared/data/guard`. Two
fifths of it, chosen by a hash of the text, are for testing only; points and thresholds were set
by looking at the rest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from bench import Row
from bot.language import Forbidden, advert_signs
from sop.guarding import Guard, Level, weigh

DATA = Path(__file__).parents[2] / "shared" / "data" / "guard" / "group_chat.tsv"
TESTING = 2  # of five parts
Line = tuple[str, bool]


def read(path: Path) -> tuple[list[Line], list[Line]]:
    """(training, testing): the same text is always in the same part."""
    parts: tuple[list[Line], list[Line]] = ([], [])
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        text, _, label = line.rpartition("\t")
        part = hashlib.sha256(text.encode()).digest()[0] % 5 < TESTING
        parts[part].append((text, label == "1"))
    return parts


def _judged(lines: Sequence[Line], guard: Guard) -> list[tuple[Level, bool]]:
    return [(weigh(advert_signs(text), guard).level, advert) for text, advert in lines]


def _figures(name: str, lines: Sequence[Line]) -> Iterator[Row]:
    found = _judged(lines, Guard())
    adverts = sum(advert for _, advert in found)
    yield f"{name}: messages", f"{len(lines):,}", f"{adverts} adverts"
    for what, levels in (("acting", {Level.ACT}), ("alerting", {Level.ACT, Level.ALERT})):
        hits = [advert for level, advert in found if level in levels]
        right = sum(hits)
        precision = right / len(hits) if hits else 1.0
        yield (
            f"{name}: {what}",
            f"precision {precision:.3f}, recall {right / max(adverts, 1):.3f}",
            f"{right} of {len(hits)} are adverts",
        )


def _speed(lines: Sequence[Line]) -> Row:
    forbidden = Forbidden(("刷单", "兼职日结", "代写作业"), ("加盟",))
    best = float("inf")
    for _ in range(3):
        begun = perf_counter()
        for text, _advert in lines:
            weigh([*forbidden.find(text), *advert_signs(text)], Guard())
        best = min(best, perf_counter() - begun)
    return "weighing", f"{len(lines) / best:,.0f} msg/s", f"{best / len(lines) * 1e6:.0f} µs each"


def main() -> list[Row]:
    path = Path(os.environ.get("SIYU_GUARD_DATA", DATA))
    if not path.exists():
        return [("group chat", "-", "no data; say where it is with SIYU_GUARD_DATA")]
    training, testing = read(path)
    return [*_figures("training", training), *_figures("testing", testing), _speed(training)]
