"""What a report is made of: the ledger of a rehearsal, and the questions every part of it asks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from bot.rehearsal.cast import Times
from bot.workspace import Workspace
from sop.sequences import Sop
from sop.timing import local_day
from storage.rehearsal import Box, EventRow, Ledger, RunRow, WalkRow

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
