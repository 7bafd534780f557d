"""Existing Wechaty plugins on our connection, against a real gateway."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.channels.port import Address, StatusKind
from bot.channels.wechaty import WechatyChannel
from sop.errors import ChannelError
from sop.messages import Text
from tests.gateway.gateway import Gateway
from tests.gateway.world import Recorder

pytestmark = pytest.mark.gateway

DING = "tests.bot.channels.wechaty.plugin_samples:DingDong"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("CACHE_DIR", "WECHATY_LOG"):
        monkeypatch.setenv(name, "")  # so that what the shims set is undone
    samples = sys.modules.get("tests.bot.channels.wechaty.plugin_samples")
    if samples is not None:
        samples.HEARD.clear()
    yield


def heard() -> list[tuple[str, ...]]:
    return list(sys.modules["tests.bot.channels.wechaty.plugin_samples"].HEARD)


async def test_a_plugin_hears_and_answers(gateway: Gateway, connect: Any, tmp_path: Path) -> None:
    before = set(Path.cwd().iterdir())
    async with connect(gateway, plugins=[DING]) as (_, sink):
        gateway.say("alice", "ding", to="bot")
        (private,) = await gateway.logged(1, "text")
        gateway.say("bob", "ding", room="fans@chatroom", mentions=["bot", "@all"])
        _, grouped = await gateway.logged(2, "text")
        echoes = [await sink.by_id(entry["id"]) for entry in (private, grouped)]
        gateway.say("alice", "<xml/>", to="bot", type=16)  # a type the SDK has no number for
        gateway.say("ghost", "没有资料的人", to="bot")
        gateway.emit("room-join", {"roomId": "fans@chatroom", "inviteeIdList": ["bob"]})
        gateway.say("alice", "file", to="bot")
        (file,) = await gateway.logged(1, "file")
    assert (private["to"], private["text"]) == ("alice", "dong")
    assert (grouped["to"], grouped["text"]) == ("fans@chatroom", "dong")
    assert all(echo.from_self and echo.data["by_plugin"] is True for echo in echoes)
    assert (file["boxed"], file["size"]) == (7, 50_000)
    assert heard() == [
        ("init", "DingDong"),
        ("login", "bot"),
        ("message", "ding", "爱丽丝", "", "MESSAGE_TYPE_TEXT"),
        ("said", "dong"),
        ("message", "ding", "鲍勃", "小满福利群", "MESSAGE_TYPE_TEXT"),
        ("said", "dong"),
        ("message", "<xml/>", "爱丽丝", "", "MESSAGE_TYPE_UNSPECIFIED"),
        ("message", "没有资料的人", "", "", "MESSAGE_TYPE_TEXT"),
        ("join", "小满福利群", "鲍勃"),
        ("message", "file", "爱丽丝", "", "MESSAGE_TYPE_TEXT"),
    ]
    assert set(Path.cwd().iterdir()) - before <= {Path.cwd() / ".pytest_cache"}
    assert (tmp_path / "data" / "wechaty").is_dir()
    assert os.environ["CACHE_DIR"] == str(tmp_path / "data" / "wechaty")


async def test_our_own_and_a_humans_messages_are_not_a_plugins(
    gateway: Gateway, connect: Any
) -> None:
    async with connect(gateway, plugins=[DING]) as (channel, sink):
        ours = await channel.send(Address(external_id="alice"), Text(text="dong"))
        human = gateway.say("bot", "dong", to="alice")
        for id in (ours, human):
            assert "by_plugin" not in (await sink.by_id(id)).data


async def test_an_answer_without_an_id_still_marks_its_echo(gateway: Gateway, connect: Any) -> None:
    async with connect(gateway, plugins=[DING]) as (_, sink):
        gateway.fail("send", "no_id")
        gateway.say("alice", "ding", to="bot")
        (sent,) = await gateway.logged(1, "text")
        assert (await sink.by_id(sent["id"])).data == {"by_plugin": True}
        gateway.say("alice", "之后", to="bot")
        await sink.until(lambda: any(event.text == "之后" for event in sink.events))
    assert ("said", "dong") in heard()  # the SDK took the missing id for no failure


async def test_a_failing_plugin_harms_nobody(
    gateway: Gateway, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    plugins = [
        "tests.bot.channels.wechaty.plugin_samples:Broken",
        "tests.bot.channels.wechaty.plugin_samples:NeedsScheduler",
        DING,
    ]
    async with connect(gateway, plugins=plugins) as (_, sink):
        id = gateway.say("alice", "ding", to="bot")
        await gateway.logged(1, "text")
        assert (await sink.by_id(id)).text == "ding"
    assert "plugin Broken failed on message" in caplog.text
    assert "plugin NeedsScheduler failed to start" in caplog.text


async def test_two_accounts_do_not_share_contacts(
    gateway: Gateway, connect: Any, own_gateway: Gateway
) -> None:
    async with (
        connect(gateway, plugins=[DING]) as _,
        connect(own_gateway, plugins=[DING]) as _,
    ):
        gateway.say("alice", "ding", to="bot")
        await gateway.logged(1, "text")
        own_gateway.say("alice", "ding", to="bot")
        await own_gateway.logged(1, "text")
    assert len(gateway.log("text")) == len(own_gateway.log("text")) == 1


@pytest.mark.parametrize(
    "name",
    [
        "no_such_module:X",
        "tests.bot.channels.wechaty.plugin_samples:Nothing",
        "tests.bot.channels.wechaty.plugin_samples:NotAPlugin",
        "nonsense",
    ],
)
async def test_a_plugin_that_cannot_be_had_is_said(media: Path, tmp_path: Path, name: str) -> None:
    channel = WechatyChannel(
        endpoint="127.0.0.1:1", token="t", media_root=media, data_dir=tmp_path, plugins=[name]
    )
    with pytest.raises(ChannelError, match=name):
        await channel.run(Recorder())


def test_without_plugins_wechaty_is_not_imported() -> None:
    code = (
        "import sys, pathlib\n"
        "from bot.channels.wechaty import WechatyChannel\n"
        "p = pathlib.Path('.')\n"
        "WechatyChannel(endpoint='x:1', token='t', media_root=p, data_dir=p)\n"
        "sys.exit('wechaty' in sys.modules or 'wechaty_puppet' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_what_people_write_stays_out_of_wechatys_log(
    gateway: Gateway, connect: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    async with connect(gateway, plugins=[DING]) as (_, sink):
        gateway.say("alice", "悄悄话", to="bot")
        gateway.say("alice", "ding", to="bot")
        await gateway.logged(1, "text")
        await sink.saw(StatusKind.LOGIN)
    out, err = capfd.readouterr()
    assert "悄悄话" not in out + err
    assert logging.getLogger("Wechaty").level >= logging.WARNING
