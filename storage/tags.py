"""Tags on contacts and groups: giving, taking, expiring, reading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sop.decisions import GiveTag, TakeTag
from storage.sql import fetch, fetch_in, insert_rows, run_rows
from storage.store import Tx
from storage.tables import Tag, Tagging

# Every account has a bot of its own, which must not speak for another's contacts.
_OWNED = (
    "LEFT JOIN contact ON contact.id = tagging.subject_id"
    " LEFT JOIN room ON room.id = tagging.subject_id"
    " WHERE COALESCE(contact.account_id, room.account_id) = ?"
)
# A tag whose time is over but that the sweep has not taken off yet is given anew, evidence and all.
_OVER = "tagging.expires_at <= excluded.at"
_RENEW = "ON CONFLICT (subject_id, tag_id) DO UPDATE SET " + ", ".join(
    [
        *(
            f"{c} = CASE WHEN {_OVER} THEN excluded.{c} ELSE tagging.{c} END"
            for c in ("source", "event_id", "at")
        ),
        "expires_at = excluded.expires_at",
    ]
)


@dataclass(frozen=True, slots=True)
class TagChange:
    """A tag that really came or went; becomes a `tag_added` or `tag_removed` event."""

    subject_id: int
    tag: str
    added: bool
    source: str
    event_id: int | None


def tags_of(tx: Tx, subjects: Collection[int], *, now: int) -> dict[int, list[str]]:
    """The live tags of contacts and groups, in the order they were given."""
    out: dict[int, list[str]] = defaultdict(list)
    for subject, name in fetch_in(
        tx.connection,
        "SELECT tagging.subject_id, tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id"
        " WHERE (tagging.expires_at IS NULL OR tagging.expires_at > ?)"
        " AND tagging.subject_id IN {in} ORDER BY tagging.at, tagging.tag_id",
        subjects,
        now,
    ):
        out[subject].append(name)
    return out


def change_tags(
    tx: Tx, wishes: Iterable[tuple[GiveTag | TakeTag, int | None]], *, now: int
) -> list[TagChange]:
    """Carry out gives and takes in order, each with the event that led to it.

    Giving a tag that is already on only renews its expiry. Returns what really changed.
    """
    wishes = list(wishes)
    held = tags_of(tx, {wish.subject_id for wish, _ in wishes}, now=now)
    changes: list[TagChange] = []
    ids: dict[str, int] = {}
    given: list[tuple[GiveTag, int, int | None]] = []
    for wish, event_id in wishes:
        have = held[wish.subject_id]
        match wish:
            case TakeTag():
                gone = [t for t in have if t in wish.tags or t.split("/")[0] in wish.tags]
            case GiveTag():
                gone = [t for t in have if t in wish.replaces]
        if gone:  # what was given before may be taken now
            _give(tx, given, now)
            given.clear()
        for name in gone:
            have.remove(name)
            _take(tx, wish.subject_id, name)
            changes.append(TagChange(wish.subject_id, name, False, wish.source, event_id))
        if isinstance(wish, GiveTag):
            if wish.tag not in ids:
                ids[wish.tag] = _tag_id(tx, wish.tag)
            given.append((wish, ids[wish.tag], event_id))
            if wish.tag not in have:
                have.append(wish.tag)
                changes.append(TagChange(wish.subject_id, wish.tag, True, wish.source, event_id))
    _give(tx, given, now)
    return changes


def expire_tags(tx: Tx, account: int, *, now: int, limit: int = 500) -> list[TagChange]:
    """Take off up to `limit` tags of an account's contacts and groups whose time is over."""
    rows = fetch(
        tx.connection,
        "SELECT tagging.subject_id, tag.name FROM tagging JOIN tag ON tag.id = tagging.tag_id"  # noqa: S608
        f" {_OWNED} AND tagging.expires_at <= ?"
        " ORDER BY tagging.expires_at, tagging.subject_id LIMIT ?",
        account,
        now,
        limit,
    )
    for subject, name in rows:
        _take(tx, subject, name)
    return [TagChange(subject, name, False, "expired", None) for subject, name in rows]


def _tag_id(tx: Tx, name: str) -> int:
    rows = fetch(tx.connection, "SELECT id FROM tag WHERE name = ?", name)
    if rows:
        return int(rows[0][0])
    insert_rows(
        tx.connection,
        Tag,
        ("id", "name"),
        [(tx.new_id(), name)],
        extra="ON CONFLICT (name) DO NOTHING",  # another process may have been faster
    )
    return int(fetch(tx.connection, "SELECT id FROM tag WHERE name = ?", name)[0][0])


def _give(tx: Tx, given: Sequence[tuple[GiveTag, int, int | None]], now: int) -> None:
    insert_rows(
        tx.connection,
        Tagging,
        ("subject_id", "tag_id", "source", "event_id", "at", "expires_at"),
        [
            (wish.subject_id, tag, wish.source, event_id, now, wish.expires_at)
            for wish, tag, event_id in given
        ],
        extra=_RENEW,
    )


def _take(tx: Tx, subject: int, name: str) -> None:
    run_rows(
        tx.connection,
        "DELETE FROM tagging WHERE subject_id = ? AND tag_id = (SELECT id FROM tag WHERE name = ?)",
        [(subject, name)],
    )
