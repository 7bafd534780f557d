"""Small closed lists of Chinese that jieba's dictionary lacks, kept as data.

Function words and fixed phrases of chat, not of any trade: an operator's own words go into
`words` of the workspace.
"""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


NEGATIONS = frozenset("不没别甭勿未无")

FALSE_NEGATIONS = _set("特别 分别 个别 区别 级别 性别")
"""Words that end in a negation's character and deny nothing: 特别想要."""

STANCES = _set("""
    要 想 好 行 能 会 买 用 对 是 有 想要 想买 需要 可以 喜欢 愿意 考虑 感兴趣 满意 同意 方便 合适
    好用 好吃 好看 划算 确定 参加 接受 相信 支持 知道 明白 清楚
""")
"""Words that say yes; straight after a negation they say no, so they do not count there."""

SOFT_PREFIXES = frozenset("就还也都再")
"""Adverbs that jieba glues to a verb (还要, 就要) though each is read as a word."""

WORDS = _set("""
    要不 要不是 要不要 用不用 能不能 行不行 好不好 是不是 有没有 对不对 会不会 想不想 买不买
    不需要 不想要 不合适 没兴趣 没货 好用 好贵 好慢 好难 好远 好累 好香 好甜 好辣 好坑 好差 好烦
    好困 好忙 好大 好小 好少 好想 好喜欢 好便宜 好麻烦 好复杂 好可爱 好厉害 好漂亮 好评 好礼 好物
    多少钱 怎么卖 包邮 拼团 秒杀 下单 晒单 囤货 种草 拔草 微商 社群 进群 退群 加群 扫码 红包
""")
"""Words in their own right, which hide a single character or a negated word inside them."""

ASIDES = _set("""
    的 了 吗 呢 啊 呀 吧 哦 哈 嘛 么 哇 啦 呗 喔 诶 嗯 请问 你好 您好 在吗 我 你 您 我们 你们 咱
    咱们 这 那 这个 那个 想 问 问下 一下 下 想问 请 麻烦 谢谢 就 都 也 还 又 再 是 有 给 帮 帮我 亲
    老师 店家 老板 能 可以 可 要 会 得 地 把 被 跟 和 与 到 在 个 们 知道 告诉 有没有
    能不能 可不可以 会不会 是不是 现在 最近 没有
""")
"""Words a question is asked with rather than about; they do not count towards similarity."""

ASKING = {
    "怎么": _set("怎么 如何 怎样 咋 咋样 怎么样 怎么办 怎么弄 咋办 咋弄 怎么才能"),
    "什么": _set("什么 啥 哪些 什么样"),
    "什么时候": _set("什么时候 啥时候 何时 几时 多久 多长时间 几天"),
    "多少": _set("多少 几多 几"),
    "多少钱": _set("多少钱 几多钱 多钱 啥价 什么价 怎么卖 咋卖"),
    "哪里": _set("哪里 哪儿 哪 在哪 在哪里 在哪儿 何处"),
    "为什么": _set("为什么 为啥 为何 咋回事 怎么回事"),
}
"""Ways of asking, by the one that stands for them."""
