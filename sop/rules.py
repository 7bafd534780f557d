"""Rules: on an event, if a condition, do actions. Pure: facts in, decisions out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from sop.acting import Scene, act
from sop.actions import GroupPlace, HandOff, Notify, Say
from sop.conditions import OneOrMany, many
from sop.decisions import Decision, Gather, Note, Rest
from sop.definitions import Definitions, Rule
from sop.events import Event, EventKind

# What a person did, so that answering is a reply; everything else the bot says is a touch.
_ACTS_OF_A_PERSON = frozenset(
    {
        EventKind.MESSAGE,
        EventKind.FRIEND_REQUEST,
        EventKind.FRIEND_ADDED,
        EventKind.GROUP_JOINED,
        EventKind.GROUP_LEFT,
        EventKind.GROUP_ENTERED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The facts about one event that rules look at.

    `matched` maps rule ids to what their `match` found in the text; `silenced` says why nothing may
    be answered here now (takeover, stale), or is empty.
    """

    event: Event
    event_id: int
    contact_id: int | None
    group_id: int | None
    group_tags: tuple[str, ...] = ()
    group_kind: str = ""
    matched: Mapping[str, tuple[str, ...]]
    silenced: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A rule whose event, place and match fit; what is left to ask is its condition."""

    rule: Rule
    because: str


class RuleBook:
    """The rules by the kind of event they listen to, in file order."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.by_id = {rule.id: rule for rule in definitions.rules}
        # A message that goes to a human must not be taken for an answer to an SOP.
        self.urgent = frozenset(
            rule.id for rule in definitions.rules if any(isinstance(a, HandOff) for a in rule.do)
        )
        self._order = {rule.id: n for n, rule in enumerate(definitions.rules)}
        self._always: dict[EventKind, list[Rule]] = defaultdict(list)
        for rule in definitions.rules:
            if not _needs_text(rule):
                self._always[rule.on].append(rule)

    def listens(self, kind: EventKind) -> bool:
        """Whether some rule may run on this kind of event whatever the text says."""
        return bool(self._always[kind])

    def candidates(self, situation: Situation) -> list[Candidate]:
        """The rules that fit, in file order. Costs nothing for rules whose keywords are absent."""
        kind = situation.event.kind
        named = [self.by_id[i] for i in situation.matched if i in self.by_id]
        rules = [r for r in named if r.on is kind and _needs_text(r)] + self._always[kind]
        rules.sort(key=lambda rule: self._order[rule.id])
        return [
            Candidate(rule=rule, because=_because(rule, situation))
            for rule in rules
            if _fits(rule, situation)
        ]


def decide(
    situation: Situation,
    candidates: Iterable[Candidate],
    *,
    book: RuleBook,
    passing: Collection[str],
    resting: Mapping[str, int],
    takeover: int,
    now: int,
) -> list[Decision]:
    """Decide what the candidates do.

    `passing` are the ids of rules whose condition holds (rules without one included), `resting`
    maps rule ids to the end of their cooldown for this subject, `takeover` is how long a hand-off
    pauses (ms), `now` is ms UTC.
    """
    out: list[Decision] = []
    stopped_by = ""
    for candidate in candidates:
        rule = candidate.rule
        if stopped_by:
            because = f"排在前面的规则 {stopped_by} 写了 stop，后面的不再执行"
            out += _note(situation, rule, "skipped", because)
            continue
        hindrance = _hindrance(rule, passing=passing, resting=resting)
        if hindrance:
            if _needs_text(rule) or rule.on is not EventKind.MESSAGE:
                out += _note(situation, rule, "withheld", hindrance)
            continue  # a rule for every message leaves no trace of each one it does not concern
        out += _run(situation, candidate, book=book, takeover=takeover, now=now)
        if rule.stop:
            stopped_by = rule.id
    return out


def actions(
    situation: Situation, rule: Rule, because: str, *, book: RuleBook, takeover: int, now: int
) -> list[Decision]:
    """The decisions of a rule's `do:` list, in its order."""
    event = situation.event
    scene = Scene(
        contact_id=situation.contact_id,
        group_id=situation.group_id,
        source=f"rule:{rule.id}",
        label=f"规则 {rule.id}",
        because=because,
        purpose="reply" if event.kind in _ACTS_OF_A_PERSON else "touch",
        silenced=situation.silenced,
        request_id=event.external_id if event.kind is EventKind.FRIEND_REQUEST else "",
        at=event.at,
    )
    return act(rule.do, scene, definitions=book.definitions, takeover=takeover, now=now)


def speaks(rule: Rule) -> bool:
    """Whether a rule answers somebody, or fetches who does."""
    return any(isinstance(action, Say | Notify | HandOff) for action in rule.do)


