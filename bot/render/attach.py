"""Attachments: from the rendered fields of a front block to the messages of the channel."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.render.sandbox import Place, Snippet
from bot.web import BadAddress, place_of
from sop.messages import Body, Link, Media, MiniProgram
from sop.problems import did_you_mean

_PUBLIC = "把文件放进 media/ 文件夹，或者用公网上的 https:// 网址"
Kind = Literal["image", "file", "voice", "video", "link", "mini_program"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment; a medium has the one field `source`."""

    kind: Kind
    fields: Mapping[str, Snippet]

    @property
    def uses(self) -> frozenset[str]:
        """The names its fields use."""
        return frozenset[str]().union(*(snippet.uses for snippet in self.fields.values()))

    def render(self, names: dict[str, Any], media: Collection[str]) -> Body:
        """The message to send; raises `RenderError`."""
        fields = {
            key: checked(self.kind, key, snippet.render(names), place=snippet.place, media=media)
            for key, snippet in self.fields.items()
        }
        match self.kind:
            case "link":
                return Link.model_validate(fields)
            case "mini_program":
                return MiniProgram.model_validate(fields)
        source = fields["source"]
        if "://" in source:
            return Media(kind=self.kind, url=source)
        return Media(kind=self.kind, path=source)


def checked(kind: Kind, key: str, value: str, *, place: Place, media: Collection[str]) -> str:
    """The trimmed value of a field, if the gateway can use it."""
    value = value.strip()
    if not value:
        raise place.error("这里是空的")
    if key == "source" or (kind, key) == ("link", "thumbnail"):
        return _source(place, value, media)
    if key == "url" and not re.fullmatch(r"https?://\S+", value):
        raise place.error("网址要以 https:// 或 http:// 开头，中间不能有空格")
    return value


def _source(place: Place, value: str, media: Collection[str]) -> str:
    """A path that is known to exist, or an https address: nothing else on the disk is reachable."""
    if re.fullmatch(r"https://\S+", value):
        try:
            place_of(value)
        except BadAddress as error:
            raise place.error(f"不会去取这个网址：{error}", hint=_PUBLIC) from None
        return value
    if "://" in value:
        raise place.error("这里只能写 media/ 里的文件，或 https:// 开头的网址")
    path = value if value.startswith("media/") else f"media/{value}"
    if path not in media:
        hint = did_you_mean(path, media) or "把文件放进工作区的 media 文件夹"
        raise place.error(f"没有这个文件：{path}", hint=hint)
    return path
