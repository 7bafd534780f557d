"""Questions that no rule answered: asking the model, handing over, what is still open."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from sop.times import DAY
from storage.counters import read_counter, set_counter
from storage.sql import fetch, fetch_in, insert_rows, run_rows
from storage.store import Tx
from storage.tables_answers import ModelCall, Peace, Question

OPEN = DAY  # so long a question that was handed over waits for a human
NUMBERS = 99  # guesses are numbered on from one question to the next, so that none is mistaken
READING = "reading"
"""`who` of a row that wants no answer: the model is only to read what somebody is after."""

Numbered = tuple[int, str, float]
"""A guess as an operator sees it: the number that sends it, the entry, its score."""

_COLUMNS = (
    "id", "account_id", "conversation_id", "contact_id", "in_group", "event_id", "at", "text",
    "state", "who", "entry", "guesses", "attempts", "because",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, as its row says."""

    id: int
    account_id: int
    conversation_id: int
    contact_id: int
    in_group: bool
    event_id: int
    at: int
    text: str
    state: str
    who: str = ""
    entry: str = ""
    guesses: tuple[Numbered, ...] = ()
    attempts: int = 0
    because: str = ""


def add(tx: Tx, question: Asked) -> None:
    """Record a question."""
    row = tuple(
        json.dumps(question.guesses, ensure_ascii=False) if c == "guesses" else getattr(question, c)
        for c in _COLUMNS
    )
    insert_rows(tx.connection, Question, _COLUMNS, [row])


def forget(tx: Tx, question: int) -> None:
    """Delete the row of a message that was only to be read."""
    run_rows(tx.connection, "DELETE FROM question WHERE id = ?", [(question,)])


def has_asked(tx: Tx, conversation: int, event: int) -> bool:
    """Whether a message of this conversation is a question."""
    rows = fetch(
        tx.connection,
        "SELECT 1 FROM question WHERE conversation_id = ? AND event_id = ? LIMIT 1",
        conversation,
        event,
    )
    return bool(rows)


def settle(
    tx: Tx, question: int, state: str, *, because: str, who: str = "", entry: str = ""
) -> None:
    """Record what became of a question."""
    run_rows(
        tx.connection,
        "UPDATE question SET state = ?, because = ?, who = ?, entry = ? WHERE id = ?",
        [(state, because, who, entry, question)],
    )


def hand_over(tx: Tx, question: int, guesses: Sequence[Numbered], *, because: str) -> None:
    """Record that a question waits for a human, who may send one of the guesses."""
    run_rows(
        tx.connection,
        "UPDATE question SET state = 'handed', because = ?, guesses = ? WHERE id = ?",
        [(because, json.dumps(guesses, ensure_ascii=False), question)],
    )


def numbered(tx: Tx, account: int, guesses: Sequence[tuple[str, float]]) -> list[Numbered]:
    """The guesses with the next numbers; a number comes again only after all others."""
    counter = f"guesses:{account}"
    last = read_counter(tx, counter) or 0
    set_counter(tx, counter, last + len(guesses))
    return [((last + n) % NUMBERS + 1, *guess) for n, guess in enumerate(guesses)]


def in_state(tx: Tx, account: int, *states: str) -> list[Asked]:
    """The questions in one of these open states, oldest first."""
    marks = ", ".join("?" for _ in states)
    rows = fetch(
        tx.connection,
        f"{_SELECT} WHERE account_id = ? AND state IN ({marks}) AND state IN"
        " ('pending', 'asking', 'handed') ORDER BY id",
        account,
        *states,
    )
    return [_asked(row) for row in rows]


def get(tx: Tx, question: int) -> Asked | None:
    """The question with this id."""
    rows = fetch(tx.connection, f"{_SELECT} WHERE id = ?", question)
    return _asked(rows[0]) if rows else None


def waits_for_human(tx: Tx, conversation: int, *, now: int) -> bool:
    """Whether a question of this conversation has been handed over and nobody answered yet."""
    rows = fetch(
        tx.connection,
        "SELECT 1 FROM question WHERE conversation_id = ? AND state = 'handed' AND at > ? LIMIT 1",
        conversation,
        now - OPEN,
    )
    return bool(rows)


