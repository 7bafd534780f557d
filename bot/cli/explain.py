"""`siyu explain`: one contact's story, and why something did not happen to them."""

from __future__ import annotations

from pathlib import Path

import click

from bot.by_hand import no_such_sop
from bot.cli.chinese import Command
from bot.cli.common import (
    emit_json,
    json_option,
    name_argument,
    now_ms,
    opened,
    seek,
    show,
    workspace_option,
)
from bot.tale import tale
from sop.definitions import Definitions
from sop.errors import NotFound, SiyuError
from sop.sequences import Sop
from storage.telling import explain as story_of
from storage.told_pushes import why_no_push
from storage.walked import walks_of
from storage.whynot import Asked, why_not, why_not_rule


@click.command(cls=Command)
@name_argument
@workspace_option
@json_option
@click.option("--sop", "sop_id", metavar="SOP", help="只看跟这个 SOP 有关的")
@click.option("--why-not", "step", metavar="步骤", help="只答这一步（规则、群发）为什么没有做")
def explain(name: str, root: Path, as_json: bool, sop_id: str | None, step: str | None) -> None:
    """从头讲一个人（或群）的故事：发生了什么，发了什么，什么没发，各是为什么。"""
    with opened(root) as (workspace, store), store.read() as connection:
        who = seek(connection, name)
        asked = Asked(connection, who, workspace.settings.zone, now_ms())
        if sop_id is not None:
            _sop(asked, workspace.definitions, sop_id)
        if step is not None:
            answer = _answer(asked, workspace.definitions, sop_id, step)
            if as_json:
                emit_json({"who": who.id, "step": step, "answer": answer})
            else:
                show([who.label, *answer])
            return
        rows = story_of(connection, who, zone=asked.zone, now=asked.now, sop=sop_id)
    if as_json:
        emit_json(rows)
    else:
        show([who.label, *tale(rows)])


def _answer(asked: Asked, definitions: Definitions, sop_id: str | None, step: str) -> list[str]:
    if sop_id is not None:
        found = _sop(asked, definitions, sop_id)
        return why_not(asked, _with_step(asked, found, step), step)
    rule = next((rule for rule in definitions.rules if rule.id == step), None)
    choices = _sops_with(asked, definitions, step)
    if rule is None and not choices and any(push.id == step for push in definitions.pushes):
        return [f"群发 {step}：{why_no_push(asked.connection, asked.who.id, step)}"]
    if rule is not None and not choices:
        return why_not_rule(asked, rule)
    if len(choices) > 1:
        names = "、".join(choices)
        raise SiyuError(f"好几个 SOP 里都有 {step}（{names}），用 --sop 说明是哪一个。")
    if not choices:
        raise NotFound(
            f"没有「{step}」这一步，也没有叫这个的规则或群发。用 siyu sop show SOP 看看步骤。"
        )
    return why_not(asked, next(iter(choices.values())), step)


def _sops_with(asked: Asked, definitions: Definitions, step: str) -> dict[str, Sop]:
    """The SOPs that have the step: of those, the ones that the person walked, if any."""
    current = {one.id: one for one in definitions.sops if one.step(step) is not None}
    walked = {walk.version.id: walk.version for walk in walks_of(asked.connection, asked.who.id)}
    gone_through = {
        id_: current.get(id_, version)
        for id_, version in walked.items()
        if id_ in current or version.step(step) is not None
    }
    return gone_through or current


def _sop(asked: Asked, definitions: Definitions, sop_id: str) -> Sop:
    """The SOP as the files have it, or as the person walked it when they have it no longer."""
    walks = walks_of(asked.connection, asked.who.id)
    known = {walk.version.id: walk.version for walk in walks}
    known |= {one.id: one for one in definitions.sops}
    if sop_id not in known:
        raise no_such_sop(sop_id, list(known))
    return known[sop_id]


def _with_step(asked: Asked, sop: Sop, step: str) -> Sop:
    walks = walks_of(asked.connection, asked.who.id)
    versions = [sop, *(walk.version for walk in walks if walk.version.id == sop.id)]
    if all(version.step(step) is None for version in versions):
        names = "、".join(one.id for one in sop.steps)
        raise NotFound(f"{sop.id} 里没有「{step}」这一步。有：{names}")
    return sop


COMMANDS = (explain,)
