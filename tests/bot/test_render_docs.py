"""The page for operators says what is so: its examples load, and nothing is left unsaid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.render import Templates
from bot.render.facts import NAMES
from bot.render.filters import FILTERS, TESTS
from bot.render.front import KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```jinja\n(.*?)```", PAGE, re.DOTALL)
INLINE = [text.replace("\\|", "|") for text in re.findall(r"`([^`]*{{[^`]*)`", PAGE)]
VARIABLES = {"店铺地址": "米糕巷", "单价": 19.9}


@pytest.mark.parametrize("text", EXAMPLES)
def test_its_examples_load(text: str) -> None:
    media = ["media/welcome.png", "media/coupon.png"]
    templates = Templates({"a.j2": text}, variables=VARIABLES, media=media)
    assert templates.problems == ()


@pytest.mark.parametrize("text", [text for text in INLINE if "…" not in text])
def test_its_short_examples_load(text: str) -> None:
    assert Templates({}, variables=VARIABLES).inline_problem(text) is None


@pytest.mark.parametrize("word", [*NAMES, *FILTERS, *KEYS, *(f"is {test}" for test in TESTS)])
def test_it_names_everything_an_operator_may_write(word: str) -> None:
    assert f"`{word}`" in PAGE
