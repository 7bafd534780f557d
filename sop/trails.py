"""Where pydantic's error locations lead in the operator's YAML, and what types stand along the way.

A location names union branches and tags besides keys and indexes, so it is walked together with
the annotations; that also tells which keys exist at the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Discriminator, Tag
from pydantic.fields import FieldInfo

from sop.source import Path

Model = type[BaseModel]


def keys_of(model: Model) -> tuple[str, ...]:
    """The keys an operator may write in this model."""
    return tuple(info.alias or name for name, info in model.model_fields.items())


@dataclass
class Trail:
    """How far an error's location reaches: the YAML path, and the types along it."""

    path: Path = ()
    models: list[Model] = field(default_factory=list)
    annotation: Any = None
    notes: tuple[Any, ...] = ()
    branches: list[tuple[Path, str, tuple[Any, ...]]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return next((s for s in reversed(self.path) if isinstance(s, str)), "这里")

    @property
    def description(self) -> str:
        return next((n.description for n in self.notes if getattr(n, "description", None)), "")


def walk(model: Model, loc: tuple[str | int, ...], value: object) -> Trail:
    trail = Trail(annotation=model)
    for step in loc:
        trail.annotation, notes = _bare(trail.annotation)
        trail.notes = (*trail.notes, *notes)
        if not _step(trail, step):
            break
    trail.annotation, notes = _bare(trail.annotation)
    trail.notes = (*trail.notes, *notes)
    if isinstance(trail.annotation, type) and issubclass(trail.annotation, BaseModel):
        trail.models.append(trail.annotation)
    return trail


def _step(trail: Trail, step: str | int) -> bool:
    """Take one step of a location; False where the location has nothing more to say."""
    annotation, members = trail.annotation, members_of(trail.annotation)
    if len(members) > 1:
        return _branch(trail, members, str(step))
    trail.notes = ()
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        trail.models.append(annotation)
        trail.path = (*trail.path, step)
        info = next((f for n, f in annotation.model_fields.items() if (f.alias or n) == step), None)
        trail.annotation = info.annotation if info else None
        trail.notes = (info, *info.metadata) if info else ()
        return info is not None
    if origin is tuple and isinstance(step, int):
        trail.path, trail.annotation = (*trail.path, step), args[0]
        return True
    if origin is dict and step != "[key]":
        trail.path, trail.annotation = (*trail.path, step), args[1]
        return True
    return False


def _branch(trail: Trail, members: tuple[Any, ...], label: str) -> bool:
    if _discriminated(trail.notes):
        chosen = next((m for m in members if label in tags_of(m)), None)
        trail.annotation, trail.notes = chosen, ()
        return chosen is not None
    trail.branches.append((trail.path, label, members))
    trail.annotation = next((m for m in members if _is_labelled(m, label)), None)
    trail.notes = ()
    return trail.annotation is not None


def _bare(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The annotation without Annotated and without `| None`, and the notes on it."""
    notes: tuple[Any, ...] = ()
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            notes = (*notes, *more)
            continue
        members = members_of(annotation)
        if get_origin(annotation) not in (Union, UnionType) or len(members) != 1:
            return annotation, notes
        annotation = members[0]


def members_of(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) not in (Union, UnionType):
        return ()
    return tuple(m for m in get_args(annotation) if m is not type(None))


def _discriminated(notes: tuple[Any, ...]) -> bool:
    return any(
        isinstance(n, Discriminator) or (isinstance(n, FieldInfo) and n.discriminator is not None)
        for n in notes
    )


def tags_of(member: Any) -> Iterator[str]:
    model, notes = _bare(member)
    yield from (note.tag for note in notes if isinstance(note, Tag))
    for info in getattr(model, "model_fields", {}).values():
        if get_origin(info.annotation) is Literal:
            yield from map(str, get_args(info.annotation))


def _shape(annotation: Any) -> str:
    bare, _ = _bare(annotation)
    origin = get_origin(bare)
    if origin is tuple:
        return "list"
    if origin is dict or members_of(bare) or hasattr(bare, "model_fields"):
        return "map"
    return "scalar"


def _is_labelled(member: Any, label: str) -> bool:
    bare, _ = _bare(member)
    if hasattr(bare, "model_fields"):
        return bool(bare.__name__ == label)
    match _shape(member):
        case "list":
            return label.startswith("tuple[")
        case "map":
            return label.startswith(("dict[", "tagged-union[", "union["))
    return not label.startswith(("tuple[", "dict[")) and not label[:1].isupper()


def fits(root: object, path: Path, label: str, members: tuple[Any, ...]) -> bool:
    """Whether this branch of a union is what the operator was writing."""
    value = root
    for step in path:
        value = value[step]  # type: ignore[index]
    shape = "list" if isinstance(value, list) else "map" if isinstance(value, dict) else "scalar"
    same = [m for m in members if _shape(m) == shape]
    if isinstance(value, dict) and same:
        same = [max(same, key=lambda m: len(value.keys() & set(_keys(m))))]
    if shape == "scalar" and not same:  # more likely a mapping without its key than a whole list
        same = [m for m in members if _shape(m) == "map"]
    return not same or any(_is_labelled(m, label) for m in same)


def _keys(member: Any) -> tuple[str, ...]:
    model, _ = _bare(member)
    return keys_of(model) if hasattr(model, "model_fields") else ()
