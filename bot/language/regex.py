"""The operators' regular expressions: linear in the text, whatever they and the contacts write."""

from collections.abc import Sequence
from functools import cache

import re2  # type: ignore[import-untyped]

from bot.language.normal import normalise

_LONGEST = 500

# Normalised text has ASCII punctuation, so a full-width mark in a regex means that mark, literally.
_WIDE = {
    code: char if (char := chr(code - 0xFEE0)).isalnum() else f"\\{char}"
    for code in range(0xFF01, 0xFF5F)
}

_PROBLEMS = (
    ("invalid perl operator", "不支持环视等扩展写法（如 (?=…)、(?<!…)），请改用 none 排除"),
    ("invalid escape sequence", "有不认识的转义（反向引用 \\1 也不支持）"),
    ("missing )", "少了右括号 )"),
    ("unexpected )", "多了右括号 )"),
    ("missing ]", "少了右方括号 ]"),
    ("invalid character class range", "方括号里的范围写反了"),
    ("no argument for repetition", "* + ? 前面没有可重复的内容"),
    ("bad repetition operator", "重复符号连用了（如 **、++）"),
    ("invalid repetition size", "重复次数太大，最多 1000"),
    ("trailing \\", "末尾多了一个反斜杠"),
    ("pattern too large", "展开后太大，请写得简单些"),
)


@cache
def _options() -> "re2.Options":
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return options


def _adapted(pattern: str) -> str:
    """The regex, in the spelling of the normalised text it will be run on."""
    narrow = pattern.translate(_WIDE)
    return "".join(normalise(char) if char > "\u2e7f" else char for char in narrow)


def regex_problem(pattern: str) -> str | None:
    """Say in Chinese why an operator's regex cannot be used; None when it can."""
    if not pattern.strip():
        return "正则是空的"
    if len(pattern) > _LONGEST:
        return f"正则太长：{len(pattern)} 个字符，最多 {_LONGEST}"
    try:
        compiled = re2.compile(_adapted(pattern), _options())
    except re2.error as error:
        said = str(error)
        hint = next((text for mark, text in _PROBLEMS if mark in said), "写法不对")
        return f"正则“{pattern}”{hint}"
    if compiled.search(""):
        return f"正则“{pattern}”连空消息都能匹配，等于对每条消息都触发"
    return None


class Regexes:
    """All regexes in one pass: RE2 seeks literals first and runs only those that can match."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._filter = re2.Filter()
        for pattern in patterns:
            if problem := regex_problem(pattern):
                raise ValueError(problem)
            self._filter.Add(_adapted(pattern), _options())
        self._filter.Compile()
        self._single = [re2.compile(_adapted(pattern), _options()) for pattern in patterns]

    def find(self, text: str) -> dict[int, str]:
        """The positions of the regexes that match, each with the piece of text it found."""
        hits = sorted(self._filter.Match(text) or ())
        return {index: self._single[index].search(text).group() for index in hits}
