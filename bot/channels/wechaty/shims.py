"""Importing `wechaty` 0.10 on current Pythons and libraries, tamed. The only place that does.

The import costs over a second and 80 MB, so nobody pays it without plugins. What is mended, and
why, for the day it can go:

- `pyee.AsyncIOEventEmitter` left the package's root in pyee 12;
- `urllib3.get_host` went in urllib3 2, and older ones have holes;
- `telnetlib` went in Python 3.13 (and warns before);
- `PuppetOptions`, a mutable default of a dataclass, must be hashable since Python 3.11;
- its loggers print what people wrote at INFO, with handlers of their own;
- it writes into the working directory unless CACHE_DIR says otherwise before the import.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pyee
import pyee.asyncio
import urllib3


def wechaty(cache: Path) -> Any:
    """The `wechaty` module; what it and its plugins write goes below `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    os.environ["CACHE_DIR"] = str(cache)
    os.environ["WECHATY_LOG"] = "warn"
    _mend_libraries()
    had = sys.modules.get("telnetlib")
    sys.modules["telnetlib"] = _no_telnet()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an idle upstream: nobody will act on these
            options = importlib.import_module("wechaty_puppet.schemas.puppet").PuppetOptions
            options.__hash__ = object.__hash__
            return importlib.import_module("wechaty")
    finally:
        if had is None:
            del sys.modules["telnetlib"]
        else:
            sys.modules["telnetlib"] = had


def _mend_libraries() -> None:
    for module, name, value in (
        (pyee, "AsyncIOEventEmitter", pyee.asyncio.AsyncIOEventEmitter),
        (urllib3, "get_host", _get_host),
    ):
        if not hasattr(module, name):
            setattr(module, name, value)


def _get_host(url: str) -> tuple[str, str | None, int | None]:
    parsed = urllib3.util.parse_url(url)
    return parsed.scheme or "http", parsed.host, parsed.port


def _no_telnet() -> types.ModuleType:
    """Wechaty only probes a local port with it, which our plugin host never does."""
    stub = types.ModuleType("telnetlib")
    stub.__dict__["Telnet"] = type("Telnet", (), {})
    return stub