def subject_of(situation: Situation) -> int | None:
    """The conversation, which is what a cooldown counts for: the group if there is one."""
    return situation.group_id if situation.group_id is not None else situation.contact_id


def _needs_text(rule: Rule) -> bool:
    match = rule.match
    return match is not None and bool(
        match.any or match.all or match.none or match.regex or match.like
    )


def _fits(rule: Rule, situation: Situation) -> bool:
    event = situation.event
    return (
        _place_fits(rule, situation)
        and _type_fits(rule, event)
        and _named(rule.tag, event.data.get("tag"), groups=True)
        and _named(rule.stage, event.data.get("stage"))
        and (event.kind is not EventKind.SILENT or event.data.get("rule") == rule.id)
    )


def _type_fits(rule: Rule, event: Event) -> bool:
    if rule.match is None or rule.match.type == ():
        return True
    wanted = rule.match.type
    return event.type in (wanted if isinstance(wanted, tuple) else (wanted,))


def _named(wanted: OneOrMany | None, value: str | None, *, groups: bool = False) -> bool:
    if wanted is None:
        return True
    names = many(wanted)
    return value in names or (groups and value is not None and value.split("/")[0] in names)


def _place_fits(rule: Rule, situation: Situation) -> bool:
    in_group = situation.group_id is not None
    mention = situation.event.mentions_self
    match rule.where:
        case None:
            return rule.on is not EventKind.MESSAGE or not in_group or mention
        case "anywhere":
            return True
        case "private":
            return not in_group
        case "group":
            return in_group
        case "mention":
            return in_group and mention
        case GroupPlace() as place:
            return in_group and group_fits(place, situation.group_tags, situation.group_kind)
        case _:
            assert_never(rule.where)


def group_fits(place: GroupPlace, tags: Collection[str], kind: str) -> bool:
    """Whether a group with these tags and of this kind is one that `place` means."""
    tagged = place.group_tag is None or any(
        _named(place.group_tag, tag, groups=True) for tag in tags
    )
    return tagged and (place.kind is None or place.kind == kind)


def _because(rule: Rule, situation: Situation) -> str:
    found = situation.matched.get(rule.id)
    if found:
        return f"规则 {rule.id}：消息里有「{'」「'.join(found)}」"
    return f"规则 {rule.id}：{EVENT_NAMES[situation.event.kind]}"


EVENT_NAMES: Mapping[EventKind, str] = {
    EventKind.MESSAGE: "收到消息",
    EventKind.FRIEND_REQUEST: "收到好友申请",
    EventKind.FRIEND_ADDED: "成为好友",
    EventKind.FRIEND_REMOVED: "解除好友",
    EventKind.GROUP_JOINED: "有人进群",
    EventKind.GROUP_LEFT: "有人退群",
    EventKind.GROUP_RENAMED: "群改名",
    EventKind.GROUP_ENTERED: "机器人进群",
    EventKind.TAG_ADDED: "加上标签",
    EventKind.TAG_REMOVED: "去掉标签",
    EventKind.STAGE_CHANGED: "生命周期变化",
    EventKind.SILENT: "很久没说话",
    EventKind.LINK_CLICKED: "点了链接",
    EventKind.ORDER: "下单",
    EventKind.REFUND: "退款",
    EventKind.SOP_STEP: "SOP 的步骤到时间",
    EventKind.PUSH: "群发轮到了",
}


def _hindrance(rule: Rule, *, passing: Collection[str], resting: Mapping[str, int]) -> str:
    if rule.id not in passing:
        return "条件 if 不满足"
    if rule.id in resting:
        return "还在冷却时间 cooldown 里，刚刚已经执行过"
    return ""


def _run(
    situation: Situation, candidate: Candidate, *, book: RuleBook, takeover: int, now: int
) -> Iterator[Decision]:
    rule, subject = candidate.rule, subject_of(situation)
    if rule.gather is not None and situation.group_id and situation.contact_id:
        # Its cooldown begins with the answer, or nobody could be gathered after the first.
        yield Gather(
            rule=rule.id,
            group_id=situation.group_id,
            contact_id=situation.contact_id,
            span=rule.gather,
        )
        return
    if rule.cooldown is not None and subject is not None:
        yield Rest(rule=rule.id, subject_id=subject, until=now + rule.cooldown)
    yield from _note(situation, rule, "done", candidate.because)
    yield from actions(situation, rule, candidate.because, book=book, takeover=takeover, now=now)


def _note(situation: Situation, rule: Rule, outcome: str, because: str) -> Iterator[Note]:
    subject = situation.contact_id if situation.contact_id is not None else situation.group_id
    if subject is not None:
        yield Note(
            subject_id=subject,
            what=f"规则 {rule.id}",
            outcome=outcome,
            because=because,
            refs={"rule": rule.id},
        )
