"""Gateway payloads into our words. Pure; any field may be missing, odd or of the wrong type."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sop.events import Event, EventKind, MessageType, Person, Room

# The event type numbers of the wire.
HEARTBEAT, MESSAGE, DONG, POST = 1, 2, 3, 4
ERROR, FRIENDSHIP, ROOM_INVITE, ROOM_JOIN, ROOM_LEAVE, ROOM_TOPIC = 16, 17, 18, 19, 20, 21
SCAN, READY, RESET, LOGIN, LOGOUT, DIRTY = 22, 23, 24, 25, 26, 27

OFFICIAL = 2  # contact type: an official account (公众号)
CONFIRM, RECEIVE = 1, 2  # friendship types

# The wire's own enum is of an older numbering; gateways send TypeScript's, which is this one.
MESSAGE_TYPES = {
    1: MessageType.FILE,
    2: MessageType.VOICE,
    3: MessageType.CONTACT,
    4: MessageType.CHAT_HISTORY,
    5: MessageType.EMOTICON,
    6: MessageType.IMAGE,
    7: MessageType.TEXT,
    8: MessageType.LOCATION,
    9: MessageType.MINI_PROGRAM,
    10: MessageType.GROUP_NOTE,
    11: MessageType.TRANSFER,
    12: MessageType.RED_ENVELOPE,
    13: MessageType.RECALLED,
    14: MessageType.LINK,
    15: MessageType.VIDEO,
    16: MessageType.POST,
}

_EVERYONE = frozenset({"@all", "notify@all", "announcement@all"})
_EVERYONE_WRITTEN = re.compile(r"@(所有人|all)(?=[\s\u2005]|$)", re.IGNORECASE)
_SECONDS_END = 100_000_000_000  # as ms that is 1973, as s it is the year 5138
_DAY = 86_400_000
_FIRST = 1_262_304_000_000  # 2010: no WeChat message is older

_SCAN_WORDS = {
    1: "已取消",
    2: "等待扫码",
    3: "已扫码，请在手机上确认",
    4: "已确认",
    5: "二维码已过期",
}


def fields(payload: str) -> dict[str, Any]:
    """The JSON object in an event payload; {} for anything else."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def text_of(found: Mapping[str, Any], key: str) -> str:
    """A field as text; numbers are ids somewhere, everything else counts as missing."""
    value = found.get(key)
    if isinstance(value, str):
        return mended(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def ids_of(found: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    """The first of these fields that holds ids, without blanks and repeats, in order."""
    for key in keys:
        value = found.get(key)
        if isinstance(value, list):
            return tuple(dict.fromkeys(mended(str(item)) for item in value if item))
        if isinstance(value, str) and value:
            return (mended(value),)
    return ()


def mended(text: str) -> str:
    """Text without halves of characters: an emoji cut in two can be neither sent nor stored."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def moment_of(value: object, *, now: int) -> int | None:
    """A timestamp in s or ms as ms UTC; None when it is missing or cannot be true."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return None
    if abs(value) == float("inf"):
        return None
    moment = int(value * 1000) if value < _SECONDS_END else int(value)
    return moment if _FIRST <= moment <= now + _DAY else None


def person(payload: Any, *, says_friend: bool) -> Person:
    """A ContactPayloadResponse as a Person.

    The wire cannot tell "not a friend" from "did not say" (some puppets never say): False counts
    only on gateways known to say True of anybody.
    """
    friend = True if payload.friend else (False if says_friend else None)
    return Person(
        external_id=payload.id,
        name=payload.name.strip(),
        alias=payload.alias.strip(),
        friend=friend,
    )


def room(payload: Any, members: tuple[Person, ...] = ()) -> Room:
    """A RoomPayloadResponse as a Room."""
    return Room(
        external_id=payload.id,
        topic=payload.topic.strip(),
        owner_id=payload.owner_id,
        members=members,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who and where, looked up for one event, and the account it came to."""

    now: int
    self_id: str = ""
    self_name: str = ""
    contact: Person | None = None
    group: Room | None = None


def sent_by_self(payload: Any, *, self_id: str) -> bool:
    """Whether the account itself (its human or the bot) wrote a message."""
    return bool(self_id) and payload.talker_id == self_id


def about(payload: Any, *, self_id: str) -> str:
    """Whose id a message is about: the talker; in a private chat always the other side."""
    if not payload.room_id and sent_by_self(payload, self_id=self_id):
        return str(payload.listener_id)
    return str(payload.talker_id)


def message(payload: Any, scene: Scene, *, extra: Mapping[str, Any], text: str | None) -> Event:
    """A MessagePayloadResponse as an Event.

    `extra` is added to the data; `text`, when not None, replaces the message's own.
    """
    kind = MESSAGE_TYPES.get(payload.type, MessageType.UNKNOWN)
    words = _words(payload, kind) if text is None else text
    data = {**({"filename": payload.filename} if payload.filename else {}), **extra}
    if kind is MessageType.RECALLED:
        data["recalled"] = payload.text
    grouped = scene.group is not None
    return Event(
        kind=EventKind.MESSAGE,
        at=_message_moment(payload, now=scene.now),
        external_id=payload.id,
        contact=scene.contact,
        group=scene.group,
        text=words,
        type=kind,
        from_self=sent_by_self(payload, self_id=scene.self_id),
        mentions_self=grouped and _mentions_self(payload, scene),
        mentions_all=grouped and _mentions_all(payload),
        data=data,
    )


def _words(payload: Any, kind: MessageType) -> str:
    if kind is MessageType.TEXT:
        return str(payload.text)
    if kind is MessageType.RECALLED or payload.text.lstrip().startswith("<"):
        return ""  # an id, or WeChat's XML: nobody typed it
    return str(payload.text)


def _message_moment(payload: Any, *, now: int) -> int:
    received = payload.receive_time.seconds * 1000 + payload.receive_time.nanos // 1_000_000
    return (
        moment_of(payload.timestamp_deprecated, now=now)
        or moment_of(received, now=now)
        # A puppet that counts in seconds is divided by 1000 by its gateway.
        or moment_of(received * 1000, now=now)
        or now
    )


def _mentions_self(payload: Any, scene: Scene) -> bool:
    if payload.mention_ids:
        return scene.self_id in payload.mention_ids
    # Some puppets never fill the list; then the text is all there is.
    return bool(scene.self_name) and bool(
        re.search(rf"@{re.escape(scene.self_name)}(?=[\s\u2005]|$)", payload.text)
    )


def _mentions_all(payload: Any) -> bool:
    if _EVERYONE.intersection(payload.mention_ids):
        return True
    return not payload.mention_ids and bool(_EVERYONE_WRITTEN.search(payload.text))


def friendship(payload: Any, scene: Scene) -> Event | None:
    """A FriendshipPayloadResponse as an Event; None unless it is a request or a confirmation."""
    kinds = {RECEIVE: EventKind.FRIEND_REQUEST, CONFIRM: EventKind.FRIEND_ADDED}
    kind = kinds.get(payload.type)
    if kind is None:
        return None
    requested = kind is EventKind.FRIEND_REQUEST
    return Event(
        kind=kind,
        at=scene.now,
        # Some puppets confirm under the id of the request; the two must stay two facts.
        external_id=payload.id if requested else f"confirm:{payload.id}",
        contact=scene.contact,
        text=payload.hello if requested else "",
    )


def joined(
    found: Mapping[str, Any], scene: Scene, joiners: Sequence[Person], by: Person | None
) -> list[Event]:
    """A room-join: the bot's own account coming in is an event of its own, and comes first."""
    ours = tuple(p for p in joiners if p.external_id == scene.self_id)
    theirs = tuple(p for p in joiners if p.external_id != scene.self_id)
    return [
        _crowd(kind, found, scene, people, by)
        for kind, people in ((EventKind.GROUP_ENTERED, ours), (EventKind.GROUP_JOINED, theirs))
        if people
    ]


def left(
    found: Mapping[str, Any], scene: Scene, leavers: Sequence[Person], by: Person | None
) -> list[Event]:
    """A room-leave, of one or several."""
    return [_crowd(EventKind.GROUP_LEFT, found, scene, tuple(leavers), by)] if leavers else []


def _crowd(
    kind: EventKind,
    found: Mapping[str, Any],
    scene: Scene,
    people: tuple[Person, ...],
    by: Person | None,
) -> Event:
    return Event(
        kind=kind,
        at=moment_of(found.get("timestamp"), now=scene.now) or scene.now,
        external_id=_derived(kind, found, scene, *sorted(p.external_id for p in people)),
        contact=people[0],
        group=scene.group,
        others=people[1:],
        by=by,
    )


def renamed(found: Mapping[str, Any], scene: Scene, by: Person | None) -> Event:
    """A room-topic; the old topic is "" when the gateway did not say."""
    old, new = text_of(found, "oldTopic"), text_of(found, "newTopic")
    return Event(
        kind=EventKind.GROUP_RENAMED,
        at=moment_of(found.get("timestamp"), now=scene.now) or scene.now,
        external_id=_derived(EventKind.GROUP_RENAMED, found, scene, old, new),
        group=scene.group,
        by=by,
        data={"old": old, "new": new},
    )


def _derived(kind: EventKind, found: Mapping[str, Any], scene: Scene, *facts: str) -> str:
    """An id for an event that has none: the same for a replay, another for a later such event.

    Without a time from the gateway the day stands in for it.
    """
    moment = moment_of(found.get("timestamp"), now=scene.now)
    day = datetime.fromtimestamp(scene.now / 1000, UTC).date().isoformat()
    group = scene.group.external_id if scene.group else ""
    content = "\x1f".join((group, str(moment or day), *facts))
    return f"{kind}:{hashlib.sha256(content.encode()).hexdigest()[:24]}"


def scan_words(found: Mapping[str, Any]) -> str:
    """The text of the QR code when there is one to scan, else a word for the state."""
    status = found.get("status")
    state = status if isinstance(status, int) else 0
    qrcode = text_of(found, "qrcode")
    if qrcode and state in (0, 2, 5):
        return qrcode
    return _SCAN_WORDS.get(state, "扫码状态未知")


def error_words(found: Mapping[str, Any], raw: str) -> str:
    """One line of what the gateway complains about (1.x says `gerror`, 0.x said `data`)."""
    said = text_of(found, "gerror") or text_of(found, "data") or raw
    for _ in range(3):  # errors come wrapped as JSON in the message of errors
        said = text_of(fields(said), "message") or said
    line = said.strip().splitlines()
    return line[0][:200] if line else "网关报告了一个没有说明的错误"
