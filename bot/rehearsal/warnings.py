"""What a good operator would notice in a rehearsal."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.rehearsal.cast import Times
from bot.render import SAMPLE_FACTS
from bot.workspace import Workspace
from sop.actions import Say
from sop.errors import RenderError
from sop.messages import Text
from sop.sequences import Onward, Sop
from sop.times import HOUR
from storage.rehearsal import Hold, Sent

CROWDED = 3  # touches to one person within an hour
NIGHT = (22 * 60, 8 * 60)
_AWKWARD = re.compile(r"^[，。、！？,.!?\s]|[，、,]{2}|亲[，,]?\s*亲")
_NAMELESS = dict(SAMPLE_FACTS[-1]) | {"name": "", "nickname": "", "remark": ""}


def warnings(
    workspace: Workspace,
    times: Times,
    *,
    sent: Sequence[Sent],
    funnel: Mapping[str, Mapping[str, Any]],
    held: Sequence[Hold],
) -> list[str]:
    """Sentences for the operator, the most pressing first."""
    return [
        *_crowded(sent),
        *_at_night(sent, times),
        *_over_budget(held, times),
        *_unused(workspace, funnel),
        *_awkward(workspace, funnel),
    ]


def _crowded(sent: Sequence[Sent]) -> Iterator[str]:
    touches: dict[int, list[Sent]] = defaultdict(list)
    for message in sent:
        if message.purpose == "touch" and message.part == 0 and not message.in_group:
            touches[message.subject_id].append(message)
    hit = {
        subject: mine
        for subject, mine in touches.items()
        if any(b.at - a.at <= HOUR for a, b in zip(mine, mine[CROWDED - 1 :], strict=False))
    }
    if hit:
        sources = Counter(m.source.partition("/")[0] for mine in hit.values() for m in mine)
        names = "、".join(source for source, _ in sources.most_common(3))
        yield f"有 {len(hit)} 个人在一小时里收到 {CROWDED} 条以上主动消息，主要来自 {names}"


def _at_night(sent: Sequence[Sent], times: Times) -> Iterator[str]:
    night: Counter[str] = Counter()
    for message in sent:
        local = datetime.fromtimestamp(message.at / 1000, times.zone)
        minute = local.hour * 60 + local.minute
        if message.purpose == "touch" and (minute >= NIGHT[0] or minute < NIGHT[1]):
            night[message.source] += 1
    for source, count in sorted(night.items()):
        yield f"{source} 有 {count} 条在夜里（22 点到 8 点）发出，给它写上 window，或设置免打扰"


def _over_budget(held: Sequence[Hold], times: Times) -> Iterator[str]:
    days = {
        datetime.fromtimestamp(hold.since / 1000, times.zone).date()
        for hold in held
        if "账号今天" in hold.reason
    }
    if days:
        yield (
            f"有 {len(days)} 天账号发到了每天的上限，当天剩下的消息往后推了；"
            "少进一些人，或删掉不要紧的步骤"
        )


def _unused(workspace: Workspace, funnel: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for sop in workspace.definitions.sops:
        found = funnel.get(sop.id)
        if found is None:
            continue
        if not found["entered"]:
            yield f"SOP {sop.title or sop.id}：没有一个人进来"
            continue
        for step in sop.steps:
            numbers = found["steps"][step.id]
            if not numbers["reached"]:
                yield f"SOP {sop.title or sop.id} 的步骤 {step.id}：没有一个人走到"
            elif step.reply and numbers["done"] and not numbers["replied"]:
                yield f"SOP {sop.title or sop.id} 的步骤 {step.id}：说好的回复一个也没等到"


def _awkward(workspace: Workspace, funnel: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    said = {name for sop in workspace.definitions.sops if sop.id in funnel for name in _says(sop)}
    for name in sorted(said):
        try:
            bodies = workspace.templates.render(name, tags=(), facts=_NAMELESS)
        except RenderError:
            continue  # the loader has said so already
        texts = [body.text for body in bodies if isinstance(body, Text)]
        if any(_AWKWARD.search(text) for text in texts):
            yield f"模板 {name}：对方没有昵称时读起来别扭（{texts[0][:20]}）"


def _says(sop: Sop) -> Iterator[str]:
    for step in sop.steps:
        ways: list[Onward] = [step, *step.choose]
        if step.reply:
            ways += [*step.reply.cases, step.reply.none]
        yield from (a.say for way in ways for a in way.do if isinstance(a, Say))
