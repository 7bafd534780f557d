"""Groups and their members read back, for lists and for programs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from sop.definitions import GroupRule
from sop.inviting import CAPACITY
from storage.groups import Housed, all_housed
from storage.invitations import Invited, invitations_of, kept, members
from storage.sql import fetch, fetch_in
from storage.story import iso
from storage.walked import LAST, Told, clock


def capacity_of(rules: Sequence[GroupRule], *, entry: str, name: str) -> int:
    """How many a group may hold: as the entry it is bound to says, or the one that fits it."""
    bound = next((rule for rule in rules if rule.match == entry), None)
    named = bound or next((rule for rule in rules if rule.fits(name)), None)
    return named.capacity if named else CAPACITY


def groups_of(
    connection: Connection,
    rules: Sequence[GroupRule],
    *,
    zone: ZoneInfo,
    now: int,
    ids: Collection[int] | None = None,
) -> list[dict[str, Any]]:
    """Groups with kind, tags, members, places and binding; all of them, or those with `ids`."""
    found = [g for g in all_housed(connection) if ids is None or g.id in ids]
    known = [group.id for group in found]
    count, waiting = members(connection, known), kept(connection, known, now=now)
    tags = _tags(connection, known, now)
    return [
        {
            "id": group.id,
            "external_id": group.external_id,
            "name": group.name,
            "kind": group.kind,
            "binding": group.binding,
            "entry": group.entry,
            "gone": group.gone,
            "missing_since": iso(group.missing_at, zone),
            "tags": tags.get(group.id, []),
            **_places(group, rules, count.get(group.id, 0), waiting.get(group.id, 0)),
        }
        for group in found
    ]


def _places(group: Housed, rules: Sequence[GroupRule], count: int, waiting: int) -> dict[str, int]:
    capacity = capacity_of(rules, entry=group.entry, name=group.name)
    free = max(capacity - 1 - count - waiting, 0)  # the bot's own account takes a place
    return {"members": count, "invited": waiting, "capacity": capacity, "free": free}


def _tags(connection: Connection, groups: Collection[int], now: int) -> dict[int, list[str]]:
    rows = fetch_in(
        connection,
        "SELECT tagging.subject_id, tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id"
        " WHERE (tagging.expires_at IS NULL OR tagging.expires_at > ?)"
        " AND tagging.subject_id IN {in} ORDER BY tagging.at, tag.id",
        groups,
        now,
    )
    out: dict[int, list[str]] = {}
    for subject, name in rows:
        out.setdefault(subject, []).append(name)
    return out


def members_of(connection: Connection, group: int, *, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Who is or was in a group, in the order they came."""
    rows = fetch(
        connection,
        "SELECT contact.id, contact.external_id, contact.name, m.joined_at, m.left_at,"
        " inviter.name, m.messages, m.last_seen_at FROM member m"
        " JOIN contact ON contact.id = m.contact_id"
        " LEFT JOIN contact inviter ON inviter.id = m.inviter_id"
        " WHERE m.group_id = ? ORDER BY COALESCE(m.joined_at, 0), contact.id",
        group,
    )
    return [
        {
            "id": r[0],
            "external_id": r[1],
            "name": r[2],
            "joined_at": iso(r[3], zone),
            "left_at": iso(r[4], zone),
            "inviter": r[5],
            "messages": r[6],
            "last_seen_at": iso(r[7], zone),
        }
        for r in rows
    ]


def told_invitations(
    connection: Connection, subject: int, *, zone: ZoneInfo, now: int | None
) -> list[Told]:
    """What became of the invitations of a contact, or into a group, beside their outbox rows."""
    return [
        told
        for one in invitations_of(connection, subject)
        for told in _told(one, subject, zone, now)
    ]


def _told(one: Invited, subject: int, zone: ZoneInfo, now: int | None) -> Iterator[Told]:
    what = f"邀请 {one.contact} 进「{one.group}」"
    refs = {"invitation": one.id, "group": one.group_id, "contact": one.contact_id}
    until = f"位置留到 {clock(one.expires_at, zone)}"
    if subject == one.group_id and one.state:  # the group's own outbox knows nothing of it
        yield one.at, one.id, what, one.state, until, refs
    if one.by_hand:
        yield one.at, one.id, what, "waiting", f"机器人拉不成，请运营动手了，{until}", refs
    if one.joined_at is not None:
        yield one.joined_at, one.id, what, "joined", "位置用上了", refs
    elif now is not None and one.open:
        if one.expires_at > now:
            yield now, LAST, what, "waiting", f"等 TA 进群，{until}", refs
        else:
            words = "一直没有进群，邀请作废，位置让出来了"
            yield one.expires_at, one.id, what, "lapsed", words, refs
