"""YAML text → plain values, with the position of every key and value.

Only what YAML 1.2 calls true, false, null and numbers is more than text, so `on:` stays a word and
`10:00` a time. Any text gives values or problems; nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from yaml.composer import Composer, ComposerError
from yaml.error import Mark, MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from sop.problems import Problem

Path = tuple[str | int, ...]

MAX_DEPTH = 40
MAX_EXPANDED = 10_000  # nodes that aliases may repeat
_INVISIBLE = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
_BLANK_ENDS = re.compile(r"^[\s\u200b-\u200d\u2060]+|[\s\u200b-\u200d\u2060]+$")
_INT = re.compile(r"[-+]?(0|[1-9]\d{0,17})")
_FLOAT = re.compile(r"[-+]?\d{1,18}\.\d{1,18}")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


class Position(NamedTuple):
    """A place in a text, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Source:
    """One file as read. `secrets` names the environment variable a value came from."""

    file: str
    value: Any = None
    keys: Mapping[Path, Position] = field(default_factory=dict)
    values: Mapping[Path, Position] = field(default_factory=dict)
    secrets: Mapping[Path, str] = field(default_factory=dict)
    broken: frozenset[Path] = frozenset()
    problems: tuple[Problem, ...] = ()
    readable: bool = True

    def position(self, path: Path, *, key: bool = False) -> Position:
        """Where the value (or its key) at the path is, or else the nearest thing around it."""
        tables = (self.keys, self.values) if key else (self.values, self.keys)
        for end in range(len(path), -1, -1):
            for table in tables:
                if path[:end] in table:
                    return table[path[:end]]
        return Position(1, 1)


def show_path(path: Path) -> str:
    """`("rules", 2, "say")` → `rules[2].say`."""
    out = ""
    for step in path:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out


