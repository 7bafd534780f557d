"""Words of the house's own for the operators, beside what rules tell them."""

from __future__ import annotations

from collections.abc import Sequence

from bot.happening import Me
from sop.definitions import Settings
from sop.events import Person
from sop.messages import Body, Text
from storage import people
from storage.apply import Changes, Message, apply
from storage.store import Tx


def operators_of(tx: Tx, account: int, settings: Settings, *, now: int) -> list[int]:
    """The operators, as contacts of the account."""
    wanted = [Person(external_id=external) for external in settings.operators]
    known = people.upsert_contacts(tx, account, wanted, now=now)
    return [known[person.external_id].id for person in wanted]


def notices(
    tx: Tx, me: Me, settings: Settings, *texts: str, source: str, because: str, now: int
) -> Sequence[Message]:
    """The same bubbles for every operator."""
    bodies = tuple(Text(text=text) for text in texts)
    return _for_each(operators_of(tx, me.id, settings, now=now), bodies, source, because)


def _for_each(
    operators: Sequence[int], bodies: tuple[Body, ...], source: str, because: str
) -> list[Message]:
    return [
        Message(
            bodies=bodies,
            conversation_id=operator,
            in_group=False,
            purpose="notice",
            source=source,
            because=because,
            expires_at=None,
        )
        for operator in operators
    ]


def tell_operators(
    tx: Tx,
    me: Me,
    settings: Settings,
    bodies: tuple[Body, ...],
    *,
    source: str,
    because: str,
    now: int,
) -> int:
    """Queue the same for every operator at once; returns how many there are."""
    operators = operators_of(tx, me.id, settings, now=now)
    changes = Changes()
    for message in _for_each(operators, bodies, source, because):
        changes.add(message, None)
    apply(tx, me.id, changes, now=now)
    return len(operators)
