"""What the bot can send, as data. One `Body` becomes one gateway message."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Body):
    """Plain text; in a group, `mentions` are external ids of the people to @, or ["@all"]."""

    kind: Literal["text"] = "text"
    text: str
    mentions: tuple[str, ...] = ()


class Media(_Body):
    """A file of the workspace's `media/` folder (`path`, relative to the workspace) or a `url`."""

    kind: Literal["image", "file", "voice", "video"]
    path: str = ""
    url: str = ""
    name: str = ""


class Link(_Body):
    """A link card."""

    kind: Literal["link"] = "link"
    url: str
    title: str
    description: str = ""
    thumbnail: str = ""


class MiniProgram(_Body):
    """A mini program card; the fields are the gateway's."""

    kind: Literal["mini_program"] = "mini_program"
    app_id: str
    title: str
    username: str = ""
    page_path: str = ""
    description: str = ""
    thumbnail: str = ""


class Card(_Body):
    """A contact card (名片) of the person with this external id."""

    kind: Literal["card"] = "card"
    contact_id: str


class Accept(_Body):
    """Not a message: accepting the friend request with this id. It leaves the account like one."""

    kind: Literal["accept"] = "accept"
    request_id: str


class Moment(_Body):
    """Not a message: a post to Moments, with up to nine images or one link.

    `visible_to` are the external ids of the people who may see it; empty is everybody.
    """

    kind: Literal["moment"] = "moment"
    text: str = ""
    images: tuple[Media, ...] = Field(default=(), max_length=9)
    link: Link | None = None
    visible_to: tuple[str, ...] = ()


class Invite(_Body):
    """Not a message: inviting whom the row goes to into the group with this gateway id."""

    kind: Literal["invite"] = "invite"
    group_id: str
    name: str


class Remove(_Body):
    """Not a message: removing this person from the group that the row goes to."""

    kind: Literal["remove"] = "remove"
    contact_id: str
    name: str = ""


Body = Annotated[
    Text | Media | Link | MiniProgram | Card | Accept | Invite | Remove | Moment,
    Field(discriminator="kind"),
]
BODY: TypeAdapter[Body] = TypeAdapter(Body)


def summary(body: Body) -> str:
    """One line that says what a body is, for lists and transcripts."""
    match body:
        case Text():
            return body.text
        case Media():
            label = {"image": "图片", "file": "文件", "voice": "语音", "video": "视频"}[body.kind]
            return f"[{label}] {body.name or body.path or body.url}"
        case Link():
            return f"[链接] {body.title} {body.url}"
        case MiniProgram():
            return f"[小程序] {body.title}"
        case Card():
            return f"[名片] {body.contact_id}"
        case Accept():
            return "[通过好友申请]"
        case Moment():
            link = [f"[链接] {body.link.title}"] if body.link else []
            images = [f"[{len(body.images)} 张图]"] if body.images else []
            return " ".join(["[朋友圈]", *filter(None, [body.text]), *images, *link])
        case Invite():
            return f"[邀请进群] {body.name}"
        case Remove():
            return f"[移出群] {body.name or body.contact_id}"
