"""Two months of a community with everything in use: every reported number is counted again."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from bot.rehearsal.run import Plan, rehearse_workspace
from bot.workspace import Workspace
from sop.sending import day_start
from storage.boards import Asked, board
from storage.health import ledger
from storage.health_report import by_kind, days
from storage.house import groups_of, members_of
from storage.scorebook import invitations, standing
from storage.store import Store
from tests.bot.rehearsal.community import community
from tests.bot.rehearsal.recount import DAY, HOUR, NUMBERS, RISK, ZONE, Books, day, ordinal

pytestmark = pytest.mark.slow
DAYS = 60
CROWD = 500  # from here on people act every twenty minutes, and one account is not enough
PEOPLE = int(os.environ.get("SIYU_COMMUNITY", "60"))  # 2000 is the size that docs speak of
PLAN = Plan(sops=(), contacts=PEOPLE, days=DAYS, seed=4, start=date(2026, 5, 25))
START = datetime(2026, 5, 25, tzinfo=ZONE)
GRAIN = 0 if PEOPLE <= CROWD else 20 * 60_000
BEGIN = int(START.timestamp() * 1000)
END = int((START + timedelta(days=DAYS)).timestamp() * 1000)
ADVERTS = (
    "加我微信 abc12345 低价代购，量大从优",
    "刷单日结兼职，联系电话 13800138000",
    "招代理加盟",
)


@dataclass
class Played:
    """What was reported, and the books to hold it against."""

    space: Workspace
    found: dict[str, Any]
    books: Books
    store: Store

    def group(self, topic: str) -> int:
        """A group's id."""
        (row,) = self.books.rows("SELECT id FROM room WHERE name = ?", topic)
        return int(row[0])


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The rehearsal, once."""
    root = tmp_path_factory.mktemp("community")
    space = community(root)
    found = asyncio.run(rehearse_workspace(space, PLAN, progress=lambda _done: None, keep=root))
    books = Books(root / "scratch.db")
    store = Store("sqlite:///scratch.db", root=root)
    yield Played(space, found, books, store)
    store.close()
    books.close()


def test_everything_was_in_use(played: Played) -> None:
    tables = ("enrollment", "steprun", "recipient", "run", "invitation", "guardact", "ledger",
              "checkin", "brought", "rewarded", "coretalk", "hold", "accounthold")  # fmt: skip
    empty = [t for t in tables if not played.books.rows(f"SELECT 1 FROM {t} LIMIT 1")]  # noqa: S608
    assert not empty
    assert {row["sop"] for row in played.found["funnel"] if row["entered"]} >= {
        "new-friend", "group-days", "group-week", "camp", "first-order", "win-back", "birthday",
    }  # fmt: skip
    kinds = {row[0] for row in played.books.rows("SELECT kind FROM room")}
    assert kinds == {"线索", "转化", "服务"}
    assert {"invite", "remove", "moment"} <= {box["kind"] for box in played.books.boxes}


def test_the_calendar(played: Played) -> None:
    again = played.books.per_day(START, DAYS)
    assert played.found["per_day"] == again
    assert all(sum(one[name] for one in again) > 0 for name in NUMBERS)


def test_the_funnel(played: Played) -> None:
    for row in played.found["funnel"]:
        again = played.books.funnel(row["sop"])
        assert {key: row[key] for key in again} == again
        for step in row["steps"]:
            once = played.books.step(row["sop"], step["step"])
            assert {key: step[key] for key in once} == once


def test_what_was_withheld(played: Played) -> None:
    found = {
        row["reason"]: {k: v for k, v in row.items() if k not in ("reason", "label", "examples")}
        for row in played.found["withheld"]
    }
    assert found == played.books.withheld(END)


def test_the_collisions(played: Played) -> None:
    found = {}
    for row in played.found["collisions"]:
        pair, won = frozenset((row["first"], row["second"])), {}
        for name, wins in ((row["first"], "first_won"), (row["second"], "second_won")):
            won[name] = row[wins]
        numbers = {**won, "both_sent": row["both_sent"], "neither": row["neither"]}
        assert sum(numbers.values()) == row["days"]
        found[pair] = {k: n for k, n in numbers.items() if n} | {"people": row["people"]}
    assert found
    assert found == played.books.collisions()


def test_the_numbers_of_warnings(played: Played) -> None:
    found = {row["kind"]: row for row in played.found["warnings"]}
    assert played.books.night() == found.get("night", {"messages": 0})["messages"]
    people, most = played.books.often()
    often = found.get("often", {"people": 0, "most": most})
    assert (people, most) == (often["people"], often["most"])
    budget = found["account_budget"]
    numbers = (budget["messages"], budget["dropped"], budget["days"])
    assert numbers == played.books.short_of_budget(END)


def test_the_pushes(played: Played) -> None:
    runs = played.books.rows(
        "SELECT * FROM run WHERE kind = 'push' AND state <> 'planned' ORDER BY planned_at, id"
    )
    again = [
        {"push": run["name"], **played.books.push(run, groups=run["name"] == "weekly-news")}
        for run in runs
    ]
    found = sorted(played.found["pushes"], key=lambda row: row["planned_at"])
    assert [{key: row[key] for key in once} for row, once in zip(found, again, strict=True)] == (
        again
    )
    assert all(
        row["meant"] == row["sent"] + row["withheld_all"] + row["on_its_way"] + row["waiting"]
        + row["unknown"] + row["failed"]
        for row in found
    )  # fmt: skip
    for name in ("replied_24h", "replied_72h", "tags", "left_7d", "withheld"):
        assert any(row[name] for row in found)


def test_a_push_means_the_friends_of_its_minute(played: Played) -> None:
    """Who is one by then, and did not ask to be left alone, from the event log alone."""
    changes = {"friend_added": True, "friend_removed": False}
    for run in played.books.rows("SELECT * FROM run WHERE name = 'fortnight' AND started_at > 0"):
        met = {e["contact_id"] for e in played.books.events if e["kind"] == "friend_added"}
        everybody = played.books.rows("SELECT id FROM contact")
        friends = {row["id"] for row in everybody} - met
        quiet: set[int] = set()
        for event in played.books.events:
            who = event["contact_id"]
            if event["at"] > run["started_at"] or who is None:
                continue
            if event["kind"] in changes:
                friends = friends | {who} if changes[event["kind"]] else friends - {who}
            if event["text"] == "免打扰" and event["kind"].startswith("tag_"):
                quiet = quiet | {who} if event["kind"] == "tag_added" else quiet - {who}
        meant = played.books.rows("SELECT subject_id FROM recipient WHERE run_id = ?", run["id"])
        assert {row["subject_id"] for row in meant} == friends - quiet


def test_the_moments(played: Played) -> None:
    week = {
        0: ("monday-life", "12:20"),
        1: ("tuesday-tip", "12:30"),
        2: ("wednesday-view", "20:30"),
        3: ("thursday-word", "12:30"),
        4: ("friday-life", "20:50"),
        5: ("saturday-offer", "10:10"),
    }
    dates = [START + timedelta(days=n) for n in range(DAYS)]
    meant = [
        (week[d.weekday()][0], f"{d.date().isoformat()}T{week[d.weekday()][1]}")
        for d in dates
        if d.weekday() in week
    ]
    assert [(row["moment"], row["at"][:16]) for row in played.found["moments"]] == meant
    states = {row["state"] for row in played.found["moments"]}
    assert "done" in states <= ({"done"} if PEOPLE < CROWD else {"done", "skipped"})
    sent = [b for b in played.books.boxes if b["kind"] == "moment" and b["state"] == "sent"]
    done = [row["moment"] for row in played.found["moments"] if row["state"] == "done"]
    assert [b["source"] for b in sent] == [f"moment:{name}" for name in done]


# --- points, check-ins, who brought whom ----------------------------------------------------------


def test_points_are_the_sum_of_their_ledger(played: Played) -> None:
    entries: dict[int, list[Any]] = defaultdict(list)
    for entry in played.books.rows("SELECT * FROM ledger ORDER BY id"):
        entries[entry["contact_id"]].append(entry)
    scores = {row["id"]: row for row in played.books.rows("SELECT * FROM score")}
    assert entries and set(entries) <= set(scores)
    with played.store.read() as connection:
        for who, score in scores.items():
            told = standing(connection, who, now=END)
            assert told["points"] == score["balance"] == sum(e["amount"] for e in entries[who])
            earned = sum(e["amount"] for e in entries[who] if e["kind"] != "spend")
            assert told["earned"] == score["earned"] == earned


def test_check_ins_are_those_of_the_event_log(played: Played) -> None:
    camp = played.group("小满售后群①")
    (closed,) = played.books.rows(
        "SELECT MIN(id) FROM event WHERE kind = 'tag_removed' AND group_id = ? AND text = '训练营'",
        camp,
    )
    said = {(who, ordinal(at)) for who, at, _ in played.books.said("签到")}
    said |= {
        (event["contact_id"], ordinal(event["at"]))
        for event in played.books.events
        if event["kind"] == "message" and event["text"] == "打卡" and not event["from_self"]
        and event["group_id"] == camp and event["id"] < closed[0]
    }  # fmt: skip
    rows = played.books.rows("SELECT contact_id, day, made_up FROM checkin")
    assert {(row[0], row[1]) for row in rows if not row["made_up"]} == said
    paid = played.books.rows("SELECT contact_id, day, amount FROM ledger WHERE kind = 'check_in'")
    assert sorted((row[0], row[1], row[2]) for row in paid) == sorted((*one, 2) for one in said)
    shared = {(who, ordinal(at)) for who, at, _ in played.books.said("晒单")}
    earned = played.books.rows("SELECT contact_id, day, amount FROM ledger WHERE amount = 5")
    assert sorted((row[0], row[1], row[2]) for row in earned) == sorted((*s, 5) for s in shared)


def test_streaks_are_days_in_a_row(played: Played) -> None:
    bonuses = {3: 3, 7: 10, 21: 30}
    checked: dict[int, list[int]] = defaultdict(list)
    for row in played.books.rows("SELECT contact_id, day FROM checkin ORDER BY day"):
        checked[row[0]].append(row[1])
    made_up = {row[0] for row in played.books.rows("SELECT contact_id FROM checkin WHERE made_up")}
    scores = {row["id"]: row for row in played.books.rows("SELECT * FROM score")}
    today, paid = ordinal(END - 1), played.books.rows("SELECT * FROM ledger WHERE kind = 'streak'")
    for who, found in checked.items():
        row, due = 0, Counter[int]()
        for n, one in enumerate(found):
            row = row + 1 if n and one == found[n - 1] + 1 else 1
            due[bonuses.get(row, 0)] += 1
        del due[0]
        assert (scores[who]["streak"], scores[who]["last_day"]) == (row, found[-1])
        assert scores[who]["days"] == len(found)
        with played.store.read() as connection:
            told = standing(connection, who, now=END - 1)
        assert told["streak"] == (row if found[-1] >= today - 1 else 0)
        if who not in made_up:
            assert Counter(e["amount"] for e in paid if e["contact_id"] == who) == due
    assert paid


def test_who_brought_whom_is_counted_from_joins(played: Played) -> None:
    group, stay = played.group("小满福利群①"), 7 * DAY
    before = _at_the_start(played.books, group)
    ours = {row[0] for row in played.books.rows(
        "SELECT id FROM contact WHERE external_id NOT LIKE 'rehearsal-%'")}  # fmt: skip
    counted: dict[int, tuple[int, int]] = {}
    lost: set[int] = set()
    for kind, at, who, by in played.books.comings(group):
        if kind == "group_left" and who in counted and at < counted[who][1] + stay:
            lost.add(who)
        if kind == "group_joined":
            if by is not None and by not in ours and by != who and who not in before:
                counted[who] = (by, at)
            before.add(who)
    with played.store.read() as connection:
        told = invitations(connection, zone=ZONE)
    assert {row["invitee"]["id"]: row["inviter"]["id"] for row in told} == {
        who: by for who, (by, _) in counted.items()
    }
    assert {row["invitee"]["id"] for row in told if row["state"] == "left"} == lost
    standing_ = Counter(by for who, (by, _) in counted.items() if who not in lost)
    assert standing_ == {row[0]: row[1] for row in played.books.rows(
        "SELECT id, invited FROM score WHERE invited > 0")}  # fmt: skip
    points = played.books.rows("SELECT kind, amount FROM ledger WHERE kind IN ('invite', 'back')")
    assert Counter(map(tuple, points)) == {
        key: n for key, n in {("invite", 10): len(counted), ("back", -10): len(lost)}.items() if n
    }
    rewarded = {row[0] for row in played.books.rows("SELECT contact_id FROM rewarded")}
    assert {who for who, n in standing_.items() if n >= 3} <= rewarded


def test_the_ranking_of_a_month(played: Played) -> None:
    june = [int(datetime(2026, m, 1, tzinfo=ZONE).timestamp() * 1000) for m in (6, 7)]
    sums: Counter[int] = Counter()
    for row in played.books.rows("SELECT contact_id, at, amount FROM ledger"):
        if june[0] <= row["at"] < june[1]:
            sums[row["contact_id"]] += row["amount"]
    best = sorted(((-n, who) for who, n in sums.items() if n > 0))[:10]
    with played.store.read() as connection:
        asked = Asked(account_id=None, month=(june[0], june[1]), now=END)
        placed = board(connection, "month", asked, top=10)
    assert [(-one.value, one.contact_id) for one in placed] == best
    assert [p.place for p in placed] == [1 + sum(m > -n for m in sums.values()) for n, _ in best]


# --- groups ---------------------------------------------------------------------------------------


def _at_the_start(books: Books, group: int) -> set[int]:
    """Who was a member when the bot came: never seen to come, or first seen to leave or speak."""
    first: dict[int, str] = {}
    for event in books.events:
        if event["group_id"] == group and event["contact_id"] is not None:
            first.setdefault(event["contact_id"], event["kind"])
    silent = {row[0] for row in books.rows(
        "SELECT contact_id FROM member WHERE group_id = ?", group)} - set(first)  # fmt: skip
    return silent | {who for who, kind in first.items() if kind != "group_joined"}


@pytest.mark.parametrize("topic", ["小满交流群①", "小满福利群①", "小满售后群①"])
def test_members_are_who_came_and_did_not_leave(played: Played, topic: str) -> None:
    books, group = played.books, played.group(topic)
    inside = _at_the_start(books, group)
    assert inside
    for kind, _, who, _ in books.comings(group):
        if kind == "group_joined":
            assert who not in inside
            inside.add(who)
        else:
            inside.remove(who)
    with played.store.read() as connection:
        told = groups_of(connection, played.space.definitions.groups, zone=ZONE, now=END)
        people = members_of(connection, group, zone=ZONE)
    assert {p["id"] for p in people if p["left_at"] is None} == inside
    (row,) = (one for one in told if one["id"] == group)
    assert row["members"] == len(inside)
    assert PEOPLE >= CROWD or len(inside) < row["capacity"]
    spoke = Counter(
        e["contact_id"] for e in books.events if e["group_id"] == group and e["kind"] == "message"
    )
    assert {p["id"]: p["messages"] for p in people if p["messages"]} == spoke


def test_invitations_are_answered_by_joins(played: Played) -> None:
    books, group = played.books, played.group("小满福利群①")
    rows = books.rows("SELECT * FROM invitation ORDER BY id")
    invites = [b for b in books.boxes if b["kind"] == "invite"]
    assert [row["id"] for row in rows] == [box["id"] for box in invites]
    joins: dict[int, list[int]] = defaultdict(list)
    for event in books.events:
        if event["kind"] == "group_joined" and event["group_id"] == group:
            joins[event["contact_id"]].append(event["recorded_at"])
    for row in rows:
        came = [at for at in joins[row["contact_id"]] if at >= row["at"]]
        assert row["joined_at"] == min(came, default=None)
        again = [r for r in rows if r["contact_id"] == row["contact_id"] and r["at"] > row["at"]]
        assert all(r["at"] > min(row["joined_at"] or END, row["expires_at"]) for r in again)
    asked = {who for word in ("进群", "拉我进群", "加群") for who, _, _ in books.said(word)}
    assert {row["contact_id"] for row in rows} <= asked


def test_the_guard_warned_once_and_removed_at_the_second(played: Played) -> None:
    books, group = played.books, played.group("小满福利群①")
    adverts: dict[int, list[int]] = defaultdict(list)
    for at, who in sorted(
        (at, who) for word in ADVERTS for who, at, where in books.said(word) if where == group
    ):
        adverts[who].append(at)
    meant = []
    for who, times in adverts.items():
        for n, at in enumerate(times):
            strikes = 1 + sum(one > at - 30 * DAY for one in times[:n])
            meant.append((at, who, "remove" if strikes >= 2 else "warn"))
    acts = books.rows("SELECT at, contact_id, sentence, state FROM guardact ORDER BY at, id")
    assert sorted(meant) == sorted((a["at"], a["contact_id"], a["sentence"]) for a in acts)
    removed = [a for a in acts if a["sentence"] == "remove"]
    assert removed and {a["state"] for a in removed} == {"removed"}
    left = {(who, day(at)) for kind, at, who, _ in books.comings(group) if kind == "group_left"}
    assert {(a["contact_id"], day(a["at"])) for a in removed} <= left


def test_core_people_were_heard_within_seconds(played: Played) -> None:
    books = played.books
    sql = "SELECT subject_id FROM tagging JOIN tag ON tag.id = tag_id WHERE name = '核心用户'"
    core = {row[0] for row in books.rows(sql)}
    told: dict[int, list[int]] = defaultdict(list)
    for row in books.rows("SELECT subject_id, at FROM trace WHERE what = '核心用户'"):
        told[row["subject_id"]].append(row["at"])
    said = [e for e in books.events if e["kind"] == "message" and e["contact_id"] in core
            and e["group_id"] is None and e["at"] >= BEGIN]  # fmt: skip
    assert said
    for event in said:
        soon = range(event["at"] - 10 * 60_000 - GRAIN, event["at"] + 20_000 + GRAIN)
        assert any(at in soon for at in told[event["contact_id"]])


# --- the account ----------------------------------------------------------------------------------


def test_account_health_is_what_the_outbox_says(played: Played) -> None:
    books, zone = played.books, played.space.settings.zone
    now = END - 1
    midnights = [day_start(now, zone, days=-n) for n in reversed(range(DAYS))]
    boxes = [b for b in books.boxes if b["left_at"] is not None]
    with played.store.read() as connection:
        (account,) = (row[0] for row in books.rows("SELECT id FROM account"))
        told = days(connection, account, midnights, now=now)
        kinds = by_kind(connection, account, since=0, now=now)
    left = Counter(day(b["left_at"]) for b in boxes)
    assert [one.left for one in told] == [left[day(at)] for at in midnights]
    assert sum(one.bad for one in told) == sum(b["state"] in ("failed", "unknown") for b in boxes)
    assert kinds == Counter((b["kind"], b["purpose"]) for b in boxes)


def test_the_budget_was_kept_at_every_moment(played: Played) -> None:
    weighed = played.books.weighed()
    (account,) = (row[0] for row in played.books.rows("SELECT id FROM account"))
    heaviest, first, last_hour = 0, 0, 0
    by_day: Counter[str] = Counter()
    for at, weight in weighed:
        while weighed[first][0] <= at - HOUR:
            last_hour -= weighed[first][1]
            first += 1
        assert last_hour < 60
        assert by_day[day(at)] < 400
        last_hour += weight
        by_day[day(at)] += weight
        heaviest = max(heaviest, last_hour)
    assert 54 <= heaviest < 60 + max(RISK.values())  # of ten one is kept for notices
    assert min(b[0] - a[0] for a, b in pairwise(weighed)) >= 1_000
    noon = int(datetime(2026, 7, 1, 16, tzinfo=ZONE).timestamp() * 1000)
    midnight = int(datetime(2026, 7, 1, tzinfo=ZONE).timestamp() * 1000)
    with played.store.read() as connection:
        told = ledger(connection, account, day=midnight, hour=noon - HOUR, now=noon)
    assert told.day == sum(w for at, w in weighed if midnight <= at <= noon)
    assert told.hour == sum(w for at, w in weighed if noon - HOUR < at <= noon)


def test_nobody_was_told_anything_twice(played: Played) -> None:
    twice = played.books.rows(
        "SELECT run_id, subject_id FROM recipient GROUP BY 1, 2 HAVING COUNT(*) > 1"
    )
    same = played.books.rows(
        "SELECT source, conversation_id FROM outbox o JOIN run ON o.source = 'push:' || run.name"
        " WHERE o.part = 0 AND o.created_at >= run.started_at AND o.created_at < run.started_at"
        " + 86400000 AND run.name = 'fortnight' GROUP BY run.id, conversation_id"
        " HAVING COUNT(*) > 1"
    )
    assert (twice, same) == ([], [])