def close_by_hand(tx: Tx, conversations: Collection[int]) -> None:
    """A human wrote in these conversations: what waited for one there waits no longer."""
    run_rows(
        tx.connection,
        "UPDATE question SET state = 'closed', who = 'hand' WHERE conversation_id = ?"
        " AND state IN ('pending', 'asking', 'handed') AND who <> ?",
        [(conversation, READING) for conversation in sorted(conversations)],
    )


def guessed(tx: Tx, account: int, number: int, *, now: int) -> tuple[Asked, str] | None:
    """The latest question that offered this number, and the entry behind it."""
    rows = fetch(
        tx.connection,
        f"{_SELECT} WHERE account_id = ? AND at > ? AND state IN ('handed', 'closed', 'answered')"
        " ORDER BY id DESC LIMIT 500",
        account,
        now - OPEN,
    )
    for row in rows:
        question = _asked(row)
        for n, entry, _score in question.guesses:
            if n == number:
                return question, entry
    return None


def answered_lately(tx: Tx, conversation: int, entry: str, *, since: int) -> bool:
    """Whether this entry answered somebody there since then."""
    rows = fetch(
        tx.connection,
        "SELECT 1 FROM question WHERE conversation_id = ? AND entry = ? AND state = 'answered'"
        " AND at >= ? LIMIT 1",
        conversation,
        entry,
        since,
    )
    return bool(rows)


def moved_on(tx: Tx, question: Asked) -> str:
    """What happened in the conversation since the question: `asked` again, `said`, or nothing."""
    later = fetch(
        tx.connection,
        "SELECT 1 FROM question WHERE conversation_id = ? AND contact_id = ? AND id > ?"
        " AND who <> ? LIMIT 1",
        question.conversation_id,
        question.contact_id,
        question.id,
        READING,
    )
    if later:
        return "asked"
    said = fetch(
        tx.connection,
        "SELECT 1 FROM event WHERE contact_id = ? AND kind = 'message' AND id > ? AND"
        " COALESCE(group_id, contact_id) = ? LIMIT 1",
        question.contact_id,
        question.event_id,
        question.conversation_id,
    )
    return "said" if said else ""


# --- the model -----------------------------------------------------------------------------------


def reserve(tx: Tx, question: Asked, *, model: str, sources: Sequence[str], now: int) -> int:
    """Record that a question is being put to the model; returns the call's id.

    It counts from here on, so that a process that dies each time cannot ask without end.
    """
    call = tx.new_id()
    insert_rows(
        tx.connection,
        ModelCall,
        ("id", "account_id", "contact_id", "question_id", "at", "model", "sources", "outcome",
         "because", "tokens_in", "tokens_out", "took"),
        [(call, question.account_id, question.contact_id, question.id, now, model,
          json.dumps(list(sources), ensure_ascii=False), "asked", "", 0, 0, 0)],
    )  # fmt: skip
    run_rows(
        tx.connection,
        "UPDATE question SET state = 'asking', attempts = attempts + 1 WHERE id = ?",
        [(question.id,)],
    )
    return call


def finish_call(
    tx: Tx, call: int, outcome: str, *, because: str, tokens: tuple[int, int], took: int
) -> None:
    """Record what became of a call."""
    run_rows(
        tx.connection,
        "UPDATE modelcall SET outcome = ?, because = ?, tokens_in = ?, tokens_out = ?, took = ?"
        " WHERE id = ?",
        [(outcome, because, *tokens, took, call)],
    )


def interrupted(tx: Tx, account: int, *, under_way: Collection[int] = ()) -> None:
    """What nobody asks any more is asked again, if it may be: at start, and after a lost commit.

    `under_way` are the questions that somebody does ask.
    """
    calls = fetch(
        tx.connection,
        "SELECT id, question_id FROM modelcall WHERE account_id = ? AND outcome = 'asked'",
        account,
    )
    asking = fetch(
        tx.connection, "SELECT id FROM question WHERE account_id = ? AND state = 'asking'", account
    )
    run_rows(
        tx.connection,
        "UPDATE modelcall SET outcome = 'interrupted', because = '问到一半程序中断了' WHERE id = ?",
        [(call,) for call, question in calls if question not in under_way],
    )
    run_rows(
        tx.connection,
        "UPDATE question SET state = 'pending' WHERE id = ?",
        [(question,) for (question,) in asking if question not in under_way],
    )


