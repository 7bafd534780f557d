"""The starter workspace that ships with Siyu: 小满家."""

from __future__ import annotations

import shutil
from pathlib import Path

import sop
from sop.errors import SiyuError, refusal

# `templates` lies beside `sop` wherever both are installed. It is not imported: a folder of that
# name is also in every workspace, and would be taken for it.
_HOME = Path(next(iter(sop.__path__))).parent


def copy_starter(folder: Path) -> int:
    """Copy the starter workspace into `folder`; returns how many files.

    Raises `SiyuError` rather than overwrite anything.
    """
    try:
        _must_be_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        copied = _copy(_HOME / "sop" / "starter", folder)
        return copied + _copy(_HOME / "templates", folder / "templates")
    except OSError as error:
        reason = refusal(error)
        raise SiyuError(f"{folder} 写不进去：{reason}。换个地方，或者解决了再试一次。") from error


def _must_be_free(folder: Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()):
            raise SiyuError(f"{folder} 里已经有东西了。请换一个空文件夹，免得盖掉你的文件。")
    elif folder.exists():
        raise SiyuError(f"{folder} 是一个文件。请换一个名字，会建成文件夹。")


def _copy(source: Path, target: Path) -> int:
    count = 0
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file():
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / relative)
            count += 1
    return count
