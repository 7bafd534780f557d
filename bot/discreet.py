"""Tracebacks for a log: where it went wrong and of what kind, without what anybody wrote.

The message of a foreign exception may quote anything: a row of the database, a request with its
key, the words of a contact.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

from sop.errors import SiyuError

_OURS = (SiyuError, OSError, TypeError, AttributeError, NameError, ImportError)
"""What only speaks of files and code."""


def discreet(error: BaseException) -> str:
    """The traceback of an error and of what led to it."""
    return "\n".join(_chain(error, set()))


class Formatter(logging.Formatter):
    """Log lines whose tracebacks are discreet."""

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """The traceback below a line."""
        return discreet(ei[1]) if ei[1] is not None else ""


def log_to_stderr(level: int) -> None:
    """Send the log to the terminal, discreetly."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def _chain(error: BaseException, seen: set[int]) -> list[str]:
    if id(error) in seen:
        return []
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    out = _chain(before, seen) if before is not None else []
    out += [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    kind = type(error)
    words = f": {error}" if isinstance(error, _OURS) else ""
    out.append(f"{kind.__module__}.{kind.__qualname__}{words}")
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            out += _chain(one, seen)
    return out