def decode(file: str, data: bytes) -> str | Problem:
    """The text of a file's bytes; a UTF-8 signature at the start is fine."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        return Problem(
            file,
            *_position_after(before),
            "",
            "文件不是 UTF-8 编码，读不了",
            expected="UTF-8",
            hint="用编辑器打开，选“另存为”，编码选 UTF-8 再保存",
        )


def read_source(file: str, text: str, *, env: Mapping[str, str]) -> Source:
    """Read one YAML file. `env` answers `!env NAME`."""
    text = text.removeprefix("\ufeff")
    if found := _INVISIBLE.search(text):
        position = _position_after(text[: found.start()])
        return _unreadable(
            file,
            position,
            "有看不见的控制字符",
            found=f"U+{ord(found[0]):04X}",
            hint="多半是从别处复制带进来的：把光标移到这里，删掉它",
        )
    try:
        root = _Composer(text).get_single_node()
    except MarkedYAMLError as error:
        return _explain(file, error)
    except YAMLError:
        return _unreadable(file, Position(1, 1), "这个文件不是能读的 YAML 文本")
    builder = _Builder(file, env)
    if root is None:
        return Source(file)
    try:
        value = builder.build(root, ())
    except _TooMuch:
        return Source(file, problems=tuple(builder.problems), readable=False)
    return Source(
        file,
        value,
        builder.keys,
        builder.values,
        builder.secrets,
        frozenset(builder.broken),
        tuple(builder.problems),
    )


def _position_after(text: str) -> Position:
    lines = re.split(r"\r\n|\r|\n", text)
    return Position(len(lines), len(lines[-1]) + 1)


def _position(mark: Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _unreadable(
    file: str, at: Position, message: str, *, found: str = "", hint: str = ""
) -> Source:
    problem = Problem(file, *at, "", message, found=found, hint=hint)
    return Source(file, problems=(problem,), readable=False)


class _Composer(Reader, Scanner, Parser, Composer):
    """PyYAML up to the node graph, with our own idea of what a plain scalar is."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self._depth >= MAX_DEPTH:
            raise ComposerError(None, None, "too deep", cast(Any, self).peek_event().start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def resolve(self, kind: type[Node], value: object, implicit: Any) -> str:
        return "plain" if kind is ScalarNode and implicit[0] else "text"

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        """Called by the composer for path resolvers, which we have none of."""

    def ascend_resolver(self) -> None:
        """The other half of `descend_resolver`."""


class _TooMuch(Exception):
    pass


class _Builder:
    """Makes values of nodes and remembers where each came from."""

    def __init__(self, file: str, env: Mapping[str, str]) -> None:
        self.file, self.env = file, env
        self.keys: dict[Path, Position] = {}
        self.values: dict[Path, Position] = {}
        self.secrets: dict[Path, str] = {}
        self.broken: set[Path] = set()
        self.problems: list[Problem] = []
        self._seen: set[int] = set()
        self._expanded = 0

    def build(self, node: Node, path: Path) -> object:
        self._bound(node, path)
        self.values[path] = _position(node.start_mark)
        if node.tag == "!env":
            return self._environment(node, path)
        if node.tag not in ("plain", "text"):
            self._refuse(
                node.start_mark,
                path,
                f"不认识的标记 {node.tag.replace('tag:yaml.org,2002:', '!!')}",
                hint="只认识 !env 变量名；如果感叹号是文字的一部分，请给整段文字加引号",
            )
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return _scalar(node.value) if node.tag == "plain" else node.value

    def _bound(self, node: Node, path: Path) -> None:
        if len(path) > MAX_DEPTH:
            self._refuse(
                node.start_mark, (), "别名（*）绕回了自己，或者一层套一层太深", hint=_PLAIN
            )
            raise _TooMuch
        self._expanded += id(node) in self._seen
        self._seen.add(id(node))
        if self._expanded > MAX_EXPANDED:
            self._refuse(node.start_mark, (), "别名（*）展开后内容太多", hint=_PLAIN)
            raise _TooMuch

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        out: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in out:
                self._repeated(key_node.start_mark, (*path, key))
                continue
            self.keys[(*path, key)] = _position(key_node.start_mark)
            out[key] = self.build(value_node, (*path, key))
        return out

    def _key(self, node: Node, path: Path) -> str | None:
        if isinstance(node, ScalarNode) and node.tag in ("plain", "text") and node.value != "<<":
            key = _BLANK_ENDS.sub("", node.value)
            if key != node.value:
                message, hint = f"{key} 的前后有全角或看不见的空格", "删掉它；缩进只用半角空格"
                self._refuse(node.start_mark, (*path, key), message, hint=hint)
            return key
        if isinstance(node, ScalarNode):
            message, hint = f"不支持 {node.value} 这种键", "把要用的几行直接写在这里"
        else:
            message = "冒号左边只能是文字"
            hint = "如果这里想写 {{ 变量 }}，请给整段文字加引号"
        self._refuse(node.start_mark, path, message, hint=hint)
        return None

    def _repeated(self, mark: Mark, path: Path) -> None:
        first = self.keys[path]
        self._refuse(
            mark,
            path,
            f"{path[-1]} 写了两次",
            hint=f"第一次在第 {first.line} 行第 {first.column} 列；留下一个，删掉另一个",
        )

    def _environment(self, node: Node, path: Path) -> str | None:
        name = node.value.strip() if isinstance(node, ScalarNode) else ""
        if not name:
            self._refuse(node.start_mark, path, "!env 后面要写环境变量的名字", hint="如 !env TOKEN")
            return None
        self.secrets[path] = name
        if not self.env.get(name):
            hint = f"启动前先设置它，如 export {name}=…"
            self._refuse(node.start_mark, path, f"环境变量 {name} 没有设置", hint=hint)
            return None
        return self.env[name]

    def _refuse(self, mark: Mark, path: Path, message: str, *, hint: str = "") -> None:
        self.broken.add(path)
        at = _position(mark)
        self.problems.append(Problem(self.file, *at, show_path(path), message, hint=hint))


_PLAIN = "不用别名，把内容直接写出来"


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


# What PyYAML says → what we say, and how to mend it. The first part that occurs wins.
_SYNTAX = (
    ("too deep", "一层套一层太深了", f"最多 {MAX_DEPTH} 层，请拆开写"),
    (r"'\t' that cannot start", "这里用了 Tab 键", "缩进只能用空格：把 Tab 换成两个空格"),
    ("that cannot start any token", "文字不能用这个符号开头", '给整段文字加引号，如 "@所有人"'),
    (
        "mapping values are not allowed",
        "这里多了一个冒号，或者缩进没有对齐",
        "文字里有英文冒号时加引号；同一层的几行左边要对齐",
    ),
    ("could not find expected ':'", "这一行少了冒号", "写成“键: 值”，英文冒号，后面空一格"),
    ("parsing a flow node", "括号里的内容没有写完", "检查 [ ] 和 { } 是不是成对、逗号是不是多了"),
    ("unexpected end of stream", "引号没有配对", "从这里开始的引号，结尾少了另一半"),
    ("unexpected document separator", "引号没有配对", "从这里开始的引号，结尾少了另一半"),
    ("unknown escape character", "双引号里的反斜杠 \\ 写法不对", "把双引号换成单引号"),
    ("expected escape sequence", "双引号里的反斜杠 \\ 写法不对", "把双引号换成单引号"),
    ("sequence entries are not allowed", "列表的 - 不能写在这里", "- 要另起一行，并且和同一层对齐"),
    ("expected ',' or ']'", "方括号 [ ] 没有配对", "几项之间用英文逗号隔开，最后用 ] 收尾"),
    ("expected ',' or '}'", "花括号 { } 没有配对", "几项之间用英文逗号隔开，最后用 } 收尾"),
    ("expected <block end>", "缩进没有对齐", "同一层的几行左边要对齐，只用空格"),
    ("did not find expected '-'", "缩进没有对齐", "同一个列表的每个 - 要上下对齐"),
    ("undefined alias", "引用了没有定义过的别名", '星号 * 开头的文字要加引号，如 "*"'),
    ("duplicate anchor", "同一个别名定义了两次", _PLAIN),
    ("alphabetic or numeric", "& 和 * 不能直接放在文字开头", "给整段文字加引号"),
    (
        "expected a single document",
        "一个文件里只能有一份内容",
        "去掉单独成行的 ---，或者拆成两个文件",
    ),
    (
        "<document start>",
        "这里的内容接不上前面",
        "同一层的几行左边要对齐；去掉单独成行的 --- 或 ...",
    ),
    ("undefined tag handle", "感叹号的写法不对", "如果感叹号是文字的一部分，请给整段文字加引号"),
)
# Where these start tells more than where PyYAML gave up.
_AT_START = (
    "引号没有配对",
    "方括号 [ ] 没有配对",
    "花括号 { } 没有配对",
    "括号里的内容没有写完",
    "这一行少了冒号",
)


def _explain(file: str, error: MarkedYAMLError) -> Source:
    said = " ".join(filter(None, (error.problem, error.context)))
    message, hint = next(
        ((message, hint) for part, message, hint in _SYNTAX if part in said),
        ("这里的写法不对，读不懂", "检查这一行和上一行的引号、冒号、缩进"),
    )
    mark = error.problem_mark or error.context_mark
    if message in _AT_START and error.context_mark:
        mark = error.context_mark
    return _unreadable(file, _position(mark) if mark else Position(1, 1), message, hint=hint)
