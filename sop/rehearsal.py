"""Who takes part in a rehearsal, as operators write it: kinds of people and what they are like.

Nothing here is ever used live.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sop.conditions import Definition, OneOrMany
from sop.times import HOUR, MINUTE, Duration, DurationRange, Range

Chance = Annotated[float, Field(ge=0, le=1, description="0 到 1 之间的数，如 0.3 是三成")]


class Persona(Definition):
    """A kind of people. `share` is how many of them there are, in proportion to the other kinds.

    `friend` people become friends on some day of the first half, `known` ones were before. `reply`
    is the chance that a touch gets an answer, `spontaneous` the chance a day of writing unasked,
    `asks` that of asking something from the knowledge or around it;
    `buys` and `leaves` are chances over the whole rehearsal. `wrote` is how long ago a known person
    last wrote. An attribute with several values gets one of them. `chatter` is the chance a day of
    writing unasked in a group they are in, in `group_words` or else the group's own words.
    """

    name: str
    share: float = Field(gt=0, description="大于 0 的数")
    enter: Literal["friend", "known"] = "friend"
    tags: dict[str, Chance] = Field(default_factory=dict)
    attributes: dict[str, OneOrMany] = Field(default_factory=dict)
    reply: Chance = 0.4
    delay: DurationRange = Range(2 * MINUTE, 3 * HOUR)
    words: tuple[str, ...] = Field(default=("好的",), min_length=1)
    spontaneous: Chance = 0.0
    chatter: Chance = 0.0
    group_words: tuple[str, ...] = ()
    asks: Chance = 0.0
    buys: Chance = 0.0
    leaves: Chance = 0.0
    wrote: DurationRange | None = None
    silent_after: Duration | None = None


class Crowd(Definition):
    """A group: `members` is the chance that a person is in it, `reply` that a member joins in.

    `brought` is the chance that who joins was brought by a member, `leaves` that a person who is in
    it goes again, over the whole rehearsal.
    """

    topic: str
    members: Chance = 0.3
    reply: Chance = 0.02
    brought: Chance = 0.0
    leaves: Chance = 0.0
    words: tuple[str, ...] = Field(default=("哈哈", "收到", "学到了"), min_length=1)


class Rehearsal(Definition):
    """The cast of rehearsals; with none, a built-in one takes part."""

    people: tuple[Persona, ...] = ()
    groups: tuple[Crowd, ...] = ()
