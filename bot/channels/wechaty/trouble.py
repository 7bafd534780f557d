"""What a gateway's failures mean, in words for an operator and in errors for the courier."""

from __future__ import annotations

import grpc
from grpc import StatusCode

from bot.channels.port import NotSent
from sop.errors import ChannelError

# The gateway answered, and with a code that says it refused before doing anything.
_NEVER = {
    StatusCode.UNIMPLEMENTED: "这个网关不支持这种操作",
    StatusCode.INVALID_ARGUMENT: "网关认为内容不合规",
    StatusCode.NOT_FOUND: "网关说没有这个联系人、群或好友申请",
    StatusCode.PERMISSION_DENIED: "网关说没有权限（可能不是好友，或不在群里）",
}
_NOT_NOW = {
    StatusCode.FAILED_PRECONDITION: "网关说现在还不行（可能没有登录）",
    StatusCode.UNAUTHENTICATED: "网关拒绝了令牌（token）",
    StatusCode.RESOURCE_EXHAUSTED: "网关说太频繁了，或内容太大",
}


class Disconnected(ChannelError):
    """和网关的连接断了，会自动重连。"""


class Cut(Disconnected):
    """连接在这次调用的中途断了。"""


class Unclear(ChannelError):
    """网关没有说清楚这次有没有发出。"""


def told_apart(error: grpc.aio.AioRpcError, *, secret: str) -> NotSent | Unclear:
    """What a failed acting call means: `NotSent` when surely nothing happened, else `Unclear`.

    The open gateway turns every exception of its puppet into UNKNOWN (Juzi's into UNKNOWN or
    INTERNAL), and puppets also throw after the message went out, for instance when they give up
    waiting for WeChat to confirm it. So neither code is proof that nothing was sent; nor are
    UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED and ABORTED.
    """
    code, said = error.code(), first_line(error, secret=secret)
    if code in _NEVER:
        return NotSent(f"没有发出：{_NEVER[code]}。{said}", retry=False)
    if code in _NOT_NOW:
        return NotSent(f"没有发出：{_NOT_NOW[code]}。{said}", retry=True)
    return Unclear(f"不知道有没有发出：网关回答 {code.name}。{said}")


def first_line(error: grpc.aio.AioRpcError, *, secret: str) -> str:
    """The gateway's own words, one line of at most 200 characters, without the token.

    The open gateway quotes the token it was given back to us, and sends whole stack traces.
    """
    lines = (error.details() or "").strip().splitlines()
    line = lines[0][:200] if lines else ""
    return line.replace(secret, "***") if secret else line


def why_down(error: grpc.aio.AioRpcError, *, endpoint: str, secret: str) -> str:
    """A sentence that says why there is no connection and what to do about it."""
    said = first_line(error, secret=secret)
    match error.code():
        case StatusCode.ALREADY_EXISTS:
            return (
                f"网关 {endpoint} 已被另一个程序占用，一个网关同时只能接一个客户端。"
                "请先关掉那个程序；这里会继续重试。"
            )
        case StatusCode.DEADLINE_EXCEEDED:
            return f"网关 {endpoint} 收下了连接却没有回应，可能卡死了。请重启网关；这里会继续重试。"
        case StatusCode.UNAVAILABLE:
            return _unreachable(said, endpoint=endpoint)
        case code:
            return (
                f"网关 {endpoint} 出错（{code.name}：{said}）。请查看网关的日志；这里会继续重试。"
            )


def _unreachable(said: str, *, endpoint: str) -> str:
    lowered = said.lower()
    if "dns" in lowered or "name resolution" in lowered:
        return f"找不到网关的主机名 {endpoint}。请核对 channel.endpoint；这里会继续重试。"
    if any(word in lowered for word in ("ssl", "tls", "certificate", "handshak", "verification")):
        return (
            f"和网关 {endpoint} 的加密握手失败。请核对 channel.tls：网关是否开着 TLS、"
            "证书和服务器名是否对得上；这里会继续重试。"
        )
    if "refused" in lowered:
        return (
            f"连不上网关 {endpoint}：那里没有程序在监听。"
            "请确认网关已经启动、地址没有写错；这里会继续重试。"
        )
    return (
        f"和网关 {endpoint} 的连接断开了。请确认网关在运行，"
        "并且两边对 TLS 的设置一致；这里会继续重试。"
    )
