"""A conversation as it can be read on a terminal: who said what, what it led to, what was held."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from bot.channels.simulator import Delivery
from bot.plain import day_line, reason_alone, source_name, visible
from bot.stage import Stage
from sop.messages import Accept, summary
from storage import story
from storage.words import STATES

Print = Callable[[str], None]
_INDENT = " " * 7


class Transcript:
    """Writes down what happens on a stage. Nothing is written that did not happen.

    With `dates`, a line says when a new day begins.
    """

    def __init__(self, stage: Stage, *, zone: ZoneInfo, out: Print, dates: bool = False) -> None:
        self.answers = 0  # what was said so far, or told why it was not; tags do not count
        self._stage = stage
        self._zone = zone
        self._out = out
        self._day = self._now().date() if dates else None
        self._seen = 0
        self._unsettled: dict[int, tuple[str, str, str, str]] = {}
        stage.channel.on_delivery = self._delivered

    def skip_to_now(self) -> None:
        """Leave out what was recorded before."""
        with self._stage.store.read() as connection:
            rows = story.since(connection, 0)
            self._seen = max((int(row["id"]) for row in rows), default=0)
            self._unsettled = story.unsettled(connection, now=self._stage.clock.now())

    def line(self, text: str, **style: Any) -> None:
        """A line, whoever's words are in it."""
        self._write(click.style(visible(text), **style) if style else visible(text))

    def title(self, text: str) -> None:
        """A heading."""
        self.line("")
        self.line(f"━━ {text} ━━", bold=True)

    def note(self, text: str) -> None:
        """The narrator."""
        self.line(f"{_INDENT}{text}", dim=True, italic=True)

    def said(self, who: str, text: str, *, where: str = "") -> None:
        """A person spoke or did something."""
        place = f"［{visible(where)}］" if where else ""
        name = click.style(visible(who), fg="cyan")
        self._write(f"{self._moment()}  {place}{name}：{visible(text)}")

    def results(self) -> None:
        """What the last moments led to: tags, silences with their reasons, trouble with sending."""
        with self._stage.store.read() as connection:
            rows = story.since(connection, self._seen)
            now = story.unsettled(connection, now=self._stage.clock.now())
        for row in rows:
            self._seen = max(self._seen, int(row["id"]))
            self._result(row)
        for id_, (state, name, text, reason) in now.items():
            if reason and self._unsettled.get(id_) != (state, name, text, reason):
                short = " ".join(text.split())[:24]
                self._aside("✉", f"给{name}的「{short}」{STATES[state]}：{reason}", "yellow")
        self._unsettled = now

    def _result(self, row: dict[str, Any]) -> None:
        name, what, because = row["name"], row["what"], row["because"]
        match row["outcome"]:
            case "tag_added":
                self.answers -= 1
                self._aside("＋", f"{name} 有了标签「{what}」（{source_name(because)}）", "green")
            case "tag_removed":
                self.answers -= 1
                self._aside("－", f"{name} 去掉标签「{what}」（{source_name(because)}）", "green")
            case "withheld":
                self._aside(
                    "…", f"{name}：{what} 没有执行，{reason_alone(what, because)}", "yellow"
                )
            case "skipped":
                pass  # an earlier rule's `stop`: just what the operator wrote
            case "failed":
                self._aside("！", f"{name}：{what}，{reason_alone(what, because)}", "red")
            case _:
                self._aside("‖", f"{name}：{because}", "yellow")

    def _delivered(self, delivery: Delivery) -> None:
        if isinstance(delivery.body, Accept):
            return
        world, to = self._stage.world, delivery.to
        if to.group:
            name = world.rooms[to.external_id].topic
        else:
            person = world.people[to.external_id]
            name = person.alias or person.name
        mentions = getattr(delivery.body, "mentions", ())
        called = "".join(f"@{world.people[m].name} " for m in mentions if m in world.people)
        me = click.style(visible(world.self_name), fg="magenta")
        text = summary(delivery.body).replace("\n", f"\n{_INDENT}  ")
        self._write(f"{self._moment()}  {me} → {visible(f'{name}：{called}{text}')}")

    def _aside(self, mark: str, text: str, color: str) -> None:
        self.line(f"{_INDENT}{mark} {text}", fg=color)

    def _write(self, text: str) -> None:
        today = self._now().date()
        if self._day not in (None, today):
            self._out(day_line(today))
            self._day = today
        self.answers += 1
        self._out(text)

    def _moment(self) -> str:
        return self._now().strftime("%H:%M")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._stage.clock.now() / 1000, self._zone)
