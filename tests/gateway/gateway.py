"""A real Wechaty gateway with a mock WeChat behind it, as a context manager.

    with Gateway() as gateway:
        gateway.contact("bot", name="小满")
        gateway.contact("alice", name="爱丽丝")
        gateway.login("bot")
        ...connect a channel to gateway.endpoint with gateway.token...
        gateway.say("alice", "多少钱", to="bot")
        gateway.log("text")  # what the account really sent, in order; survives kill()

Every control call is synchronous and returns once the gateway has done it. The world (contacts,
rooms, the login, what was said) is replayed on `restart()`, on the same port.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
TOKEN = "insecure_token-of-the-tests"
PATIENCE = 30.0  # seconds for anything the gateway is asked to do; only a broken test waits so long


def missing() -> str:
    """Why a gateway cannot run here, or "" when it can."""
    if shutil.which("node") is None:
        return "没有 node，跳过需要真实网关的测试"
    if not (HERE / "node_modules" / "wechaty-puppet-service").is_dir():
        return "tests/gateway/node_modules 不存在（npm ci --prefix tests/gateway），跳过网关测试"
    return ""


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Gateway:
    """One gateway process with one WeChat account behind it."""

    def __init__(
        self,
        *,
        token: str = TOKEN,
        tls: bool = False,
        certificate: dict[str, str] | None = None,
    ) -> None:
        """`certificate`: PEM texts `serverCert` and `serverKey` in place of the community's."""
        self.token = token
        self.tls = tls
        self.port = free_port()
        self._certificate = certificate or {}
        self._folder = Path(tempfile.mkdtemp(prefix="siyu-gateway-"))
        self._log = self._folder / "sends.jsonl"
        self._log.touch()
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._grown = threading.Condition()
        self._world: list[dict[str, Any]] = []
        self._said: deque[dict[str, Any]] = deque(maxlen=2000)
        self._account = ""

    @property
    def endpoint(self) -> str:
        """`host:port` to connect to."""
        return f"127.0.0.1:{self.port}"

    # Life and death

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the process and rebuild the world; returns when it listens."""
        settings = {
            "port": self.port,
            "token": self.token,
            "tls": self.tls,
            "log": str(self._log),
            "certificate": self._certificate,
        }
        self._answers = queue.Queue()
        self._process = subprocess.Popen(
            ["node", "server.mjs", json.dumps(settings)],
            cwd=HERE,
            env={**os.environ, "WECHATY_LOG": "silent", "TMPDIR": str(self._folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        threading.Thread(
            target=self._listen, args=(self._process, self._answers), daemon=True
        ).start()
        ready = self._answers.get(timeout=PATIENCE)
        if not ready.get("ready"):
            raise RuntimeError(f"the gateway did not start: {ready}")
        self._rebuild()
        self._ask({"do": "listen"})  # only now: a client must not find half a world

    def _rebuild(self) -> None:
        for command in self._world:
            self._ask(command)
        for payload in self._said:
            self._ask({"do": "remember", "payload": payload})
        if self._account:
            self._ask({"do": "login", "id": self._account})

    def kill(self) -> None:
        """SIGKILL; also ends a frozen process. Nothing to do when it is dead already."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(timeout=PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None

    def restart(self) -> None:
        """Kill and start again on the same port with the same world."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: TCP still connects, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze()`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the gateway is not running"
        self._process.send_signal(number)

    # The line to the process

    def _listen(self, process: subprocess.Popen[str], answers: queue.Queue[dict[str, Any]]) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                answer = json.loads(line)
                if "logged" in answer:
                    with self._grown:
                        self._grown.notify_all()
                else:
                    answers.put(answer)
        except ValueError:
            pass  # the pipe was closed, or cut in the middle of a line, by kill()
        answers.put({"error": "the gateway process ended"})

    def _ask(self, command: dict[str, Any]) -> Any:
        assert self._process is not None, "the gateway is not running"
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._answers.get(timeout=PATIENCE)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("ok")

    # The world

    def contact(self, id: str, name: str = "", **payload: Any) -> None:
        """Create or replace a contact; `payload` may hold `alias`, `friend`, `type`, …"""
        self._build({"do": "contact", "payload": {"id": id, "name": name or id, **payload}})

    def room(self, id: str, topic: str = "", members: Sequence[str] = (), **payload: Any) -> None:
        """Create or replace a group; `payload` may hold `ownerId`, `aliases` {contact: 群昵称}."""
        room = {"id": id, "topic": topic or id, "memberIdList": list(members), **payload}
        self._build({"do": "room", "payload": room})

    def _build(self, command: dict[str, Any]) -> None:
        self._world.append(command)
        if self._process is not None:  # else WeChat changes while the gateway is away
            self._ask(command)

    def login(self, id: str) -> None:
        """Log the account in; each new connection hears of it."""
        self._account = id
        self._ask({"do": "login", "id": id})

    def logout(self, reason: str = "logout") -> None:
        """Log the account out."""
        self._account = ""
        self._ask({"do": "logout", "reason": reason})

    def reset(self) -> None:
        """Empty the world, forget faults and the log, start again if dead: for the next test."""
        self._world.clear()
        self._said.clear()
        self._account = ""
        if self._process is None or self._process.poll() is not None:
            self.restart()
        else:
            self._ask({"do": "reset"})
        self._log.write_text("", "utf-8")

    # What happens

    def say(
        self,
        sender: str,
        text: str,
        *,
        to: str = "",
        room: str = "",
        type: int = 7,
        mentions: Sequence[str] = (),
        **payload: Any,
    ) -> str:
        """A person says something, privately (`to`) or in a group (`room`); returns its id.

        `type` is the wire number. `payload` may override anything: `id`, `timestamp`, `talkerId`,
        `filename`; `attachment` is what the message's link, mini program or card call returns.
        """
        attachment = payload.pop("attachment", None)
        message: dict[str, Any] = {"talkerId": sender, "text": text, "type": type}
        message |= {"roomId": room, "mentionIdList": list(mentions)} if room else {"listenerId": to}
        return self.message({**message, **payload}, attachment=attachment)

    def message(self, payload: dict[str, Any], *, attachment: Any = None) -> str:
        """Deliver a message with exactly this payload (plus id and time); returns its id."""
        command = {"do": "message", "payload": payload}
        if attachment is not None:
            command["attachment"] = attachment
        id = str(self._ask(command))
        self._said.append({"timestamp": 0, **payload, "id": id})
        return id

    def flood(
        self, count: int, conversations: Sequence[dict[str, str]], *, text: str = "#"
    ) -> None:
        """`count` messages at once, dealt over `conversations` ({talkerId, listenerId|roomId}).

        The n-th (from 0) has the text `text` + n.
        """
        command = {"do": "flood", "count": count, "conversations": list(conversations)}
        self._ask({**command, "text": text})

    def friendship(self, id: str, contact: str, *, type: int = 2, hello: str = "") -> None:
        """A friend request (`type` 2), its confirmation (1) or a verification notice (3)."""
        payload = {"id": id, "contactId": contact, "type": type, "hello": hello, "ticket": "t"}
        self._ask({"do": "friendship", "payload": payload})

    def emit(self, event: str, payload: Any) -> None:
        """Any raw event (`room-join`, `scan`, `error`, `dirty`, …) with any payload."""
        self._ask({"do": "emit", "event": event, "payload": payload})

    # What goes wrong

    def fail(self, on: str = "send", mode: str = "refuse", times: int = 1, **facts: Any) -> None:
        """Script the next `times` calls of `on` to go wrong.

        `on`: `send` (anything that acts on WeChat), or a fetch: `message`, `contact`, `room`,
        `member`, `friendship`, `url`, `mini`, `card`, `contacts`, `rooms`, `start`.
        `mode`: `refuse` (an exception; with `code=` a gRPC status) and `hang` happen before
        anything is sent; `drop` (the connections are cut), `die` (SIGKILL), `no_id` and `late`
        (`ms=`) after. `id=` limits it to one conversation, message, contact, ….
        """
        self._ask({"do": "fail", "fault": {"on": on, "mode": mode, "times": times, **facts}})

    def heal(self) -> None:
        """Forget all scripted faults."""
        self._ask({"do": "heal"})

    def echo(self, on: bool) -> None:
        """Whether the account's own sends come back as self messages (they do by default)."""
        self._ask({"do": "echo", "on": on})

    def hang_up(self) -> None:
        """Cut every client's connection; the process lives on."""
        self._ask({"do": "hang_up"})

    # What the account did

    def counters(self) -> dict[str, Any]:
        """`started` (Start calls served), `told` (messages told of, echoes too), and `fetched`
        {kind: how many payloads were asked for}.
        """
        counters: dict[str, Any] = self._ask({"do": "counters"})
        return counters

    def log(self, *kinds: str) -> list[dict[str, Any]]:
        """What the account did, in order, over all restarts; all of it or only these kinds.

        Kinds: text, file, link, mini_program, card, accept, alias, topic, announce, add, kick,
        start, stop. Each has `kind`, `at` and `to` (the conversation, contact or request).
        """
        whole, _, _being_written = self._log.read_text("utf-8").rpartition("\n")
        entries = [json.loads(line) for line in whole.splitlines()]
        return [entry for entry in entries if not kinds or entry["kind"] in kinds]

    async def logged(self, count: int, *kinds: str) -> list[dict[str, Any]]:
        """Wait until `log(*kinds)` has at least `count` entries and return them."""

        def wait() -> list[dict[str, Any]]:
            with self._grown:
                self._grown.wait_for(lambda: len(self.log(*kinds)) >= count, timeout=PATIENCE)
            return self.log(*kinds)

        entries = await asyncio.to_thread(wait)
        assert len(entries) >= count, f"only {len(entries)} of {count} {kinds} were logged"
        return entries
