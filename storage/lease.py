"""An account belongs to one process at a time: a lease in PostgreSQL, renewed while it lives.

A row an account says who acts for it and until when, by the server's clock. Every transaction of
the holder looks at the row and keeps it until it commits, so that nobody else can take the account
between the look and the commit; renewing it is not held up by that. Who takes an account whose
lease is over first ends what its last holder left open on the server: a process that is frozen in
the middle of a transaction keeps its rows. SQLite has no leases: there the lock on the workspace is
enough (`bot.lock`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from sop.errors import SiyuError
from storage.people import last_account
from storage.sql import fetch, insert_rows
from storage.store import Tx
from storage.story import iso
from storage.tables import Lease as LeaseRow
from storage.trouble import DatabaseTrouble

TERM = 15_000  # ms from one renewal to the end
IDLE = "20s"  # a transaction nobody works on is ended by the server: its process is frozen or gone
_NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
# Said before anything is locked, so that others can tell whose it is; a pooler may give the session
# to somebody else afterwards.
_NAMED = (
    "set_config('application_name', ?, true),"
    " set_config('idle_in_transaction_session_timeout', ?, true)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that wants to act for an account.

    `token` is this process's alone. `place` names its workspace on its host, where one process runs
    at a time; empty where nothing enforces that. `endpoint` names the gateway, for every host.
    """

    token: str
    host: str
    pid: int
    folder: str
    place: str
    endpoint: str


class AccountHeld(SiyuError):
    """这个账号正由另一个机器人进程管着。"""

    def __init__(
        self, *, account: str, host: str, pid: int, folder: str, until: int, here: bool
    ) -> None:
        """`until`: how long it holds the account if it does not renew, ms UTC.

        `here`: it ran in this workspace, and has ended; the server has not noticed yet.
        """
        self.until = until
        self.here = here
        self.who = f"账号「{account}」正由 {host} 上的机器人管着（进程号 {pid}，工作区 {folder}）"
        super().__init__(self.who)


class LeaseLost(DatabaseTrouble):
    """这个账号已经由另一个机器人进程接手，这一个不再收发，停下了。"""


