"""The facts that words are made of, loaded for a batch at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.happening import Happening
from bot.scoring import Scores
from bot.workspace import Workspace
from sop.decisions import Decision, GiveTag, TakeTag
from sop.messages import Body
from sop.point_decisions import GivePoints, RecordCheckIn
from storage import events as stored
from storage.apply import Changes
from storage.store import Tx
from storage.tags import tags_of

MENTIONS = 20  # how many people one gathered welcome names; more is noise, and gateways refuse it


class WordFacts:
    """The facts of a batch, loaded at once, kept in step with the decisions worked off so far."""

    def __init__(
        self,
        tx: Tx,
        account: int,
        workspace: Workspace,
        decided: Sequence[tuple[Decision, Happening]],
        members: Sequence[int],
        now: int,
    ) -> None:
        contacts = {h.contact_id for _, h in decided if h.contact_id is not None} | set(members)
        groups = {h.group_id for _, h in decided if h.group_id is not None}
        self.now = now
        self._moment = datetime.fromtimestamp(now / 1000, workspace.settings.zone)
        self._workspace = workspace
        self._portraits = stored.portraits(tx, contacts)
        self._groups = stored.groups_of(tx, groups)
        self.mentioned: dict[tuple[int, str, tuple[Body, ...]], int] = {}  # places in the changes
        self.mentions: dict[int, list[str]] = {}
        gathered = [self._portraits[m] for m in members[:MENTIONS] if m in self._portraits]
        self._members = [m.alias or m.name for m in gathered]
        self._member_ids = [m.external_id for m in gathered]
        self.tags: dict[int, list[str]] = defaultdict(list, tags_of(tx, contacts, now=now))
        self.attributes: dict[int, dict[str, str]] = defaultdict(
            dict, stored.attributes_of(tx, contacts)
        )
        self.scores = Scores(tx, account, workspace, decided, tags=self.tags, now=now)
        self.boards: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.board: list[dict[str, Any]] = []  # for the template that is filled now

    def score(
        self, decision: GivePoints | RecordCheckIn, happening: Happening, out: Changes
    ) -> None:
        """Book points or a check-in, and swap the tag of a level where that changes it."""
        for change in self.scores.of(decision, happening):
            if isinstance(change, GiveTag | TakeTag):
                self.retag(change)
            out.add(change, happening.id)

    def points(self, happening: Happening, *, ranked: bool) -> Mapping[str, Any]:
        """What a template may know of somebody's points; of the month only where it is `ranked`."""
        contact = happening.contact_id
        if contact is None:
            return {}
        return self.scores.facts(contact, happening, ranked=ranked)

    def external_id(self, contact: int) -> str:
        """The gateway's id of somebody decisions are about."""
        return self._portraits[contact].external_id

    def retag(self, decision: GiveTag | TakeTag) -> None:
        """Let later templates of the batch see a tag that comes or goes."""
        tags = self.tags[decision.subject_id]
        gone = decision.tags if isinstance(decision, TakeTag) else decision.replaces
        tags[:] = [t for t in tags if t not in gone]
        if isinstance(decision, GiveTag) and decision.tag not in tags:
            tags.append(decision.tag)

    def in_group(self, tx: Tx, happening: Happening, group: int | None) -> Happening:
        """The happening as if it were in that group, for words about it."""
        if group is None:
            return happening
        self._groups |= stored.groups_of(tx, [group])
        return replace(happening, group_id=group)

    def of(self, happening: Happening, source: str) -> Mapping[str, Any]:
        """The facts a template may see about one happening, on behalf of the rule `source`."""
        contact = happening.contact_id or 0
        portrait = self._portraits.get(contact)
        group = self._groups.get(happening.group_id or 0)
        words = happening.matched.get(source.removeprefix("rule:"), ())
        return {
            "nickname": portrait.name if portrait else "",
            "remark": portrait.alias if portrait else "",
            "tags": list(self.tags[contact]),
            "stage": portrait.stage if portrait else "",
            "group": (group.name or "本群") if group else "",
            "members": self._members,
            "now": self._moment,
            "community": self._workspace.settings.community,
            "text": happening.event.text,
            "keyword": words[0] if words else "",
            "attributes": dict(self.attributes[contact]),
            "seed": contact,
            "sender_id": portrait.external_id if portrait else "",
            "member_ids": self._member_ids,
            "board": self.board,
        }
