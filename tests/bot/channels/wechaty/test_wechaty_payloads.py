"""Odd payloads, without a gateway."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.channels.wechaty import payloads
from bot.channels.wechaty.payloads import Scene
from bot.channels.wechaty.wire import puppet_pb2 as pb
from sop.events import EventKind, MessageType, Person, Room

NOW = 1_790_000_000_000
ALICE, BOT = Person(external_id="alice", name="爱丽丝"), Person(external_id="bot", name="小满")
FANS = Room(external_id="fans", topic="福利群")
PRIVATE = Scene(now=NOW, self_id="bot", contact=ALICE)
GROUP = Scene(now=NOW, self_id="bot", self_name="小满(1)", contact=ALICE, group=FANS)


def message(scene: Scene = PRIVATE, **fields: Any) -> Any:
    payload = pb.MessagePayloadResponse(**{"id": "m", "talker_id": "alice", "type": 7, **fields})
    return payloads.message(payload, scene, extra={}, text=None)


@pytest.mark.parametrize("raw", ["", "{", "null", "[1]", '"x"', "12", "[" * 100_000])
def test_a_payload_that_is_no_object_is_empty(raw: str) -> None:
    assert payloads.fields(raw) == {}


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1_789_999_999, 1_789_999_999_000),
        (1_789_999_999.5, 1_789_999_999_500),
        (1_789_999_999_123, 1_789_999_999_123),
        (NOW + 3_600_000, NOW + 3_600_000),
        (NOW + 7 * 86_400_000, None),
        (0, None),
        (-5, None),
        (12, None),
        (10**30, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        ("1789999999", None),
        (None, None),
        ([], None),
    ],
)
def test_moments_in_seconds_milliseconds_and_nonsense(value: object, moment: int | None) -> None:
    assert payloads.moment_of(value, now=NOW) == moment


def test_message_time_from_either_field() -> None:
    seconds = NOW // 1000 - 60
    assert message(timestamp_deprecated=seconds).at == seconds * 1000
    assert message(timestamp_deprecated=seconds * 1000).at == seconds * 1000
    received = pb.Timestamp(seconds=seconds, nanos=5_000_000)
    assert message(receive_time=received).at == seconds * 1000 + 5
    # a puppet counting in seconds, divided by 1000 by its gateway
    shrunk = pb.Timestamp(seconds=seconds // 1000, nanos=seconds % 1000 * 1_000_000)
    assert message(receive_time=shrunk).at == seconds * 1000
    assert message().at == NOW


def test_ids_tolerate_everything() -> None:
    found = {"a": ["x", "", None, "x", 5], "b": "y", "c": {"no": 1}, "d": ""}
    assert payloads.ids_of(found, "a") == ("x", "5")
    assert payloads.ids_of(found, "missing", "b") == ("y",)
    assert payloads.ids_of(found, "c", "d") == ()


@pytest.mark.parametrize(("number", "kind"), payloads.MESSAGE_TYPES.items())
def test_type_numbers(number: int, kind: MessageType) -> None:
    assert message(type=number).type is kind


@pytest.mark.parametrize("number", [0, 17, 18, 99, -1])
def test_unknown_type_numbers(number: int) -> None:
    assert message(type=number).type is MessageType.UNKNOWN


def test_every_message_type_has_a_number() -> None:
    assert {*payloads.MESSAGE_TYPES.values(), MessageType.UNKNOWN} == set(MessageType)


def test_words_nobody_typed_are_left_out() -> None:
    assert message(type=6, text="<img/>").text == ""
    assert message(type=2, text="转写的语音").text == "转写的语音"
    assert message(type=7, text="<3 喜欢").text == "<3 喜欢"
    recalled = message(type=13, text="msg-77")
    assert (recalled.text, recalled.data) == ("", {"recalled": "msg-77"})


def test_who_a_message_is_about() -> None:
    def about(**fields: str) -> str:
        return payloads.about(pb.MessagePayloadResponse(**fields), self_id="bot")

    assert about(talker_id="alice", listener_id="bot") == "alice"
    assert about(talker_id="bot", listener_id="alice") == "alice"
    assert about(talker_id="bot", room_id="fans", listener_id="alice") == "bot"
    assert about(talker_id="", listener_id="bot") == ""
    assert not payloads.sent_by_self(pb.MessagePayloadResponse(talker_id=""), self_id="")


@pytest.mark.parametrize(
    ("text", "ids", "us", "everyone"),
    [
        ("@小满(1)\u2005在吗", ["bot"], True, False),
        ("@小满(1)\u2005在吗", ["alice"], False, False),
        ("@小满(1) 在吗", [], True, False),
        ("在吗@小满(1)", [], True, False),
        ("@小满(1)号 在吗", [], False, False),
        ("@所有人\u2005开会", [], False, True),
        ("@all 开会", [], False, True),
        ("@alligator 你好", [], False, False),
        ("开会", ["@all"], False, True),
        ("开会", ["notify@all"], False, True),
        ("@所有人 是谁", ["alice"], False, False),
    ],
)
def test_mentions(text: str, ids: list[str], us: bool, everyone: bool) -> None:
    event = message(GROUP, text=text, mention_ids=ids, room_id="fans")
    assert (event.mentions_self, event.mentions_all) == (us, everyone)


def test_nobody_is_mentioned_in_private() -> None:
    event = message(text="@all", mention_ids=["bot", "@all"])
    assert not event.mentions_self
    assert not event.mentions_all


def test_friend_is_unknown_where_nobody_is_one() -> None:
    stranger = pb.ContactPayloadResponse(id="s", name=" 路人 ")
    assert payloads.person(stranger, says_friend=False).friend is None
    assert payloads.person(stranger, says_friend=True).friend is False
    assert payloads.person(stranger, says_friend=True).name == "路人"


def test_events_without_an_id_are_the_same_when_replayed() -> None:
    later = Scene(now=NOW + 60_000, self_id="bot", group=FANS)
    tomorrow = Scene(now=NOW + 2 * 86_400_000, self_id="bot", group=FANS)
    here = Scene(now=NOW, self_id="bot", group=FANS)

    def id_of(scene: Scene, **found: Any) -> str:
        return payloads.joined(found, scene, [ALICE], None)[0].external_id

    assert id_of(here, timestamp=NOW // 1000) == id_of(tomorrow, timestamp=NOW)
    assert id_of(here, timestamp=NOW) != id_of(here, timestamp=NOW + 1)
    assert id_of(here) == id_of(later)
    assert id_of(here) != id_of(tomorrow)


def test_nobody_joined_or_left() -> None:
    assert payloads.joined({}, GROUP, [], None) == []
    assert payloads.left({}, GROUP, [], None) == []


def test_we_left() -> None:
    (event,) = payloads.left({}, GROUP, [BOT], ALICE)
    assert (event.kind, event.contact, event.by) == (EventKind.GROUP_LEFT, BOT, ALICE)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"qrcode": "q", "status": 2}, "q"),
        ({"qrcode": "q", "status": 0}, "q"),
        ({"qrcode": "q"}, "q"),
        ({"qrcode": "q", "status": 3}, "已扫码，请在手机上确认"),
        ({"status": 5}, "二维码已过期"),
        ({"status": "odd"}, "扫码状态未知"),
        ({}, "扫码状态未知"),
    ],
)
def test_scan_words(found: dict[str, Any], words: str) -> None:
    assert payloads.scan_words(found) == words


def test_error_words() -> None:
    assert payloads.error_words({}, "") == "网关报告了一个没有说明的错误"
    assert payloads.error_words({}, "{}") == "{}"
    assert payloads.error_words({"gerror": '{"message": "{\\"message\\": \\"深\\"}"}'}, "") == "深"
    assert len(payloads.error_words({"data": "长" * 999}, "")) == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
keys = st.sampled_from(
    ["roomId", "inviteeIdList", "inviterId", "timestamp", "newTopic", "status", "qrcode", "gerror"]
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(keys, json_values))
def test_no_payload_raises(found: dict[str, Any]) -> None:
    people = [Person(external_id=id) for id in payloads.ids_of(found, "inviteeIdList")]
    payloads.joined(found, GROUP, people, None)
    payloads.left(found, GROUP, people, None)
    payloads.renamed(found, GROUP, None)
    payloads.scan_words(found)
    payloads.error_words(found, "")
