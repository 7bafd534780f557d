"""Reading the operator's folder and following its edits; a broken edit changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot import workspace as module
from bot.workspace import (
    Watcher,
    inspect_workspace,
    read_workspace,
    show_problems,
)
from sop.errors import DefinitionError, WorkspaceError
from sop.problems import Problem

SETTINGS = "community: 小满家\noperators: [wxid_boss]\nvars: {地址: 米糕巷}\n"
RULES = """
tags: {宝妈: {}}
rules:
  - {id: price, on: message, match: {any: [价格]}, do: [{say: price}, {notify: "{{ name }} 问价"}]}
  - {id: photo, on: message, match: {type: image}, do: [{say: price}]}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small valid workspace."""
    write(tmp_path, "siyu.yaml", SETTINGS)
    write(tmp_path, "rules.yaml", RULES)
    write(tmp_path, "templates/price.j2", "在{{ vars.地址 }}，来看看\n")
    return tmp_path


def write(root: Path, name: str, text: str | bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def messages(root: Path) -> list[tuple[str, str]]:
    _, problems = inspect_workspace(root, env={})
    return [(problem.file, problem.message) for problem in problems]


def test_a_workspace_is_read_as_a_whole(root: Path) -> None:
    found = read_workspace(root, env={})
    assert found.settings.community == "小满家"
    assert found.templates.names() == {"price"}
    assert found.matcher.match("价格是多少") == {"rule:price": ("价格",)}
    assert found.problems == ()


def test_a_folder_without_settings_is_no_workspace(root: Path) -> None:
    (root / "siyu.yaml").rename(root / "siyu.yml")
    with pytest.raises(WorkspaceError, match=r"siyu\.yml 改名为 siyu\.yaml"):
        read_workspace(root, env={})
    with pytest.raises(WorkspaceError, match="siyu init"):
        read_workspace(root / "nowhere", env={})


def test_errors_come_with_their_problems(root: Path) -> None:
    write(root, "more.yaml", "rules: 价格\n")
    with pytest.raises(DefinitionError) as caught:
        read_workspace(root, env={})
    assert [problem.file for problem in caught.value.facts["problems"]] == ["more.yaml"]  # type: ignore[attr-defined]


def test_hidden_folders_and_data_are_not_read(root: Path) -> None:
    for name in ("data/x.yaml", ".git/x.yaml", "sop/.x.yaml", ".env.yaml", "templates/.x.j2"):
        write(root, name, "rules: [\n")
    assert messages(root) == []


def test_a_link_out_of_the_workspace_is_refused(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    write(outside, "secret.yaml", "rules: []\n")
    (root / "a.yaml").symlink_to(outside / "secret.yaml")
    (root / "b").symlink_to(outside)
    (root / "templates/c.j2").symlink_to(outside / "secret.yaml")
    (root / "d.yaml").symlink_to(root / "rules-2.yaml")
    write(root, "rules-2.yaml", "words: [苹果手机]\n")
    refused = "这个链接指到了工作区外面，不会读取"
    found = messages(root)
    assert found == [("a.yaml", refused), ("b", refused), ("templates/c.j2", refused)]


def test_a_link_that_turns_in_a_circle_ends(root: Path) -> None:
    (root / "loop").symlink_to(root)
    assert messages(root) == [("loop", "不读取链接成的文件夹")]
    assert read_workspace(root, env={}).problems


def test_huge_files_are_refused(root: Path) -> None:
    write(root, "huge.yaml", "#" * (module.MAX_BYTES + 1))
    write(root, "templates/huge.j2", "#" * (module.MAX_BYTES + 1))
    assert messages(root) == [("huge.yaml", "文件太大了"), ("templates/huge.j2", "文件太大了")]


def test_files_in_other_encodings_are_refused_without_further_complaints(root: Path) -> None:
    write(root, "rules.yaml", RULES.encode("gbk"))
    write(root, "templates/price.j2", "价格".encode("gbk"))
    write(
        root, "use.yaml", "rules:\n  - {id: a, on: message, if: {tag: 宝妈}, do: [{say: price}]}\n"
    )
    why = "文件不是 UTF-8 编码，读不了"
    assert messages(root) == [("rules.yaml", why), ("templates/price.j2", why)]


def test_names_that_cannot_be_shown_are_refused(root: Path) -> None:
    write(root, "a\x1b[31m.yaml", "words: []\n")
    assert messages(root) == [("a\\x1b[31m.yaml", "文件名里有不能显示的字符")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_reported(root: Path) -> None:
    (root / "rules.yaml").chmod(0)
    assert [file for file, _ in messages(root)] == ["rules.yaml"]


def test_wrong_settings_do_not_blame_the_templates(root: Path) -> None:
    write(root, "siyu.yaml", "community: 小满家\nvars: 米糕巷\n")
    assert messages(root) == [("siyu.yaml", "vars 写得不对")]


def test_media_that_is_there_may_be_sent(root: Path) -> None:
    write(root, "templates/photo.j2", "---\nimage: media/a.png\n---\n看\n")
    write(root, "media/a.png", b"\x89PNG")
    assert messages(root) == []
    (root / "media/a.png").unlink()
    assert [file for file, _ in messages(root)] == ["templates/photo.j2"]


# --- following edits -----------------------------------------------------------------------------


def test_nothing_changed_is_no_reload(root: Path) -> None:
    watcher = Watcher(root, env={})
    assert watcher.poll() is None
    write(root, "data/siyu.db", "x")
    write(root, "notes.txt", "x")
    assert watcher.poll() is None


def test_an_edit_goes_live(root: Path) -> None:
    watcher = Watcher(root, env={})
    write(root, "templates/new.j2", "新的\n")
    reload = watcher.poll()
    assert reload and reload.workspace is watcher.workspace
    assert watcher.workspace.templates.names() == {"new", "price"}
    assert watcher.poll() is None


def test_a_broken_edit_keeps_the_last_good_workspace(root: Path) -> None:
    watcher = Watcher(root, env={})
    good = watcher.workspace
    write(root, "rules.yaml", RULES.replace("say: price", "say: prise"))
    reload = watcher.poll()
    assert reload and reload.workspace is None
    assert [problem.message for problem in reload.problems] == ["没有叫 prise 的模板"] * 2
    assert watcher.workspace is good
    assert watcher.poll() is None
    write(root, "rules.yaml", RULES + "words: [苹果手机]\n")
    mended = watcher.poll()
    assert mended and mended.workspace is watcher.workspace is not good


def test_settings_that_vanish_keep_the_last_good_workspace(root: Path) -> None:
    watcher = Watcher(root, env={})
    (root / "siyu.yaml").unlink()
    reload = watcher.poll()
    assert reload and reload.workspace is None
    assert [problem.message for problem in reload.problems] == ["没有 siyu.yaml"]


def test_a_file_still_being_saved_is_read_at_the_next_poll(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher(root, env={})
    write(root, "rules.yaml", "rules: [\n")
    inspect = module._inspect

    def save_meanwhile(*args: object, **keywords: object) -> object:
        found = inspect(*args, **keywords)  # type: ignore[arg-type]
        write(root, "rules.yaml", RULES + "words: [苹果手机]\n")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(module, "_inspect", save_meanwhile)
        assert watcher.poll() is None
    reload = watcher.poll()
    assert reload and reload.workspace
    assert reload.workspace.definitions.words == ("苹果手机",)


def test_what_counts_only_at_a_start_waits_for_it(root: Path) -> None:
    watcher = Watcher(root, env={})
    write(
        root,
        "siyu.yaml",
        SETTINGS + "timezone: Asia/Tokyo\nstorage: sqlite:///x.db\ntakeover: 1h\n",
    )
    reload = watcher.poll()
    assert reload and reload.workspace
    assert reload.workspace.settings.timezone == "Asia/Shanghai"
    assert reload.workspace.settings.takeover == 3_600_000
    told = [(problem.line, problem.message) for problem in reload.problems]
    assert told == [(4, "timezone 改了，重启后生效"), (5, "storage 改了，重启后生效")]
    write(root, "siyu.yaml", SETTINGS)
    back = watcher.poll()
    assert back and back.problems == ()


# --- the screen ----------------------------------------------------------------------------------


def test_the_screen_counts_errors_and_warnings() -> None:
    one = Problem("b.yaml", 3, 5, "rules[0]", "写错了", hint="改过来")
    two = Problem("a.yaml", 1, 1, "", "小心", warning=True)
    assert show_problems([two, one, one]) == (
        "b.yaml:3:5  写错了\n    位置：rules[0]\n    提示：改过来\n\n"
        "下面这些只是提醒，不影响运行：\n\na.yaml:1:1  小心\n\n共 1 处错误，1 处提醒"
    )
    assert show_problems([]) == "检查通过，没有发现问题"
