"""What operators do to pushes by hand, by command line or chat: start, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.pushes import cut_short
from bot.workspace import Workspace
from sop.errors import NotFound, SiyuError
from sop.problems import did_you_mean
from sop.pushes import Push
from storage import recipients, runs
from storage.runs import PUSH, RunRow
from storage.store import Tx

PAUSED = "群发暂停了，先收回，恢复以后再发"


def push_of(workspace: Workspace, name: str) -> Push:
    """The push of this name. Raises `NotFound`."""
    pushes = workspace.definitions.pushes
    found = next((push for push in pushes if push.id == name), None)
    if found is None:
        names = [push.id for push in pushes]
        hint = did_you_mean(name, names) or (
            f"有：{'、'.join(names)}" if names else "还没有写过群发"
        )
        raise NotFound(f"没有「{name}」这个群发。{hint}")
    return found


def start_now(tx: Tx, account: int, name: str, *, by: str, now: int) -> str:
    """Send the push now, whatever its time."""
    if runs.begun(tx.connection, account, PUSH, name):
        raise SiyuError(f"{name} 正在发。先等它发完，或者取消")
    runs.plan(tx, account, PUSH, name, planned_at=now, begun_by=by)
    return f"好的，{name} 马上开始发"


def pause(tx: Tx, account: int, name: str, *, by: str, now: int) -> str:
    """Let a push stand still: what is under way and what comes next."""
    moving = [run for run in _open(tx, account, name) if run.state != "paused"]
    for run in moving:
        if run.started_at is not None:
            recipients.withdraw(tx, run, PAUSED)
        runs.wait(tx, run, None, state="paused")
    if not moving:
        return f"{name} 没有在发，也没有排着下一次，或者本来就停着"
    return f"好的，{name} 停下了，没发的先不发，下一次也先不发"


def resume(tx: Tx, account: int, name: str, *, by: str, now: int) -> str:
    """Go on where it stood; a time that passed meanwhile follows `late`."""
    resting = [run for run in _open(tx, account, name) if run.state == "paused"]
    for run in resting:
        if run.started_at is None:
            runs.wait(tx, run, run.planned_at, state="planned")
        else:
            runs.wait(tx, run, now, state="running")
    return f"好的，{name} 接着发" if resting else f"{name} 本来就没有暂停"


def cancel(tx: Tx, account: int, name: str, *, by: str, now: int) -> str:
    """End what is under way; whoever had none gets none."""
    begun = runs.begun(tx.connection, account, PUSH, name)
    begun += [run for run in _open(tx, account, name) if run.by_hand and run.started_at is None]
    for run in begun:
        cut_short(tx, run, f"{by}取消了这次群发", now=now)
    if not begun:
        return f"{name} 现在没有在发。不想再发，就暂停它，或者从文件里删掉"
    still = any(
        run.state == "paused" for run in runs.plans(tx.connection, account) if run.name == name
    )
    rest = "。下一次还停着，恢复了才会发" if still else ""
    return f"好的，{name} 取消了，没轮到的不再发{rest}"


Act = Callable[..., str]
ACTS: dict[str, Act] = {"start": start_now, "pause": pause, "resume": resume, "cancel": cancel}


def _open(tx: Tx, account: int, name: str) -> Sequence[RunRow]:
    """Runs that are not over."""
    return [
        run
        for state in ("planned", "running", "paused")
        for run in runs.in_state(tx.connection, account, PUSH, state)
        if run.name == name
    ]
