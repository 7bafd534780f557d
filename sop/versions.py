"""The identity of a version of an SOP: the digest of what it says, not of how it is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sop.sequences import Sop


def as_data(sop: Sop) -> dict[str, Any]:
    """The SOP as plain data that `from_data` reads again."""
    return sop.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def from_data(data: Mapping[str, Any]) -> Sop:
    """The SOP that `as_data` wrote."""
    return Sop.model_validate(data)


def digest(sop: Sop) -> str:
    """Sixteen hex digits that change whenever the meaning of the definition does."""
    text = json.dumps(as_data(sop), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
