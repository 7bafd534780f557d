"""A database that cannot be written: nothing leaves unrecorded, nothing that came is lost.

At the instant of every send a second connection looks whether the message stands as `sending` in
the file. Time is virtual; the faults are SQLite's own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bot.channels.port import Address, Status, StatusKind
from bot.channels.simulator import SimulatorChannel
from sop.events import EventKind, Person
from sop.messages import Body, summary
from storage import outbox
from storage.sql import fetch, run_rows
from storage.store import Store, Tx
from storage.trouble import DatabaseTrouble
from tests.support import DAY, HOUR, MINUTE, SECOND, Perform, Play, on_stage, workspace

ECHO = "rules:\n  - {id: echo, on: message, match: {regex: '^说'}, do: [{say: echo}]}\n"
TEMPLATES = {"echo": "{{ text }}"}
PEOPLE = 20
LONG = "长" * 900  # so that a file that may not grow is full soon
Fault = Callable[[Play, Path], Iterator[None]]


def pragma(play: Play, words: str) -> Any:
    return play.write(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA {words}").scalar())


@contextmanager
def locked(play: Play, path: Path) -> Iterator[None]:
    """Another program writes and does not end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def full(play: Play, path: Path) -> Iterator[None]:
    """The disk has no room for another page."""
    pragma(play, f"max_page_count = {pragma(play, 'page_count')}")
    yield
    connection = play.stage.store._connection  # a transaction could not even begin
    assert connection is not None
    connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    connection.rollback()


@contextmanager
def read_only(play: Play, path: Path) -> Iterator[None]:
    """The file may not be written any more."""
    connection = play.stage.store._connection
    assert connection is not None
    connection.exec_driver_sql("PRAGMA query_only = ON")
    connection.rollback()
    yield
    connection.exec_driver_sql("PRAGMA query_only = OFF")
    connection.rollback()


@contextmanager
def moved(play: Play, path: Path) -> Iterator[None]:
    """Somebody moves the file away, as for a backup, and puts it back."""
    away = path.with_suffix(".away")
    path.rename(away)
    yield
    away.rename(path)


@contextmanager
def replaced(play: Play, path: Path) -> Iterator[None]:
    """A backup is copied over the file by way of another name."""
    away = path.with_suffix(".away")
    path.rename(away)
    shutil.copy(away, path)
    yield
    away.replace(path)


FAULTS = [
    (locked, "正被别的程序占着"),
    (full, "磁盘满了"),
    (read_only, "只读"),
    (moved, "移走、删掉或换掉"),
    (replaced, "移走、删掉或换掉"),
]


