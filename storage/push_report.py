"""What came of a run of a push: every number is counted from the tables, none is kept.

Everybody who was meant is in exactly one of: sent, unknown, failed, withheld, on its way, waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from sop.times import DAY, HOUR
from storage.runs import OVER, RunRow
from storage.sql import fetch

REPLY_SPANS = (24 * HOUR, 72 * HOUR)
AFTER = 7 * DAY  # in which tags that come and people who go are put down to the push
_SENT = (
    "FROM recipient r JOIN outbox o ON o.id = r.outbox_id"
    " WHERE r.run_id = ? AND o.state = 'sent' AND o.sent_at IS NOT NULL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReport:
    """The numbers of one run. `withheld` says why, sentence by sentence, and how many each."""

    meant: int
    sent: int
    unknown: int
    failed: int
    on_its_way: int
    waiting: int
    withheld: dict[str, int]
    replied: tuple[int, int]  # within 24 h and 72 h of their own message
    tags: dict[str, int]  # gained within 7 days, people each
    left: int  # no longer friends (or members) within 7 days
    last_sent_at: int | None

    @property
    def withheld_all(self) -> int:
        """How many got nothing for a reason."""
        return sum(self.withheld.values())


def push_report(connection: Connection, run: RunRow, *, groups: bool) -> PushReport:
    """The report of a run, as things stand."""
    states: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for state, reason, count in fetch(connection, _STATES, run.id):
        if state == "waiting" and run.state in OVER:
            state, reason = "withheld", run.reason
        states[state] = states.get(state, 0) + count
        if state == "withheld":
            reasons[reason] = reasons.get(reason, 0) + count
    short, long = (_replied(connection, run, span, groups=groups) for span in REPLY_SPANS)
    return PushReport(
        meant=sum(states.values()),
        sent=states.get("sent", 0),
        unknown=states.get("unknown", 0),
        failed=states.get("failed", 0),
        on_its_way=states.get("queued", 0) + states.get("sending", 0),
        waiting=states.get("waiting", 0),
        withheld=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        replied=(short, long),
        tags=_tags(connection, run, groups=groups),
        left=_left(connection, run, groups=groups),
        last_sent_at=fetch(connection, f"SELECT MAX(o.sent_at) {_SENT}", run.id)[0][0],
    )


# What the courier dropped was withheld like what never came so far.
_STATES = (
    "SELECT CASE WHEN r.state IN ('waiting', 'withheld') THEN r.state"
    " WHEN o.state = 'dropped' OR o.state IS NULL THEN 'withheld' ELSE o.state END AS became,"
    " CASE WHEN r.state = 'withheld' THEN r.reason ELSE COALESCE(o.reason, '') END AS why, COUNT(*)"
    " FROM recipient r LEFT JOIN outbox o ON o.id = r.outbox_id WHERE r.run_id = ?"
    " GROUP BY became, why"
)


def _replied(connection: Connection, run: RunRow, span: int, *, groups: bool) -> int:
    where = "e.group_id = r.subject_id" if groups else "e.contact_id = r.subject_id"
    where += "" if groups else " AND e.group_id IS NULL"
    row = fetch(
        connection,
        f"SELECT COUNT(*) {_SENT} AND EXISTS (SELECT 1 FROM event e WHERE {where}"  # noqa: S608
        " AND e.kind = 'message' AND NOT e.from_self AND e.at > o.sent_at"
        " AND e.at <= o.sent_at + ?)",
        run.id,
        span,
    )[0]
    return int(row[0])


def _tags(connection: Connection, run: RunRow, *, groups: bool) -> dict[str, int]:
    about = "group_id" if groups else "contact_id"
    rows = fetch(
        connection,
        "SELECT e.text, COUNT(DISTINCT r.subject_id) FROM recipient r"  # noqa: S608
        " JOIN outbox o ON o.id = r.outbox_id"
        f" JOIN event e ON e.{about} = r.subject_id AND e.at > o.sent_at AND e.at <= o.sent_at + ?"
        " WHERE r.run_id = ? AND o.state = 'sent' AND e.kind = 'tag_added'"
        " GROUP BY e.text ORDER BY COUNT(DISTINCT r.subject_id) DESC, e.text",
        AFTER,
        run.id,
    )
    return {row[0]: int(row[1]) for row in rows}


def _left(connection: Connection, run: RunRow, *, groups: bool) -> int:
    """Contacts who are friends no more, or members who left the groups."""
    about, kind = ("group_id", "group_left") if groups else ("contact_id", "friend_removed")
    row = fetch(
        connection,
        "SELECT COUNT(DISTINCT e.contact_id) FROM recipient r JOIN outbox o ON o.id = r.outbox_id"  # noqa: S608
        f" JOIN event e ON e.{about} = r.subject_id AND e.at > o.sent_at AND e.at <= o.sent_at + ?"
        " WHERE r.run_id = ? AND o.state = 'sent' AND e.kind = ?",
        AFTER,
        run.id,
        kind,
    )[0]
    return int(row[0])
