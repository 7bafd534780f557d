"""Tables of double-width characters, for a terminal or for a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from bot.cli.chinese import wrap

_GAP = 2
_WIDEST = 40  # columns a cell before the last may claim for its whole column
_NAME = 20  # columns a cell before the last may take on a terminal


def columns() -> int | None:
    """How wide the terminal is; None when the output goes to a file or another program."""
    return max(shutil.get_terminal_size().columns, 60) if sys.stdout.isatty() else None


def table(rows: Sequence[Sequence[str]], *, width: int | None) -> Iterator[str]:
    """Lines of a table whose first row is its heading.

    The last column takes the rest of `width` and is wrapped below itself; without a width every row
    is one line and nothing is shortened, so that it can be searched; a cell too long for its column
    moves what follows it on its own line only.
    """
    if width is not None:
        rows = [[*(_shorten(cell) for cell in row[:-1]), row[-1]] for row in rows]
    sizes = [_wide(column) for column in zip(*rows, strict=True)][:-1]
    start = sum(sizes) + _GAP * len(sizes)
    for row in rows:
        head = "".join(
            cell + " " * (max(size - cell_len(cell), 0) + _GAP)
            for cell, size in zip(row[:-1], sizes, strict=True)
        )
        rest = [row[-1]] if width is None else wrap(row[-1], max(width - start - 2, 10))
        yield f"{head}{rest[0]}".rstrip()
        yield from (" " * start + line for line in rest[1:])


def _wide(column: Sequence[str]) -> int:
    """The width that all but overlong cells need."""
    return max((size for cell in column if (size := cell_len(cell)) <= _WIDEST), default=0)


def _shorten(cell: str) -> str:
    return cell if cell_len(cell) <= _NAME else set_cell_size(cell, _NAME - 1).rstrip() + "…"
