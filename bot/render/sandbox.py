"""Compiling a piece of template text once, and running it on plain data with clear errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as ALL_TESTS

from bot.render.allow import Mistake, mistakes, rewrite, says_something
from bot.render.filters import FILTERS, HIDDEN, TESTS, Missing, Refused, bounded, number, show
from bot.render.syntax import explain
from sop.errors import RenderError
from sop.problems import Problem

OUTPUT_LIMIT = 20_000
LOOP_ENTRIES = frozenset({"first", "last", "index", "index0", "length"})
TIME_ENTRIES = frozenset({"year", "month", "day", "hour", "minute"})
# Whatever else a template's arithmetic, indexing or filters may raise on the wrong kind of data.
DATA_ERRORS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece of template text stands in its file, for messages."""

    file: str
    lines: tuple[str, ...]
    line: int = 1
    column: int = 1
    path: str = ""

    def problem(self, mistake: Mistake) -> Problem:
        """The mistake as a line on a screen."""
        # Jinja2 gives some nodes no line.
        line, message, hint = mistake.line or self.line, mistake.message, mistake.hint
        column = self.column_of(line, mistake.word)
        return Problem(self.file, line, column, self.path, message, mistake.expected, "", hint)

    def column_of(self, line: int, word: str) -> int:
        """Where the word stands in the line; Jinja2 knows lines only."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        edge = r"\b" if re.fullmatch(r"\w+", word) else ""
        found = re.search(edge + re.escape(word) + edge, text) if word else None
        return found.start() + 1 if found else (self.column if line == self.line else 1)

    def error(self, message: str, *, line: int | None = None, hint: str = "") -> RenderError:
        """What went wrong here when rendering."""
        line = self.line if line is None else line
        column = self.column if line == self.line else 1
        where = f"{self.file}:{line}：" if self.file else ""
        facts = {"file": self.file, "line": line, "column": column, "path": self.path, "hint": hint}
        return RenderError(f"{where}{message}", reason=message, **facts)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A compiled piece of template text, and the names that it uses."""

    template: jinja2.Template
    place: Place
    speaks: bool
    uses: frozenset[str]

    def render(self, names: dict[str, Any]) -> str:
        """Its text, untrimmed; raises `RenderError`."""
        context = self.template.new_context(names, shared=True)
        parts: list[str] = []
        room = OUTPUT_LIMIT
        try:
            for part in self.template.root_render_func(context):
                parts.append(part)
                room -= len(part)
                if room < 0:
                    raise Refused(f"模板写出的内容超过 {OUTPUT_LIMIT} 个字")
        except (Refused, jinja2.TemplateError) as error:
            raise self._failed(error, str(error)) from None
        except DATA_ERRORS as error:
            raise self._failed(error, "这里的数据类型不对，不能这样用") from None
        return "".join(parts)

    def _failed(self, error: Exception, why: str) -> RenderError:
        hint = ""
        if isinstance(error, jinja2.UndefinedError):
            hint = "不一定有的内容请写成 …|default('别的文字')，或先用 {% if … is defined %} 判断"
        return self.place.error(why, line=self._line(error), hint=hint)

    def _line(self, error: Exception) -> int:
        line, trace = self.place.line, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_globals.get("__jinja_template__") is self.template:
                line = self.template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return line


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 over plain data: nothing to call, entries instead of attributes, bounded operators."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self) -> None:
        # The optimizer would run filters while compiling, outside of any budget.
        super().__init__(
            undefined=Missing,
            finalize=show,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
        )
        self.globals = {}
        self.filters = FILTERS | HIDDEN
        self.tests = {name: ALL_TESTS[name] for name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """An entry of a dict, a part of a time or of a loop; never a Python attribute."""
        match obj:
            case dict() if attribute in obj:
                return obj[attribute]
            case jinja2.Undefined():
                str(obj)
            case LoopContext() if attribute in LOOP_ENTRIES:
                return getattr(obj, attribute)
            case _ if attribute in TIME_ENTRIES and hasattr(obj, "tzinfo"):
                return getattr(obj, attribute)
        return Missing(name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """An item of a list or text by number, else as `getattr`."""
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        if isinstance(obj, jinja2.Undefined):
            str(obj)
        try:
            return obj[argument]
        except (LookupError, TypeError):
            return Missing(name=f"[{argument}]")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculates with numbers of a sane size; joins two texts."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return bounded(left + right)
        number(left)
        if number(right) == 0 and operator in ("/", "//", "%"):
            raise Refused("不能除以 0")
        return number(self.binop_table[operator](left, right))

    def piece(
        self, source: str, place: Place, variables: Mapping[str, Any]
    ) -> tuple[Snippet | None, list[Problem]]:
        """`source` compiled, or why it cannot be."""
        padded = "\n" * (place.line - 1) + source
        tree, found = _guarded(lambda: self.parse(padded), place)
        if tree is None:
            return None, found
        wrong = mistakes(tree, variables)
        if wrong:
            return None, sorted({place.problem(mistake) for mistake in wrong})
        speaks = says_something(tree)
        uses = frozenset(node.name for node in tree.find_all(nodes.Name))
        rewrite(tree)
        template, found = _guarded(lambda: self.from_string(tree), place)
        if template is None:
            return None, found
        template.globals = {}  # the environment has none, and listing them took a third of a render
        return Snippet(template, place, speaks, uses), []


def _guarded(work: Callable[[], _T], place: Place) -> tuple[_T | None, list[Problem]]:
    """What Jinja2 made, or why it refused; a hostile text may exhaust even its parser."""
    try:
        return work(), []
    except jinja2.TemplateSyntaxError as error:
        word, message, hint = explain(error.message or "")
        return None, [place.problem(Mistake(error.lineno, word, message, hint))]
    except (RecursionError, MemoryError, ValueError, SyntaxError):
        return None, [place.problem(Mistake(place.line, "", "这一段写得太复杂了，请拆开"))]
