"""What can be read goes on, everything knows its place, and no text whatever raises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sop.check import check
from sop.definitions import Definitions, Settings
from sop.load import Loaded, load
from sop.problems import Problem
from sop.source import decode, read_source
from sop.trails import keys_of

ROOT = Path(__file__).parents[2]
SETTINGS = "community: 小满家\noperators: [wxid_boss]\n"
STARTER = [path.read_text(encoding="utf-8") for path in (ROOT / "sop/starter").rglob("*.yaml")]
CASES = [path.read_text(encoding="utf-8") for path in (ROOT / "tests/golden").rglob("*.txt")]


def read(rules: str = "", **more: str) -> Loaded:
    files = {name.replace("_", ".", 1): text for name, text in more.items()}
    return load({"siyu.yaml": SETTINGS, "rules.yaml": rules, **files}, env={})


def cross_check(loaded: Loaded) -> list[Problem]:
    return check(
        loaded,
        template_names=["welcome"],
        inline_problem=lambda text: None,
        regex_problem=lambda text: None,
        festivals=["春节", "中秋"],
    )


def test_scalars_are_text_unless_they_are_surely_something_else() -> None:
    text = (
        "on: yes\ntime: 10:00\nday: 2026-02-30\nphone: 0571\nyes: no\nfloat: 1.5\nint: -3\n"
        "true: True\nnothing: ~\nempty:\nquoted: '1'\nlong: 12345678901234567890\nhex: 0x1f\n"
    )
    assert read_source("a.yaml", text, env={}).value == {
        "on": "yes",
        "time": "10:00",
        "day": "2026-02-30",
        "phone": "0571",
        "yes": "no",
        "float": 1.5,
        "int": -3,
        "true": True,
        "nothing": None,
        "empty": None,
        "quoted": "1",
        "long": "12345678901234567890",
        "hex": "0x1f",
    }


def test_every_key_and_value_knows_its_place() -> None:
    source = read_source("a.yaml", "rules:\n  - id: a\n    do: [{say: 你好}, 2]\n", env={})
    assert source.position(("rules", 0, "do"), key=True) == (3, 5)
    assert source.position(("rules", 0, "do", 0, "say")) == (3, 16)
    assert source.position(("rules", 0, "do", 1)) == (3, 21)
    assert source.position(("rules", 0, "do", 7, "nothing")) == (3, 9)


def test_aliases_repeat_what_they_name() -> None:
    source = read_source("a.yaml", "a: &x [1, 2]\nb: *x\n", env={})
    assert source.value == {"a": [1, 2], "b": [1, 2]}
    assert source.problems == ()


@pytest.mark.parametrize("text", ["", "# nur\n", "---\n", "rules:\n", "\ufeffrules: []\n", "~"])
def test_nothing_written_is_no_mistake(text: str) -> None:
    loaded = read(text)
    assert loaded.problems == ()
    assert loaded.definitions == Definitions()


def test_bytes_that_are_no_utf8_are_pointed_at() -> None:
    found = decode("a.yaml", b"rules:\n  - id: " + "价格".encode("gbk"))
    assert isinstance(found, Problem)
    assert (found.line, found.column) == (2, 9)
    assert decode("a.yaml", b"\xef\xbb\xbfrules: []") == "rules: []"


def test_files_are_merged_in_the_order_of_their_paths() -> None:
    rule = "rules:\n  - {{id: {}, on: message, do: [{{notify: 你好}}]}}\n"
    loaded = load(
        {"siyu.yaml": SETTINGS, "b.yaml": rule.format("b"), "a/z.yml": rule.format("z")}, env={}
    )
    assert loaded.definitions
    assert [rule.id for rule in loaded.definitions.rules] == ["z", "b"]
    assert loaded.where(("rules", 1, "id")) == ("b.yaml", 2, 10, "rules[0].id")
    assert loaded.where(("takeover",)).file == "siyu.yaml"


def test_what_is_valid_is_checked_although_other_things_are_wrong() -> None:
    loaded = read(
        "rules:\n"
        "  - {id: bad, on: mesage, do: []}\n"
        "  - {id: good, on: message, do: [{say: missing}]}\n"
        "tags: {宝妈: {}}\n"
    )
    assert loaded.definitions
    assert [rule.id for rule in loaded.definitions.rules] == ["good"]
    assert loaded.broken == {"rules"}
    assert [(p.line, p.path) for p in cross_check(loaded)] == [(3, "rules[1].do[0].say")]


def test_a_broken_tag_is_not_reported_again_wherever_it_is_used() -> None:
    loaded = read(
        "tags: {宝妈: {colour: 红}}\n"
        "rules:\n  - {id: a, on: message, if: {tag: 宝妈}, do: [{notify: 你好}]}\n"
    )
    assert len(loaded.problems) == 1
    assert cross_check(loaded) == []


def test_settings_and_definitions_share_no_key() -> None:
    assert not set(keys_of(Settings)) & set(keys_of(Definitions))


def test_variables_survive_other_mistakes_in_the_settings() -> None:
    loaded = load({"siyu.yaml": "takeover: 很久\nvars: {地址: 米糕巷, 坏: [1]}\n"}, env={})
    assert loaded.settings is None
    assert loaded.variables == {"地址": "米糕巷"}


def test_the_starter_is_without_a_mistake() -> None:
    files = {
        str(path.relative_to(ROOT / "sop/starter")): path.read_text(encoding="utf-8")
        for path in (ROOT / "sop/starter").rglob("*.yaml")
    }
    assert load(files, env={}).problems == ()


def test_secrets_are_not_shown_wherever_they_are_put() -> None:
    env = {"TOKEN": "s3cret"}
    keys = [*keys_of(Settings), "other"]
    text = "".join(f"{key}: !env TOKEN\n" for key in keys)
    nested = (
        "channel: {kind: !env TOKEN, endpoint: !env TOKEN, !env TOKEN : 1}\nhours: [!env TOKEN]\n"
    )
    rules = "rules: [!env TOKEN]\ntags: {宝妈: !env TOKEN}\nwords: !env TOKEN\n"
    for settings_text in (text, nested):
        loaded = load({"siyu.yaml": settings_text, "rules.yaml": rules}, env=env)
        assert len(loaded.problems) > 3
        assert "s3cret" not in repr(loaded.problems)


MARKS = st.sampled_from(
    [
        *":-[]{}'\"#&*!|>%@`,?\t\n \\：，“",
        "\u200b",
        "\ufeff",
        "- ",
        ": ",
        "<<: ",
        "!env X",
        "*x",
        "&x ",
        "---\n",
        "~",
        "1",
        "\x00",
        "\U0001f600",
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A real file, or a part of one, with a few things put in, taken out, or moved."""
    text = draw(st.sampled_from([*STARTER, *CASES]))
    start = draw(st.integers(0, max(0, len(text) - 600)))
    text = text[start : start + 600]
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(text)))
        until = min(len(text), at + draw(st.integers(0, 8)))
        text = text[:at] + draw(st.one_of(MARKS, st.text(max_size=3))) + text[until:]
    return text


@given(text=st.one_of(mutated(), st.text(max_size=80)), as_settings=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_text_loads_or_explains_itself(text: str, as_settings: bool) -> None:
    files = {"siyu.yaml": SETTINGS, "rules.yaml": ""}
    files["siyu.yaml" if as_settings else "rules.yaml"] = text
    loaded = load(files, env={"X": "1"})
    problems = [*loaded.problems, *cross_check(loaded)]
    assert loaded.settings or problems
    for problem in problems:
        lines = files[problem.file].splitlines()
        assert 1 <= problem.line <= len(lines) + 1
        assert problem.column >= 1
        assert problem.message
        assert any("\u4e00" <= char <= "\u9fff" for char in problem.message)


@pytest.mark.parametrize("piece", ["[", "{", "- ", "a: ", "? ", "!env ", "&a ", "'", "\n", "|\n "])
def test_endless_repetition_is_read_or_refused(piece: str) -> None:
    source = read_source("a.yaml", piece * 20_000, env={})
    assert source.readable or source.problems
