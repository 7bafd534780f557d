"""A mistake in an operator's file, as a line on a screen."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake.

    `file` is relative to the workspace; `line` and `column` count from 1; `path` is the YAML path
    (`rules[2].do[0].say`), empty for templates. `expected`, `found` and `hint` may be empty.
    A `warning` is shown but does not keep the definitions from going live.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    expected: str = ""
    found: str = ""
    hint: str = ""
    warning: bool = False

    def lines(self) -> list[str]:
        """The screen lines of this problem, first line `file:line:column  message`."""
        out = [f"{self.file}:{self.line}:{self.column}  {self.message}"]
        for label, text in (
            ("位置", self.path),
            ("应为", self.expected),
            ("实际", self.found),
            ("提示", self.hint),
        ):
            if text:
                out.append(f"    {label}：{text}")
        return out


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint naming the nearest of `known`, or an empty string when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f"是不是想写 {' 或 '.join(near)}？" if near else ""
