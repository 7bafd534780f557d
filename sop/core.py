"""Core people: those for whom operators want to be there themselves."""

from __future__ import annotations

from sop.conditions import Definition, OneOrMany
from sop.times import MINUTE, SECOND, Duration


class CorePeople(Definition):
    """Who carries the tag is a core person: when they write, operators are told within seconds.

    What they write within `gather` is told together; for `cooldown` after that only once more, at
    its end.
    """

    tag: OneOrMany
    gather: Duration = 8 * SECOND
    cooldown: Duration = 10 * MINUTE
