"""The channel to a WeChat account behind a Wechaty gateway. See `docs/wechaty.md`."""

from bot.channels.wechaty.channel import WechatyChannel
from bot.channels.wechaty.link import TlsOptions

__all__ = ["TlsOptions", "WechatyChannel"]
