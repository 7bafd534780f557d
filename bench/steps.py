"""SOP steps a second: a million people under way, 100,000 of them due at once.

Siyu's own walk (claim, facts, decision, the words, rows, commit) on SQLite and on PostgreSQL, where
one and two processes walk one account each. Beside it, on the same schema and in the same run: one
APScheduler job a step, as is usually built, and raw sqlite3 writing the rows that Siyu writes.

`SIYU_BENCH_PEOPLE` and `SIYU_BENCH_DUE` for other sizes; PostgreSQL where SIYU_TEST_POSTGRES says.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import perf_counter, time_ns
from typing import Any

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlmodel import Session, select

from bench import Row
from bot.channels.simulator import SELF_ID, SimulatorChannel, World
from bot.clock import Alarm, SystemClock, VirtualClock
from bot.garbage import rarely_collected
from bot.happening import Me
from bot.heart import ROUNDS, Heart
from bot.process import Bot
from bot.runner import Runner
from bot.workspace import Workspace, read_workspace
from sop.times import DAY, HOUR
from storage.due import next_due
from storage.ids import add_to_counter
from storage.people import account_id
from storage.sql import fetch, insert_rows, run_rows
from storage.store import Store, Tx
from storage.tables import Contact, Enrollment, Outbox, StepRun

PEOPLE = int(os.environ.get("SIYU_BENCH_PEOPLE", "1000000"))
DUE = int(os.environ.get("SIYU_BENCH_DUE", "100000"))
POSTGRES = os.environ.get("SIYU_TEST_POSTGRES", "")
NAIVE = 1_000  # jobs the peer gets through; its pace does not depend on how many
NAIVE_WAITING = 100_000  # jobs in its store; more would only make it slower
NOW = 1_800_000_000_000 // DAY * DAY + 4 * HOUR  # noon in Shanghai
WHOLE = min(DUE, 10_000)  # messages that go the whole way
INBOUND = 1_000  # messages a second that come in meanwhile
CHUNK = 50_000
BATCH = 500
TIMES = 3  # turns each contender gets, one after the other
PATIENCE = 900.0  # seconds
FILES = {
    "siyu.yaml": "community: 小满家\nlimits: {account: {gap: 0s, reply_gap: 0s,"
    " per_hour: 1000000, per_day: 1000000}}\n",
    "sop.yaml": """
sops:
  - id: week
    title: 一周
    enter: {on: friend_added}
    steps:
      - {id: one, after: 1d, do: [{say: hello}]}
      - {id: two, after: 2d, do: [{say: hello}]}
      - {id: three, after: 3d, do: [{say: hello}]}
