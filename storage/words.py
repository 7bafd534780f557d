"""What stored words are called on a Chinese screen."""

from __future__ import annotations

STATES = {
    "queued": "排队中",
    "sending": "正在发",
    "sent": "已发出",
    "failed": "没发出去",
    "unknown": "不确定",
    "dropped": "没有发",
}
OUTCOMES = STATES | {
    "happened": "发生了",
    "done": "执行了",
    "withheld": "没有执行",
    "skipped": "略过",
    "paused": "暂停",
    "resumed": "恢复",
    "entered": "进来",
    "replied": "接住回复",
    "timeout": "没等到",
    "waiting": "等着",
    "ended": "结束",
    "scored": "记分",
    "taken": "收回",
    "handed": "转给人",
    "joined": "进群了",
    "lapsed": "作废",
}
PURPOSES = {"reply": "回复", "touch": "触达", "notice": "通知"}
TYPE_NAMES = {
    "text": "", "image": "[图片]", "voice": "[语音]", "video": "[视频]", "file": "[文件]",
    "contact": "[名片]", "emoticon": "[表情]", "chat_history": "[聊天记录]", "location": "[位置]",
    "mini_program": "[小程序]", "link": "[链接]", "group_note": "[群公告]", "transfer": "[转账]",
    "red_envelope": "[红包]", "recalled": "[撤回]", "post": "[帖子]", "unknown": "[消息]",
}  # fmt: skip


def said(type: str, text: str) -> str:
    """What a message says, on one line."""
    label = TYPE_NAMES.get(type, "")
    flat = " ".join(text.split())
    return f"{label} {flat}".strip() if type != "text" else flat
