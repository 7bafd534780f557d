"""What both formats share: a row, and how a cell is made harmless."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sop.errors import SiyuError

COLUMNS = 200  # more than a table of people or orders has
CELL = 32_767  # characters, which is also what Excel takes
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_ODD = dict.fromkeys(c for c in range(32) if c not in (9, 10, 13))
Put = Callable[[Sequence[str]], None]


class SheetError(SiyuError):
    """这个文件读不了。"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it begins at, its cells as text, or why it cannot be read."""

    line: int
    cells: tuple[str, ...]
    trouble: str = ""


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; `as_meant` takes it back."""
    clean = cell.translate(_ODD)[: CELL - 1]
    return f"'{clean}" if clean.startswith(_RISKY) else clean


def as_meant(cell: str) -> str:
    """A cell as its writer meant it: without what kept a spreadsheet from spoiling it."""
    text = cell.strip()
    if not text.startswith(("=", "'")):
        return text
    if text.startswith('="') and text.endswith('"') and len(text) > 3:
        return text[2:-1]  # how shops' systems keep the zeros in front of a number
    return text[1:] if text.startswith("'") and text[1:].startswith(_RISKY) else text


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file beside `path`, for its owner alone, that becomes `path` when all went well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