""",
    "templates/hello.j2": "{{ name }}，今天也要记得喝水哦",
}


def main() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="siyu-bench-") as folder:
        root = Path(folder)
        workspace = _workspace(root / "shop")
        rows += _on_sqlite(root, workspace)
        rows += _alarms()
        if POSTGRES:
            rows += _on_postgres(root / "shop", workspace)
        else:
            print("SIYU_TEST_POSTGRES is not set: no PostgreSQL", file=sys.stderr)
    return rows


def _on_sqlite(root: Path, workspace: Workspace) -> list[Row]:
    filled, used = root / "filled.db", root / "used.db"
    _fill(f"sqlite:///{filled}", workspace, accounts=1)
    rates: dict[str, list[float]] = {"siyu": [], "raw": [], "naive": []}
    walked: list[Walked] = []
    for _ in range(TIMES):
        walked += _walks(f"sqlite:///{_copy(filled, used)}", root / "shop", 1)
        rates["siyu"].append(walked[-1].steps / walked[-1].seconds)
        rates["raw"].append(_raw(_copy(filled, used)))
        rates["naive"].append(_naive(_copy(filled, used), root))
    siyu, raw, naive = (statistics.median(rates[name]) for name in ("siyu", "raw", "naive"))
    whole = _sent(f"sqlite:///{_copy(filled, used)}", workspace)
    used.unlink()
    what = f"{DUE:,} of {PEOPLE:,} due, SQLite"
    return [
        (what, f"{siyu:,.0f} steps/s", f"{siyu / naive:.1f} x naive, {siyu / raw:.2f} x raw"),
        ("the same, raw sqlite3", f"{raw:,.0f} steps/s", f"{raw / naive:.1f} x naive"),
        ("the same, a job a step", f"{naive:,.0f} steps/s", f"{NAIVE_WAITING:,} in its store"),
        ("rendered, sent, recorded", f"{whole:,.0f} steps/s",
         f"{whole / naive:.1f} x naive, beside {INBOUND:,} messages/s coming in"),
        ("a turn with nothing due", f"{statistics.median(w.idle for w in walked):,.0f} µs", ""),
        ("memory of the process", f"{max(w.memory for w in walked):,.0f} MB", "at its highest"),
    ]  # fmt: skip


def _copy(filled: Path, used: Path) -> Path:
    for path in used.parent.glob(f"{used.name}*"):
        path.unlink()
    return Path(shutil.copy(filled, used))


def _on_postgres(root: Path, workspace: Workspace) -> list[Row]:
    rows: list[Row] = []
    for accounts in (1, 2):
        with _database() as url:
            _fill(url, workspace, accounts=accounts)
            found = _walks(url, root, accounts)
            rate = sum(w.steps for w in found) / max(w.seconds for w in found)
            who = "one process" if accounts == 1 else f"{accounts} processes, an account each"
            rows.append((f"{DUE:,} of {PEOPLE:,} due, PostgreSQL", f"{rate:,.0f} steps/s", who))
    return rows


@contextmanager
def _database() -> Iterator[str]:
    """A database of PostgreSQL that is dropped afterwards."""
    name = f"siyu_bench_{uuid.uuid4().hex[:8]}"
    server = create_engine(make_url(POSTGRES), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        url = make_url(POSTGRES).set(database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        server.dispose()


def _alarms() -> list[Row]:
    """How late the one alarm wakes."""

    async def ring() -> list[float]:
        clock = SystemClock()
        alarm = Alarm(clock)
        late = []
        for _ in range(200):
            at = clock.now() + 15
            while clock.now() < at:
                await alarm.wait(at)
            late.append(time_ns() / 1e6 - at)
        alarm.close()
        return sorted(late)

    late = asyncio.run(ring())
    middle, worst = statistics.median(late), late[int(len(late) * 0.99)]
    return [("late after an alarm", f"{middle:.1f} ms", f"99 % within {worst:.1f} ms")]


# --- what is walked --------------------------------------------------------------------------


def _workspace(root: Path) -> Workspace:
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return read_workspace(root, env={})


def _fill(url: str, workspace: Workspace, *, accounts: int) -> None:
    """People of one or more accounts, in an order that is not that of their steps."""
    version = Heart(workspace).sops.current["week"]
    store = Store(url)
    dice = random.Random(5)  # noqa: S311 - a fixed seed for comparable runs
    mine = [store.write(lambda tx, n=n: _account(tx, n)) for n in range(accounts)]
    share = DUE / PEOPLE
    for start in range(0, PEOPLE, CHUNK):
        contacts, walks = [], []
        for n in range(start, min(start + CHUNK, PEOPLE)):
            contact, walk, account = 10 + 2 * n, 11 + 2 * n, mine[n % accounts]
            due = NOW - dice.randrange(HOUR) if dice.random() < share else NOW + dice.randrange(DAY)
            contacts.append((contact, account, f"wxid_{n}", f"街坊{n}", "", True, NOW, "引入期", 0))
            walks.append(
                (walk, account, "week", version.digest, contact, False, "active", "one", "step",
                 0, NOW - DAY, NOW - DAY, due, due, "", "", "")
            )  # fmt: skip
        store.write(lambda tx, c=contacts, w=walks: _insert(tx, c, w))
    store.close()
    if not url.startswith("sqlite"):
        _settle(url)


def _settle(url: str) -> None:
    """Leave the tables as autovacuum does, which had no time for them."""
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    server.dispose()


def _account(tx: Tx, n: int) -> int:
    add_to_counter(tx.connection, "id", 100 + 2 * PEOPLE, start=1)  # the ids given here are taken
    me = SELF_ID if n == 0 else f"me{n}"
    return account_id(tx, channel="simulator", external_id=me, name="小满", now=NOW - 90 * DAY)


def _insert(tx: Tx, contacts: list[tuple[Any, ...]], walks: list[tuple[Any, ...]]) -> None:
    insert_rows(
        tx.connection, Contact,
        ("id", "account_id", "external_id", "name", "alias", "friend", "friend_at", "stage",
         "first_seen_at"), contacts,
    )  # fmt: skip
    insert_rows(
        tx.connection, Enrollment,
        ("id", "account_id", "sop", "digest", "subject_id", "in_group", "state", "step", "phase",
         "priority", "entered_at", "since", "planned_at", "due_at", "waiting", "because", "reason"),
        walks,
    )  # fmt: skip


# --- Siyu ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Walked:
    """What one process did: steps, seconds, µs of a turn with nothing due, and its memory, MB."""

    steps: int
    seconds: float
    idle: float
    memory: float


def _walk(url: str, root: Path, account: int, start: Any, results: Any) -> None:
    """A process that walks one account until nothing is due."""
    workspace = read_workspace(root, env={})
    store, heart = Store(url), Heart(workspace)
    ids = store.write(lambda tx: [r[0] for r in fetch(tx.connection, "SELECT id FROM account")])
    me = Me(sorted(ids)[account], "me")
    due = "SELECT COUNT(*) FROM enrollment WHERE account_id = ? AND due_at <= ?"
    steps = store.write(lambda tx: fetch(tx.connection, due, me.id, NOW)[0][0])
    start.wait()
    began = perf_counter()
    with rarely_collected():
        while (store.write(lambda tx: next_due(tx, me.id)) or NOW + 1) <= NOW:
            store.write(lambda tx: heart.walk(tx, me, now=NOW))
    seconds = perf_counter() - began
    runner = Runner()
    idle = []
    for _ in range(200):
        began = perf_counter()
        store.write(lambda tx: runner.tick(tx, me, heart, now=NOW))
        idle.append((perf_counter() - began) * 1e6)
    store.close()
    status = Path("/proc/self/status").read_text("utf-8")  # getrusage begins with the parent's
    memory = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    results.put(Walked(steps, seconds, statistics.median(idle), memory))


def _walks(url: str, root: Path, accounts: int) -> list[Walked]:
    """One process an account, all at once."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(accounts), context.Queue()
    walkers = [
        context.Process(target=_walk, args=(url, root, n, start, results)) for n in range(accounts)
    ]
    for walker in walkers:
        walker.start()
    found = [results.get(timeout=PATIENCE) for _ in walkers]
    for walker in walkers:
        walker.join()
    return found


