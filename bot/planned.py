"""What a workspace's calendar is asked of: its planner, and whether a template makes a Moment."""

from __future__ import annotations

from datetime import datetime

from bot.almanac import ChineseAlmanac
from bot.clock import CronTimes
from bot.render import Templates
from sop.almanac import Almanac
from sop.definitions import Settings
from sop.errors import RenderError
from sop.moments import compose
from sop.planning import Planner

_SAMPLE = datetime(2026, 11, 21, 9, 30)  # noqa: DTZ001 (any day will do)


def planner_of(settings: Settings, almanac: Almanac | None = None) -> Planner:
    """The planner of a workspace."""
    return Planner(settings.zone, almanac or ChineseAlmanac(settings.calendar), CronTimes())


def moment_problem(templates: Templates, name: str) -> str | None:
    """Why a template makes no Moment; None when it does, or has mistakes of its own to tell."""
    if name not in templates.names():
        return None
    try:
        made = compose(templates.render(name, tags=(), facts={"now": _SAMPLE}))
    except RenderError:
        return None
    return made if isinstance(made, str) else None
