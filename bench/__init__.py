"""Siyu measures here. Each module's `main()` returns rows: what was measured, figure, remark."""

Row = tuple[str, str, str]
