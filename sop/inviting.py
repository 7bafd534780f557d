"""Which group somebody is invited to: the first with room, never twice, never a member. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sop.times import DAY

CAPACITY = 500  # what WeChat lets into a group
VALID = 3 * DAY  # how long a place is kept for who has not accepted yet
_SCARCE = 10  # the last group is told of when a tenth of its places is left,
_FEW = 2  # and however small it is, when these are

Outcome = Literal["invite", "member", "waiting", "full", "nowhere"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One of the groups that would do, as it stands for one contact.

    `members` are those the bot knows, without itself; `kept` are places of other invitations that
    may still be accepted. `inside` and `invited` are about the contact.
    """

    id: int
    external_id: str
    name: str
    capacity: int
    members: int
    kept: int
    inside: bool = False
    invited: bool = False

    @property
    def free(self) -> int:
        """How many more may be invited; the bot's own account takes a place too."""
        return max(self.capacity - 1 - self.members - self.kept, 0)


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of an invitation: where to, and whether room is getting scarce everywhere.

    `place` is the group to invite to, or the one the contact is in or is invited to already.
    """

    outcome: Outcome
    place: Place | None = None
    scarce: bool = False


def choose(places: Sequence[Place]) -> Choice:
    """Choose among the groups that would do, in the order they are to be filled."""
    inside = next((place for place in places if place.inside), None)
    if inside is not None:
        return Choice("member", inside)
    invited = next((place for place in places if place.invited), None)
    if invited is not None:
        return Choice("waiting", invited)
    if not places:
        return Choice("nowhere")
    room = [place for place in places if place.free]
    if not room:
        return Choice("full")
    left = room[0].free - 1
    scarce = len(room) == 1 and left <= max(room[0].capacity // _SCARCE, _FEW)
    return Choice("invite", room[0], scarce)
