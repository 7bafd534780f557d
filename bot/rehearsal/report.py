"""What a rehearsal came to, as plain data: every number is read from the scratch database."""

from __future__ import annotations

from typing import Any

from bot.rehearsal.alarms import warnings
from bot.rehearsal.calendar import per_day
from bot.rehearsal.collisions import collisions
from bot.rehearsal.findings import Findings
from bot.rehearsal.funnel import funnel
from bot.rehearsal.sample import sample
from bot.rehearsal.withheld import withheld


def report(found: Findings) -> dict[str, Any]:
    """`per_day`, `funnel`, `withheld`, `collisions`, `sample`, `warnings`."""
    return {
        "per_day": per_day(found),
        "funnel": funnel(found),
        "withheld": withheld(found),
        "collisions": collisions(found),
        "sample": sample(found),
        "warnings": warnings(found),
    }
