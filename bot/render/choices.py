"""Which file answers a `say`, given the tags a contact carries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sop.errors import RenderError
from sop.problems import Problem, did_you_mean

SUFFIX = ".j2"
ROOT = "templates/"


class Choices:
    """The names that `say` may use, each with its default and its variants, best first."""

    def __init__(self, files: Collection[str], tag_order: Sequence[str]) -> None:
        self._known = tag_order
        self._order = {tag: index for index, tag in reversed(list(enumerate(tag_order)))}
        stems = {file.removesuffix(SUFFIX): file for file in files}
        self._default = {_name(stem): file for stem, file in sorted(stems.items())}
        self._variants = {name: self._ranked(name, stems) for name in self._default}
        self._twice = [name for name in stems if f"{name}/default" in stems]

    def _ranked(self, name: str, stems: dict[str, str]) -> list[tuple[str, str]]:
        below = [stem for stem in stems if stem.startswith(f"{name}/")]
        tags = [(stem[len(name) + 1 :], stems[stem]) for stem in below]
        return sorted((tag for tag in tags if tag[0] != "default"), key=self._rank)

    def _rank(self, variant: tuple[str, str]) -> tuple[int, int, str]:
        tag = variant[0]
        return -tag.count("/"), self._order.get(tag, len(self._order)), tag

    def names(self) -> frozenset[str]:
        return frozenset(self._default)

    def choose(self, name: str, tags: Collection[str]) -> str:
        if name not in self._default:
            hint = did_you_mean(name, self._default)
            raise RenderError(f"没有叫 {name} 的模板。{hint}", name=name)
        for tag, file in self._variants[name]:
            if tag in tags:
                return file
        return self._default[name]

    def problems(self) -> Iterator[Problem]:
        """Names with two defaults, and variants that no contact can ever get."""
        for name in self._twice:
            message = f"{name} 写了两份：{name}{SUFFIX} 和 {name}/default{SUFFIX}"
            yield Problem(f"{ROOT}{name}{SUFFIX}", 1, 1, "", message, hint="留下其中一份")
        for name, file in self._default.items():
            if self._known and file.endswith(f"/default{SUFFIX}"):
                yield from self._unreachable(name)

    def _unreachable(self, name: str) -> Iterator[Problem]:
        for tag, file in self._variants[name]:
            if tag not in self._order and not tag.endswith("/default"):
                message = f"没有叫 {tag} 的标签，这个模板不会按标签选中"
                hint = did_you_mean(tag, self._known)
                yield Problem(f"{ROOT}{file}", 1, 1, "", message, hint=hint, warning=True)


def _name(stem: str) -> str:
    return stem.removesuffix("/default")
