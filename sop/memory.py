"""How much of the past conditions still ask for: what counts events must find them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from sop.conditions import Count
from sop.events import EventKind


def counted(definitions: Iterable[BaseModel], *, keep: int) -> dict[EventKind, int]:
    """Of which kinds events older than `keep` ms still count, and how many of each at most.

    A count is answered by the newest events, so that one more than its bound is always enough.
    """
    out: dict[EventKind, int] = {}
    for count in (count for one in definitions for count in _counts(one)):
        if count.within is None or count.within > keep:
            bound = max(count.at_least or 0, 0 if count.at_most is None else count.at_most + 1)
            out[count.of] = max(out.get(count.of, 0), bound)
    return out


def _counts(value: object) -> Iterator[Count]:
    if isinstance(value, Count):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _counts(getattr(value, name))
    elif isinstance(value, dict):
        yield from _counts(tuple(value.values()))
    elif isinstance(value, tuple):
        for one in value:
            yield from _counts(one)
