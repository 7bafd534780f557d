"""A push as it was when it began: an edit of the files counts from the next time on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from sop.conditions import All, Condition, HasTag, Not
from sop.definitions import Audience, Definitions
from sop.pushes import GroupsWith, Push, ToAudience, ToGroups


@dataclass(frozen=True, slots=True)
class Target:
    """Who is meant: contacts (or groups) for whom `condition` holds, of the `kind` where given."""

    condition: Condition | None
    groups: bool = False
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A push with whom it is for."""

    push: Push
    target: Target

    @property
    def aim(self) -> str:
        """Whom it is for, in words."""
        to = self.push.to
        if isinstance(to, ToAudience):
            return f"人群「{to.audience}」"
        return "这些群"


def pin(push: Push, definitions: Definitions) -> dict[str, Any]:
    """The push as plain data that `unpin` reads again."""
    audience = definitions.audience(push.to.audience) if isinstance(push.to, ToAudience) else None
    return {
        "push": push.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "audience": audience
        and audience.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    }


def unpin(data: Mapping[str, Any]) -> Pinned:
    """The push that `pin` wrote."""
    audience = data.get("audience")
    return _pinned(
        Push.model_validate(data["push"]), Audience.model_validate(audience) if audience else None
    )


def as_written(push: Push, definitions: Definitions) -> Pinned:
    """The push as the files have it now."""
    to = push.to
    return _pinned(push, definitions.audience(to.audience) if isinstance(to, ToAudience) else None)


def _pinned(push: Push, audience: Audience | None) -> Pinned:
    match push.to:
        case ToAudience():
            return Pinned(push, Target(audience.condition if audience else None))
        case ToGroups(groups=groups):
            return Pinned(push, Target(_of(groups), groups=True, kind=groups.kind or ""))
        case _:
            assert_never(push.to)


def _of(groups: GroupsWith) -> Condition | None:
    wanted: list[Condition] = [] if groups.tag is None else [HasTag(tag=groups.tag)]
    if groups.without:
        wanted.append(Not.model_validate({"not": {"tag": groups.without}}))
    return All(all=tuple(wanted)) if wanted else None
