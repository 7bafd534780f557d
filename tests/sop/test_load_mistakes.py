"""Every mistake an operator may make, as the exact screen they read (`tests/golden/mistakes`).

A case is one text file: the files of a small workspace, then what the screen says. Run with
SIYU_UPDATE_GOLDEN=1 to write the screens anew, and read the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bot.workspace import inspect_workspace, show_problems

CASES = sorted((Path(__file__).parents[1] / "golden" / "mistakes").glob("*.txt"))
ENV = {"TOKEN": "s3cret-value"}
SETTINGS = "community: 小满家\noperators: [wxid_boss]\n"
SCREEN = "=== 期望\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_screen(case: Path, tmp_path: Path) -> None:
    written, _, expected = case.read_text(encoding="utf-8").partition(SCREEN)
    parts = re.split(r"^=== (.+)\n", written, flags=re.MULTILINE)[1:]
    for name, text in {
        "siyu.yaml": SETTINGS,
        **dict(zip(parts[::2], parts[1::2], strict=True)),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    _, problems = inspect_workspace(tmp_path, env=ENV)
    screen = show_problems(problems) + "\n"
    if os.environ.get("SIYU_UPDATE_GOLDEN"):
        case.write_text(written + SCREEN + screen, encoding="utf-8")
    else:
        assert screen == expected
    assert ENV["TOKEN"] not in screen
    assert problems


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 110
