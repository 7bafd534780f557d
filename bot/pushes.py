"""Pushes under way: everybody is asked whether they are meant, then a few at a time get theirs.

Only a few messages of a push wait in the outbox at once; the courier's pace draws the next. So a
push to a hundred thousand can be paused or cancelled in the middle, speaks to people as they are
when their turn comes, and never stands between a person and an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.happening import Happening, Me
from bot.wording import Wording
from bot.workspace import Workspace
from sop.decisions import Decision, Speak
from sop.events import Event, EventKind
from sop.pinned import Pinned, pin, unpin
from sop.sending import opening
from sop.times import HOUR, MINUTE, SECOND, show_duration
from storage import recipients, runs
from storage.apply import apply
from storage.events import other_accounts
from storage.runs import PUSH, RunRow
from storage.store import Tx

WINDOW = 1_000  # contacts asked in one turn
FEED = 100  # messages of a push that are due at once
MOST = 2_000  # messages of a push in the outbox, with those that wait for tomorrow
LONGEST = 30 * MINUTE  # between looks at a push under way
SOURCE = "push:"


class Pusher:
    """Carries out the pushes of one version of a workspace."""

    def __init__(self, workspace: Workspace, wording: Wording) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._wording = wording
        self._pushes = {push.id: push for push in workspace.definitions.pushes}
        self._pinned: dict[int, Pinned] = {}

    def start(self, tx: Tx, me: Me, run: RunRow, *, now: int) -> None:
        """Begin a run with what the files say now; what is left of the one before ends."""
        push = self._pushes[run.name]
        for before in runs.begun(tx.connection, me.id, PUSH, run.name):
            cut_short(tx, before, "下一次已经开始，没轮到的不再发", now=now)
        definition = pin(push, self._workspace.definitions)
        expires_at = now + push.within
        runs.start(
            tx, run, state="running", definition=definition, expires_at=expires_at, due_at=now,
            now=now,
        )  # fmt: skip

    def move(self, tx: Tx, me: Me, run: RunRow, *, now: int) -> None:
        """One bounded piece of a run: ask a window of people, or feed the outbox."""
        if run.name not in self._pushes:
            cut_short(tx, run, "从文件里删掉了，没轮到的不再发", now=now)
            return
        try:
            pinned = self._pin(run)
        except ValueError:  # written by another version: nothing may stall for it
            cut_short(tx, run, "开始时的写法读不懂了，没轮到的不再发", now=now)
            return
        if not run.gathered:
            ours = [*other_accounts(tx), *self._settings.operators]
            recipients.gather(tx, run, pinned.target, ours=ours, window=WINDOW, now=now)
        elif run.expires_at is not None and now >= run.expires_at:
            span = show_duration(pinned.push.within)
            cut_short(tx, run, f"到了 within 的 {span}，没轮到的不再发", now=now, state="done")
        else:
            self._feed(tx, me, run, pinned, now)

    def _feed(self, tx: Tx, me: Me, run: RunRow, pinned: Pinned, now: int) -> None:
        recipients.settle(tx, run)
        found = recipients.open_messages(tx, run, now=now)
        opens = opening(
            now, window=pinned.push.window, quiet=self._settings.hours.quiet,
            zone=self._settings.zone,
        )  # fmt: skip
        if opens is None:
            never = "发送时段全在免打扰里，没有能发的时候，没轮到的不再发"
            cut_short(tx, run, never, now=now)
            return
        room = min(FEED - found.due, MOST - found.all) if opens == now else 0
        waiting = recipients.next_waiting(tx, run, limit=max(room, 1))
        if not waiting and not found.all:
            runs.end(tx, run, "done", now=now)
            return
        until = self._later(found.due, found.first, now)
        if waiting and room > FEED // 2:
            self._hand_over(tx, me, run, pinned, waiting, now)
            until = now + SECOND
        elif waiting and opens > now:
            until = opens
        elif not waiting:  # only its end is still to be seen: the longer it takes, the rarer
            until = max(until, now + min(now - (run.started_at or now), LONGEST))
        runs.wait(tx, run, min(until, run.expires_at or until))

    def _later(self, due: int, first: int | None, now: int) -> int:
        """When half of what is due will have left, if nothing holds it."""
        account = self._settings.limits.account
        pace = max(account.gap.low, HOUR // account.per_hour)
        wait = min(max(due * pace // 2, SECOND), LONGEST)
        return max(now + wait, first or 0)

    def _hand_over(
        self, tx: Tx, me: Me, run: RunRow, pinned: Pinned, subjects: Sequence[int], now: int
    ) -> None:
        meant = recipients.still_meant(tx, run, pinned.target, subjects, now=now)
        gone = "机器人已经不在这个群里" if pinned.target.groups else "轮到的时候已经不是好友"
        out = [(one, gone) for one in subjects if one not in meant]
        out += [
            (one, f"轮到的时候已经不在{pinned.aim}里") for one, holds in meant.items() if not holds
        ]
        told = [one for one in subjects if meant.get(one)]
        decided = [(self._speak(run, pinned, one), _turn(run, pinned, one, now)) for one in told]
        apply(tx, me.id, self._wording.changes(tx, me.id, decided, now=now), now=now)
        silent = recipients.hand_over(tx, run, told, now=now)
        out += [(one, "话术对这个人是空的，或者渲染不出来") for one in silent]
        recipients.withhold(tx, run, out, now=now)

    def _speak(self, run: RunRow, pinned: Pinned, subject: int) -> Decision:
        push = pinned.push
        began = f"，{run.begun_by}" if run.begun_by else ""
        return Speak(
            say=push.say,
            conversation_id=subject,
            in_group=pinned.target.groups,
            purpose="touch",
            source=f"{SOURCE}{push.id}",
            because=f"群发 {push.label}{began}",
            expires_at=run.expires_at,
            priority=push.priority,
            window=push.window,
        )

    def _pin(self, run: RunRow) -> Pinned:
        if run.id not in self._pinned:
            if len(self._pinned) > 100:
                self._pinned.clear()
            self._pinned[run.id] = unpin(run.definition)
        return self._pinned[run.id]


def cut_short(tx: Tx, run: RunRow, reason: str, *, now: int, state: str = "cancelled") -> None:
    """End a run before everybody had theirs.

    Who still waits in a run that is over gets nothing, for its reason: their rows stay as they
    are, since they may be a hundred thousand.
    """
    recipients.withdraw(tx, run, reason)
    recipients.settle(tx, run)
    runs.end(tx, run, state, reason=reason, now=now)


def _turn(run: RunRow, pinned: Pinned, subject: int, now: int) -> Happening:
    """Somebody's turn as something the wording can speak about; its id is the run's."""
    return Happening(
        event=Event(kind=EventKind.PUSH, at=now, external_id=""),
        id=run.id,
        contact_id=None if pinned.target.groups else subject,
        group_id=subject if pinned.target.groups else None,
    )
