"""Commands about what the bot knows: `ask`, `gaps`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bot.cli.chinese import Command
from bot.cli.common import (
    emit_json,
    json_option,
    now_ms,
    one_line,
    open_workspace,
    opened,
    short_time,
    show,
    workspace_option,
)
from bot.cli.table import columns, table
from bot.comparing import COMPARED, Compared, compare_once
from bot.gaps import Gap, gaps
from bot.live import make_embedder
from bot.prompting import sources_of
from bot.workspace import Workspace
from sop.answering import BOTH, SURE, Guess, likely, waits
from sop.errors import SiyuError
from sop.events import EventKind
from sop.rules import speaks
from sop.times import DAY
from sop.timing import local_day
from storage.questions import unanswered
from storage.story import iso


@click.command(cls=Command)
@click.argument("question", metavar="问题")
@workspace_option
@json_option
def ask(question: str, root: Path, as_json: bool) -> None:
    """试着问一句：知识里哪条最像，机器人会怎么答，为什么。"""
    if not question.strip():
        raise SiyuError("问题是空的。写上一句顾客会说的话，比如 siyu ask 拆开了还能退吗")
    workspace = open_workspace(root)
    compared = asyncio.run(compare_once(workspace, make_embedder, question))
    found = _look_up(workspace, question, compared, now_ms())
    if as_json:
        emit_json(found)
        return
    show(_screen(found))


def _look_up(workspace: Workspace, question: str, compared: Compared, now: int) -> dict[str, Any]:
    knowledge = workspace.knowledge
    today = local_day(now, workspace.settings.zone)
    ranking = knowledge.weigh(question, today=today, alike=compared.alike, how=compared.how)
    reading = knowledge.read(question)
    matched = {key.removeprefix("rule:") for key in workspace.matcher.match(question)}
    rules = [
        rule.id
        for rule in workspace.definitions.rules
        if rule.id in matched and rule.on is EventKind.MESSAGE and speaks(rule)
    ]
    best = None if reading.intent == "投诉" else ranking.best
    entry = knowledge.by_id[best.entry] if best else None
    said = sources_of(workspace, [entry], now=now) if entry else []
    return {
        "question": question,
        "intent": reading.intent,
        "mood": reading.mood,
        "words": list(reading.words),
        "rules": rules,
        "ranked": [
            {
                "entry": guess.entry,
                "question": knowledge.by_id[guess.entry].question,
                "score": round(guess.score, 3),
                "covered": round(guess.covered, 3),
            }
            for guess in ranking.guesses
        ],
        "how": ranking.how,
        "would": _would(workspace, reading.intent, ranking.guesses, is_sure=best is not None),
        "says": said[0].answer if said else "",
    }


def _would(workspace: Workspace, intent: str, guesses: Sequence[Guess], *, is_sure: bool) -> str:
    if not workspace.knowledge.entries:
        return "nothing"
    if is_sure:
        return "answer"
    if not waits(guesses, asks=intent != "闲聊"):
        return "silent"
    if intent != "投诉" and likely(guesses) and workspace.settings.answers.model is not None:
        return "model"
    return "hand_over"


_WOULD = {
    "nothing": "还没有知识：写几条 faq，或者在 knowledge/ 里放几页，机器人才有的答",
    "answer": "够像，而且比第二名像得多，照这条的原话答：",
    "silent": "听着是闲聊，不接话",
    "model": "拿不准，让模型看着上面几条来答；它答不了，或者说了上面没有的，就转给人",
    "hand_over": "拿不准，转给人：把上面几条给运营挑，先稳住顾客",
}


def _screen(found: dict[str, Any]) -> Iterator[str]:
    words = f"（{'、'.join(found['words'])}）" if found["words"] else ""
    mood = f"，情绪{found['mood']}" if found["mood"] else ""
    yield f"听着像{found['intent']}{words}{mood}"
    if found["rules"]:
        yield f"这些规则先看到了里面的词，轮不到知识来答：{'、'.join(found['rules'])}"
    if found["ranked"]:
        yield "最像的："
        rows = [(f"{one['covered']:.2f}", one["question"], one["entry"]) for one in found["ranked"]]
        yield from table([("对上几成", "问法", "哪一条"), *rows[:5]], width=columns())
        yield from _measured(found["ranked"], found["how"])
    if_asked = "要是轮到知识：" if found["rules"] else ""
    yield if_asked + _WOULD[found["would"]]
    yield from (f"  {line}" for line in found["says"].splitlines())


def _measured(ranked: Sequence[dict[str, Any]], how: str) -> Iterator[str]:
    """What decides, beside what the entries are ranked by."""
    ahead = ranked[0]["covered"] - (ranked[1]["covered"] if len(ranked) > 1 else 0.0)
    yield (
        f"第一条像 {ranked[0]['score']:.2f}（{SURE.score:.2f} 起才算像），"
        f"比第二条多对上 {ahead:.2f}（要多 {SURE.lead:.2f}）"
    )
    if how == COMPARED:
        yield f"{how}：只看词拿不准的，要多 {BOTH.lead:.2f}，而且只看词也排第一"
    elif how:
        yield how


@click.command("gaps", cls=Command)
@click.option(
    "--days",
    default=30,
    help="看最近多少天（默认 30）",
    metavar="天数",
    type=click.IntRange(1, 366),
)
@workspace_option
@json_option
def gaps_command(days: int, root: Path, as_json: bool) -> None:
    """大家问了、知识里却答不上的：像的并在一起，该补哪条一看就知道。"""
    with opened(root) as (workspace, store), store.read() as connection:
        asked = unanswered(connection, since=now_ms() - days * DAY)
        found = [_gap(gap, workspace) for gap in gaps(asked, workspace.knowledge)]
    if as_json:
        emit_json(found)
    elif not found:
        show([f"最近 {days} 天，没有答不上的问题。"])
    else:
        show(table([_HEADING, *map(_row, found)], width=columns()))
        show(["补一条 faq，或者把问法加进像的那条的 also 里，下次就答得上了。"])


_HEADING = ("几个人", "几次", "怎么问的", "上一次", "最像的那条")


def _gap(gap: Gap, workspace: Workspace) -> dict[str, Any]:
    near = gap.nearest
    return {
        "people": gap.people,
        "times": len(gap.asked),
        "questions": list(dict.fromkeys(one.text for one in gap.asked))[:5],
        "last": iso(gap.asked[0].at, workspace.settings.zone),
        "nearest": near[0] if near else None,
        "score": near[1] if near else None,
        "sent_by_operators": gap.chosen or None,
    }


def _row(gap: dict[str, Any]) -> tuple[str, ...]:
    nearest = f"{gap['nearest']}（{gap['score']:.2f}）" if gap["nearest"] else "没有像的"
    if gap["sent_by_operators"]:
        nearest = f"{gap['sent_by_operators']}（运营替它选的）"
    return (
        str(gap["people"]),
        str(gap["times"]),
        one_line(" / ".join(gap["questions"][:2]), 40),
        short_time(gap["last"]),
        nearest,
    )


COMMANDS = (ask, gaps_command)
