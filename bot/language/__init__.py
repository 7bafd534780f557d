"""What a message says: normalised text, keywords on words, regexes, similar questions.

The only package that knows jieba, OpenCC, Aho-Corasick and RE2; nothing of theirs leaves it.
"""

from bot.language.matcher import Matcher, Pattern
from bot.language.normal import normalise
from bot.language.regex import regex_problem

__all__ = ["Matcher", "Pattern", "normalise", "regex_problem"]
