"""Which groups are ours: bound once to the gateway's id, and asked about when a name is not enough.

Anybody may give a group any name. So a group that bears the name of one that is bound gets nothing
of what `groups:` says until an operator has answered; and after a login at which every id has
changed, it is the operator who says that a group is still the same.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

from bot.happening import Me
from bot.notices import notices
from bot.workspace import Workspace
from sop.acting import give_tag
from sop.decisions import Note, TakeTag
from sop.definitions import GroupRule
from sop.errors import SiyuError
from sop.times import HOUR
from storage import events as facts
from storage import people
from storage.apply import Changes, apply
from storage.groups import (
    ASKED,
    BOUND,
    LEFT,
    Housed,
    all_housed,
    forget_kind,
    given_by_name,
    housed,
    move_house,
    set_binding,
)
from storage.invitations import say_once
from storage.people import KnownGroup
from storage.store import Tx
from storage.tags import TagChange

WHAT = "认群"
SHOWN = 3  # rivals named in a trace
LISTED = 20  # groups named in one question


class Bindings:
    """Binds groups for one version of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._settings = workspace.settings
        self._definitions = workspace.definitions

    # --- by themselves ------------------------------------------------------------------------

    def meet(self, tx: Tx, me: Me, groups: Sequence[KnownGroup], *, now: int) -> list[TagChange]:
        """Bind groups that are new, renamed or back, or ask about them.

        What a name gives is given once: what an operator takes off again stays off.
        """
        found = housed(tx.connection, [group.id for group in groups])
        new = [one for one in found.values() if one.binding in ("", ASKED) and self._named(one)]
        alike = self._alike(tx, me, new) if new else {}
        changes = Changes()
        doubtful = {one: alike[one.id] for one in new if alike[one.id]}
        for one in new:
            if one not in doubtful:
                set_binding(tx, one.id, BOUND, entry=self._entry(one).match)
        fresh = {one: rivals for one, rivals in doubtful.items() if one.binding != ASKED}
        self._ask(tx, me, fresh, changes, now)
        self._give(tx, list(found), changes, now)
        return apply(tx, me.id, changes, now=now)

    def _named(self, group: Housed) -> bool:
        return self._definitions.group_rule(group.name) is not None

    def _entry(self, group: Housed) -> GroupRule:
        """The entry a group is bound to; by its name where that one is no longer in the files."""
        kept = next((r for r in self._definitions.groups if r.match == group.entry), None)
        return kept or self._definitions.group_rule(group.name) or GroupRule(match=group.name)

    def _alike(self, tx: Tx, me: Me, new: Sequence[Housed]) -> dict[int, list[Housed]]:
        """For each group the others of the same name that are bound, or that are as new as it."""
        ids = {one.id for one in new}
        by_name: dict[str, list[Housed]] = defaultdict(list)
        for one in all_housed(tx.connection):
            mine = one.account_id == me.id or not one.online
            if one.id in ids or (one.binding == BOUND and mine):
                by_name[_folded(one.name)].append(one)
        return {one.id: [o for o in by_name[_folded(one.name)] if o.id != one.id] for one in new}

    def _ask(
        self, tx: Tx, me: Me, doubtful: Mapping[Housed, list[Housed]], changes: Changes, now: int
    ) -> None:
        told: dict[Housed, list[Housed]] = {}
        names: set[str] = set()
        for group, rivals in doubtful.items():
            set_binding(tx, group.id, ASKED)
            others = "、".join(map(label, rivals[:SHOWN]))
            because = f"和 {others} 同名，不知道是不是你的群，先不按 groups 办"
            changes.add(_note(group.id, "withheld", because), None)
            # Whoever makes a hundred groups of one name does not make a hundred questions.
            name = _folded(group.name)
            if name in names or say_once(tx, f"groups:{name}", me.id, span=HOUR, now=now):
                told[group] = rivals
                names.add(name)
        if not told:
            return
        for notice in notices(
            tx, me, self._settings, question(told), source="groups", because="有同名的群", now=now
        ):
            changes.add(notice, None)

    def _give(self, tx: Tx, ids: Sequence[int], changes: Changes, now: int) -> None:
        """What their entries ask for, to those groups that are bound."""
        given = facts.named_tags(tx, ids)
        for one in housed(tx.connection, ids).values():
            if one.binding != BOUND:
                continue
            entry = self._entry(one)
            if entry.kind and entry.kind != one.kind:
                people.set_group_kind(tx, one.id, entry.kind)
            for tag in entry.tags:
                if (one.id, tag) not in given:
                    source = f"groups:{entry.match}"
                    give = give_tag(
                        self._definitions, subject_id=one.id, tag=tag, source=source, now=now
                    )
                    changes.add(give, None)

    # --- by an operator -----------------------------------------------------------------------

    def bind(self, tx: Tx, group: Housed, *, by: str, now: int) -> Changes:
        """An operator says that it is ours."""
        if group.binding == BOUND:
            raise SiyuError(f"{label(group)} 已经绑定了")
        set_binding(tx, group.id, BOUND, entry=self._entry(group).match)
        changes = Changes()
        self._give(tx, [group.id], changes, now)
        changes.add(_note(group.id, "done", f"{by} 说这是自己的群"), None)
        return changes

    def leave(self, tx: Tx, group: Housed, *, by: str) -> Changes:
        """An operator says that it is none of ours: what `groups:` gave it is taken off."""
        if group.binding == LEFT:
            raise SiyuError(f"{label(group)} 本来就不管")
        set_binding(tx, group.id, LEFT)
        forget_kind(tx, group.id)
        changes = Changes()
        if tags := given_by_name(tx.connection, group.id):
            source = f"operator:{by.removeprefix('运营 ')}"
            take = TakeTag(subject_id=group.id, tags=tuple(tags), source=source)
            changes.add(take, None)
        changes.add(_note(group.id, "done", f"{by} 说不管这个群"), None)
        return changes

    def same(self, tx: Tx, group: Housed, *, by: str, now: int) -> tuple[Housed, Changes]:
        """An operator says that it is a bound group under a new id; returns that group."""
        old = self.before(tx, group)
        move_house(tx, old=old, new=group, now=now)
        changes = Changes()
        self._give(tx, [old.id], changes, now)
        because = f"{by} 说编号变了，还是同一个群；标签、用途、成员和记录都接着用"
        changes.add(_note(old.id, "done", because), None)
        return old, changes

    def before(self, tx: Tx, group: Housed) -> Housed:
        """The group this one may be under a new id. Raises `SiyuError` when that is not certain."""
        if group.binding == BOUND:
            raise SiyuError(f"{label(group)} 已经绑定了，不能再并到别的群里")
        wanted = _folded(group.name)
        fits = [
            one
            for one in all_housed(tx.connection)
            if one.binding == BOUND and not one.here and _folded(one.name) == wanted
        ]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise SiyuError(f"不见了的「{group.name}」有好几个：{'、'.join(map(label, fits))}")
        raise SiyuError(f"没有哪个绑定过的「{group.name}」不见了，它们都还在")


