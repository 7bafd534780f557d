"""What a report is made of: the ledger of a rehearsal, and the questions every part of it asks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from bot.rehearsal.cast import Times
from bot.workspace import Workspace
from sop.sequences import Sop
from sop.timing import local_day
from storage.rehearsal import Box, EventRow, HoldRow, Ledger, RunRow, WalkRow

GONE = ("sent", "unknown")  # states of what has left, as far as anybody knows


@dataclass(frozen=True)
class Findings:
    """A rehearsal that is over. `workspace` holds only the SOPs that were rehearsed."""

    workspace: Workspace
    times: Times
    ledger: Ledger

    @property
    def sops(self) -> tuple[Sop, ...]:
        """The SOPs that were rehearsed."""
        return self.workspace.definitions.sops

    @cached_property
    def left(self) -> list[Box]:
        """Messages that left, in their order."""
        gone = [b for b in self.ledger.boxes if b.state in GONE and b.left_at is not None]
        return sorted(gone, key=lambda box: (box.left_at or 0, box.id))

    @cached_property
    def walks(self) -> dict[int, WalkRow]:
        """Walks by id."""
        return {walk.id: walk for walk in self.ledger.walks}

    @cached_property
    def boxes(self) -> dict[int, Box]:
        """Messages by id."""
        return {box.id: box for box in self.ledger.boxes}

    @cached_property
    def holds(self) -> list[HoldRow]:
        """What was put off: what the database logged, and what waited while an account stood still.

        A message that waited through many such stretches counts once a reason.
        """
        return [*self.ledger.holds, *self._stood_still()]

    def reason(self, box: Box) -> str:
        """Why a message is in its state at the end."""
        stretches = self.ledger.standstills
        held = bool(stretches) and stretches[-1].until is None and box.due_at < self.times.end
        return stretches[-1].because if held and box.state == "queued" else box.reason

    def _stood_still(self) -> Iterator[HoldRow]:
        stretches = self.ledger.standstills
        starts = [stretch.at for stretch in stretches]
        ends = [stretch.until or self.times.end for stretch in stretches]
        following = _next_of_each([stretch.because for stretch in stretches])
        for box in self.ledger.boxes:
            if box.part:
                continue
            last = self.times.end if box.state == "queued" else box.left_at or box.due_at + 1
            if last <= box.due_at:
                continue
            first, after = bisect_right(ends, box.due_at), bisect_left(starts, last)
            if box.purpose == "notice" and box.left_at is not None:
                after = bisect_right(ends, last)  # it leaves while others are held back
            for reason, places in following.items():
                if places[first] < after:
                    yield HoldRow(
                        box_id=box.id, walk_id=None, step="", reason=reason, times=1,
                        since=max(box.due_at, starts[places[first]]),
                    )  # fmt: skip

    @cached_property
    def runs(self) -> dict[tuple[str, str], list[tuple[WalkRow, RunRow]]]:
        """What came of steps, by SOP and step."""
        out: dict[tuple[str, str], list[tuple[WalkRow, RunRow]]] = defaultdict(list)
        for run in self.ledger.runs:
            walk = self.walks.get(run.walk_id)
            if walk is not None:
                out[walk.sop, run.step].append((walk, run))
        return out

    @cached_property
    def heard(self) -> list[EventRow]:
        """What people wrote in private."""
        return [
            e for e in self.ledger.events
            if e.kind == "message" and e.group_id is None and e.contact_id is not None
        ]  # fmt: skip

    def title(self, sop: str) -> str:
        """What an SOP is called."""
        found = next((s for s in self.sops if s.id == sop), None)
        return found.title or found.id if found else sop

    def name(self, subject: int) -> str:
        """What a contact or group is called."""
        return self.ledger.names.get(subject, "") or f"#{subject}"

    def day(self, at: int) -> date:
        """The day of a moment, ms UTC, on the workspace's wall."""
        return local_day(at, self.times.zone)

    def clock(self, at: int) -> datetime:
        """A moment, ms UTC, on the workspace's wall."""
        return datetime.fromtimestamp(at / 1000, self.times.zone)


def _next_of_each(names: Sequence[str]) -> dict[str, list[int]]:
    """For each name and place, where it comes up next; past the end if it does not."""
    out = {name: [len(names)] * (len(names) + 1) for name in names}
    for place in range(len(names) - 1, -1, -1):
        for name, places in out.items():
            places[place] = place if names[place] == name else places[place + 1]
    return out
