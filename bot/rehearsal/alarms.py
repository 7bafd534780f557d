"""What a good operator would object to, having seen a rehearsal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from bot.rehearsal.findings import Findings
from bot.rehearsal.nameless import nameless
from bot.rehearsal.reasons import reason_of
from bot.sops import Sops
from sop.sequences import Sop, Step
from sop.times import DAY, HOUR
from storage.rehearsal import Box

BURST = 3  # messages of ours in a row within an hour
OFTEN = 5  # touches in seven days
NIGHT = (22, 8)  # from, to
FEW = 10  # answers from which on an unused case is worth a word
DEAF = 5  # how often nobody answers the same words before it is worth a word
Alarm = dict[str, Any]


def warnings(found: Findings) -> list[Alarm]:
    """Each with a `kind`, a `text` for the operator, and the facts it rests on."""
    return [
        *_bursts(found),
        *_often(found),
        *_at_night(found),
        *_budget(found),
        *_empty(found),
        *_unmatched(found),
        *_unheard(found),
        *_nameless(found),
    ]


def _private(found: Findings) -> dict[int, list[Box]]:
    """What left for each person, in order; the first bubble of each message."""
    out: dict[int, list[Box]] = defaultdict(list)
    for box in found.left:
        if box.part == 0 and not box.in_group and box.purpose != "notice" and box.kind != "accept":
            out[box.subject_id].append(box)
    return out


def _bursts(found: Findings) -> Iterator[Alarm]:
    spoke: dict[int, list[int]] = defaultdict(list)
    for event in found.heard:
        spoke[event.contact_id or 0].append(event.at)
    hit: list[tuple[int, int]] = []  # when, whom
    for who, boxes in _private(found).items():
        times = [box.left_at or 0 for box in boxes]
        for first, last in zip(times, times[BURST - 1 :], strict=False):
            if last - first < HOUR and not any(first < at <= last for at in spoke[who]):
                hit.append((first, who))
                break
    if hit:
        at, who = min(hit)
        when = f"{found.clock(at):%m-%d %H:%M}"
        text = (
            f"{len(hit)} 个人一小时里连着收到 {BURST} 条，没插上话。比如 {found.name(who)}，{when}"
        )
        yield {"kind": "burst", "text": text, "people": len(hit)}


def _often(found: Findings) -> Iterator[Alarm]:
    hit: Counter[int] = Counter()
    for who, boxes in _private(found).items():
        times = [box.left_at or 0 for box in boxes if box.purpose == "touch"]
        most = max((sum(a <= t < a + 7 * DAY for t in times) for a in times), default=0)
        if most >= OFTEN:
            hit[who] = most
    if hit:
        who, most = min(hit.items(), key=lambda item: (-item[1], item[0]))
        text = f"{len(hit)} 个人七天里被找了 {OFTEN} 回以上，最多的是 {found.name(who)}，{most} 回"
        yield {"kind": "often", "text": text, "people": len(hit), "most": most}


def _at_night(found: Findings) -> Iterator[Alarm]:
    late = [
        box for box in found.left
        if box.purpose == "touch" and box.part == 0 and _night(found, box.left_at or 0)
    ]  # fmt: skip
    if late:
        sops = sorted({found.title(box.sop) for box in late if box.sop})
        text = f"{len(late)} 条是夜里（{NIGHT[0]} 点到 {NIGHT[1]} 点）主动发的：{'、'.join(sops)}"
        yield {"kind": "night", "text": text, "messages": len(late)}


def _night(found: Findings, at: int) -> bool:
    hour = found.clock(at).hour
    return hour >= NIGHT[0] or hour < NIGHT[1]


def _budget(found: Findings) -> Iterator[Alarm]:
    short: dict[int, int] = {}  # a message that the account's limits held → how long it took, ms
    for hold in found.holds:
        box = found.boxes.get(hold.box_id or 0)
        if box is not None and reason_of(hold.reason).key == "account_budget":
            end = box.left_at if box.left_at is not None else found.times.end
            short[box.id] = end - box.created_at
    slow = [id_ for id_, wait in short.items() if wait >= DAY]
    lost = [id_ for id_ in short if found.boxes[id_].state == "dropped"]
    if not short:
        return
    people = len({found.boxes[id_].subject_id for id_ in [*slow, *lost]})
    limits = found.workspace.settings.limits.account
    text = (
        f"账号一小时 {limits.per_hour} 条、一天 {limits.per_day} 条不够用，拦下过 {len(short)} 条"
    )
    if people:
        days = -(-max(short.values()) // DAY)
        text += (
            f"：{people} 个人要等一天以上（最久 {days} 天）或者根本收不到，{len(lost)} 条等到过期"
        )
    yield {"kind": "account_budget", "text": text, "messages": len(short), "people": people,
           "dropped": len(lost), "days": max(short.values()) // DAY}  # fmt: skip


def _empty(found: Findings) -> Iterator[Alarm]:
    entered = Counter(walk.sop for walk in found.ledger.walks)
    standing = {(walk.sop, walk.step) for walk in found.ledger.walks}
    for sop in found.sops:
        title = sop.title or sop.id
        if not entered[sop.id]:
            text = f"没有人走进「{title}」，它的 enter 等的事一回也没发生"
            yield {"kind": "sop_empty", "text": text, "sop": sop.id}
            continue
        missed = [
            s.id for s in sop.steps if not found.runs.get((sop.id, s.id))
            and (sop.id, s.id) not in standing
        ]  # fmt: skip
        if missed:
            text = f"「{title}」有 {entered[sop.id]} 个进来，却没有人走到 {'、'.join(missed)}"
            yield {"kind": "step_unreached", "text": text, "sop": sop.id, "steps": missed}


def _unmatched(found: Findings) -> Iterator[Alarm]:
    """Cases of a `reply:` that nobody's words ever fitted."""
    said = {(event.contact_id, event.at): event.text for event in found.heard}
    sops = Sops(found.workspace.definitions)
    for sop in found.sops:
        for step in sop.steps:
            if step.reply is None:
                continue
            answers = [
                said[walk.subject_id, run.at]
                for walk, run in found.runs.get((sop.id, step.id), ())
                if run.outcome == "replied" and (walk.subject_id, run.at) in said
            ]
            if len(answers) >= FEW:
                yield from _unused(sops, sop, step, answers)


