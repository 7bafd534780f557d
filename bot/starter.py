"""The starter workspace that ships with Siyu: 小满家."""

from __future__ import annotations

import shutil
from pathlib import Path

import sop
import templates
from sop.errors import SiyuError

_SKIPPED = {"__pycache__", "__init__.py"}


def copy_starter(folder: Path) -> int:
    """Copy the starter workspace into `folder`; returns how many files.

    Raises `SiyuError` rather than overwrite anything.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SiyuError(f"{folder} 里已经有东西了。请换一个空文件夹，免得盖掉你的文件。")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = _copy(Path(sop.__path__[0]) / "starter", folder)
        return before + _copy(Path(templates.__path__[0]), folder / "templates")
    except OSError as error:
        raise SiyuError(f"{folder} 写不进去：{error.strerror}") from error


def _copy(source: Path, target: Path) -> int:
    count = 0
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file() and not _SKIPPED & set(relative.parts):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / relative)
            count += 1
    return count
