"""Moments: published by channels that can, else handed to operators; recorded either way."""

from __future__ import annotations

from datetime import datetime

from bot.happening import Me
from bot.notices import tell_operators
from bot.workspace import Workspace
from sop.conditions import many
from sop.errors import RenderError
from sop.messages import Moment, Text
from sop.moments import compose, to_copy
from sop.pushes import MomentPlan
from sop.times import DAY, HOUR, MINUTE, SECOND
from storage import runs
from storage.apply import Changes, Message, apply
from storage.outbox import settle_by_hand
from storage.posts import people_with, state_of
from storage.runs import MOMENT, RunRow
from storage.store import Tx

SOURCE = "moment:"
_OPEN = ("queued", "sending")
DONE_WORD = "/已发"


class Publisher:
    """Carries out the Moments of one version of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._moments = {moment.id: moment for moment in workspace.definitions.moments}

    def start(self, tx: Tx, me: Me, run: RunRow, *, now: int, expires_at: int) -> None:
        """Put the Moment into the outbox; what cannot be made ends the run with its reason."""
        plan = self._moments[run.name]
        moment = self._made(tx, me, run, plan, now)
        if isinstance(moment, str):
            self._fail(tx, me, run, plan, moment, now)
            return
        definition = plan.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        runs.start(
            tx, run, state="publishing", definition=definition, expires_at=expires_at,
            due_at=now + SECOND, now=now,
        )  # fmt: skip
        runs.carried(tx, run, self._enqueue(tx, me, run, plan, moment, expires_at, now))

    def move(self, tx: Tx, me: Me, run: RunRow, *, now: int) -> None:
        """See what became of a Moment that is on its way, or in somebody's hands."""
        state, body, reason = state_of(tx, run.outbox_id)
        try:
            plan = MomentPlan.model_validate(run.definition)
        except ValueError:  # written by another version: nothing may stall for it
            runs.end(tx, run, "failed", reason="开始时的写法读不懂了", now=now)
            return
        match state:
            case _ if run.state == "handed":
                self._unconfirmed(tx, run, now)
            case "sent":
                runs.end(tx, run, "done", reason="机器人发的", now=now)
            case "queued" | "sending":
                wait = min(max(now - (run.started_at or now), SECOND), 10 * MINUTE)
                runs.wait(tx, run, now + wait, state="publishing")
            case "failed" if body is not None:
                self._hand_over(tx, me, run, plan, body, reason, now)
            case "unknown" if run.state == "publishing":
                self._ask(tx, me, run, plan, now)
            case "unknown":
                self._unconfirmed(tx, run, now)
            case _:
                runs.end(tx, run, "skipped", reason=reason or "没有发", now=now)

    # --- making -------------------------------------------------------------------------------

    def _made(self, tx: Tx, me: Me, run: RunRow, plan: MomentPlan, now: int) -> Moment | str:
        wall = datetime.fromtimestamp(now / 1000, self._settings.zone)
        moment = composed(self._workspace, plan.say, seed=run.planned_at // DAY, wall=wall)
        if isinstance(moment, str) or plan.visible_to is None:
            return moment
        seen_by = people_with(tx, me.id, many(plan.visible_to), now=now)
        if not seen_by:
            # An empty list would show it to everybody.
            return f"没有人带「{'、'.join(many(plan.visible_to))}」这个标签，发出来谁都看不到"
        return moment.model_copy(update={"visible_to": tuple(seen_by)})

    def _enqueue(
        self,
        tx: Tx,
        me: Me,
        run: RunRow,
        plan: MomentPlan,
        moment: Moment,
        expires_at: int,
        now: int,
    ) -> int:
        message = Message(
            bodies=(moment,),
            conversation_id=me.id,
            in_group=False,
            purpose="notice",
            source=f"{SOURCE}{plan.id}",
            because=f"朋友圈 {plan.label}（{plan.pillar}）",
            expires_at=expires_at,
        )
        changes = Changes()
        changes.add(message, run.id)
        apply(tx, me.id, changes, now=now)
        return runs.message_of(tx, run)

    # --- when it does not go by itself --------------------------------------------------------

    def _hand_over(
        self, tx: Tx, me: Me, run: RunRow, plan: MomentPlan, body: Moment, why: str, now: int
    ) -> None:
        """Give the operators everything ready to post."""
        whom = f"，只给「{'、'.join(many(plan.visible_to))}」看" if plan.visible_to else ""
        head = (
            f"请发一条朋友圈：{plan.label}（{plan.pillar}）{whom}。"
            f"下面是现成的，发好了回我 {DONE_WORD}"
        )
        told = tell_operators(
            tx, me, self._settings, (Text(text=head), *to_copy(body)),
            source=f"{SOURCE}{plan.id}", because=f"朋友圈 {plan.label}要人来发：{why}", now=now,
        )  # fmt: skip
        if told:
            runs.wait(tx, run, now + DAY, state="handed")
        else:
            reason = f"{why}；siyu.yaml 里也没有写 operators，没有人可以代发"
            runs.end(tx, run, "failed", reason=reason, now=now)

    def _ask(self, tx: Tx, me: Me, run: RunRow, plan: MomentPlan, now: int) -> None:
        text = (
            f"朋友圈「{plan.label}」不知道发出去没有，请到手机上看一眼。"
            f"发出去了，或者你补发好了，回我 {DONE_WORD}"
        )
        tell_operators(
            tx, me, self._settings, (Text(text=text),), source=f"{SOURCE}{plan.id}",
            because="网关没有说清楚", now=now,
        )  # fmt: skip
        runs.wait(tx, run, now + HOUR, state="unknown")

    def _unconfirmed(self, tx: Tx, run: RunRow, now: int) -> None:
        if now - (run.started_at or now) >= DAY:
            runs.end(tx, run, "unconfirmed", reason="一天里没有人回 /已发", now=now)
        else:
            runs.wait(tx, run, now + HOUR)

    def _fail(self, tx: Tx, me: Me, run: RunRow, plan: MomentPlan, why: str, now: int) -> None:
        runs.end(tx, run, "failed", reason=why, now=now)
        text = f"朋友圈「{plan.label}」没有发：{why}"
        tell_operators(
            tx, me, self._settings, (Text(text=text),), source=f"{SOURCE}{plan.id}",
            because=why, now=now,
        )  # fmt: skip


def composed(workspace: Workspace, name: str, *, seed: int, wall: datetime) -> Moment | str:
    """The Moment a template makes at a time on the wall, or why it makes none.

    `seed` is the day: `pick` varies from day to day, and a preview shows what will be posted.
    """
    facts = {"community": workspace.settings.community, "now": wall, "seed": seed}
    try:
        return compose(workspace.templates.render(name, tags=(), facts=facts))
    except RenderError as error:
        return str(error)


def confirm(tx: Tx, account: int, name: str, *, by: str, now: int) -> str:
    """An operator has posted a Moment; returns what to answer."""
    waiting = [
        run
        for state in ("handed", "unknown")
        for run in runs.in_state(tx.connection, account, MOMENT, state)
        if name in ("", run.name)
    ]
    if not waiting:
        which = f"没有叫「{name}」的朋友圈" if name else "没有朋友圈"
        return f"{which}在等你发"
    names = list(dict.fromkeys(run.name for run in waiting))
    if len(names) > 1:
        return (
            f"有 {len(names)} 条在等：{'、'.join(names)}。说一下是哪条，比如 {DONE_WORD} {names[0]}"
        )
    for run in waiting:
        if run.state == "unknown" and run.outbox_id is not None:
            settle_by_hand(tx, run.outbox_id, "sent", now=now)
        runs.end(tx, run, "done", reason=f"运营 {by} 发的", now=now)
    return f"好的，「{names[0]}」记为已发"