class Judge:
    """Looks into the file at the instant of every send."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.sends, self.unrecorded = 0, 0
        send = SimulatorChannel.send

        async def watched(channel: SimulatorChannel, to: Address, body: Body) -> str | None:
            self.sends += 1
            self.unrecorded += not _recorded(path, to, body)
            return await send(channel, to, body)

        monkeypatch.setattr(SimulatorChannel, "send", watched)


def _recorded(path: Path, to: Address, body: Body) -> bool:
    if path.with_suffix(".away").exists():
        return False  # whoever looks for the file will not find the message
    with closing(sqlite3.connect(path, timeout=0)) as other:
        rows = other.execute(
            "SELECT outbox.text FROM outbox JOIN contact ON contact.id = conversation_id"
            " WHERE contact.external_id = ? AND state = 'sending'",
            (to.external_id,),
        ).fetchall()
    return summary(body) in [row[0] for row in rows]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Judge:
    return Judge(monkeypatch, tmp_path / "siyu.db")


@pytest.fixture
async def play(rehearse: Perform, judge: Judge) -> AsyncIterator[Play]:
    play = await rehearse(ECHO, templates=TEMPLATES)
    for n in range(PEOPLE):
        play.world.add_person(f"p{n}", f"人{n}", friend=True)
    await play.hear("p0", "说开始")
    pragma(play, "busy_timeout = 0")
    yield play


def told(play: Play) -> list[str]:
    """What the operator hears of the database; call before anything goes wrong."""
    heard: list[str] = []

    def hear(trouble: DatabaseTrouble | None) -> None:
        heard.append(str(trouble or "恢复"))

    play.stage.bot._on_trouble = hear
    return heard


@pytest.mark.parametrize(
    ("fault", "words"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
async def test_nothing_leaves_unrecorded_and_all_is_answered_afterwards(
    play: Play, judge: Judge, tmp_path: Path, fault: Any, words: str
) -> None:
    heard = told(play)
    before = judge.sends
    with fault(play, tmp_path / "siyu.db"):
        for n in range(5 * PEOPLE):
            await play.channel.say(f"p{n % PEOPLE}", f"说{n}{LONG}")
            await play.stage.bot.turn()
            await play.stage.bot.deliveries.landed()
        while_broken = judge.sends - before
        again = await play.stage.bot.turn()
        assert again == play.now + SECOND
        play.stage.clock.set(play.now + 3 * MINUTE)
        for _ in range(10):
            await play.stage.bot.turn()
        assert judge.sends - before == while_broken, "it went on sending"
    assert judge.unrecorded == 0
    assert len(heard) == 1 and words in heard[0], heard
    assert play.stage.bot.waiting
    await play.settle()
    assert heard[1:] == ["恢复"]
    said = Counter(play.texts)
    assert said == Counter({"说开始": 1, **{f"说{n}{LONG}": 1 for n in range(5 * PEOPLE)}})
    assert set(play.states()) == {"sent"}
    assert judge.unrecorded == 0


@pytest.mark.parametrize(
    ("fault", "words"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
async def test_what_was_under_way_when_it_broke_is_recorded_afterwards_and_not_repeated(
    play: Play, judge: Judge, tmp_path: Path, fault: Any, words: str
) -> None:
    for n in range(PEOPLE):
        await play.channel.say(f"p{n}", f"说{n}")
    await play.stage.bot.turn()
    await asyncio.sleep(0)  # they leave
    assert judge.sends == 1 + PEOPLE
    with fault(play, tmp_path / "siyu.db"):
        await play.stage.bot.deliveries.landed()
        for n in range(PEOPLE):
            await play.channel.say(f"p{n}", f"说再{n}{LONG}")
        for _ in range(5):
            await play.stage.bot.turn()
            await play.stage.bot.deliveries.landed()
    await play.settle()
    assert set(Counter(play.texts).values()) == {1}
    assert len(play.texts) == 1 + 2 * PEOPLE
    assert set(play.states()) == {"sent"}
    assert judge.unrecorded == 0


@contextmanager
def answers_lost(play: Play) -> Iterator[None]:
    """Every commit comes through, but nobody hears of it: the connection breaks too early."""
    store = play.stage.store
    with pytest.MonkeyPatch.context() as patch:
        write = store._write

        def deaf(work: Callable[[Tx], Any]) -> None:
            write(work)
            store._ids.reset()
            raise DatabaseTrouble

        patch.setattr(store, "_write", deaf)
        yield


async def test_what_a_commit_promised_whose_answer_was_lost_is_done_afterwards(
    perform: Perform,
) -> None:
    play = await perform(ECHO, templates=TEMPLATES)
    play.world.add_person("p1", "小雨", friend=True)
    play.world.add_person("p2", "阿杰", friend=True)
    await play.hear("p1", "说开始")
    for n, who in enumerate(("p1", "p2", "p1")):
        await play.channel.say(who, f"说{n}")
    with answers_lost(play):
        for _ in range(3):
            await play.stage.bot.turn()
    assert "sending" in play.states()
    assert play.texts == ["说开始"]
    await play.settle()
    assert sorted(play.texts) == ["说0", "说1", "说2", "说开始"]
    assert set(play.states()) == {"sent"}
    assert {row[0] for row in play.rows("SELECT attempts FROM outbox")} == {1}


async def test_a_log_that_is_cut_off_under_the_bot_stops_it(
    play: Play, judge: Judge, tmp_path: Path
) -> None:
    heard = told(play)
    os.truncate(tmp_path / "siyu.db-wal", 0)
    before = judge.sends
    await play.channel.say("p1", "说一")
    for _ in range(3):
        await play.stage.bot.turn()
        await play.stage.bot.deliveries.landed()
    assert judge.sends == before
    assert len(heard) == 1 and "删掉或截短" in heard[0]


class PowerCut:
    """What would be on the disk if the power went now: the files as they were last flushed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path, self.safe = path, path.with_name("safe.db")
        self.cuts, self.forgotten = 0, 0
        sync, send = os.fsync, SimulatorChannel.send

        def flush(file: int) -> None:
            sync(file)
            if os.path.samestat(os.fstat(file), Path(f"{path}-wal").stat()):
                for end in ("", "-wal"):
                    shutil.copy(f"{path}{end}", f"{self.safe}{end}")

        async def cut(channel: SimulatorChannel, to: Address, body: Body) -> str | None:
            self.cuts += 1
            self.forgotten += not _recorded(self.safe, to, body)
            return await send(channel, to, body)

        monkeypatch.setattr(os, "fsync", flush)
        monkeypatch.setattr(SimulatorChannel, "send", cut)


