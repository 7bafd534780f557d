"""What rules and SOPs can match and do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from sop.conditions import Definition, OneOrMany, by_key
from sop.events import MessageType
from sop.point_actions import CheckIn, Points, ShowBoard
from sop.times import Duration


class Say(Definition):
    """Fill the template and send it `here` (where it happened) or in the private chat.

    In an SOP for members, `here` is the private chat of a friend, and for others the group, where
    they are mentioned; so `group` does with everybody.
    """

    say: str
    to: Literal["here", "private", "group"] = "here"


class AddTag(Definition):
    """Tag the contact (or the group with `on: group`), for a span if `for` says so."""

    tag: OneOrMany
    for_: Duration | None = Field(default=None, alias="for")
    on: Literal["contact", "group"] = "contact"


class RemoveTag(Definition):
    """Take the tag off; a group name takes off every tag of the group."""

    untag: OneOrMany
    on: Literal["contact", "group"] = "contact"


class SetAttribute(Definition):
    """Set attributes of the contact; a null value clears. Values may be inline templates."""

    set: dict[str, str | int | None] = Field(min_length=1)


class Notify(Definition):
    """Tell every operator; the text is an inline template."""

    notify: str


class HandOff(Definition):
    """Step back from this conversation for `takeover` and tell the operators why."""

    hand_off: str


class AcceptFriend(Definition):
    """Accept the friend request that this event is."""

    accept: Literal[True]


class Enroll(Definition):
    """Put the contact (or group) into the SOP."""

    enroll: str


class Leave(Definition):
    """Take the contact (or group) out of the SOP."""

    leave: str


class Invitation(Definition):
    """Into the first group with room among those with a tag, or of that name.

    `before` is said in private before the invitation leaves; `waiting` to whom an invitation
    still waits for, `member` to who is in such a group, `full` where there is no room.
    """

    group_tag: OneOrMany | None = None
    group: str | None = None
    before: str | None = None
    waiting: str | None = None
    member: str | None = None
    full: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Invitation:
        if (self.group_tag is None) == (self.group is None):
            raise PydanticCustomError(
                "siyu",
                "要说是哪个群：group_tag（带标签的群）或 group（群名），写一个",
                {"expected": "invite: {group_tag: 福利群}"},
            )
        return self


class Invite(Definition):
    """Invite the contact into a group."""

    invite: Invitation


ACTION_KEYS = (
    "say", "tag", "untag", "set", "notify", "hand_off", "accept", "enroll", "leave", "invite",
    "points", "check_in", "board",
)  # fmt: skip
Action = Annotated[
    Annotated[Say, Tag("say")]
    | Annotated[AddTag, Tag("tag")]
    | Annotated[RemoveTag, Tag("untag")]
    | Annotated[SetAttribute, Tag("set")]
    | Annotated[Notify, Tag("notify")]
    | Annotated[HandOff, Tag("hand_off")]
    | Annotated[AcceptFriend, Tag("accept")]
    | Annotated[Enroll, Tag("enroll")]
    | Annotated[Leave, Tag("leave")]
    | Annotated[Invite, Tag("invite")]
    | Annotated[Points, Tag("points")]
    | Annotated[CheckIn, Tag("check_in")]
    | Annotated[ShowBoard, Tag("board")],
    by_key(ACTION_KEYS),
]


class Match(Definition):
    """What a message says. `any`, `regex`, `like` are alternatives; `all` and `none` bind them."""

    any: OneOrMany = ()
    all: OneOrMany = ()
    none: OneOrMany = ()
    regex: OneOrMany = ()
    like: OneOrMany = ()
    type: MessageType | tuple[MessageType, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Match:
        if not (self.any or self.all or self.none or self.regex or self.like or self.type):
            raise PydanticCustomError(
                "siyu", "match 是空的", {"expected": "any、all、none、regex、like、type 里至少一个"}
            )
        return self


class GroupPlace(Definition):
    """Groups that carry a tag, or are of a kind."""

    group_tag: OneOrMany | None = None
    kind: Literal["线索", "转化", "服务"] | None = None


Place = Literal["private", "group", "mention", "anywhere"] | GroupPlace
