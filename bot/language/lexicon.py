"""Small closed lists of Chinese that jieba's dictionary lacks, kept as data.

Function words and fixed phrases of chat, not of any trade: an operator's own words go into
`words` of the workspace.
"""

from typing import NamedTuple


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

SMALL_TALK = _set("""
    吃 吃了 吃饭 睡 睡了 忙 忙吗 早 早安 早上好 上午好 中午好 下午好 晚上好 晚安 好 好的 好久不见
    哈哈 哈哈哈 嘻嘻 嗨 hi hello 在 在不在 有人 人 拜拜 再见 周末愉快 不 没
""")
"""Words of greetings and of nothing in particular: 吃了吗 asks nothing."""

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


class Calls(NamedTuple):
    """Words and regular expressions by which a message is known for what it is after."""

    any: tuple[str, ...]
    regex: tuple[str, ...] = ()


def _calls(words: str, *regex: str) -> Calls:
    return Calls(tuple(words.split()), regex)


CALLS = {
    "投诉": _calls(
        """
        投诉 举报 差评 骗子 骗人 骗钱 坑人 坑我 假货 假的吧 消协 消费者协会 工商局 12315
        退一赔三 曝光你们 气死我了 太失望 很失望 太差了 太过分 没人管 没人理 没人处理 不给解决
        态度太差 态度差 烂透了 垃圾店
        """,
        "(什么|啥|这)(破|烂|垃圾)(店|东西|服务|玩意)",
        "(再|还)不(解决|处理|退|回复|发货).{0,8}(投诉|举报|差评|报警|曝光)",
    ),
    "意向": _calls(
        """
        想买 要买 我要买 下单 怎么买 在哪买 拍下 付款 怎么付 多少钱 价格 报价 贵不贵 来一包
        来两包 要一包 要两包 有现货吗 还有货吗 有货吗 包邮吗 有优惠吗 有活动吗 链接发我 发个链接
        想订 预订 想要一个
        """,
        "(给我|帮我)?(来|拿|留)[一两二三四五六七八九十0-9]+(包|箱|件|个|盒|份|瓶|套)",
    ),
    "咨询": _calls(
        """
        请问 问下 问一下 想问 咨询 区别 没收到 少发 漏发 发错 坏了 破了 打不开 用不了 少了
        """,
        "怎么|怎样|如何|咋|什么|啥|哪|谁|贵姓|多少|多久|多[大重长高远厚]|几[天点号时次个岁]|能不能"
        "|可不可以|行不行|有没有|是不是|会不会|要不要|用不用|好不好|为何",
        r"[?？]\s*$",
        "吗|[嘛么呢][?？。!！~～呀啊]*$",
        "(能|可以|会|有|是|要|行|好|给|包|送|退|换|卖|发).{0,6}不(能|可以|会|是|要|行|好|给|包|送|退|换|卖|发)",
        r"(能|可以|会|有|是|要|行|好|支持|需要)[^,，。!！?？\n]{0,12}(不|没|没有|么|吗|嘛)[?？呀啊]*$",
    ),
    "差": _calls(
        """
        生气 气死 烦死 烦人 无语 失望 恶心 垃圾 骗子 坑人 差劲 太差 讨厌 受不了 火大 郁闷 难过
        崩溃 后悔 什么态度 过分 离谱 倒霉 再也不
        """,
        "[!！]{3,}|[?？]{3,}",
    ),
    "好": _calls(
        """
        谢谢 感谢 多谢 太好了 真好 很好用 好用 喜欢 开心 高兴 满意 点赞 棒 厉害 爱了 赞 辛苦了
        惊喜 放心 贴心
        """
    ),
}
"""What a message is after (投诉, 意向, 咨询; the rest is 闲聊) and in what mood (差, 好)."""
