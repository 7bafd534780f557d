"""Tables in files: encodings, delimiters, formulas, and files that want to do harm."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sheets import Row, SheetError, read_sheet, write_sheet
from bot.sheets.rows import as_meant, harmless
from sop.errors import SiyuError

RISKY = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
TABLE = [["昵称", "备注"], ["小雨", "王,小雨\n妈妈"], ["=1+1", "@SUM(A1)"]]


def rows(path: Path, sheet: str = "") -> list[Row]:
    with read_sheet(path, sheet=sheet) as found:
        return list(found)


def cells(path: Path) -> list[list[str]]:
    return [list(row.cells) for row in rows(path)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_csv_of_every_kind(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([*TABLE, ["", " "]])
    assert cells(path) == TABLE


def test_the_delimiter_may_be_told_and_zeros_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('sep=;\n订单号;备注\n="00123";a,b\n', encoding="gbk")
    found = rows(path)
    assert [list(row.cells) for row in found] == [["订单号", "备注"], ["00123", "a,b"]]
    assert [row.line for row in found] == [2, 3]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n\n"x\ny",1\nz,2\n', encoding="utf-8")
    assert [(row.line, row.cells[0]) for row in rows(path)] == [(1, "a"), (3, "x\ny"), (5, "z")]


def test_a_quote_that_never_ends_is_one_refused_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n"' + "长\n" * 40_000 + "z,2\n", encoding="utf-8")
    troubled = [row for row in rows(path) if row.trouble]
    assert troubled[0].line == 2
    assert "引号没有成对" in troubled[0].trouble


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\x00\x01\xff\xfe\x81" * 100)
    with pytest.raises(SheetError, match="认不出来"):
        rows(path)


def test_excel_cells_are_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.append(["数", "时间", "是非", "空"])
    page.append([17850.0, datetime(2026, 3, 1, 12, 30), True, None])  # noqa: DTZ001
    page.append([0.1, datetime(2026, 3, 1), False, "x"])  # noqa: DTZ001
    page.append([None, None, None, None])
    book.create_sheet("第二张").append(["b"])
    book.save(tmp_path / "a.xlsx")
    assert cells(tmp_path / "a.xlsx") == [
        ["数", "时间", "是非", "空"],
        ["17850", "2026-03-01 12:30:00", "是"],
        ["0.1", "2026-03-01 00:00:00", "否", "x"],
    ]
    assert [list(r.cells) for r in rows(tmp_path / "a.xlsx", "第二张")] == [["b"]]
    with pytest.raises(SheetError, match="没有叫「第三张」的表。有：Sheet、第二张"):
        rows(tmp_path / "a.xlsx", "第三张")


def test_a_formula_without_a_result_refuses_its_row(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for row in (["a", "b"], ["1", "=A2*2"], ["#N/A", "1"], ["2", "3"]):
        page.append(row)
    book.save(tmp_path / "a.xlsx")
    assert [row.trouble for row in rows(tmp_path / "a.xlsx")] == [
        "",
        "第 2 列是公式，没有存下结果：用 Excel 打开，另存一次",
        "第 1 列是公式错误 #N/A",
        "",
    ]


SHARED = (
    b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats'
    b'-officedocument.spreadsheetml.sharedStrings+xml"/>'
)


def _repacked(source: Path, target: Path, member: str, change: bytes) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name).replace(b"</Types>", SHARED + b"</Types>")
            new.writestr(name, change if name == member else data)
        if member not in old.namelist():
            new.writestr(member, change)
    return target


ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    b'<row r="1"><c r="A1" t="inlineStr"><is><t>&b;</t></is></c></row></sheetData></worksheet>'
)


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("xl/worksheets/sheet1.xml", ENTITIES),
        ("xl/sharedStrings.xml", ENTITIES),
        ("xl/workbook.xml", ENTITIES),
        ("xl/worksheets/sheet1.xml", b"<broken"),
        ("xl/worksheets/sheet1.xml", b"<a>" + b" " * (8 << 20) + b"</a>"),
    ],
)
def test_workbooks_that_blow_up_are_refused(tmp_path: Path, member: str, change: bytes) -> None:
    good, book = tmp_path / "good.xlsx", openpyxl.Workbook()
    book.active.append(["a"])  # type: ignore[union-attr]
    book.save(good)
    bad = _repacked(good, tmp_path / "bad.xlsx", member, change)
    with pytest.raises(SheetError):
        rows(bad)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken"])
def test_what_is_no_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(SheetError, match=r"a\.xlsx 打不开"):
        rows(tmp_path / "a.xlsx")


def test_old_formats_and_missing_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match=r"另存为 \.xlsx"):
        rows(tmp_path / "a.xls")
    with pytest.raises(SheetError, match="没有这个文件"):
        rows(tmp_path / "a.csv")


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_what_was_written_is_read_as_it_was_meant(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with write_sheet(path) as put:
        for row in TABLE:
            put(row)
    assert cells(path) == TABLE
    assert path.stat().st_mode & 0o077 == 0


def _raw(path: Path) -> list[Sequence[object]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file))
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(path).active.rows]  # type: ignore[union-attr]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_no_cell_is_a_formula(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    evil = [f"{mark}HYPERLINK(1)" for mark in RISKY] + ["=cmd|' /C calc'!A0", "好\x07\x00"]
    with write_sheet(path) as put:
        put(evil)
    ((*found,),) = _raw(path)
    assert not any(str(cell).startswith(RISKY) for cell in found)
    if suffix == ".xlsx":
        page = openpyxl.load_workbook(path).active
        assert {cell.data_type for row in page.rows for cell in row} == {"s"}  # type: ignore[union-attr]
        with zipfile.ZipFile(path) as packed:
            assert b"<f>" not in packed.read("xl/worksheets/sheet1.xml")


@given(st.text(max_size=50))
def test_harmless_is_harmless_and_can_be_taken_back(text: str) -> None:
    made = harmless(text)
    assert not made.startswith(RISKY)
    kept = "".join(c for c in text if ord(c) >= 32 or c in "\t\n\r")
    if not kept.startswith(("'", '="')) and kept == kept.strip():
        assert as_meant(made) == kept


def test_nothing_is_overwritten_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(ZeroDivisionError), write_sheet(path) as put:
        put(["a"])
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(SiyuError, match="不会覆盖"), write_sheet(path):
        pass
    with (
        pytest.raises(SiyuError, match=r"以 \.csv 或 \.xlsx 结尾"),
        write_sheet(tmp_path / "a.txt"),
    ):
        pass
