"""Run a coroutine at once, and make a task of it only when it really waits.

Most commands never suspend: look-ups are answered from memory. A task for each would cost more than the command.
A coroutine that does suspend continues in a task from where it stopped.
Limits: code before the first suspension runs outside a task, so it must not use asyncio.timeout or TaskGroup there.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, None], waited: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that has already yielded `waited`."""
    while True:
        try:
            yield waited
        except BaseException as fault:  # cancellation and failed futures belong to the coroutine
            thrown: BaseException | None = fault
        else:
            thrown = None
        try:
            waited = coroutine.send(None) if thrown is None else coroutine.throw(thrown)
        except StopIteration:
            return


async def _finish(coroutine: Coroutine[Any, Any, None], waited: Any) -> None:
    await _rest(coroutine, waited)


def run_eagerly(
    coroutine: Coroutine[Any, Any, None], done: Callable[[asyncio.Task[None]], None]
) -> asyncio.Task[None] | None:
    """Drive the coroutine; None when it finished at once, else the task that goes on (`done` is called at its end).

    What it raises before the first suspension is raised here.
    """
    try:
        waited = coroutine.send(None)
    except StopIteration:
        return None
    task = asyncio.get_running_loop().create_task(_finish(coroutine, waited))
    task.add_done_callback(done)
    return task
