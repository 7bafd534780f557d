"""The YAML block at the head of a template: what to attach and whom to mention."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import yaml

from bot.render.attach import Attachment, Kind, checked
from bot.render.sandbox import Place, Sandbox, Snippet
from sop.errors import RenderError
from sop.messages import Link, MiniProgram
from sop.problems import Problem, did_you_mean

CARDS = {"link": Link.model_fields, "mini_program": MiniProgram.model_fields}
KEYS = (*get_args(Kind), "mention", "first")
MENTIONS = ("sender", "members", "all")
QUOTE_HINT = "含有 {{ }} 的值要整个加上英文引号"


@dataclass(frozen=True, slots=True)
class Front:
    """What a front block says."""

    attachments: tuple[Attachment, ...] = ()
    mention: tuple[str, ...] = ()
    first: bool = False


@dataclass(slots=True)
class Reader:
    """Reads one front block; what is wrong with it gathers in `problems`."""

    sandbox: Sandbox
    file: str
    lines: tuple[str, ...]
    variables: Mapping[str, Any]
    media: Collection[str]
    problems: list[Problem] = field(default_factory=list)

    def read(self, text: str) -> Front:
        """The front block whose YAML, from the file's second line on, is `text`."""
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            self._broken(error)
            return Front()
        except (yaml.YAMLError, RecursionError):
            self._say(Place(self.file, self.lines), "开头的附件区不是能读懂的 YAML")
            return Front()
        if root is None:
            return Front()
        pairs = dict(self._pairs(root, "", KEYS))
        return Front(
            tuple(self._attachments(pairs)),
            self._mention(pairs.get("mention")),
            self._first(pairs.get("first")),
        )

    def _broken(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 2, mark.column + 1) if mark else (1, 1)
        line = min(line, len(self.lines))
        hint = QUOTE_HINT if "{{" in self.lines[line - 1] else "检查缩进、冒号后面的空格和引号"
        message = "开头的附件区 YAML 写错了"
        self.problems.append(Problem(self.file, line, column, "", message, hint=hint))

    def _place(self, node: yaml.Node, path: str) -> Place:
        # The text of a block scalar starts on the line after its mark.
        line = node.start_mark.line + 2 + (getattr(node, "style", None) in ("|", ">"))
        return Place(self.file, self.lines, line, node.start_mark.column + 1, path)

    def _say(
        self, place: Place, message: str, *, expected: str = "", found: str = "", hint: str = ""
    ) -> None:
        where = (place.file, place.line, place.column, place.path)
        self.problems.append(Problem(*where, message, expected, found, hint))

    def _pairs(
        self, node: yaml.Node, path: str, known: tuple[str, ...]
    ) -> Iterator[tuple[str, yaml.Node]]:
        """The entries of a mapping under known keys, each once."""
        place = self._place(node, path)
        if not isinstance(node, yaml.MappingNode):
            self._say(place, "这里应该是“名称: 值”", expected="、".join(known))
            return
        seen: set[str] = set()
        for key_node, value in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            at = self._place(key_node, f"{path}.{key}".strip("."))
            if key not in known:
                braces = QUOTE_HINT if not key else did_you_mean(key, known)
                self._say(at, f"附件区没有“{key}”这一项", expected="、".join(known), hint=braces)
            elif key in seen:
                self._say(at, f"“{key}”写了两次")
            else:
                seen.add(key)
                yield key, value

    def _attachments(self, pairs: Mapping[str, yaml.Node]) -> Iterator[Attachment]:
        kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
        for key, node in pairs.items():
            for path, item in _items(node, key) if key in kinds else ():
                fields = self._fields(item, kinds[key], path)
                if fields is not None:
                    yield Attachment(kinds[key], fields)

    def _fields(self, node: yaml.Node, kind: Kind, path: str) -> dict[str, Snippet] | None:
        """The compiled fields of one attachment; None when something is wrong with any of them."""
        before = len(self.problems)
        nodes = self._card(node, kind, path) if kind in CARDS else {"source": (path, node)}
        fields = {key: self._text(item, kind, key, path=at) for key, (at, item) in nodes.items()}
        if len(self.problems) > before:
            return None
        return {key: snippet for key, snippet in fields.items() if snippet}

    def _card(self, node: yaml.Node, kind: Kind, path: str) -> dict[str, tuple[str, yaml.Node]]:
        known = {key: value for key, value in CARDS[kind].items() if key != "kind"}
        pairs = dict(self._pairs(node, path, tuple(known)))
        missing = [key for key in known if known[key].is_required() and key not in pairs]
        if missing and isinstance(node, yaml.MappingNode):
            message = f"{kind} 缺少“{'、'.join(missing)}”"
            self._say(self._place(node, path), message, expected="、".join(known))
        return {key: (f"{path}.{key}", value) for key, value in pairs.items()}

    def _text(self, node: yaml.Node, kind: Kind, key: str, *, path: str) -> Snippet | None:
        place = self._place(node, path)
        if not isinstance(node, yaml.ScalarNode):
            line = self.lines[place.line - 1]
            self._say(place, "这里应该是一段文字", hint=QUOTE_HINT if "{{" in line else "")
            return None
        snippet, problems = self.sandbox.piece(node.value, place, self.variables)
        self.problems.extend(problems)
        if snippet and "{" not in node.value:
            self._check(node.value, kind, key, place=place)
        return snippet

    def _check(self, value: str, kind: Kind, key: str, *, place: Place) -> None:
        """What is fixed can be judged now; the rest is judged when it is rendered."""
        try:
            checked(kind, key, value, place=place, media=self.media)
        except RenderError as error:
            facts: Any = error.facts
            self._say(place, facts["reason"], hint=facts["hint"])

    def _mention(self, node: yaml.Node | None) -> tuple[str, ...]:
        match node:
            case None:
                return ()
            case yaml.ScalarNode() if node.value in MENTIONS:
                return (node.value,)
            case yaml.SequenceNode() if all(_is_word(item) for item in node.value):
                return tuple(str(item.value) for item in node.value)
        found = node.value if isinstance(node, yaml.ScalarNode) else ""
        self._say(
            self._place(node, "mention"),
            "mention 只能写这三个词之一，或成员编号的列表",
            expected="、".join(MENTIONS),
            found=found,
            hint=did_you_mean(found, MENTIONS),
        )
        return ()

    def _first(self, node: yaml.Node | None) -> bool:
        if node is None:
            return False
        if isinstance(node, yaml.ScalarNode) and node.value in ("true", "false"):
            return bool(node.value == "true")
        self._say(self._place(node, "first"), "first 只能是 true 或 false")
        return False


def _items(node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(node.value))
    else:
        yield path, node


def _is_word(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and bool(node.value.strip())