def _unused(sops: Sops, sop: Sop, step: Step, answers: list[str]) -> Iterator[Alarm]:
    version = sops.current[sop.id]
    cases = step.reply.cases if step.reply else ()
    met = [found[0] for text in set(answers) if (found := version.case(step.id, text))]
    unused = [n for n, case in enumerate(cases) if not any(case is one for one in met)]
    if unused:
        which = "、".join(f"第 {n + 1} 种" for n in unused)
        title = sop.title or sop.id
        text = f"「{title}」的 {step.id} 等到 {len(answers)} 句回复，{which}回法没有人用过"
        yield {"kind": "case_unmatched", "text": text, "sop": sop.id, "step": step.id,
               "cases": unused}  # fmt: skip


def _unheard(found: Findings) -> Iterator[Alarm]:
    """Words that many wrote and that nothing answered, with no human at it either."""
    answered = {(box.subject_id, box.created_at) for box in found.ledger.boxes}
    told = {trace.event_id for trace in found.ledger.traces}
    met = {(found.walks[r.walk_id].subject_id, r.at) for r in found.ledger.runs
           if r.walk_id in found.walks}  # fmt: skip
    deaf: Counter[str] = Counter()
    for event in found.heard:
        at = (event.contact_id or 0, event.at)
        if at not in answered and at not in met and event.id not in told:
            deaf[event.text] += 1
    often = sorted(
        ((n, text) for text, n in deaf.items() if n >= DEAF), key=lambda x: (-x[0], x[1])
    )
    if often:
        words = "、".join(f"「{text}」{n} 回" for n, text in often[:5])
        text = f"这些话说了没有人接：{words}"
        yield {"kind": "unanswered", "text": text, "words": {t: n for n, t in often}}


def _nameless(found: Findings) -> Iterator[Alarm]:
    for file, why, read in nameless(found):
        text = f"没有昵称的人读到 templates/{file} 会觉得怪（{why}）：{' '.join(read.split())[:40]}"
        yield {"kind": "nameless", "text": text, "template": file}