class Lease:
    """What one process holds; at most one account at a time."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder
        self.account: int | None = None  # set by the caller once `take` is committed
        self.lost = False

    def resume(self, tx: Tx, channel: str) -> tuple[int, str] | None:
        """Take the account this workspace or this gateway had last: its id and external id.

        Raises `AccountHeld` when another process acts for the account behind this gateway.
        """
        me = self._holder
        rows = fetch(
            tx.connection,
            "SELECT account.id, account.external_id, lease.endpoint = ? FROM lease"
            " JOIN account ON account.id = lease.account_id"
            " WHERE account.channel = ? AND (lease.endpoint = ? OR lease.place = ?)"
            " ORDER BY 3 DESC, lease.taken_at DESC LIMIT 1",
            me.endpoint,
            channel,
            me.endpoint,
            me.place or me.token,
        )
        if not rows:
            leased = fetch(tx.connection, "SELECT 1 FROM lease LIMIT 1")
            found = None if leased else last_account(tx, channel)
        else:
            found = (int(rows[0][0]), str(rows[0][1]))
        if found is None:
            return None
        try:
            self.take(tx, found[0])
        except AccountHeld:
            if rows[0][2]:
                raise
            return None  # the account has moved to another gateway: here another one will log in
        return found

    def take(self, tx: Tx, account: int) -> None:
        """Make the account this process's, and let go of the one it had.

        Raises `AccountHeld` while another process has it.
        """
        me = self._holder
        self._end_sessions(tx.connection, account)  # or even the next line would wait for them
        insert_rows(
            tx.connection,
            LeaseRow,
            ("account_id", "holder", "host", "pid", "folder", "place", "endpoint", "taken_at",
             "expires_at"),
            [(account, "", "", 0, "", "", "", 0, 0)],
            extra="ON CONFLICT (account_id) DO NOTHING",
        )  # fmt: skip
        # A transaction of the holder keeps the row: until it is over nothing can be taken.
        free = fetch(
            tx.connection,
            f"SELECT 1 FROM lease WHERE account_id = ? AND (holder = ? OR expires_at <= {_NOW}"  # noqa: S608
            " OR (place = ? AND place <> '')) FOR UPDATE SKIP LOCKED",
            account,
            me.token,
            me.place,
        )
        if not free:
            raise _held(tx.connection, account, me.place)
        fetch(
            tx.connection,
            f"UPDATE lease SET holder = ?, host = ?, pid = ?, folder = ?, place = ?, endpoint = ?,"  # noqa: S608
            f" taken_at = {_NOW}, expires_at = {_NOW} + ? WHERE account_id = ? RETURNING 1",
            *(me.token, me.host, me.pid, me.folder, me.place, me.endpoint, TERM, account),
        )
        if self.account not in (None, account):
            self.release(tx.connection)

    def check(self, connection: Connection) -> None:
        """Begin a transaction for the account: nobody takes it before this one is over.

        Raises `LeaseLost` when somebody has.
        """
        if self.account is None:
            self._name(connection)
            return
        rows = fetch(
            connection,
            f"SELECT holder, {_NAMED} FROM lease WHERE account_id = ? FOR KEY SHARE",  # noqa: S608
            _session(self._holder.token),
            IDLE,
            self.account,
        )
        self._insist(bool(rows) and rows[0][0] == self._holder.token)

    def renew(self, connection: Connection) -> None:
        """Hold the account for another `TERM`. Raises `LeaseLost` when it is another's now."""
        if self.account is None:
            return
        self._name(connection)
        rows = fetch(
            connection,
            f"UPDATE lease SET expires_at = {_NOW} + ? WHERE account_id = ? AND holder = ?"  # noqa: S608
            " RETURNING 1",
            TERM,
            self.account,
            self._holder.token,
        )
        self._insist(bool(rows))

    def release(self, connection: Connection) -> None:
        """Give the account back at once; where it was stays known."""
        self._name(connection)
        fetch(
            connection,
            "UPDATE lease SET holder = '', expires_at = 0 WHERE account_id = ? AND holder = ?"
            " RETURNING 1",
            self.account,
            self._holder.token,
        )

    def _end_sessions(self, connection: Connection, account: int) -> None:
        """End what the account's last holder left open on the server, once its lease is over."""
        last = fetch(
            connection,
            f"SELECT holder FROM lease WHERE account_id = ? AND expires_at <= {_NOW}"  # noqa: S608
            " AND holder NOT IN ('', ?)",
            account,
            self._holder.token,
        )
        if last:
            fetch(
                connection,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = ? AND usename = current_user",
                _session(last[0][0]),
            )

    def _name(self, connection: Connection) -> None:
        fetch(connection, f"SELECT {_NAMED}", _session(self._holder.token), IDLE)

    def _insist(self, held: bool) -> None:
        if not held:
            self.lost = True
            raise LeaseLost


def leases(connection: Connection, *, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Which processes act for which accounts now; none on SQLite."""
    if connection.dialect.name != "postgresql":
        return []
    rows = fetch(
        connection,
        "SELECT account.external_id, account.name, host, pid, folder, expires_at FROM lease"  # noqa: S608
        f" JOIN account ON account.id = account_id WHERE expires_at > {_NOW} ORDER BY account_id",
    )
    names = ("account", "name", "host", "pid", "workspace")
    return [dict(zip(names, row, strict=False)) | {"until": iso(row[5], zone)} for row in rows]


def _session(token: str) -> str:
    """What a transaction of the process calls itself."""
    return f"siyu-{token}"


def _held(connection: Connection, account: int, place: str) -> AccountHeld:
    name, host, pid, folder, until, where = fetch(
        connection,
        "SELECT account.name, host, pid, folder, expires_at, place FROM lease"
        " JOIN account ON account.id = lease.account_id WHERE account_id = ?",
        account,
    )[0]
    here = bool(place) and where == place
    return AccountHeld(account=name, host=host, pid=pid, folder=folder, until=until, here=here)
