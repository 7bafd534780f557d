"""XLSX, read as a stream. A workbook is a zip of XML from anybody: neither may blow up here."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import openpyxl
from defusedxml.common import DefusedXmlException
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

from bot.sheets.rows import CELL, COLUMNS, Put, Row, SheetError, as_meant, harmless, new_file

WORDS = 256 << 20  # bytes of shared strings, which have to be held in memory
WHOLE = 4 << 30  # bytes of everything unpacked
RATIO = 200  # a table of numbers packs well, but not like this
SMALL = 1 << 20
ERRORS = {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
_BROKEN = (
    zipfile.BadZipFile, InvalidFileException, DefusedXmlException, KeyError, ValueError, TypeError,
    IndexError, AttributeError, EOFError, SyntaxError, OverflowError, NotImplementedError,
)  # fmt: skip


@contextmanager
def read_excel(path: Path, sheet: str = "") -> Iterator[Iterator[Row]]:
    """The rows of one sheet (the first that is shown) that are not blank."""
    formulas = _inspect(path)
    try:
        values = _load(path, data_only=True)
        written = _load(path, data_only=False) if formulas else None
    except _BROKEN as error:
        raise _unreadable(path) from error
    try:
        yield _guarded(path, _rows(_sheet(values, sheet), written and _sheet(written, sheet)))
    finally:
        values.close()
        if written is not None:
            written.close()


@contextmanager
def write_excel(path: Path) -> Iterator[Put]:
    """Write a workbook of one sheet; every cell is text, none a formula."""
    book = openpyxl.Workbook(write_only=True)
    page = book.create_sheet("导出")

    def put(cells: Sequence[str]) -> None:
        row = []
        for text in cells:
            cell = WriteOnlyCell(page, value="")
            cell.value = harmless(text)
            cell.data_type = "s"  # else what begins with = would be one
            row.append(cell)
        page.append(row)

    yield put
    with new_file(path) as part:
        book.save(part)


def _unreadable(path: Path) -> SheetError:
    return SheetError(f"{path.name} 打不开：不是 Excel 文件，或者已经损坏。另存一次再试。")


def _inspect(path: Path) -> bool:
    """Refuse what would blow up; returns whether there are formulas."""
    try:
        with zipfile.ZipFile(path) as packed:
            members = packed.infolist()
            whole = sum(one.file_size for one in members)
            words = sum(one.file_size for one in members if "sharedStrings" in one.filename)
            if whole > WHOLE or words > WORDS or any(map(_swollen, members)):
                raise SheetError(f"{path.name} 展开以后大得不正常，不读。另存为 CSV 再来。")
            sheets = [one for one in members if "/worksheets/" in one.filename]
            return any(_holds(packed, one, b"<f") for one in sheets)
    except _BROKEN as error:
        raise _unreadable(path) from error


def _swollen(member: zipfile.ZipInfo) -> bool:
    return member.file_size > SMALL and member.file_size > RATIO * max(member.compress_size, 1)


def _holds(packed: zipfile.ZipFile, member: zipfile.ZipInfo, mark: bytes) -> bool:
    with packed.open(member) as file:
        tail = b""
        while piece := file.read(SMALL):
            if mark in tail + piece:
                return True
            tail = piece[-len(mark) :]
    return False


def _load(path: Path, *, data_only: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # styles and extensions we do not read anyway
        return openpyxl.load_workbook(path, read_only=True, data_only=data_only, keep_links=False)


def _sheet(book: Any, name: str) -> Any:
    pages = book.worksheets
    if name:
        found = [page for page in pages if page.title == name]
        if not found:
            names = "、".join(page.title for page in pages)
            raise SheetError(f"没有叫「{name}」的表。有：{names}")
        return found[0]
    shown = [page for page in pages if page.sheet_state == "visible"] or pages
    if not shown:
        raise SheetError("这个 Excel 文件里没有表。")
    return shown[0]


def _guarded(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from rows
    except _BROKEN as error:
        raise _unreadable(path) from error


def _rows(values: Any, written: Any) -> Iterator[Row]:
    for page in (values, written):
        if page is not None:
            page.reset_dimensions()  # what a file says about its size need not be true
    cells = values.iter_rows(values_only=True)
    formulas = written.iter_rows(values_only=True) if written else ()
    for line, (row, formula) in enumerate(zip_longest(cells, formulas, fillvalue=()), 1):
        trouble = _lost(row[:COLUMNS], formula)
        texts = tuple(as_meant(_text(value)) for value in row[:COLUMNS])
        if trouble or any(texts):
            yield Row(line, texts, trouble)


def _lost(row: Sequence[Any], formula: Sequence[Any]) -> str:
    """Why a row's cells do not say what the writer saw."""
    for n, value in enumerate(row):
        if isinstance(value, str) and value in ERRORS:
            return f"第 {n + 1} 列是公式错误 {value}"
        if value is None and n < len(formula) and str(formula[n] or "").startswith("="):
            return f"第 {n + 1} 列是公式，没有存下结果：用 Excel 打开，另存一次"
    return ""


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "是" if value else "否"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case datetime() | date():
            return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
        case time() | timedelta():
            return str(value)
        case _:
            return str(value)[:CELL]
