"""What people of a rehearsal asked that no rule answered, and who answered it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bot.gaps import gaps
from bot.workspace import Workspace
from storage.questions import Asked, is_open_gap

_OUTCOMES = ("entries", "model", "handed", "dropped", "waiting")


def answered(asked: Sequence[Asked], workspace: Workspace) -> dict[str, Any]:
    """`answers`: how many questions there were, what became of them, and what is missing.

    `asked`: the newest first.
    """
    counts = Counter(_outcome(one) for one in asked)
    missing = gaps([one for one in asked if is_open_gap(one)], workspace.knowledge)
    return {
        "answers": {
            "asked": len(asked),
            "people": len({one.contact_id for one in asked}),
            **{key: counts[key] for key in _OUTCOMES},
            "by_entry": _by_entry(asked, workspace),
            "why_handed": dict(
                Counter(_kind(one.because) for one in asked if _outcome(one) == "handed")
                .most_common()
            ),
            "gaps": [
                {
                    "people": gap.people,
                    "times": len(gap.asked),
                    "questions": list(dict.fromkeys(one.text for one in gap.asked))[:5],
                    "nearest": gap.nearest[0] if gap.nearest else None,
                    "score": gap.nearest[1] if gap.nearest else None,
                }
                for gap in missing
            ],
        }
    }  # fmt: skip


def _outcome(asked: Asked) -> str:
    match asked.state:
        case "answered":
            return "model" if asked.who == "model" else "entries"
        case "dropped":
            return "dropped"
        case "pending" | "asking":
            return "waiting"
        case _:
            return "handed"


def _by_entry(asked: Sequence[Asked], workspace: Workspace) -> list[Mapping[str, Any]]:
    known = workspace.knowledge.by_id
    counts = Counter(one.entry for one in asked if one.state == "answered")
    return [
        {"entry": entry, "question": known[entry].question, "times": times}
        for entry, times in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if entry in known
    ]


def _kind(because: str) -> str:
    """A reason without its figures, so that alike reasons count together."""
    return because.partition("，最像")[0].partition("，有")[0]