def asked(tx: Tx, me: Me) -> list[Housed]:
    """The groups an operator is still to answer about."""
    return [one for one in all_housed(tx.connection, me.id) if one.binding == ASKED]


def label(group: Housed) -> str:
    """`小满福利群① #12`."""
    return f"{group.name or '（没有名字的群）'} #{group.id}"


def question(doubtful: Mapping[Housed, Sequence[Housed]]) -> str:
    """What an operator is asked about groups whose name is not enough."""
    groups = list(doubtful)
    lost = [group for group in groups if _lost(doubtful[group])]
    if len(groups) == 1:
        return "\n".join([*_about(groups[0], doubtful[groups[0]]), *_answers("", bool(lost))])
    lines = [f"又看到 {len(groups)} 个重名的群。群名谁都能改，我不敢猜："]
    for group in groups[:LISTED]:
        gone = _lost(doubtful[group])
        why = f"原来的 #{gone[0].id} 找不到了" if gone else f"和 #{doubtful[group][0].id} 同名"
        lines.append(f"{label(group)}：{why}")
    if len(groups) > LISTED:
        lines.append(f"……还有 {len(groups) - LISTED} 个，发 /群 看全部")
    return "\n".join([*lines, *_answers(f" #{groups[0].id}", bool(lost), several=True)])


def _about(group: Housed, rivals: Sequence[Housed]) -> list[str]:
    first = f"又看到一个叫「{group.name}」的群（#{group.id}）。"
    if gone := _lost(rivals):
        return [
            first,
            f"原来那个 #{gone[0].id} 现在找不到了：可能是重新登录换了编号，也可能只是重名。",
        ]
    bound = next((one for one in rivals if one.binding == BOUND), rivals[0])
    return [first, f"可已经有一个同名的群（#{bound.id}）。群名谁都能改，我不敢猜。"]


def _lost(rivals: Sequence[Housed]) -> list[Housed]:
    return [one for one in rivals if one.binding == BOUND and not one.here]


def _answers(which: str, lost: bool, *, several: bool = False) -> list[str]:
    lines = ["你回答之前，我不把它当自己的群。回一个命令就行："]
    if lost:
        lines.append(f"/同群{which} —— 就是原来那个，标签、成员、记录都接着用")
    lines += [f"/绑定{which} —— 也是我的群", f"/不管{which} —— 不是我的，别管它"]
    if several:
        lines.append("一样的答案可以一起给：/同群 全部、/绑定 全部、/不管 全部")
    return lines


def _note(group: int, outcome: str, because: str) -> Note:
    return Note(subject_id=group, what=WHAT, outcome=outcome, because=because)


def _folded(name: str) -> str:
    """A name as the eye sees it: width, case and blanks make no other group."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
