"""The operator's folder: read it, find every mistake in it, and follow its edits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from bot.almanac import ChineseAlmanac
from bot.knowledge import Knowledge, wordings
from bot.language import Matcher, Pattern, Questions, regex_problem
from bot.language.intent import Reader
from bot.planned import moment_problem, planner_of
from bot.render import Templates
from sop.check import check
from sop.conditions import many
from sop.definitions import Definitions, Settings
from sop.errors import DefinitionError, WorkspaceError, refusal
from sop.knowledge import FOLDER as KNOWLEDGE
from sop.knowledge import LONGEST, Entry, entry_of, read_page
from sop.knowledge import SUFFIX as PAGE
from sop.load import SETTINGS_FILE, Loaded, is_definition_file, load
from sop.problems import Problem
from sop.source import decode

MAX_BYTES = 1_000_000
_TEMPLATES, _MEDIA, _DATA = "templates", "media", "data"
_ONLY_AT_START = ("channel", "storage", "timezone")


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Everything the operator wrote, valid as a whole. `problems` are only warnings."""

    root: Path
    settings: Settings
    definitions: Definitions
    templates: Templates
    problems: tuple[Problem, ...] = ()
    pages: tuple[Entry, ...] = ()

    @cached_property
    def matcher(self) -> Matcher:
        """What finds the rules' words in messages; built when first asked for, which takes time."""
        return Matcher(
            patterns(self.definitions),
            words=self.definitions.words,
            synonyms=self.definitions.synonyms,
            questions=self._questions,
        )

    @cached_property
    def knowledge(self) -> Knowledge:
        """What the operator knows; built when first asked for."""
        definitions = self.definitions
        own = definitions.reading.model_dump()
        reader = Reader(own, words=definitions.words, synonyms=definitions.synonyms)
        return Knowledge(self._entries, self._questions, len(self._questions.like), reader)

    @cached_property
    def _entries(self) -> tuple[Entry, ...]:
        return (*map(entry_of, self.definitions.faq), *self.pages)

    @cached_property
    def _questions(self) -> Questions:
        """One index of all questions: those of rules first, then those of the knowledge."""
        return Questions(
            sorted({text for one in patterns(self.definitions) for text in one.like}),
            wordings(self._entries),
            words=self.definitions.words,
            synonyms=self.definitions.synonyms,
        )


@dataclass(frozen=True, slots=True)
class Reload:
    """What an edit led to: the new workspace, or None and the problems that forbid it."""

    workspace: Workspace | None
    problems: tuple[Problem, ...]


def read_workspace(root: Path, *, env: Mapping[str, str]) -> Workspace:
    """The workspace in a folder. Raises WorkspaceError, or DefinitionError with its `problems`."""
    workspace, problems = inspect_workspace(root, env=env)
    if workspace is None:
        raise DefinitionError(problems=problems)
    return workspace


def inspect_workspace(
    root: Path, *, env: Mapping[str, str]
) -> tuple[Workspace | None, tuple[Problem, ...]]:
    """The workspace, unless there are errors, and all problems. Raises WorkspaceError."""
    if not (root / SETTINGS_FILE).exists():
        other = next((root / n for n in ("siyu.yml", "Siyu.yaml") if (root / n).exists()), None)
        raise WorkspaceError(f"请把 {other.name} 改名为 {SETTINGS_FILE}" if other else None)
    seen = _inspect(root, _survey(root), env=env)
    return seen.workspace, seen.problems


def show_problems(problems: Iterable[Problem]) -> str:
    """The screen that tells an operator everything there is to mend."""
    every = sorted(set(problems))
    errors = [problem for problem in every if not problem.warning]
    warnings = [problem for problem in every if problem.warning]
    if not every:
        return "检查通过，没有发现问题"
    blocks = ["\n".join(problem.lines()) for problem in errors]
    if warnings:
        blocks.append("下面这些只是提醒，不影响运行：")
        blocks += ["\n".join(problem.lines()) for problem in warnings]
    return "\n\n".join([*blocks, f"共 {len(errors)} 处错误，{len(warnings)} 处提醒"])