# --- the peers -------------------------------------------------------------------------------


def _raw(path: Path) -> float:
    """Steps a second of bare sqlite3 that writes the same rows, as many in a transaction."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -65536",
                   "wal_autocheckpoint = 10000"):  # fmt: skip
        db.execute(f"PRAGMA {pragma}")
    began, done, new = perf_counter(), 0, 1_000_000_000
    while True:
        db.execute("BEGIN IMMEDIATE")
        moved = 0
        for _ in range(ROUNDS):
            rows = db.execute(
                "SELECT e.id, e.subject_id, c.name FROM enrollment e JOIN contact c"
                " ON c.id = e.subject_id WHERE e.state = 'active' AND e.due_at <= ?"
                " ORDER BY e.due_at LIMIT ?", (NOW, BATCH),
            ).fetchall()  # fmt: skip
            moved += len(rows)
            _write_raw(db, rows, new)
            new += 2 * len(rows)
        db.execute("COMMIT")
        done += moved
        if not moved:
            break
    rate = done / (perf_counter() - began)
    db.close()
    return rate


def _write_raw(db: sqlite3.Connection, rows: list[tuple[int, int, str]], new: int) -> None:
    due = NOW + 2 * DAY
    db.executemany(
        "UPDATE enrollment SET step = ?, phase = ?, since = ?, planned_at = ?, due_at = ?,"
        " deadline = ?, waiting = ? WHERE id = ?",
        [("two", "step", NOW, due, due, None, "", id_) for id_, _, _ in rows],
    )
    db.executemany(
        "INSERT INTO steprun (id, enrollment_id, step, outcome, because, at) VALUES (?,?,?,?,?,?)",
        [(new + 2 * n, id_, "one", "done", "到时间了", NOW) for n, (id_, _, _) in enumerate(rows)],
    )
    db.executemany(
        "INSERT INTO outbox (id, bundle_id, part, account_id, conversation_id, in_group, source,"
        " purpose, priority, kind, text, because, created_at, due_at, expires_at, state, reason,"
        " attempts, hours) VALUES (?,?,0,1,?,0,?,'touch',0,'text',?,?,?,?,?,'queued','',0,'')",
        [
            (new + 2 * n + 1, new + 2 * n + 1, contact, "sop:week/one",
             f"{name}，今天也要记得喝水哦", "SOP 一周 的步骤 one：到时间了", NOW, NOW, NOW + DAY)
            for n, (_, contact, name) in enumerate(rows)
        ],
    )  # fmt: skip


_engine: Any = None  # of the peer's jobs: APScheduler finds their function by its name
_left = threading.Semaphore(0)


def naive_step(enrollment: int) -> None:
    """A step as it is usually written: a job, objects, a commit, and the next job."""
    with Session(_engine) as session:
        walk = session.exec(select(Enrollment).where(Enrollment.id == enrollment)).one()
        person = session.exec(select(Contact).where(Contact.id == walk.subject_id)).one()
        walk.step, walk.due_at = "two", NOW + 2 * DAY
        new = 2_000_000_000 + 2 * enrollment
        session.add(StepRun(id=new, enrollment_id=enrollment, step="one", outcome="done", at=NOW))
        session.add(
            Outbox(
                id=new + 1,
                bundle_id=new + 1,
                account_id=1,
                conversation_id=walk.subject_id,
                text=f"{person.name}，今天也要记得喝水哦",
                created_at=NOW,
                due_at=NOW,
            )
        )
        session.add(walk)
        session.commit()
    _left.release()


def _naive(path: Path, folder: Path) -> float:
    """Steps a second with one APScheduler job a step, in a store on WAL."""
    global _engine
    _engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 60})
    with _engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT id FROM enrollment WHERE due_at <= ? LIMIT ?", (NOW, NAIVE)
        )
        ids = [row[0] for row in rows]
    (folder / "jobs.db").unlink(missing_ok=True)
    jobs = create_engine(f"sqlite:///{folder / 'jobs.db'}", connect_args={"timeout": 60})
    with jobs.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    store = SQLAlchemyJobStore(engine=jobs)
    scheduler = BackgroundScheduler(jobstores={"default": store}, timezone=UTC)
    scheduler.start(paused=True)
    soon, later = datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)
    job = scheduler.add_job(naive_step, "date", run_date=later, args=[0], misfire_grace_time=None)
    state = job.__getstate__()
    trigger = DateTrigger(soon, UTC)
    with jobs.begin() as connection:
        connection.execute(
            store.jobs_t.insert(),
            [
                _job(state, f"w{n}", later, args=(0,)) for n in range(NAIVE_WAITING)
            ] + [_job({**state, "trigger": trigger}, str(id_), soon, args=(id_,)) for id_ in ids],
        )  # fmt: skip
    began = perf_counter()
    scheduler.resume()
    for _ in ids:
        if not _left.acquire(timeout=PATIENCE):
            raise TimeoutError("the peer lost jobs")
    rate = len(ids) / (perf_counter() - began)
    scheduler.shutdown(wait=True)
    return rate


def _job(state: dict[str, Any], id_: str, at: datetime, *, args: tuple[int]) -> dict[str, Any]:
    whole = {**state, "id": id_, "args": args, "next_run_time": at}
    stored = pickle.dumps(whole, pickle.HIGHEST_PROTOCOL)
    return {"id": id_, "next_run_time": at.timestamp(), "job_state": stored}


# --- the whole way ---------------------------------------------------------------------------


def _sent(url: str, workspace: Workspace) -> float:
    """Steps a second of which each message is rendered, sent and recorded, beside 1,000 messages
    a second that come in."""
    store = Store(url)
    ask = (
        "SELECT c.external_id, c.name FROM enrollment e JOIN contact c ON c.id = e.subject_id"
        " WHERE e.due_at <= ?"
    )
    people = store.write(lambda tx: fetch(tx.connection, ask, NOW))
    whole = min(WHOLE, len(people))
    store.write(
        lambda tx: run_rows(
            tx.connection,
            "UPDATE enrollment SET due_at = due_at + ? WHERE due_at <= ? AND subject_id NOT IN"
            " (SELECT subject_id FROM enrollment WHERE due_at <= ? LIMIT ?)",
            [(DAY, NOW, NOW, whole)],
        )
    )
    clock = VirtualClock(NOW - 2 * HOUR)  # logged in before anything is due
    world = World(now=clock.now, self_name="小满")
    world.echoes = False
    for external_id, name in people:
        world.add_person(external_id, name, friend=True)
    channel = SimulatorChannel(world)
    bot = Bot(workspace=workspace, store=store, channel=channel, clock=clock)

    async def play() -> float:
        await bot.start()
        await channel.open(bot)
        while not bot.online or bot.waiting:
            await bot.turn()
        clock.set(NOW)
        began = perf_counter()
        crowd = asyncio.create_task(chatter(began))
        while len(world.deliveries) < whole:
            await bot.turn()
            await bot.deliveries.landed()
            await asyncio.sleep(0)
        rate = whole / (perf_counter() - began)
        crowd.cancel()
        return rate

    async def chatter(began: float) -> None:
        for heard in count():
            while heard >= (perf_counter() - began) * INBOUND:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            await channel.say(people[heard % len(people)][0], f"在吗 {heard}")

    with rarely_collected():
        rate = asyncio.run(play())
    store.close()
    return rate
