"""From our bodies and requests to the gateway's calls, and from its answers to what that means."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_never

import grpc

from bot.channels.port import Address, NotSent
from bot.channels.wechaty import files
from bot.channels.wechaty.cache import Cache
from bot.channels.wechaty.fetch import Unfetched, fetch
from bot.channels.wechaty.link import Link
from bot.channels.wechaty.trouble import Cut, Disconnected, Unclear, told_apart
from bot.channels.wechaty.wire import puppet_pb2 as pb
from bot.web import Web
from sop.messages import Accept, Body, Card, Invite, Media, MiniProgram, Moment, Remove, Text
from sop.messages import Link as LinkCard

EVERYONE = "@all"
_SEPARATOR = "\u2005"  # what WeChat itself puts after an @name
_MOMENT = 1  # a type of post
_TEXT, _FILE, _URL = 0, 1, 2  # what is in a post
_FILE_DEADLINES = 3  # the gateway passes a file on to WeChat before it answers


class Outbound:
    """Acts on the account through one link. Every method raises `NotSent` or `Unclear`."""

    def __init__(
        self,
        link: Link,
        cache: Cache,
        *,
        media_root: Path,
        logged_out: Callable[[], bool],
        web: Web,
    ) -> None:
        self._link = link
        self._cache = cache
        self._media_root = media_root
        self._logged_out = logged_out
        self._web = web

    async def send(self, to: Address, body: Body) -> str | None:
        """Send one message; the gateway's id for it, or None when it gives none (it is sent)."""
        self._check()
        try:
            method, request = await self._prepared(to, body)
        except ValueError as error:  # half of an emoji, most likely
            raise NotSent(
                "没有发出：内容里有无法编码的字符（例如残缺的表情）。", retry=False
            ) from error
        with_files = isinstance(body, Media) or (isinstance(body, Moment) and body.images)
        patience = self._link.deadline * (_FILE_DEADLINES if with_files else 1)
        answer = await self.act(method, request, patience=patience)
        if isinstance(body, Accept | Invite | Remove):
            return None
        if isinstance(body, Moment):
            return answer.moment_id or None
        return answer.id or answer.id_deprecated.value or None

    async def act(self, method: str, request: Any, *, patience: float | None = None) -> Any:
        """One acting call. Raises `NotSent` when surely nothing happened, else `Unclear`."""
        self._check()
        try:
            return await self._link.call(method, request, patience=patience)
        except Cut as cut:
            raise Unclear("不知道有没有发出：发到一半时和网关的连接断了。") from cut
        except Disconnected as down:
            raise NotSent("没有发出：网关没有连上。") from down
        except grpc.aio.AioRpcError as error:
            raise told_apart(error, secret=self._link.secret) from error

    def _check(self) -> None:
        if not self._link.up.is_set():
            raise NotSent("没有发出：网关没有连上。")
        if self._logged_out():
            raise NotSent("没有发出：微信账号没有登录，请先扫码。")

    async def _prepared(self, to: Address, body: Body) -> tuple[str, Any]:
        where = to.external_id
        match body:
            case Text():
                text = await self._with_names(to, body) if to.group else body.text
                mentions = body.mentions if to.group else ()
                return "MessageSendText", pb.SendTextRequest(
                    conversation_id=where, text=text, mentional_ids=mentions
                )
            case Media():
                return "MessageSendFile", pb.SendFileRequest(
                    conversation_id=where, file_box=await self._box(body)
                )
            case LinkCard():
                return "MessageSendUrl", pb.SendUrlRequest(
                    conversation_id=where, url_link=_url_link(body)
                )
            case MiniProgram():
                return "MessageSendMiniProgram", pb.SendMiniProgramRequest(
                    conversation_id=where, mini_program=_mini_program(body)
                )
            case Card():
                return "MessageSendContact", pb.SendContactRequest(
                    conversation_id=where, contact_id=body.contact_id
                )
            case Accept():
                return "FriendshipAccept", pb.IdRequest(id=body.request_id)
            case Moment():
                return "momentPublish", pb.MomentPublishRequest(post=await self._post(body))
            case Invite():
                return "RoomAdd", pb.RoomMemberRequest(id=body.group_id, member_id=where)
            case Remove():
                return "RoomDel", pb.RoomMemberRequest(id=where, member_id=body.contact_id)
            case _:
                assert_never(body)

    async def _post(self, body: Moment) -> Any:
        parts = [pb.PostSayable(type=_TEXT, text=body.text)] if body.text else []
        for image in body.images:
            parts.append(pb.PostSayable(type=_FILE, file_box=await self._box(image)))
        if body.link:
            parts.append(pb.PostSayable(type=_URL, url_link=_url_link(body.link)))
        return pb.PostPayload(type=_MOMENT, sayable_list=parts, visible_list=body.visible_to)

    async def _box(self, body: Media) -> str:
        """An upload that fails has sent nothing yet, however it fails."""
        try:
            return await files.box(self._link, body, media_root=self._media_root, web=self._web)
        except (Disconnected, grpc.aio.AioRpcError) as error:
            raise NotSent("没有发出：文件没有传到网关。") from error

    async def _with_names(self, to: Address, body: Text) -> str:
        """The text with every mentioned name in it: ids alone ring nobody's bell in WeChat."""
        names = await asyncio.gather(*(self._name(to.external_id, id) for id in body.mentions))
        missing = [f"@{name}{_SEPARATOR}" for name in names if name and f"@{name}" not in body.text]
        return "".join(missing) + body.text

    async def _name(self, group: str, id: str) -> str:
        if id == EVERYONE:
            return "所有人"
        request = pb.RoomMemberRequest(id=group, member_id=id)
        try:
            member = await fetch(self._link, "RoomMemberPayload", request)
        except Unfetched:
            return (await self._cache.person(id)).name
        return str(member.room_alias or member.name) or (await self._cache.person(id)).name


def _url_link(body: LinkCard) -> Any:
    return pb.UrlLinkPayload(
        url=body.url,
        title=body.title,
        description=body.description,
        thumbnail_url=body.thumbnail,
    )


def _mini_program(body: MiniProgram) -> Any:
    return pb.MiniProgramPayload(
        appid=body.app_id,
        title=body.title,
        username=body.username,
        page_path=body.page_path,
        description=body.description,
        thumb_url=body.thumbnail,
    )
