"""All templates of a workspace: compiled and checked once, rendered many times."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from bot.render import leftovers
from bot.render.choices import ROOT, SUFFIX, Choices
from bot.render.facts import SAMPLE_FACTS, SAMPLE_NAMES, clean, plain
from bot.render.filters import RUN, Run
from bot.render.page import BUBBLE_LIMIT, Page, problem_of, read_page
from bot.render.sandbox import Place, Sandbox, Snippet
from sop.errors import RenderError
from sop.messages import Body, Text, summary
from sop.problems import Problem

INLINE_CACHE = 512


class Templates:
    """The templates of one workspace.

    `files` maps paths below `templates/` to texts, `tag_order` are the tags in the order of the
    YAML, `media` the files below `media/` that exist, as paths relative to the workspace.
    """

    def __init__(
        self,
        files: Mapping[str, str],
        *,
        tag_order: Sequence[str] = (),
        variables: Mapping[str, Any] = {},
        media: Collection[str] = (),
    ) -> None:
        self._sandbox = Sandbox()
        self._media = frozenset(media)
        self._variables = plain("vars", variables)
        self._choices = Choices([file for file in files if file.endswith(SUFFIX)], tag_order)
        self._pages: dict[str, Page] = {}
        self._inline = lru_cache(maxsize=INLINE_CACHE)(self._compile_inline)
        problems = list(self._choices.problems())
        for file, text in files.items():
            problems.extend(self._load(file, text))
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))

    def names(self) -> frozenset[str]:
        """Every name that `say` may use."""
        return self._choices.names()

    def choose(self, name: str, tags: Collection[str]) -> str:
        """The file for a contact with these tags."""
        return self._choices.choose(name, tags)

    def uses(self, name: str, tags: Collection[str]) -> frozenset[str]:
        """The names that the file for these tags uses; none where it cannot be used itself."""
        page = self._pages.get(self.choose(name, tags))
        return page.uses if page else frozenset()

    def mentions(self, name: str, tags: Collection[str], words: Collection[str]) -> bool:
        """Whether one of the words stands anywhere in the file for these tags."""
        page = self._pages.get(self.choose(name, tags))
        return page is not None and any(
            word in line for line in page.body.place.lines for word in words
        )

    def render(
        self, name: str, *, tags: Collection[str], facts: Mapping[str, Any]
    ) -> tuple[Body, ...]:
        """The messages to send, in order; may be none. Raises `RenderError`."""
        file = self.choose(name, tags)
        page = self._pages.get(file)
        if page is None:
            raise RenderError(f"{ROOT}{file} 有错误，还不能用；请运行 siyu check 查看", file=file)
        return page.render(self._names(facts, page.uses), facts=facts, media=self._media)

    def render_inline(self, text: str, facts: Mapping[str, Any]) -> str:
        """A short text written in the YAML itself. Raises `RenderError`."""
        snippet, problem = self._inline(text)
        if snippet is None:
            raise RenderError(f"“{text[:40]}”：{problem}")
        said = snippet.render(self._names(facts, snippet.uses)).strip()
        if len(said) > BUBBLE_LIMIT:
            raise snippet.place.error(f"渲染出来有 {len(said)} 个字，超过 {BUBBLE_LIMIT} 个")
        return said

    def inline_problem(self, text: str) -> str | None:
        """Why `render_inline` cannot use the text, in one sentence; None when it can."""
        snippet, problem = self._inline(text)
        if snippet is None:
            return problem
        if not snippet.speaks:
            return "这里是空的，什么也不会发"
        for _line, _column, found, hint in leftovers.in_source(text):
            return f"还留着没有替换的占位文字“{found}”（{hint}）"
        for facts, sample in zip(SAMPLE_FACTS, SAMPLE_NAMES, strict=True):
            try:
                self.render_inline(text, facts)
            except RenderError as error:
                return _sentence(f"{error}（用“{sample}”试渲染时）", str(error.facts["hint"]))
        return None

    def _names(self, facts: Mapping[str, Any], uses: Collection[str]) -> dict[str, Any]:
        names = clean(facts, uses)
        names["vars"] = self._variables
        names[RUN] = Run(int(facts.get("seed") or 0))
        return names

    def _compile_inline(self, text: str) -> tuple[Snippet | None, str]:
        if len(text) > BUBBLE_LIMIT:
            return None, f"超过 {BUBBLE_LIMIT} 个字"
        place = Place("", tuple(text.split("\n")))
        snippet, problems = self._sandbox.piece(text, place, self._variables)
        return snippet, "；".join(_sentence(one.message, one.hint) for one in problems)

    def _load(self, file: str, text: str) -> Iterator[Problem]:
        where = f"{ROOT}{file}"
        if not file.endswith(SUFFIX):
            message, hint = "这不是模板，不会用到", f"模板的文件名要以 {SUFFIX} 结尾"
            yield Problem(where, 1, 1, "", message, hint=hint, warning=True)
            return
        page, problems = read_page(
            self._sandbox, where, text, variables=self._variables, media=self._media
        )
        yield from problems
        left = [_leftover(where, *found) for found in leftovers.in_source(text)]
        yield from left
        if page is None:
            return
        if not problems:
            self._pages[file] = page
            if not page.says_something():
                yield Problem(where, 1, 1, "", "模板是空的，什么也不会发")
        yield from self._try(where, page, search=not left)

    def _try(self, where: str, page: Page, *, search: bool) -> Iterator[Problem]:
        """What goes wrong on the sample facts; the first failure is enough."""
        for facts, sample in zip(SAMPLE_FACTS, SAMPLE_NAMES, strict=True):
            try:
                bodies = page.render(self._names(facts, page.uses), facts=facts, media=self._media)
            except RenderError as error:
                yield problem_of(error, sample)
                return
            found = leftovers.in_output("\n".join(map(_spoken, bodies)))
            if search and found:
                hint = "检查 siyu.yaml 里的 vars，或模板里拼出来的文字"
                yield _leftover(where, page.body.place.line, 1, found, hint)
                return


def _spoken(body: Body) -> str:
    return body.text if isinstance(body, Text) else summary(body)


def _leftover(file: str, line: int, column: int, found: str, hint: str) -> Problem:
    return Problem(file, line, column, "", "还留着没有替换的占位文字", found=found, hint=hint)


def _sentence(message: str, hint: str) -> str:
    return f"{message}（{hint}）" if hint else message
