"""Files on their way to the gateway: what may leave, and in which wrapping."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from bot.channels.port import NotSent
from bot.channels.wechaty.link import Link
from bot.web import Web, WebError
from sop.messages import Media

INLINE = 20 * 1024  # bytes; the gateway's own threshold, beyond it wants an upload
CHUNK = 256 * 1024  # bytes of a file in one message of the stream
UPLOADS = 6  # deadlines an upload may take: video over a home line

_BASE64, _UUID = 1, 7  # FileBox types


async def box(link: Link, body: Media, *, media_root: Path, web: Web) -> str:
    """The FileBox JSON for a file, or what is behind a url; uploads what is too big to go inline.

    A url is fetched here: what the gateway would fetch nobody could guard.

    Raises `NotSent` when the file may not or cannot be sent, and what an upload raises.
    """
    if body.url:
        parts = urlsplit(body.url)
        name = body.name or PurePosixPath(parts.path).name or body.kind
        try:
            content = await web.fetch(body.url)
        except WebError as error:
            because = f"没有发出：{parts.hostname}{parts.path} 的文件取不到，{error}。"
            raise NotSent(because, retry=error.retry, ours=True) from None
        return await boxed(link, content, name=name)
    path = await asyncio.to_thread(inside, media_root, body.path)
    name = body.name or path.name
    size = (await asyncio.to_thread(path.stat)).st_size
    if size <= INLINE:
        return _inline(await asyncio.to_thread(path.read_bytes), name=name)
    return await _uploaded(link, _read(path), name=name, size=size)


async def boxed(link: Link, content: bytes, *, name: str) -> str:
    """The FileBox JSON for bytes in memory; uploads what is too big to go inline."""
    if len(content) <= INLINE:
        return _inline(content, name=name)
    return await _uploaded(link, _slices(content), name=name, size=len(content))


def _inline(content: bytes, *, name: str) -> str:
    text = base64.b64encode(content).decode("ascii")
    return json.dumps({"type": _BASE64, "name": name, "size": len(content), "base64": text})


async def _uploaded(link: Link, chunks: AsyncIterator[bytes], *, name: str, size: int) -> str:
    uuid = await link.upload(chunks, patience=link.deadline * UPLOADS)
    return json.dumps({"type": _UUID, "name": name, "size": size, "uuid": uuid})


def inside(media_root: Path, path: str) -> Path:
    """The file `path` (relative to the folder that holds `media_root`), if it lies in `media_root`.

    Links are followed before the check. Raises `NotSent`, never to be retried.
    """
    root = media_root.resolve()
    try:
        found = (root.parent / path).resolve()
        allowed = found.is_relative_to(root) and found.is_file()
    except (OSError, ValueError):  # a null byte, a name too long, a loop of links
        allowed = False
    if not allowed:
        raise NotSent(
            f"没有发出：素材文件 {path!r} 不存在，或不在工作区的 {media_root.name}/ 文件夹里。",
            retry=False,
        )
    if found.stat().st_size == 0:
        raise NotSent(f"没有发出：素材文件 {path!r} 是空的。", retry=False)
    return found


async def _slices(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), CHUNK):
        yield content[start : start + CHUNK]


async def _read(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
    finally:
        file.close()


async def unboxed(link: Link, text: str) -> tuple[str, bytes | str]:
    """The name in a FileBox JSON, and its bytes, or the url they are at.

    Raises `ValueError` for a box that is neither inline, uploaded nor a url.
    """
    found = json.loads(text)
    name = str(found.get("name") or "file")
    match found.get("type"):
        case 1:
            return name, base64.b64decode(found["base64"])
        case 2:
            return name, str(found.get("url") or found.get("remoteUrl"))
        case 7:
            return name, await link.download(found["uuid"], patience=link.deadline * UPLOADS)
        case kind:
            raise ValueError(f"a FileBox of type {kind} holds nothing to read")
