"""What the core decides, as data. `storage.apply` writes it; nothing here does anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from sop.point_actions import BoardKind
from sop.point_decisions import GivePoints, RecordCheckIn
from sop.times import Window

Purpose = Literal["reply", "touch", "notice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """Fill the template `say` and send it to the conversation.

    `expires_at` (ms UTC) is when it has become pointless; None leaves that to the kind of message.
    A higher `priority` leaves first among touches; a touch leaves only inside `window`. With
    `mention` the contact is mentioned, together with all others who get the same words.
    """

    say: str
    conversation_id: int
    in_group: bool
    purpose: Purpose
    source: str
    because: str
    expires_at: int | None = None
    priority: int = 0
    window: Window | None = None
    mention: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Utter:
    """Send `text` to the conversation: an inline template, or with `fixed` as it stands.

    In a group it mentions whom it answers.
    """

    text: str
    conversation_id: int
    in_group: bool
    purpose: Purpose
    source: str
    because: str
    fixed: bool = False
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Fill the inline template `text` and send it to every operator.

    With `lines_of`, the last lines of that conversation follow, and then `after`, as it stands.
    """

    text: str
    source: str
    because: str
    lines_of: int | None = None
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRequest:
    """Accept the friend request with this gateway id."""

    request_id: str
    contact_id: int
    source: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveTag:
    """Put the tag on; `replaces` are the tags it excludes."""

    subject_id: int
    tag: str
    source: str
    expires_at: int | None = None
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeTag:
    """Take the tags off, where they are on."""

    subject_id: int
    tags: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetValue:
    """Set an attribute to the filled inline template `value`, or clear it with None."""

    subject_id: int
    key: str
    value: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBack:
    """Leave the conversation to humans until `until` (ms UTC; None: until resumed)."""

    conversation_id: int
    until: int | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The rule rests for the subject until `until`."""

    rule: str
    subject_id: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather:
    """Wait up to `span` ms for more of the same before doing the rule's actions once for all."""

    rule: str
    group_id: int
    contact_id: int
    span: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A trace: what was at stake, what came of it, and why in a sentence."""

    subject_id: int
    what: str
    outcome: str
    because: str
    refs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterSop:
    """Put the subject into the SOP, unless it is in it already."""

    sop: str
    subject_id: int
    source: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveSop:
    """Take the subject out of the SOP, if it is in it."""

    sop: str
    subject_id: int
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostBoard:
    """Say `speak` with a leaderboard in it: of `everyone`, or of the members of the group."""

    board: BoardKind
    everyone: bool
    speak: Speak


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteInto:
    """Invite the contact into the first group with room that has one of the tags, or the name.

    What is said to them besides depends on what becomes of it; the templates may be empty.
    """

    contact_id: int
    tags: tuple[str, ...]
    name: str
    before: str
    waiting: str
    member: str
    full: str
    source: str
    because: str
    purpose: Purpose
    expires_at: int | None = None
    priority: int = 0
    window: Window | None = None


Decision = (
    Speak
    | Utter
    | Tell
    | AcceptRequest
    | GiveTag
    | TakeTag
    | SetValue
    | StepBack
    | Rest
    | Gather
    | Note
    | EnterSop
    | LeaveSop
    | GivePoints
    | RecordCheckIn
    | PostBoard
    | InviteInto
)
