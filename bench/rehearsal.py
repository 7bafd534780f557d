"""A month of all starter playbooks, rehearsed with a crowd."""

import asyncio
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter, process_time

from bench import Row
from bot.rehearsal.run import Plan, rehearse_workspace
from bot.starter import copy_starter
from bot.workspace import read_workspace

CROWDS = (200, 1_000, 10_000)


def main() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="siyu-bench-") as folder:
        root = Path(folder) / "shop"
        copy_starter(root)
        workspace = read_workspace(root, env={})
        for count in CROWDS:
            plan = Plan(sops=(), contacts=count, days=30, seed=1, start=date(2026, 3, 2))
            wall, cpu = perf_counter(), process_time()
            found = asyncio.run(rehearse_workspace(workspace, plan, progress=lambda _done: None))
            wall, cpu = perf_counter() - wall, process_time() - cpu
            left = sum(day["messages"] for day in found["per_day"])
            rows.append((f"{count:,} people, 30 days", f"{wall:.1f} s",
                         f"{cpu:.1f} s of CPU, {left:,} messages"))  # fmt: skip
    return rows
