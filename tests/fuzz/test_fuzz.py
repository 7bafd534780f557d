"""Spoilt files by the thousand: a screen with `file:line:column`, never a traceback, never a hang.

`make test` does a few hundred, `make fuzz` 10,000 (`SIYU_FUZZ`, `SIYU_FUZZ_SEED`).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import time
from pathlib import Path

import pytest

from bot.render import SAMPLE_FACTS, Templates
from bot.workspace import Watcher, show_problems
from sop.errors import RenderError
from sop.problems import Problem
from sop.source import decode
from tests.fuzz.mutants import JINJA, STARTER, VALUES, spoil, template_seeds, yaml_seeds

FILES = int(os.environ.get("SIYU_FUZZ", "300"))
SEED = os.environ.get("SIYU_FUZZ_SEED", "20261122")
SHARDS = 10
LONGEST = 5.0  # seconds of CPU for one file: a hang is longer, a busy machine is not counted
HEAD = re.compile(r"^[^\n:]+:[1-9]\d*:[1-9]\d*  \S")
SETTINGS = (STARTER / "siyu.yaml").read_text("utf-8")

pytestmark = pytest.mark.timeout(1800)


def cases(shard: int, part: float) -> list[random.Random]:
    """The chances of a shard's files; each file has its own, and can be had again alone."""
    count = int(FILES * part)
    return [random.Random(f"{SEED}/{n}") for n in range(shard, count, SHARDS)]  # noqa: S311


def judge(problems: tuple[Problem, ...], lines: dict[str, int]) -> None:
    """Every problem is a place in a file that exists, and reads as a screen."""
    screen = show_problems(problems)
    assert "Traceback" not in screen
    for problem in problems:
        head = problem.lines()[0]
        assert HEAD.match(head), head
        assert 1 <= problem.line <= lines.get(problem.file, 1) + 1, head
        assert problem.message.strip(), head


def count_lines(data: bytes) -> int:
    return len(re.split(rb"\r\n|\r|\n|\xc2\x85|\xe2\x80[\xa8\xa9]", data))


@pytest.mark.parametrize("shard", range(SHARDS))
def test_spoilt_yaml_never_takes_the_live_definitions_down(shard: int, tmp_path: Path) -> None:
    seeds = yaml_seeds()
    (tmp_path / "siyu.yaml").write_text(SETTINGS, "utf-8")
    shutil.copytree(STARTER / "media", tmp_path / "media")
    for name in ("tags.yaml", "words.yaml"):
        shutil.copy(STARTER / name, tmp_path / name)
    watcher = Watcher(tmp_path, env={})
    refused = 0
    for chance in cases(shard, 0.6):
        name, text = chance.choice(seeds)
        path, before = tmp_path / name, watcher.workspace
        kept = path.read_bytes() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        data = spoil(text, chance, bits=VALUES, tree=True)
        path.write_bytes(data)
        began = time.process_time()
        edit = watcher.poll()
        assert time.process_time() - began < LONGEST, (name, data)
        if edit is not None:
            counts = {str(one.relative_to(tmp_path)): count_lines(one.read_bytes())
                      for one in tmp_path.rglob("*.yaml")}  # fmt: skip
            judge(edit.problems, counts)
            if edit.workspace is None:
                refused += 1
                assert any(not one.warning for one in edit.problems)
                assert watcher.workspace is before, "a broken file changed what is live"
        if kept is None:
            path.unlink()
        else:
            path.write_bytes(kept)
    assert refused > len(cases(shard, 0.6)) // 2  # else nothing was spoilt


@pytest.mark.parametrize("shard", range(SHARDS))
def test_spoilt_templates_are_refused_or_harmless(shard: int) -> None:
    seeds = template_seeds()
    for chance in cases(shard, 0.4):
        name, text = chance.choice(seeds)
        data = spoil(text, chance, bits=JINJA, tree=False)
        said = decode(f"templates/{name}", data)
        if isinstance(said, Problem):
            judge((said,), {said.file: count_lines(data)})
            continue
        began = time.process_time()
        templates = Templates({name: said}, variables={"热线": "400"}, media=["media/welcome.png"])
        judge(templates.problems, {f"templates/{name}": count_lines(data)})
        for facts in SAMPLE_FACTS:
            try:
                bodies = templates.render(name.removesuffix(".j2"), tags=[], facts=facts)
            except (RenderError, KeyError):
                continue
            assert sum(len(repr(body)) for body in bodies) < 500_000
        assert time.process_time() - began < LONGEST, (name, data)
