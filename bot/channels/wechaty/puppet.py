"""The puppet that existing Wechaty plugins run on: our link in the shape `wechaty` expects.

Imported lazily, after `shims.wechaty`. Payloads are the old SDK's (its field and type names);
whatever the SDK would trip over (a missing id, an unknown type, a contact that cannot be fetched)
is filled in here. What it does not override raises NotImplementedError, as in the SDK.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wechaty_puppet import FileBox, Puppet
from wechaty_puppet.file_box.type import FileBoxType
from wechaty_puppet.schemas import types as sdk
from wechaty_puppet.schemas.mini_program import MiniProgramPayload
from wechaty_puppet.schemas.url_link import UrlLinkPayload

from bot.channels.wechaty import files, payloads
from bot.channels.wechaty.echoes import Echoes
from bot.channels.wechaty.fetch import Unfetched, fetch
from bot.channels.wechaty.inbound import Inbound
from bot.channels.wechaty.link import Link
from bot.channels.wechaty.outbound import Outbound
from bot.channels.wechaty.wire import puppet_pb2 as pb
from sop.events import MessageType

log = logging.getLogger(__name__)

KEPT = 1_000  # own messages a plugin may still look at

_TYPES = {
    MessageType.FILE: "ATTACHMENT",
    MessageType.VOICE: "AUDIO",
    MessageType.CONTACT: "CONTACT",
    MessageType.EMOTICON: "EMOTICON",
    MessageType.IMAGE: "IMAGE",
    MessageType.TEXT: "TEXT",
    MessageType.VIDEO: "VIDEO",
    MessageType.CHAT_HISTORY: "CHAT_HISTORY",
    MessageType.LOCATION: "LOCATION",
    MessageType.MINI_PROGRAM: "MINI_PROGRAM",
    MessageType.TRANSFER: "TRANSFER",
    MessageType.RED_ENVELOPE: "RED_ENVELOPE",
    MessageType.RECALLED: "RECALLED",
    MessageType.LINK: "URL",
}


class LinkedPuppet(Puppet):  # type: ignore[misc]
    """One account's puppet. It neither connects nor stops anything: the channel does."""

    def __init__(self, link: Link, inbound: Inbound, outbound: Outbound, echoes: Echoes) -> None:
        super().__init__(name="siyu")
        self._link = link
        self._inbound = inbound
        self._outbound = outbound
        self._echoes = echoes
        self._listeners: dict[str, list[Callable[[Any], Any]]] = {}
        self._own: OrderedDict[str, Any] = OrderedDict()

    # Events

    def on(self, event_name: str, caller: Callable[[Any], Any]) -> None:
        """Register a listener, sync or async."""
        self._listeners.setdefault(event_name, []).append(caller)

    def listener_count(self, event_name: str) -> int:
        """How many listen."""
        return len(self._listeners.get(event_name, []))

    async def deliver(self, event: str, payload: Any) -> None:
        """Tell the listeners one after the other; what they raise is logged and ends there."""
        for listener in self._listeners.get(event, []):
            try:
                answer = listener(payload)
                if inspect.isawaitable(answer):
                    await answer
            except Exception:
                log.exception("a plugin failed on %s", event)

    async def start(self) -> None:
        """Nothing: the channel owns the connection."""

    async def stop(self) -> None:
        """Nothing: stopping the gateway would log some accounts out."""

    def self_id(self) -> str:
        """Who is logged in."""
        return self._inbound.self_id

    # Looking up

    async def _ask(self, method: str, request: Any) -> Any:
        return await fetch(self._link, method, request)

    async def message_payload(self, message_id: str) -> Any:
        """A message; our own that the gateway has not heard of yet comes from memory."""
        own = self._own.get(message_id)
        if own is not None:
            return own
        found = await self._ask("MessagePayload", pb.IdRequest(id=message_id))
        name = _TYPES.get(payloads.MESSAGE_TYPES.get(found.type, MessageType.UNKNOWN))
        return sdk.MessagePayload(
            id=found.id or message_id,
            filename=found.filename,
            text=found.text,
            timestamp=found.timestamp_deprecated,
            type=sdk.MessageType[f"MESSAGE_TYPE_{name or 'UNSPECIFIED'}"],
            from_id=found.talker_id,
            room_id=found.room_id,
            to_id=found.listener_id,
            mention_ids=[id for id in found.mention_ids if not id.startswith("@")],
        )

    async def contact_payload(self, contact_id: str) -> Any:
        """A contact; bare when the gateway does not give it, for the SDK drops the event else."""
        try:
            found = await self._inbound.cache.contacts.get(contact_id)
        except Unfetched:
            return sdk.ContactPayload(id=contact_id)
        return sdk.ContactPayload(
            id=contact_id,
            name=found.name,
            alias=found.alias,
            avatar=found.avatar,
            friend=found.friend,
            weixin=found.weixin,
            city=found.city,
            province=found.province,
            signature=found.signature,
        )

    async def room_payload(self, room_id: str) -> Any:
        """A group; bare when the gateway does not give it."""
        try:
            found = await self._inbound.cache.rooms.get(room_id)
        except Unfetched:
            return sdk.RoomPayload(id=room_id)
        return sdk.RoomPayload(
            id=room_id,
            topic=found.topic,
            avatar=found.avatar,
            owner_id=found.owner_id,
            admin_ids=list(found.admin_ids),
            member_ids=list(found.member_ids),
        )

    async def room_members(self, room_id: str) -> list[str]:
        """The ids of a group's members."""
        return list((await self.room_payload(room_id)).member_ids)

    async def room_member_payload(self, room_id: str, contact_id: str) -> Any:
        """A member as the group knows them."""
        found = await self._ask(
            "RoomMemberPayload", pb.RoomMemberRequest(id=room_id, member_id=contact_id)
        )
        return sdk.RoomMemberPayload(
            id=contact_id,
            room_alias=found.room_alias,
            inviter_id=found.inviter_id,
            avatar=found.avatar,
            name=found.name,
        )

    async def contact_list(self) -> list[str]:
        """The ids of all contacts."""
        return list((await self._ask("ContactList", pb.Empty())).ids)

    async def room_list(self) -> list[str]:
        """The ids of all groups."""
        return list((await self._ask("RoomList", pb.Empty())).ids)

    async def room_search(self, query: Any = None) -> list[str]:
        """The ids of all groups; the SDK filters them itself."""
        return await self.room_list()

    async def friendship_payload(self, friendship_id: str, payload: Any = None) -> Any:
        """A friend request."""
        found = await self._ask("FriendshipPayload", pb.IdRequest(id=friendship_id))
        return sdk.FriendshipPayload(
            id=friendship_id,
            contact_id=found.contact_id,
            hello=found.hello,
            type=sdk.FriendshipType(found.type if found.type in (1, 2, 3) else 0),
            stranger=found.stranger,
            ticket=found.ticket,
        )

    async def message_contact(self, message_id: str) -> str:
        """Whose card a message is."""
        return str((await self._ask("MessageContact", pb.IdRequest(id=message_id))).id)

    async def message_url(self, message_id: str) -> Any:
        """The link in a message."""
        found = (await self._ask("MessageUrl", pb.IdRequest(id=message_id))).url_link
        return UrlLinkPayload(
            url=found.url,
            title=found.title,
            thumbnailUrl=found.thumbnail_url,
            description=found.description,
        )

    async def message_mini_program(self, message_id: str) -> Any:
        """The mini program in a message."""
        found = (await self._ask("MessageMiniProgram", pb.IdRequest(id=message_id))).mini_program
        return MiniProgramPayload(
            appid=found.appid,
            title=found.title,
            username=found.username,
            pagePath=found.page_path,
            description=found.description,
            thumbUrl=found.thumb_url,
            thumbKey=found.thumb_key,
            iconUrl=found.icon_url,
            shareId=found.share_id,
        )

    async def message_file(self, message_id: str) -> Any:
        """The file in a message."""
        answer = await self._ask("MessageFile", pb.IdRequest(id=message_id))
        name, content = await files.unboxed(self._link, answer.file_box)
        if isinstance(content, str):
            return FileBox.from_url(content, name=name)
        return FileBox.from_buffer(content, name=name)

    async def message_image(self, message_id: str, image_type: Any = None) -> Any:
        """The picture in a message, in the one size the file call gives."""
        return await self.message_file(message_id)

    # Acting

    async def _send(self, conversation: str, words: str, method: str, request: Any) -> str:
        """Send, and return an id in any case: the SDK takes a missing one for a failure."""
        with self._echoes.sending(conversation, words) as sent:
            answer = await self._outbound.act(method, request)
            sent.id = answer.id or answer.id_deprecated.value
        id = sent.id or f"siyu-unnamed-{len(self._own)}-{conversation}"
        self._own[id] = self._own_payload(id, conversation, words)
        if len(self._own) > KEPT:
            self._own.popitem(last=False)
        return id

    def _own_payload(self, id: str, conversation: str, words: str) -> Any:
        grouped = conversation in self._inbound.cache.rooms  # the SDK looked it up to say this
        return sdk.MessagePayload(
            id=id,
            text=words,
            type=sdk.MessageType.MESSAGE_TYPE_TEXT,
            from_id=self.self_id(),
            room_id=conversation if grouped else "",
            to_id="" if grouped else conversation,
            mention_ids=[],
        )

    async def message_send_text(
        self, conversation_id: str, message: str, mention_ids: list[str] | None = None
    ) -> str:
        """Send text."""
        request = pb.SendTextRequest(
            conversation_id=conversation_id, text=message, mentional_ids=mention_ids or ()
        )
        return await self._send(conversation_id, message, "MessageSendText", request)

    async def message_send_contact(self, contact_id: str, conversation_id: str) -> str:
        """Send a contact's card."""
        request = pb.SendContactRequest(conversation_id=conversation_id, contact_id=contact_id)
        return await self._send(conversation_id, "", "MessageSendContact", request)

    async def message_send_file(self, conversation_id: str, file: Any) -> str:
        """Send a file, picture, voice or video."""
        request = pb.SendFileRequest(
            conversation_id=conversation_id, file_box=await self._boxed(file)
        )
        return await self._send(conversation_id, "", "MessageSendFile", request)

    async def _boxed(self, file: Any) -> str:
        match file.type():
            case FileBoxType.Url:
                return json.dumps({"type": 2, "name": file.name or "file", "url": file.remoteUrl})
            case FileBoxType.QRCode:
                return json.dumps({"type": 3, "name": "qrcode.png", "qrCode": file.qrCode})
            case FileBoxType.Base64:
                content = base64.b64decode(file.base64)
            case FileBoxType.File:
                content = await asyncio.to_thread(Path(file.localPath).read_bytes)
            case FileBoxType.Buffer:
                content = file.buffer
            case _:
                content = file.stream
        return await files.boxed(self._link, content, name=file.name)

    async def message_send_url(self, conversation_id: str, url: str) -> str:
        """Send a link card; `url` is the JSON of its payload."""
        found = payloads.fields(url)
        link = pb.UrlLinkPayload(
            url=payloads.text_of(found, "url"),
            title=payloads.text_of(found, "title"),
            description=payloads.text_of(found, "description"),
            thumbnail_url=payloads.text_of(found, "thumbnailUrl"),
        )
        request = pb.SendUrlRequest(conversation_id=conversation_id, url_link=link)
        return await self._send(conversation_id, link.url, "MessageSendUrl", request)

    async def message_send_mini_program(self, conversation_id: str, mini_program: Any) -> str:
        """Send a mini program card."""
        card = pb.MiniProgramPayload(
            appid=mini_program.appid,
            title=mini_program.title,
            username=mini_program.username,
            page_path=mini_program.pagePath,
            description=mini_program.description,
            thumb_url=mini_program.thumbUrl,
            thumb_key=mini_program.thumbKey,
            icon_url=mini_program.iconUrl,
            share_id=mini_program.shareId,
        )
        request = pb.SendMiniProgramRequest(conversation_id=conversation_id, mini_program=card)
        return await self._send(conversation_id, "", "MessageSendMiniProgram", request)

    async def contact_alias(self, contact_id: str, alias: str | None = None) -> str:
        """Get, or set, a contact's remark."""
        if alias is None:
            return str((await self.contact_payload(contact_id)).alias)
        await self._outbound.act("ContactAlias", pb.AliasRequest(id=contact_id, alias=alias))
        self._inbound.cache.contacts.drop(contact_id)
        return alias

    async def room_topic(self, room_id: str, new_topic: str | None = None) -> str:
        """Get, or set, a group's name."""
        if new_topic is None:
            return str((await self.room_payload(room_id)).topic)
        await self._outbound.act("RoomTopic", pb.TopicRequest(id=room_id, topic=new_topic))
        self._inbound.cache.rooms.drop(room_id)
        return new_topic

    async def room_announce(self, room_id: str, announcement: str | None = None) -> str:
        """Set a group's announcement; reading it is not on our wire."""
        if announcement is None:
            raise NotImplementedError
        await self._outbound.act("RoomAnnounce", pb.AnnounceRequest(id=room_id, text=announcement))
        return announcement

    async def room_add(self, room_id: str, contact_id: str) -> None:
        """Invite into a group."""
        await self._outbound.act("RoomAdd", pb.RoomMemberRequest(id=room_id, member_id=contact_id))

    async def room_delete(self, room_id: str, contact_id: str) -> None:
        """Remove from a group."""
        await self._outbound.act("RoomDel", pb.RoomMemberRequest(id=room_id, member_id=contact_id))

    async def friendship_accept(self, friendship_id: str) -> None:
        """Accept a friend request."""
        await self._outbound.act("FriendshipAccept", pb.IdRequest(id=friendship_id))
