"""`python -m bench [names]`: run the named benches, or all, and print one table."""

import sys
from importlib import import_module
from pkgutil import iter_modules

import bench
from bench import Row


def _names() -> list[str]:
    return sorted(name for _, name, _ in iter_modules(bench.__path__) if not name.startswith("_"))


def _table(rows: list[tuple[str, Row]]) -> str:
    lines = [("bench", "measured", "figure", "remark"), *((name, *row) for name, row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    return "\n".join([texts[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *texts[1:]])


def main(wanted: list[str]) -> None:
    known = _names()
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"no bench named {', '.join(unknown)}; there are: {', '.join(known)}")
    rows: list[tuple[str, Row]] = []
    for name in wanted or known:
        rows += [(name, row) for row in import_module(f"bench.{name}").main()]
    print(_table(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
