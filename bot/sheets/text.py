"""CSV as the tools of Chinese shops write it: UTF-8 with or without BOM, GB18030, any delimiter."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bot.sheets.rows import CELL, COLUMNS, Put, Row, SheetError, as_meant, harmless, new_file

_CHUNK = 1 << 20
_DELIMITERS = ",\t;|，；"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def read_text(path: Path) -> Iterator[Iterator[Row]]:
    """The rows of a CSV file that are not blank."""
    csv.field_size_limit(CELL)
    encoding = _encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        first = file.readline(_CHUNK)
        if first.lower().startswith("sep="):  # Excel's own note about the delimiter
            delimiter, start = first.strip()[4:5] or ",", 1
        else:
            delimiter, start = _delimiter(first), 0
            file.seek(0)
        yield _rows(file, delimiter, start)


@contextmanager
def write_text(path: Path) -> Iterator[Put]:
    """Write a CSV file that Excel opens without being told its encoding."""
    with new_file(path) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        yield lambda cells: writer.writerow([harmless(cell) for cell in cells])
        file.flush()


def _rows(file: IO[str], delimiter: str, start: int) -> Iterator[Row]:
    reader = csv.reader(file, delimiter=delimiter)
    while True:
        line = start + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Row(line, (), f"有一格超过 {CELL} 个字，多半是引号没有成对")
            continue
        if any(cell.strip() for cell in cells):
            yield Row(line, tuple(as_meant(cell) for cell in cells[:COLUMNS]))


def _encoding(path: Path) -> str:
    """The encoding that all of the file is in; read once, a piece at a time."""
    with path.open("rb") as file:
        head = file.read(4)
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                return encoding
        for encoding in ("utf-8", "gb18030"):
            file.seek(0)
            if _decodes(file, encoding):
                return encoding
    raise SheetError(f"{path.name} 的文字认不出来：既不是 UTF-8，也不是 GBK（GB18030）。")


def _decodes(file: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while piece := file.read(_CHUNK):
            if b"\0" in piece:
                return False
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(heading: str) -> str:
    """What the heading is divided by: what makes the most columns of it."""
    counts = {one: len(next(csv.reader([heading], delimiter=one), ())) for one in _DELIMITERS}
    return max(counts, key=lambda one: counts[one])
