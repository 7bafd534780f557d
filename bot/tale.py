"""What was done and why, as a story: what happened, and below it what came of it and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from bot.plain import day_line, source_name, with_reason
from storage.words import OUTCOMES

Row = dict[str, Any]
_INDENT = " " * 7
_DEEDS = ("done", "replied", "timeout")  # what is told by what came of it


def tale(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of the story that `storage.telling.explain` tells."""
    chapters = _chapters(rows)
    for day, events in groupby(chapters, key=lambda chapter: chapter[0]["at"][:10]):
        yield day_line(datetime.fromisoformat(day))
        for first, rest in events:
            moment = datetime.fromisoformat(first["at"]).strftime("%H:%M")
            happened = first["outcome"] == "happened"
            lines = [_happening(first), *_causes(rest)] if happened else _causes([first, *rest])
            yield f"{moment}  {lines[0]}"
            yield from (_INDENT + line for line in lines[1:])


def _chapters(rows: Sequence[Row]) -> list[tuple[Row, list[Row]]]:
    """Each event with what followed at once; what came later stands with its like."""
    out: list[tuple[Row, list[Row]]] = []
    known: dict[object, list[Row]] = {}
    for row in rows:
        refs = row["refs"]
        happened = row["outcome"] == "happened"
        cause = refs.get("from_event") if happened else refs.get("event") or _cause(row)
        if (row["at"], cause) in known:
            known[row["at"], cause].append(row)
        else:
            out.append((row, []))
            known[row["at"], refs["event"] if happened else cause] = out[-1][1]
    return out


def _happening(row: Row) -> str:
    what, because = str(row["what"]), _because(row)
    kind = what.partition("「")[0]
    if because.endswith(kind):  # 小雨成为好友
        who = because.removesuffix(kind)
        return f"{what}：{who}" if who else what
    return f"{what}，{because}" if because else what


def _causes(rows: Sequence[Row]) -> list[str]:
    """Consequences, those of one rule together under what set it off."""
    causes: dict[str, list[Row]] = {}
    for row in rows:
        causes.setdefault(_cause(row), []).append(row)
    out: list[str] = []
    for cause, found in causes.items():
        told = [line for row in found if (line := _consequence(row))]
        out += [_reason(cause, found), *(f"  {line}" for line in told)] if cause else told
    return out


def _reason(cause: str, rows: Sequence[Row]) -> str:
    """What set a rule off; of a deed that nothing else says, why it was done."""
    given = next((_because(row) for row in rows if _because(row).startswith(cause)), "")
    own = (with_reason(cause, _because(row)) for row in rows if row["outcome"] in _DEEDS)
    return given.partition("；")[0] or next(own, cause)


def _cause(row: Row) -> str:
    """The rule or command a row belongs to; none for what was not done."""
    if "outbox" in row["refs"]:
        return _because(row).partition("；")[0].partition("：")[0]
    if row["outcome"] == "happened":
        return _because(row).removeprefix("来自 ")
    return str(row["what"]) if row["outcome"] in _DEEDS else ""


def _consequence(row: Row) -> str:
    outcome = OUTCOMES.get(row["outcome"], row["outcome"])
    match row["outcome"]:
        case "happened":
            return str(row["what"])
        case _ if row["outcome"] in _DEEDS:
            return ""
        case _ if "outbox" in row["refs"]:
            reason = row["because"].partition("；")[2]
            return f"［{outcome}］{row['what']}" + (f"，{reason}" if reason else "")
        case _:
            return f"［{outcome}］{with_reason(row['what'], row['because'])}"


def _because(row: Row) -> str:
    """Why, with the source of a tag in words."""
    because = str(row["because"])
    if because.startswith("来自 "):
        return f"来自 {source_name(because.removeprefix('来自 '))}"
    return because
