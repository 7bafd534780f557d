"""The workspace's YAML files → settings, definitions, and every mistake in them at once.

What is valid goes on to the cross-checks even when other parts are not, so one look shows all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from sop.definitions import Definitions, Settings
from sop.mistakes import Mistake, hidden, mistakes, one_of, show_value
from sop.problems import Problem, did_you_mean
from sop.source import Path, Source, read_source, show_path
from sop.trails import keys_of

SETTINGS_FILE = "siyu.yaml"

KINDS = keys_of(Definitions)
"""What a definition file may hold: `rules`, `tags`, …"""

M = TypeVar("M", bound=BaseModel)


class Place(NamedTuple):
    """Where something is written: the first four fields of a Problem."""

    file: str
    line: int
    column: int
    path: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files say, as far as it is valid.

    `broken` names the kinds of which some part could not be read. `variables` are the settings'
    `vars`, also when other settings are wrong; None when nobody can tell.
    """

    settings: Settings | None
    definitions: Definitions | None
    problems: tuple[Problem, ...]
    broken: frozenset[str]
    variables: Mapping[str, object] | None
    _sources: Mapping[str, Source] = field(repr=False)
    _origins: Mapping[Path, tuple[str, Path]] = field(repr=False)

    def where(self, path: Path, *, key: bool = False) -> Place:
        """Where a path of `definitions` (or of `settings`) is written, or what is nearest to it."""
        if path[:1] and path[0] not in KINDS:
            return _place(self._sources, SETTINGS_FILE, path, key=key)
        file, local = self._local(path)
        return _place(self._sources, file, local, key=key)

    def secret(self, path: Path) -> bool:
        """Whether the value at the path came from the environment and must not be shown."""
        file, local = (SETTINGS_FILE, path) if path[0] not in KINDS else self._local(path)
        return file in self._sources and local in self._sources[file].secrets

    def _local(self, path: Path) -> tuple[str, Path]:
        file, local = self._origins.get(path[:2], (SETTINGS_FILE, ()))
        return file, (*local, *path[2:])


def load(files: Mapping[str, str | Problem], *, env: Mapping[str, str]) -> Loaded:
    """Read `siyu.yaml` and all definition files; `env` answers `!env NAME`.

    A Problem in place of a text says why the file could not be opened.
    """
    sources = {
        file: Source(file, problems=(text,), readable=False)
        if isinstance(text, Problem)
        else read_source(file, text, env=env)
        for file, text in sorted(files.items(), key=lambda item: item[0])
    }
    problems = [problem for source in sources.values() for problem in source.problems]
    settings = _settings(sources.get(SETTINGS_FILE), problems)
    merged = _Merged(sources, problems)
    definitions, origins = merged.validate()
    return Loaded(
        settings,
        definitions,
        tuple(sorted(problems)),
        frozenset(merged.broken),
        settings.vars if settings else _variables(sources.get(SETTINGS_FILE)),
        sources,
        origins,
    )


def is_definition_file(name: str) -> bool:
    """Whether a file of this name holds YAML."""
    return name.endswith((".yaml", ".yml"))


def keep_one(first: Place) -> str:
    """The hint for something written twice."""
    return f"第一次在 {first.file} 第 {first.line} 行第 {first.column} 列；留下一个，删掉另一个"


def _place(sources: Mapping[str, Source], file: str, path: Path, *, key: bool = False) -> Place:
    position = sources[file].position(path, key=key) if file in sources else (1, 1)
    return Place(file, *position, show_path(path))


def problem_at(place: Place, mistake: Mistake) -> Problem:
    """The mistake, at its place in the files."""
    return Problem(
        *place,
        mistake.message,
        expected=mistake.expected,
        found=mistake.found,
        hint=mistake.hint,
        warning=mistake.warning,
    )


def _problem(sources: Mapping[str, Source], file: str, mistake: Mistake) -> Problem:
    return problem_at(_place(sources, file, mistake.path, key=mistake.at_key), mistake)


def _known_already(source: Source, path: Path) -> bool:
    """Reading the file already complained about this very value."""
    return any(path[:end] in source.broken for end in range(1, len(path) + 1))


# --- siyu.yaml -----------------------------------------------------------------------------------


def _settings(source: Source | None, problems: list[Problem]) -> Settings | None:
    if source is None:
        problems.append(Problem(SETTINGS_FILE, 1, 1, "", "没有 siyu.yaml", hint="先运行 siyu init"))
        return None
    if not source.readable:
        return None
    value = {} if source.value is None else source.value
    here = {source.file: source}
    if not isinstance(value, dict):
        problems.append(_problem(here, source.file, _not_keys(source, "community: 小满家")))
        return None
    for key in [key for key in value if key in KINDS]:
        hint = f"把 {key} 移到另一个文件，如 {key}.yaml"
        mistake = Mistake((key,), f"{key} 不写在 siyu.yaml 里", hint=hint, at_key=True)
        problems.append(_problem(here, source.file, mistake))
    value = {key: item for key, item in value.items() if key not in KINDS}
    try:
        return Settings.model_validate(value)
    except ValidationError as error:
        for mistake in mistakes(error, Settings, value, secrets=source.secrets):
            if not _known_already(source, mistake.path):
                problems.append(_problem(here, source.file, mistake))
        return None


def _variables(source: Source | None) -> dict[str, object] | None:
    value = source.value if source and source.readable else None
    given = value.get("vars", {}) if isinstance(value, dict) else None
    if not isinstance(given, dict):
        return None
    return {key: item for key, item in given.items() if isinstance(item, str | int | float | bool)}


