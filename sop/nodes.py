"""Walking over everything inside the definitions, with the YAML path of each part."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from sop.conditions import OneOrMany
from sop.source import Path

Node = tuple[Path, BaseModel]


def nodes(value: object, path: Path) -> Iterator[Node]:
    """Every model inside, with its path; keys as they are written in YAML."""
    if isinstance(value, BaseModel):
        yield path, value
        for name, info in type(value).model_fields.items():
            yield from nodes(getattr(value, name), (*path, info.alias or name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from nodes(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from nodes(item, (*path, key))


def each(value: OneOrMany | None, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts of a value written alone or as a list, with their paths."""
    if isinstance(value, str):
        yield path, value
    elif value is not None:
        yield from (((*path, index), text) for index, text in enumerate(value))
