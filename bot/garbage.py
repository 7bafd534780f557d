"""Python's garbage collector, told what kind of program this is."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OFTEN = (5_000, 20, 50)  # new objects before a look; Python's own 700 come with a few walkers


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Leave what is loaded by now out of every collection, and collect what comes less often.

    A batch makes thousands of objects that all die with it, beside definitions and words that stay:
    looking through them again and again took a quarter of a step's time.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*OFTEN)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
