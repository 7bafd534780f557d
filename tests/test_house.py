"""The house: nothing of one machine in its files, and everything where it belongs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bot.starter import copy_starter

ROOT = Path(__file__).parents[1]
LAYOUT = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "README.zh-CN.md",
    "bench", "bot", "docs", "pyproject.toml", "requirements.txt", "sop", "storage", "templates",
    "tests",
}  # fmt: skip
MAY_COME = {".importlinter", ".gitattributes", ".editorconfig"}
# A path of somebody's machine, or an index that only some machines can reach.
_LOCAL = re.compile(
    rb"file://|/home/[a-z]|/Users/[A-Z]|/opt/|/[w]ork/|--(?:extra-)?index-url|--find-links"
    rb"|https?://[^/\s]*(?:pypi|npmmirror|tuna|aliyun|artifactory|nexus)"
)


def _tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone, so nobody knows what belongs to it")
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_top_level_is_fixed() -> None:
    top = {name.partition("/")[0] for name in _tracked()}
    assert top - MAY_COME == LAYOUT


def test_no_path_of_a_machine_and_no_registry_of_its_own() -> None:
    this = Path(__file__).relative_to(ROOT).as_posix()
    found = [
        (name, match.group().decode())
        for name in _tracked()
        if name != this and (match := _LOCAL.search((ROOT / name).read_bytes()))
    ]
    assert found == []


def test_the_lock_names_versions_and_nothing_else() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="ascii").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[\w.]+", line)] == []


def test_templates_are_words_only() -> None:
    assert [p for p in (ROOT / "templates").rglob("*.py*") if "__pycache__" not in p.parts] == []


def test_the_starter_is_copied_whole(tmp_path: Path) -> None:
    count = copy_starter(tmp_path / "new")
    made = {p.relative_to(tmp_path / "new") for p in (tmp_path / "new").rglob("*") if p.is_file()}
    assert len(made) == count
    assert {
        Path("siyu.yaml"),
        Path("media/welcome.png"),
        Path("templates/welcome/default.j2"),
    } <= made


def test_tests_do_not_sleep() -> None:
    tests = [name for name in _tracked() if re.fullmatch(r"tests/.*/test_\w+\.py", name)]
    assert [n for n in tests if "time.sleep(" in (ROOT / n).read_text(encoding="utf-8")] == []
