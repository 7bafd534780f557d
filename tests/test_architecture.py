"""The house of DESIGN §2, proved: where arrows point, and where each vendor lives."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GENERATED = ("bot/channels/wechaty/wire/",)
LAYERS = {"sop": {"sop"}, "storage": {"storage", "sop"}, "bot": {"bot", "storage", "sop"}}
HOMES = {  # the top module of a vendor, and where alone it may be imported
    "wechaty": "bot/channels/wechaty/",
    "wechaty_puppet": "bot/channels/wechaty/",
    "wechaty_grpc": "bot/channels/wechaty/",
    "grpc": "bot/channels/wechaty/",
    "google": "bot/channels/wechaty/",
    "apscheduler": "bot/clock.py",
    "jinja2": "bot/render/",
    "markupsafe": "bot/render/",
    "jieba": "bot/language/",
    "pypinyin": "bot/language/",
    "opencc": "bot/language/",
    "ahocorasick_rs": "bot/language/",
    "re2": "bot/language/",
    "sqlmodel": "storage/",
    "sqlalchemy": "storage/",
    "alembic": "storage/",
    "psycopg": "storage/",
    "sqlite3": "storage/",
    "borax": "bot/almanac.py",
    "chinese_calendar": "bot/almanac.py",
    "qrcode": "bot/qr.py",
    "openpyxl": "bot/sheets/",
    "defusedxml": "bot/sheets/",
    "openai": "bot/llm.py",
    "httpx2": "bot/llm.py",
}
VENDORS_OF_SOP = {"pydantic", "pydantic_core", "yaml", "sop"}
IMPURE = {  # of the standard library: clocks, chance, the outside
    "asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil",
    "socket", "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
CLOCKS = {"now", "today", "utcnow"}


def sources(*folders: str) -> list[str]:
    """Every Python file below the folders, relative to the root."""
    return sorted(name for folder in folders for name in _below(folder))


@cache
def _below(folder: str) -> list[str]:
    out: list[str] = []
    for path, inside, files in os.walk(ROOT / folder):
        inside[:] = [name for name in inside if name != "node_modules"]  # tens of thousands
        out += [(Path(path) / name).relative_to(ROOT).as_posix() for name in files]
    return [name for name in out if name.endswith(".py") and not name.startswith(GENERATED)]


@cache
def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), name)


def imports(name: str) -> Iterator[tuple[int, str]]:
    """Every module a file imports, also inside of functions, with the line."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} imports relatively"
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            argument = node.args[0] if node.args else None
            yield node.lineno, str(argument.value) if isinstance(argument, ast.Constant) else "?"


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


@cache
def calls(name: str) -> list[tuple[int, str, str]]:
    """Every call in a file: line, what it is called on, what is called."""
    return [
        (node.lineno, ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else "",
         _called(node))
        for node in ast.walk(tree(name)) if isinstance(node, ast.Call)
    ]  # fmt: skip


def test_there_is_something_to_look_at() -> None:
    assert {name.split("/")[0] for name in sources(*LAYERS)} == set(LAYERS)
    assert len(sources(*LAYERS)) > 50


@pytest.mark.parametrize("layer", LAYERS)
def test_arrows_point_one_way(layer: str) -> None:
    wrong = [
        f"{name}:{line} imports {module}"
        for name in sources(layer)
        for line, module in imports(name)
        if (top := module.split(".")[0]) in {*LAYERS, "tests", "bench"} and top not in LAYERS[layer]
    ]
    assert wrong == []


def test_each_vendor_has_one_home() -> None:
    wrong = [
        f"{name}:{line} imports {module}, whose home is {HOMES[module.split('.')[0]]}"
        for name in sources(*LAYERS)
        for line, module in imports(name)
        if not name.startswith(HOMES.get(module.split(".")[0], ""))
    ]
    assert wrong == []


def test_sop_imports_nothing_but_pydantic_yaml_and_what_is_pure() -> None:
    wrong = [
        f"{name}:{line} imports {module}"
        for name in sources("sop")
        for line, module in imports(name)
        if (top := module.split(".")[0]) not in VENDORS_OF_SOP
        and (top not in sys.stdlib_module_names or top in IMPURE)
    ]
    assert wrong == []


def test_sop_never_looks_at_a_clock() -> None:
    wrong = [
        f"{name}:{line} calls {on}.{called}"
        for name in sources("sop")
        for line, on, called in calls(name)
        if called in CLOCKS and on.split(".")[-1] in ("datetime", "date")
    ]
    assert wrong == []


def test_only_the_clock_and_the_shell_ask_what_time_it_is() -> None:
    wrong = [
        f"{name}:{line} calls {on}.{called}"
        for name in sources("bot", "storage")
        for line, on, called in calls(name)
        if (called in CLOCKS and on.split(".")[-1] in ("datetime", "date"))
        or (on == "time" and called in ("time", "time_ns"))
        if not name.startswith(("bot/clock.py", "bot/cli/", "bot/channels/wechaty/"))
    ]
    assert wrong == []


def test_nothing_prints_but_the_command_line() -> None:
    wrong = [
        f"{name}:{line}"
        for name in sources(*LAYERS)
        for line, on, called in calls(name)
        if called == "print" and not on and not name.startswith("bot/cli/")
    ]
    assert wrong == []


def test_tests_do_not_wait() -> None:
    wrong = [
        f"{name}:{line} sleeps"
        for name in sources("tests")
        for line, on, called in calls(name)
        if called == "sleep" and not _is_zero(name, line) and "/channels/wechaty/" not in name
        # Gateway and `siyu run` are other processes in real time: there is something to wait for.
        if not name.startswith(("tests/gateway/", "tests/e2e/", "tests/crash/", "tests/flood/"))
    ]
    assert wrong == []


def _is_zero(name: str, line: int) -> bool:
    return "sleep(0)" in (ROOT / name).read_text(encoding="utf-8").splitlines()[line - 1]


def test_modules_stay_small_enough_to_read() -> None:
    lengths = {
        name: len((ROOT / name).read_text(encoding="utf-8").splitlines())
        for name in sources(*LAYERS)
    }
    assert {name: n for name, n in lengths.items() if n > 500} == {}
