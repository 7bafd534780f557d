"""One person's whole chat, with all that was withheld in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from bot.plain import source_name
from bot.rehearsal.findings import GONE, Findings
from sop.rules import EVENT_NAMES

_TOLD = {str(kind): name for kind, name in EVENT_NAMES.items()}
_ENDINGS = {"done": "走完了", "goal": "达成目标", "exited": "退出", "removed": "被移出"}
Line = tuple[int, int, str, str, str]  # at, id, kind, text, because


def sample(found: Findings) -> dict[str, Any] | None:
    """The person with the fullest story, or None when nobody met an SOP.

    `lines` are in order, each with `at`, `kind` (heard, sent, withheld, held, skipped, entered,
    ended, happened), `text` and `because`.
    """
    who = _protagonist(found)
    if who is None:
        return None
    lines = sorted(
        [*_messages(found, who), *_events(found, who), *_walks(found, who)], key=lambda x: x[:2]
    )
    return {
        "who": found.name(who),
        "lines": [
            {
                "at": found.clock(at).strftime("%Y-%m-%d %H:%M"),
                "kind": kind,
                "text": text,
                "because": because,
            }
            for at, _, kind, text, because in lines
        ],
    }


def _protagonist(found: Findings) -> int | None:
    """Who has most kinds of things happen to them, then most things."""
    groups = {e.group_id for e in found.ledger.events if e.group_id is not None}
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    for walk in found.ledger.walks:
        if walk.subject_id not in groups:
            seen[walk.subject_id][f"sop:{walk.sop}"] += 1
    for run in found.ledger.runs:
        walk_ = found.walks.get(run.walk_id)
        if walk_ is not None and walk_.subject_id in seen:
            seen[walk_.subject_id][run.outcome] += 1
    for box in found.ledger.boxes:
        if box.subject_id in seen:
            seen[box.subject_id][box.state if box.part == 0 else "bubble"] += 1
    for event in found.heard:
        if event.contact_id in seen:
            seen[event.contact_id]["heard"] += 1
    return max(seen, key=lambda s: (len(seen[s]), seen[s].total(), -s), default=None)


def _messages(found: Findings, who: int) -> list[Line]:
    out: list[Line] = []
    for box in found.ledger.boxes:
        if box.subject_id != who or box.kind == "accept":
            continue
        source = found.title(box.sop) if box.sop else source_name(box.source)
        if box.state in GONE and box.left_at is not None:
            out.append((box.left_at, box.id, "sent", box.text, source))
        elif box.part == 0:
            kind = "withheld" if box.state in ("dropped", "failed") else "held"
            out.append((box.created_at, box.id, kind, box.text, f"{source}：{found.reason(box)}"))
    for hold in found.holds:
        held = found.boxes.get(hold.box_id or 0)
        if held is not None and held.subject_id == who and held.part == 0:
            out.append((hold.since, held.id, "held", held.text, hold.reason))
    return out


def _events(found: Findings, who: int) -> list[Line]:
    out: list[Line] = []
    for event in found.ledger.events:
        if event.contact_id != who:
            continue
        if event.kind == "message":
            where = f"在群「{found.name(event.group_id)}」" if event.group_id else ""
            out.append((event.at, event.id, "heard", event.text, where))
        else:
            named = f"「{event.text}」" if event.text else ""
            because = source_name(event.source) if event.source else ""
            out.append((event.at, event.id, "happened", f"{_TOLD[event.kind]}{named}", because))
    return out


def _walks(found: Findings, who: int) -> list[Line]:
    out: list[Line] = []
    for walk in found.ledger.walks:
        if walk.subject_id != who:
            continue
        title = found.title(walk.sop)
        if walk.entered_at >= found.times.start:
            out.append((walk.entered_at, walk.id, "entered", title, walk.because))
        if walk.ended_at is not None:
            text = f"{title}：{_ENDINGS[walk.state]}"
            out.append((walk.ended_at, _LAST, "ended", text, walk.reason))
    for n, run in enumerate(found.ledger.runs):
        walked = found.walks.get(run.walk_id)
        if walked is not None and walked.subject_id == who and run.outcome == "skipped":
            text = f"{found.title(walked.sop)}的 {run.step}"
            out.append(
                (run.at, _LAST - 1 - len(found.ledger.runs) + n, "skipped", text, run.because)
            )
    for hold in found.holds:
        held = found.walks.get(hold.walk_id or 0)
        if held is not None and held.subject_id == who:
            text = f"{found.title(held.sop)}的 {hold.step}"
            out.append((hold.since, held.id, "held", text, hold.reason))
    return out


_LAST = 1 << 62  # as an id: after everything else of the same moment