def calls_since(tx: Tx, account: int, contact: int, *, since: int) -> tuple[int, int]:
    """How many calls since then were for this contact, and for the whole account."""
    row = fetch(
        tx.connection,
        "SELECT COALESCE(SUM(CASE WHEN contact_id = ? THEN 1 ELSE 0 END), 0), COUNT(*)"
        " FROM modelcall WHERE account_id = ? AND at >= ?",
        contact,
        account,
        since,
    )[0]
    return int(row[0]), int(row[1])


def last_calls(tx: Tx, account: int, count: int) -> list[tuple[str, int]]:
    """Outcome and time of the last calls that came to an end, the newest first."""
    rows = fetch(
        tx.connection,
        "SELECT outcome, at FROM modelcall WHERE account_id = ? AND outcome NOT IN"
        " ('asked', 'interrupted') ORDER BY id DESC LIMIT ?",
        account,
        count,
    )
    return [(row[0], int(row[1])) for row in rows]


# --- peace ---------------------------------------------------------------------------------------


def give_peace(tx: Tx, contact: int, *, until: int, event: int, because: str, now: int) -> None:
    """Send no touches to somebody until then; it never ends earlier than before."""
    insert_rows(
        tx.connection,
        Peace,
        ("contact_id", "at", "until", "event_id", "because"),
        [(contact, now, until, event, because)],
        extra="ON CONFLICT (contact_id) DO UPDATE SET at = excluded.at, because = excluded.because,"
        " event_id = excluded.event_id, until = CASE WHEN peace.until > excluded.until"
        " THEN peace.until ELSE excluded.until END",
    )


def peace_began(tx: Tx, contact: int) -> int:
    """When somebody last complained, ms UTC; 0 if never."""
    rows = fetch(tx.connection, "SELECT at FROM peace WHERE contact_id = ?", contact)
    return int(rows[0][0]) if rows else 0


def at_peace(tx: Tx, contacts: Collection[int], *, now: int) -> Mapping[int, tuple[int, str]]:
    """Who is sent no touches: until when, and why."""
    rows = fetch_in(
        tx.connection,
        "SELECT contact_id, until, because FROM peace WHERE until > ? AND contact_id IN {in}",
        contacts,
        now,
    )
    return {row[0]: (int(row[1]), row[2]) for row in rows}


# --- reading back --------------------------------------------------------------------------------


def asked_since(connection: Connection, *, since: int) -> list[Asked]:
    """All questions since then, newest first."""
    rows = fetch(connection, f"{_SELECT} WHERE at >= ? AND who <> ? ORDER BY id DESC", since,
                 READING)  # fmt: skip
    return [_asked(row) for row in rows]


def is_open_gap(asked: Asked) -> bool:
    """Whether the knowledge did not answer a question, as in `unanswered`."""
    return asked.state in ("handed", "closed") or asked.who == "operator"


def unanswered(connection: Connection, *, since: int) -> list[Asked]:
    """Questions since then that the knowledge did not answer, newest first."""
    rows = fetch(
        connection,
        f"{_SELECT} WHERE at >= ? AND (state IN ('handed', 'closed') OR who = 'operator')"
        " ORDER BY id DESC",
        since,
    )
    return [_asked(row) for row in rows]


_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM question"  # noqa: S608


def _asked(row: Sequence[Any]) -> Asked:
    known = dict(zip(_COLUMNS, row, strict=True))
    guesses = known["guesses"]
    guesses = json.loads(guesses) if isinstance(guesses, str) else guesses or []
    known["guesses"] = tuple((int(n), str(entry), float(score)) for n, entry, score in guesses)
    known["in_group"] = bool(known["in_group"])
    return Asked(**known)