class Watcher:
    """Follows the edits of a workspace; the caller polls as often as it likes.

    `workspace` is the last good one. What only counts at a start keeps its old value in it.
    """

    def __init__(self, root: Path, *, env: Mapping[str, str]) -> None:
        self._root, self._env = root, env
        self._known = _survey(root)
        self.workspace = read_workspace(root, env=env)

    def poll(self) -> Reload | None:
        """What the edits since the last poll led to; None when there were none."""
        survey = _survey(self._root)
        if survey == self._known:
            return None
        seen = _inspect(self._root, survey, env=self._env)
        if _survey(self._root) != survey:  # still being saved; the next poll sees it again
            return None
        self._known = survey
        if seen.workspace is None:
            return Reload(None, seen.problems)
        self.workspace = _keep_running(self.workspace.settings, seen.workspace, seen.loaded)
        return Reload(self.workspace, self.workspace.problems)


def patterns(definitions: Definitions) -> Iterator[Pattern]:
    """What the matcher looks for: one pattern for each rule that asks for words."""
    for rule in definitions.rules:
        match = rule.match
        if match and (match.any or match.all or match.none or match.regex or match.like):
            yield Pattern(
                id=f"rule:{rule.id}",
                any=many(match.any),
                all=many(match.all),
                none=many(match.none),
                regex=many(match.regex),
                like=many(match.like),
            )


# --- what is in the folder -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Survey:
    """The files that matter, each with what betrays an edit, and those that are refused."""

    files: Mapping[str, tuple[int, int]]
    problems: tuple[Problem, ...]

    def below(self, folder: str) -> list[str]:
        return [name for name in self.files if name.startswith(f"{folder}/")]


def _survey(root: Path) -> _Survey:
    files: dict[str, tuple[int, int]] = {}
    problems: list[Problem] = []
    home = root.resolve()
    for entry, name in _entries(root, ""):
        problem = _refusal(entry, name, home)
        if problem:
            problems.append(problem)
        elif entry.is_file() and (mark := _mark(entry, name)):
            files[name] = mark
    return _Survey(files, tuple(problems))


def _entries(folder: Path, prefix: str) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Everything in the folder and below that is neither hidden nor the bot's own data."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.name.startswith(".") or name == _DATA:
            continue
        yield entry, name
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), f"{name}/")


def _refusal(entry: os.DirEntry[str], name: str, home: Path) -> Problem | None:
    if not name.isprintable():
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
        return Problem(shown, 1, 1, "", "文件名里有不能显示的字符", hint="给它改个名字")
    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(home):
        hint = "把真正的文件放进工作区"
        return Problem(name, 1, 1, "", "这个链接指到了工作区外面，不会读取", hint=hint)
    if entry.is_symlink() and entry.is_dir():
        hint = "把真正的文件夹放在这里"
        return Problem(name, 1, 1, "", "不读取链接成的文件夹", hint=hint, warning=True)
    return None


def _mark(entry: os.DirEntry[str], name: str) -> tuple[int, int] | None:
    """What changes when the file is edited; of media only their existence matters."""
    folder = name.partition("/")[0] if "/" in name else ""
    if folder == _MEDIA:
        return (0, 0)
    page = folder == KNOWLEDGE and name.endswith(PAGE)
    if folder != _TEMPLATES and not page and not is_definition_file(name):
        return None
    try:
        stat = entry.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size)


# --- what the files say --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Inspection:
    workspace: Workspace | None
    problems: tuple[Problem, ...]
    loaded: Loaded


