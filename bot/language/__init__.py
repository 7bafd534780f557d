"""What a message says: normalised text, keywords on words, regexes, similar questions, adverts.

The only package that knows jieba, OpenCC, Aho-Corasick, RE2 and pypinyin; nothing of theirs leaves
it.
"""

from bot.language.advert import advert_signs
from bot.language.forbidden import Forbidden
from bot.language.matcher import Matcher, Pattern
from bot.language.normal import normalise
from bot.language.regex import regex_problem
from bot.language.similar import Questions, Ranked

__all__ = [
    "Forbidden",
    "Matcher",
    "Pattern",
    "Questions",
    "Ranked",
    "advert_signs",
    "normalise",
    "regex_problem",
]
