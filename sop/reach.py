"""How much of today is left to write to people in. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sop.sending import day_start, opening
from sop.times import MINUTE, Window

_STEP = 15 * MINUTE


def open_span(now: int, quiet: Window | None, zone: ZoneInfo) -> int:
    """How long until midnight it is not quiet, in ms, to a quarter of an hour."""
    midnight = day_start(now, zone, days=1)
    if quiet is None:
        return midnight - now
    span = 0
    for moment in range(now, midnight, _STEP):
        if opening(moment, window=None, quiet=quiet, zone=zone) == moment:
            span += min(_STEP, midnight - moment)
    return span
