"""The one error tree of Siyu.

A class docstring is the default message an operator reads; facts are attributes. Commands print
the message of any `SiyuError` as one plain line and no traceback.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

_REFUSALS: Mapping[int | None, str] = {
    errno.ENOENT: "没有这个文件或文件夹",
    errno.EEXIST: "同名的文件挡在那里",
    errno.EACCES: "没有权限",
    errno.EPERM: "系统不允许",
    errno.ENOTDIR: "路径中间有一段是文件，不是文件夹",
    errno.EISDIR: "这是一个文件夹，不是文件",
    errno.ENOSPC: "磁盘满了",
    errno.EDQUOT: "磁盘配额用完了",
    errno.EROFS: "这个磁盘是只读的",
    errno.ENAMETOOLONG: "名字太长了",
    errno.EMFILE: "打开的文件太多了",
    errno.EIO: "磁盘读写出错",
}


class SiyuError(Exception):
    """出错了。"""

    def __init__(self, message: str | None = None, **facts: object) -> None:
        self.facts = facts
        super().__init__(message or (type(self).__doc__ or "").strip())


class DefinitionError(SiyuError):
    """工作区里的文件有错误，请运行 siyu check 查看。"""


class WorkspaceError(SiyuError):
    """这里不是一个工作区：没有找到 siyu.yaml。先运行 siyu init 建一个。"""


class StorageError(SiyuError):
    """数据库打不开。"""


class NotFound(SiyuError):
    """没有找到。"""


class Ambiguous(SiyuError):
    """有好几个同名的，请说得再具体一些。"""


class ChannelError(SiyuError):
    """微信通道连不上。"""


class BadToken(ChannelError):
    """网关拒绝了令牌（token）。请核对 siyu.yaml 里 channel.token 和网关启动时用的是不是同一个。"""


class RenderError(SiyuError):
    """模板渲染失败。"""


def refusal(error: OSError) -> str:
    """Why the operating system refused, in Chinese where it is a common reason."""
    return _REFUSALS.get(error.errno, error.strerror or type(error).__name__)