def _inspect(root: Path, survey: _Survey, *, env: Mapping[str, str]) -> _Inspection:
    pages, media = survey.below(_TEMPLATES), survey.below(_MEDIA)
    known = [name for name in survey.below(KNOWLEDGE) if name.endswith(PAGE)]
    ours = sorted(set(survey.files) - {*pages, *media, *known})
    loaded = load({name: _text(root, name) for name in ours}, env=env)
    templates, problems = _templates(root, pages, media, loaded)
    settings, definitions = loaded.settings, loaded.definitions
    entries, unread = _knowledge(root, known, templates, usable=_knows_names(loaded))
    problems += unread
    checked = check(
        loaded,
        template_names=templates.names(),
        inline_problem=templates.inline_problem if _knows_names(loaded) else lambda _: None,
        regex_problem=regex_problem,
        festivals=ChineseAlmanac().festivals(),
        moment_problem=lambda name: moment_problem(templates, name),
        planner=planner_of(settings) if settings else None,
    )
    found = tuple(sorted({*survey.problems, *loaded.problems, *problems, *checked}))
    if settings is None or definitions is None or any(not one.warning for one in found):
        return _Inspection(None, found, loaded)
    workspace = Workspace(
        root=root,
        settings=settings,
        definitions=definitions,
        templates=templates,
        problems=found,
        pages=tuple(entries),
    )
    return _Inspection(workspace, found, loaded)


def _text(root: Path, name: str) -> str | Problem:
    try:
        with (root / name).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "看看文件还在不在、有没有读取的权限"
        return Problem(name, 1, 1, "", f"打不开：{refusal(error)}", hint=hint)
    if len(data) > MAX_BYTES:
        return Problem(name, 1, 1, "", "文件太大了", expected="不超过 1 MB", hint="拆成几个文件")
    return decode(name, data)


def _templates(
    root: Path, pages: list[str], media: list[str], loaded: Loaded
) -> tuple[Templates, list[Problem]]:
    """The templates, of which an unreadable file keeps its name but has only its own problem."""
    texts = {name: _text(root, name) if name.endswith(".j2") else "" for name in pages}
    unreadable = {name: text for name, text in texts.items() if isinstance(text, Problem)}
    templates = Templates(
        {
            name.removeprefix(f"{_TEMPLATES}/"): "" if isinstance(text, Problem) else text
            for name, text in texts.items()
        },
        tag_order=_tag_order(loaded),
        variables=loaded.variables or {},
        media=media,
    )
    found = templates.problems if _knows_names(loaded) else ()
    return templates, [*unreadable.values(), *(one for one in found if one.file not in unreadable)]


def _knowledge(
    root: Path, names: list[str], templates: Templates, *, usable: bool
) -> tuple[list[Entry], list[Problem]]:
    """The entries of all pages; what stands below a heading is an inline template."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for name in names:
        text = _text(root, name)
        if isinstance(text, Problem):
            problems.append(text)
            continue
        found, wrong = read_page(name, text)
        entries += found
        problems += wrong
    for entry in entries if usable else ():
        if len(entry.text) <= LONGEST and (why := templates.inline_problem(entry.text)):
            file, _, line = entry.where.rpartition(":")
            message = f"「{entry.question[:20]}」下面的话发不出去：{why}"
            problems.append(Problem(file, int(line), 1, "", message))
    return entries, problems


def _knows_names(loaded: Loaded) -> bool:
    """Whether a name that a template uses in vain is the template's mistake."""
    return loaded.variables is not None


def _tag_order(loaded: Loaded) -> tuple[str, ...]:
    known = loaded.definitions is not None and "tags" not in loaded.broken
    return loaded.definitions.tag_names() if known and loaded.definitions else ()


def _keep_running(running: Settings, new: Workspace, loaded: Loaded) -> Workspace:
    """The new workspace, with the old value of what only counts at a start."""
    changed = {
        key: getattr(running, key)
        for key in _ONLY_AT_START
        if getattr(running, key) != getattr(new.settings, key)
    }
    told = [
        Problem(*loaded.where((key,)), f"{key} 改了，重启后生效", warning=True) for key in changed
    ]
    return replace(
        new,
        settings=new.settings.model_copy(update=changed),
        problems=tuple(sorted({*new.problems, *told})),
    )
