"""The words: operator's Jinja2 templates in, message bodies out. The only home of jinja2."""

from bot.render.facts import SAMPLE_FACTS
from bot.render.templates import Templates

__all__ = ["SAMPLE_FACTS", "Templates"]
