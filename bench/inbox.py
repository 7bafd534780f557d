"""The whole way through a real gateway, beside the same echo with the Node Wechaty SDK.

Siyu runs as operators run it (`siyu run`): storage, 1,000 keyword rules, a tag and an answer for
every message. The peer stores nothing and looks for one word. Both answer the same flood through
the same mock gateway, in turns, and each counts by its best round.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import Row
from bench.keywords import keywords
from tests.gateway.gateway import HERE as GATEWAY_FOLDER
from tests.gateway.gateway import Gateway, missing

RULES = 1_000
COUNT = 4_000
CONVERSATIONS = 400
ROUNDS = 3
PATIENCE = 180.0  # seconds
_FREE = "limits: {account: {gap: 0s, reply_gap: 0s, per_hour: 1000000, per_day: 1000000}}"


@contextmanager
def _child(command: list[str], cue: str) -> Iterator[subprocess.Popen[str]]:
    """A bot's process, once it has said that it is logged in."""
    environment = {**os.environ, "SIYU_GATEWAY": str(GATEWAY_FOLDER), "WECHATY_LOG": "silent"}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    try:
        while cue not in (line := child.stdout.readline()):
            assert line, f"{command[0]} ended before it was ready"
        yield child
    finally:
        child.terminate()
        child.wait()
        child.stdout.close()


def _workspace(root: Path, gateway: Gateway) -> Path:
    """A thousand rules, each with a tag and an answer."""
    channel = f"{{kind: wechaty, endpoint: '{gateway.endpoint}', token: '{gateway.token}'"
    lines = ["tags: {意向: {values: [低, 中, 高], one_of: true}}", "rules:"]
    for number, word in enumerate(keywords(RULES)):
        lines.append(
            f"  - {{id: r{number}, on: message, match: {{any: ['{word}']}},"
            " do: [{tag: 意向/中}, {say: answer}]}"
        )
    (root / "templates").mkdir(parents=True)
    for name, text in {
        "siyu.yaml": f"community: 小满家\nchannel: {channel}, tls: false}}\n{_FREE}\nstale: 1h\n",
        "rules.yaml": "\n".join(lines),
        "templates/answer.j2": "三十九 {{ text }}",
    }.items():
        (root / name).write_text(text, "utf-8")
    return root


def _cpu(pid: int) -> float:
    """Seconds of CPU a process has used; 0 where the host does not tell."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _answers(gateway: Gateway) -> int:
    with gateway._log.open("rb") as log:  # parsing it all the time would be in the measure
        return sum(b'"kind":"text"' in line for line in log)


def _wait(gateway: Gateway, count: int) -> None:
    end = time.monotonic() + PATIENCE
    while _answers(gateway) < count:
        assert time.monotonic() < end, f"{_answers(gateway)} of {count} answers in {PATIENCE} s"
        time.sleep(0.2)


def _flood(gateway: Gateway, child: subprocess.Popen[str]) -> tuple[float, float]:
    """Messages a second, and ms of the bot's CPU a message."""
    people = [{"talkerId": f"p{n}", "listenerId": "bot"} for n in range(CONVERSATIONS)]
    gateway.flood(CONVERSATIONS, people, text="价格 热身 ")
    _wait(gateway, CONVERSATIONS)
    cpu, began = _cpu(child.pid), time.time() * 1000
    gateway.flood(COUNT, people, text="价格 ")
    _wait(gateway, CONVERSATIONS + COUNT)
    last = gateway.log("text")[-1]["at"]
    return COUNT / (last - began) * 1000, (_cpu(child.pid) - cpu) / COUNT * 1000


def _reset(gateway: Gateway) -> None:
    gateway.reset()
    gateway.contact("bot", name="小满")
    for n in range(CONVERSATIONS):
        gateway.contact(f"p{n}", name=f"人{n}")
    gateway.login("bot")


def _round(gateway: Gateway, who: str) -> tuple[float, float]:
    _reset(gateway)
    if who == "node":
        script = Path(__file__).with_name("_inbox.mjs")
        with _child(["node", str(script), gateway.endpoint, gateway.token], "ready") as child:
            return _flood(gateway, child)
    with tempfile.TemporaryDirectory(prefix="siyu-bench-") as folder:
        root = _workspace(Path(folder) / "shop", gateway)
        siyu = Path(sys.executable).with_name("siyu")
        with _child([str(siyu), "run", "--workspace", str(root)], "登录成功") as child:
            return _flood(gateway, child)


def main() -> list[Row]:
    if why := missing():
        return [("inbox through a gateway", "-", why)]
    found: dict[str, list[tuple[float, float]]] = {"node": [], "siyu": []}
    with Gateway() as gateway:
        for _ in range(ROUNDS):
            for who, rounds in found.items():
                rounds.append(_round(gateway, who))
                print(f"  {who}: {rounds[-1][0]:,.0f} msg/s", file=sys.stderr)
    node, siyu = max(found["node"]), max(found["siyu"])
    bare = "echo of one word, nothing stored"
    full = f"stored, {RULES:,} rules, tag and answer; {siyu[0] / node[0]:.2f} x Node SDK"
    return [
        ("Node SDK echo", f"{node[0]:,.0f} msg/s", bare),
        ("siyu run", f"{siyu[0]:,.0f} msg/s", full),
        ("Node SDK echo, CPU", f"{node[1]:.2f} ms/msg", "of the bot's process"),
        ("siyu run, CPU", f"{siyu[1]:.2f} ms/msg", "of the bot's process, all threads"),
    ]
