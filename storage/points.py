"""Points on the books: entries that happen once, days checked in, where everybody stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sop.point_decisions import EntryKind
from storage.sql import fetch, fetch_in, insert_rows, run_rows
from storage.store import Tx
from storage.tables_points import CheckedIn, Ledger, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger about to be written; `amount` is what really comes or goes."""

    contact_id: int
    at: int
    day: int
    kind: EntryKind
    amount: int
    reason: str
    source: str
    because: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInDay:
    """A day checked in, and the days in a row that end with the contact's last day since."""

    contact_id: int
    day: int
    at: int
    made_up: bool
    group_id: int | None
    last_day: int
    streak: int
    streak_until: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a contact stands, as the books have it."""

    balance: int = 0
    earned: int = 0
    streak: int = 0
    streak_until: int = 0
    last_day: int | None = None
    days: int = 0
    invited: int = 0

    def running(self, now: int) -> int:
        """Days in a row, when they are not broken by now."""
        return self.streak if self.streak_until > now else 0

    def moved(self, amount: int, *, earned: bool) -> Standing:
        """After points that came or went."""
        return replace(
            self, balance=self.balance + amount, earned=self.earned + (amount if earned else 0)
        )


NOTHING = Standing()


def standings(tx: Tx, contacts: Collection[int]) -> dict[int, Standing]:
    """Where contacts stand; who never had anything is left out."""
    rows = fetch_in(
        tx.connection,
        "SELECT id, balance, earned, streak, streak_until, last_day, days, invited FROM score"
        " WHERE id IN {in}",
        contacts,
    )
    return {row[0]: Standing(*row[1:]) for row in rows}


def booked(tx: Tx, keys: Collection[str]) -> set[tuple[int, str]]:
    """Which of these keys are in the books: (contact id, key) each."""
    rows = fetch_in(
        tx.connection, "SELECT contact_id, key FROM ledger WHERE key IN {in}", set(keys)
    )
    return {(row[0], row[1]) for row in rows}


def booked_amount(tx: Tx, contact: int, key: str) -> int:
    """What an entry brought; 0 when there is none."""
    rows = fetch(
        tx.connection, "SELECT amount FROM ledger WHERE key = ? AND contact_id = ?", key, contact
    )
    return int(rows[0][0]) if rows else 0


def gained(
    tx: Tx, contacts: Collection[int], *, since: int
) -> dict[int, dict[tuple[int, str], int]]:
    """What rules and SOPs gave from `since` on (ms UTC), by contact, by day and reason."""
    out: dict[int, dict[tuple[int, str], int]] = defaultdict(dict)
    for contact, day, reason, amount in fetch_in(
        tx.connection,
        "SELECT contact_id, day, reason, SUM(amount) FROM ledger WHERE at >= ? AND kind = 'earn'"
        " AND contact_id IN {in} GROUP BY contact_id, day, reason",
        contacts,
        since,
    ):
        out[contact][day, reason] = int(amount)
    return out


def days_of(tx: Tx, contact: int) -> dict[int, bool]:
    """The days a contact checked in, and whether they were made up afterwards."""
    rows = fetch(tx.connection, "SELECT day, made_up FROM checkin WHERE contact_id = ?", contact)
    return {row[0]: bool(row[1]) for row in rows}


def made_up_since(tx: Tx, contact: int, at: int) -> int:
    """How many days a contact made up from `at` on, ms UTC."""
    sql = "SELECT COUNT(*) FROM checkin WHERE contact_id = ? AND made_up = ? AND at >= ?"
    return int(fetch(tx.connection, sql, contact, True, at)[0][0])


# --- writing ---------------------------------------------------------------------------------

_SCORE = ("id", "account_id", "balance", "earned", "streak", "streak_until", "days", "invited")
_ADD = "ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = score.{name} + excluded.{name}" for name in ("balance", "earned", "days", "invited")
)


def write_entries(
    tx: Tx, account: int, entries: Sequence[tuple[Entry, int | None]], *, now: int
) -> None:
    """Write entries with the events that led to them, and their sums."""
    insert_rows(
        tx.connection,
        Ledger,
        ("id", "account_id", "contact_id", "at", "day", "recorded_at", "kind", "amount", "reason",
         "source", "because", "key", "event_id"),
        [
            (tx.new_id(), account, e.contact_id, e.at, e.day, now, e.kind, e.amount, e.reason,
             e.source, e.because, e.key, event_id)
            for e, event_id in entries
        ],
    )  # fmt: skip
    sums: dict[int, list[int]] = {}
    for entry, _ in entries:
        total = sums.setdefault(entry.contact_id, [0, 0])
        total[0] += entry.amount
        total[1] += 0 if entry.kind == "spend" else entry.amount
    _add(tx, account, {contact: (b, e, 0, 0) for contact, (b, e) in sums.items()})


def write_days(tx: Tx, account: int, days: Sequence[CheckInDay], *, now: int) -> None:
    """Write days that were checked in, and what streaks have become."""
    insert_rows(
        tx.connection,
        CheckedIn,
        ("contact_id", "day", "at", "recorded_at", "made_up", "group_id"),
        [(d.contact_id, d.day, d.at, now, d.made_up, d.group_id) for d in days],
    )
    counts: dict[int, int] = defaultdict(int)
    for day in days:
        counts[day.contact_id] += 1
    _add(tx, account, {contact: (0, 0, count, 0) for contact, count in counts.items()})
    run_rows(
        tx.connection,
        "UPDATE score SET streak = ?, streak_until = ?, last_day = ? WHERE id = ?",
        [(d.streak, d.streak_until, d.last_day, d.contact_id) for d in days],
    )


def count_invited(tx: Tx, account: int, inviter: int, change: int) -> int:
    """Count one more, or one less, of the people a contact brought; returns how many there are."""
    _add(tx, account, {inviter: (0, 0, 0, change)})
    return int(fetch(tx.connection, "SELECT invited FROM score WHERE id = ?", inviter)[0][0])


def _add(tx: Tx, account: int, changes: Mapping[int, tuple[int, int, int, int]]) -> None:
    insert_rows(
        tx.connection,
        Score,
        _SCORE,
        [
            (contact, account, balance, earned, 0, 0, days, invited)
            for contact, (balance, earned, days, invited) in changes.items()
        ],
        extra=_ADD,
    )


# --- levels ----------------------------------------------------------------------------------


def wrong_levels(tx: Tx, account: int, levels: Sequence[tuple[int, str]], *, now: int) -> list[int]:
    """Contacts who do not carry the tag of their level, or carry that of another.

    `levels` are (from how many points on, tag), the lowest first.
    """
    found: list[int] = []
    names = [tag for _, tag in levels]
    marks = ", ".join("?" for _ in names)
    held = (
        "SELECT 1 FROM tagging JOIN tag ON tag.id = tagging.tag_id"
        " WHERE tagging.subject_id = score.id"
        " AND (tagging.expires_at IS NULL OR tagging.expires_at > ?)"
    )
    lows = [(-(1 << 62), ""), *levels]
    highs = [*(low for low, _ in levels), 1 << 62]
    for (low, tag), high in zip(lows, highs, strict=True):
        missing = f" OR NOT EXISTS ({held} AND tag.name = ?)" if tag else ""
        rows = fetch(
            tx.connection,
            "SELECT id FROM score WHERE account_id = ? AND earned >= ? AND earned < ?"  # noqa: S608
            f" AND (EXISTS ({held} AND tag.name IN ({marks}) AND tag.name <> ?){missing})"
            " ORDER BY id",
            account, low, high, now, *names, tag, *((now, tag) if tag else ()),
        )  # fmt: skip
        found += [row[0] for row in rows]
    return found
