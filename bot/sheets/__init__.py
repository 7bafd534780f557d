"""Tables in files: CSV and XLSX, read a row at a time and written so that they do no harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.sheets.excel import read_excel, write_excel
from bot.sheets.rows import Put, Row, SheetError
from bot.sheets.text import read_text, write_text
from sop.errors import SiyuError, refusal

__all__ = ["Put", "Row", "SheetError", "read_sheet", "write_sheet"]
_EXCEL = {".xlsx", ".xlsm"}
_OLD_EXCEL = {".xls", ".et"}


@contextmanager
def read_sheet(path: Path, *, sheet: str = "") -> Iterator[Iterator[Row]]:
    """The rows of a file that are not blank, the heading first."""
    suffix = path.suffix.lower()
    if suffix in _OLD_EXCEL:
        raise SheetError(f"{path.name} 是旧格式。用 Excel 或 WPS 打开，另存为 .xlsx 或 .csv 再来。")
    if sheet and suffix not in _EXCEL:
        raise SheetError("--sheet 只用于 Excel 文件，CSV 只有一张表。")
    try:
        with read_excel(path, sheet) if suffix in _EXCEL else read_text(path) as rows:
            yield rows
    except OSError as error:
        raise SheetError(f"读不了 {path}：{refusal(error)}") from error


@contextmanager
def write_sheet(path: Path) -> Iterator[Put]:
    """Write rows to a new file; it is there only when all of it is written."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".xlsx"):
        raise SiyuError(f"写成什么格式？文件名要以 .csv 或 .xlsx 结尾，现在是 {path.name}。")
    if path.exists():
        raise SiyuError(f"{path} 已经有了，不会覆盖它。换个名字，或者先把它移走。")
    try:
        with write_excel(path) if suffix == ".xlsx" else write_text(path) as put:
            yield put
    except OSError as error:
        raise SheetError(f"写不了 {path}：{refusal(error)}") from error