def _show(source: Source, path: Path, value: object) -> str:
    return hidden(source.secrets[path]) if path in source.secrets else show_value(value)


def _not_keys(source: Source, example: str) -> Mistake:
    hint, value = "", source.value
    if isinstance(value, str) and "：" in value:
        hint = "冒号要用英文的 : ，后面空一格"
    elif isinstance(value, list):
        hint = "最外面一层不写 -，直接写键"
    return Mistake((), "文件里应该是“键: 值”", f"如 {example}", _show(source, (), value), hint)


# --- definition files ----------------------------------------------------------------------------


class _Merged:
    """The definition files as one raw value, remembering the file of every part."""

    def __init__(self, sources: Mapping[str, Source], problems: list[Problem]) -> None:
        self.sources, self.problems = sources, problems
        self.broken: set[str] = set()
        self._raw: dict[str, Any] = {}
        self._origins: dict[Path, tuple[str, Path]] = {}
        for file, source in sources.items():
            if file == SETTINGS_FILE:
                continue
            if not source.readable:
                self.broken.update(KINDS)
            self.broken.update(str(path[0]) for path in source.broken if path)
            self._add(source)

    def validate(self) -> tuple[Definitions | None, dict[Path, tuple[str, Path]]]:
        """The definitions with whatever is invalid left out, and where their parts come from."""
        try:
            return Definitions.model_validate(self._raw), self._origins
        except ValidationError as error:
            bad = {
                self._report(mistake)
                for mistake in mistakes(error, Definitions, self._raw, secrets=self._secrets())
            }
            self._leave_out(bad)
        try:
            return Definitions.model_validate(self._raw), self._origins
        except ValidationError:
            return None, self._origins

    def _add(self, source: Source) -> None:
        if source.value is None:
            return
        if not isinstance(source.value, dict):
            self.broken.update(KINDS)
            self.problems.append(_problem(self.sources, source.file, _not_keys(source, "rules: …")))
            return
        for kind, value in source.value.items():
            if kind not in KINDS:
                self.problems.append(_problem(self.sources, source.file, _unknown_kind(kind)))
            elif value is not None:
                self._add_kind(source, kind, value)

    def _add_kind(self, source: Source, kind: str, value: object) -> None:
        is_list = _is_list(kind)
        if is_list and isinstance(value, list):
            into = self._raw.setdefault(kind, [])
            for index, item in enumerate(value):
                self._origins[kind, len(into)] = (source.file, (kind, index))
                into.append(item)
        elif not is_list and isinstance(value, dict):
            into = self._raw.setdefault(kind, {})
            for key, item in value.items():
                self._add_key(source, (kind, key), item, into)
        else:
            self.broken.add(kind)
            self.problems.append(
                _problem(self.sources, source.file, _not_shape(source, kind, value))
            )

    def _add_key(self, source: Source, path: Path, item: object, into: dict[str, Any]) -> None:
        if path in self._origins:
            first = _place(self.sources, *self._origins[path], key=True)
            mistake = Mistake(path, f"{path[1]} 写了两次", hint=keep_one(first), at_key=True)
            self.problems.append(_problem(self.sources, source.file, mistake))
            return
        self._origins[path] = (source.file, path)
        into[str(path[1])] = item

    def _secrets(self) -> dict[Path, str]:
        return {
            (*whole, *path[2:]): name
            for whole, (file, local) in self._origins.items()
            for path, name in self.sources[file].secrets.items()
            if path[:2] == local
        }

    def _report(self, mistake: Mistake) -> Path:
        file, local = self._origins.get(mistake.path[:2], (next(iter(self.sources)), ()))
        path = (*local, *mistake.path[2:])
        self.broken.update(map(str, mistake.path[:1]))
        if not _known_already(self.sources[file], path):
            self.problems.append(_problem(self.sources, file, replace(mistake, path=path)))
        return mistake.path[:2]

    def _leave_out(self, bad: set[Path]) -> None:
        origins: dict[Path, tuple[str, Path]] = {}
        for kind, value in self._raw.items():
            items = enumerate(value) if isinstance(value, list) else value.items()
            kept = [(key, item) for key, item in items if (kind, key) not in bad]
            for index, (key, _) in enumerate(kept):
                at = index if isinstance(value, list) else key
                origins[kind, at] = self._origins[kind, key]
            self._raw[kind] = [i for _, i in kept] if isinstance(value, list) else dict(kept)
        self._origins = origins


def _unknown_kind(kind: str) -> Mistake:
    hint = did_you_mean(kind, KINDS)
    if kind in keys_of(Settings):
        hint = f"{kind} 是设置，要写在 siyu.yaml 里"
    return Mistake((kind,), f"不认识的写法 {kind}", one_of(KINDS), hint=hint, at_key=True)


def _is_list(kind: str) -> bool:
    return get_origin(Definitions.model_fields[kind].annotation) is tuple


def _not_shape(source: Source, kind: str, value: object) -> Mistake:
    is_list = _is_list(kind)
    expected = "一个列表，每一项前面一个 -" if is_list else "一组“键: 值”"
    hint = ""
    if is_list and isinstance(value, dict):
        hint = "每一项前面要加 - 和一个空格"
    elif isinstance(value, list):
        hint = "去掉每一项前面的 -，写成“名字: …”"
    return Mistake((kind,), f"{kind} 写得不对", expected, _show(source, (kind,), value), hint)