async def test_a_power_cut_forgets_no_message_that_left(
    rehearse: Perform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    power = PowerCut(monkeypatch, tmp_path / "siyu.db")
    play = await rehearse(ECHO, templates=TEMPLATES)
    for n in range(20):
        await play.hear(("amy", "bob")[n % 2], f"说{n}")
    assert power.cuts == 20
    assert power.forgotten == 0


async def test_a_disk_that_does_not_flush_stops_the_sending(
    rehearse: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = await rehearse(ECHO, templates=TEMPLATES)
    await play.hear("amy", "说一")

    def refuse(_file: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        heard = told(play)
        await play.tell(EventKind.MESSAGE, who="amy", text="说二", external_id="")
        for _ in range(3):
            await play.stage.bot.turn()
        assert play.texts == ["说一"]
    assert len(heard) == 1 and "磁盘没有写下" in heard[0]
    await play.settle()
    assert play.texts == ["说一", "说二"]


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
async def test_a_file_system_without_logs_or_flushed_folders_is_no_trouble(
    rehearse: Perform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str
) -> None:
    monkeypatch.setattr("storage.store._PRAGMAS", (f"PRAGMA journal_mode = {mode}",))
    sync = os.fsync

    def flush(file: int) -> None:
        if os.path.samestat(os.fstat(file), tmp_path.stat()):
            raise OSError(22, "Invalid argument")
        sync(file)

    monkeypatch.setattr(os, "fsync", flush)
    play = await rehearse(ECHO, templates=TEMPLATES)
    await play.hear("amy", "说一")
    assert (tmp_path / "siyu.db-wal").exists() is (mode == "WAL")
    assert play.texts == ["说一"]


async def test_what_a_dead_process_left_is_not_taken_for_ours(
    rehearse: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = await rehearse(ECHO, templates=TEMPLATES)
    await play.hear("amy", "说一")
    bot, me = play.stage.bot, play.stage.bot.me
    assert me is not None
    with monkeypatch.context() as patch:  # the next process, which does not know its account yet
        patch.setattr(bot, "me", None)
        bot.online = False
        play.write(
            lambda tx: run_rows(
                tx.connection,
                "UPDATE outbox SET state = ?, sent_at = NULL, external_id = NULL",
                [("sending",)],
            )
        )
        strand = outbox.strand
        answers: list[Any] = [DatabaseTrouble]

        def stumble(tx: Tx, account: int) -> int:
            if answers:
                raise answers.pop()
            return strand(tx, account)

        patch.setattr(outbox, "strand", stumble)
        account = Person(external_id=me.external_id, name="小满")
        await bot.status(Status(kind=StatusKind.LOGIN, account=account, at=play.now))
        await play.settle()
        await play.stage.wait(MINUTE)
        assert play.texts == ["说一"]
        assert play.states() == ["unknown"]


def test_a_lazy_postgres_flushes_what_must_last(postgres_url: str) -> None:
    store = Store(postgres_url)

    def setting(tx: Tx) -> str:
        tx.must_last = True
        return str(fetch(tx.connection, "SHOW synchronous_commit")[0][0])

    seen: list[str] = []
    watch = event.listens_for(store._engine, "commit")
    watch(lambda c: seen.append(str(c.exec_driver_sql("SHOW synchronous_commit").scalar())))
    assert store.write(setting) == "off"
    store.write(lambda _tx: None)
    store.close()
    assert seen == ["on", "off"]


def _crash(folder: Path, left: float) -> Path:
    """The files as a killed process leaves them, with only this part of the log."""
    crashed = folder / "crashed.db"
    shutil.copy(folder / "siyu.db", crashed)
    log = Path(f"{crashed}-wal")
    shutil.copy(folder / "siyu.db-wal", log)
    os.truncate(log, int(log.stat().st_size * left))
    return crashed


@pytest.mark.parametrize("left", [0.0, 0.1, 0.37, 0.5, 0.93])
async def test_a_log_cut_off_while_nothing_runs_gives_an_earlier_but_whole_state(
    rehearse: Perform, tmp_path: Path, left: float
) -> None:
    play = await rehearse(ECHO, templates=TEMPLATES)
    for n in range(30):
        await play.hear("amy", f"说{n}{LONG}")
    crashed = _crash(tmp_path, left)
    space = workspace(tmp_path / "again", ECHO, templates=TEMPLATES)
    async with on_stage(space, f"sqlite:///{crashed}") as later:
        assert later.one("PRAGMA integrity_check") == "ok"
        texts = later.events("message")
        assert texts == [f"说{n}{LONG}" for n in range(len(texts))]  # an earlier moment, no hole
        assert set(later.states()) <= {"sent", "unknown"}
        await later.tell(EventKind.MESSAGE, who="amy", text="说完了", external_id="new")
        assert later.texts == ["说完了"]


# --- clocks --------------------------------------------------------------------------------------

TIMED = (
    ECHO
    + """sops:
  - id: walk
    enter: {on: friend_added}
    steps:
      - {id: one, after: 1h, do: [{say: a}]}
      - {id: two, after: 1h, do: [{say: b}]}
      - {id: three, day: 2, at: "11:00", do: [{say: c}]}
"""
)


@pytest.mark.parametrize("jump", [5 * HOUR, -DAY, -5 * HOUR, 40 * DAY])
async def test_a_clock_that_jumps_repeats_and_loses_nothing(perform: Perform, jump: int) -> None:
    play = await perform(TIMED, templates=TEMPLATES)
    await play.befriend("eve")
    await play.stage.wait(HOUR + MINUTE)
    assert play.texts == ["A"]
    play.stage.clock.set(play.now + jump)
    assert "说在" in await play.hear("amy", "说在")  # whichever way it went, people are answered
    await play.stage.wait(abs(jump) + 4 * DAY)
    steps = play.rows("SELECT step, outcome FROM steprun ORDER BY at, step")
    assert len(steps) == len(set(steps)) == 3, steps
    assert set(Counter(play.texts).values()) == {1}
    assert play.one("SELECT COUNT(*) FROM enrollment WHERE state = 'active'") == 0


async def test_a_clock_set_back_does_not_silence_the_gaps_or_budgets(perform: Perform) -> None:
    settings = "limits: {account: {gap: 6s-20s, reply_gap: 1s-3s, per_hour: 60, per_day: 400}}"
    play = await perform(ECHO, templates=TEMPLATES, settings=settings)
    for n in range(5):
        await play.hear("amy", f"说{n}")
        await play.stage.wait(MINUTE)
    play.stage.clock.set(play.now - DAY)
    for n in range(5, 10):
        await play.hear("amy", f"说{n}")
        await play.stage.wait(MINUTE)
    assert play.texts == [f"说{n}" for n in range(10)]


def test_a_store_finds_its_file_again_only_where_it_was(tmp_path: Path) -> None:
    store = Store("sqlite:///siyu.db", root=tmp_path)
    store.write(lambda tx: tx.new_id())
    (tmp_path / "siyu.db").unlink()
    with pytest.raises(DatabaseTrouble, match="移走"):
        store.write(lambda tx: tx.new_id())
    assert not (tmp_path / "siyu.db").exists()  # no empty one in its place
    store.close()
