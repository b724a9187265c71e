"""Coroutines without tasks: what waits goes on in a callback of the future it waits for.

A task costs several turns of the loop and a weak set; most of our waits are for one future. Whoever drives a
coroutine calls `send(None)` itself and hands what it yields to `when_done`.
Owns: nothing. Limits: what is driven so must not use asyncio.timeout or TaskGroup, which need a task; it cannot be
cancelled. Futures raise their exception inside the coroutine, as with a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


def when_done(waited: Any, go_on: Callable[[Any], object]) -> None:
    """Call go_on when what a coroutine yielded is there: a future, or None for the next turn of the loop."""
    if waited is None:
        asyncio.get_running_loop().call_soon(go_on, None)
    else:
        waited._asyncio_future_blocking = False  # as a task does
        waited.add_done_callback(go_on)


def drive(coroutine: Coroutine[Any, None, None] | Generator[Any, None, None]) -> None:
    """Run the coroutine: its first step now, the others as what it waits for is done. What it raises is raised here."""
    try:
        waited = coroutine.send(None)
    except StopIteration:
        return
    when_done(waited, lambda _: drive(coroutine))
