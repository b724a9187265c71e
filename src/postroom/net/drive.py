"""Coroutines without tasks: what waits goes on in a callback of what it waits for.

Most work of a connection never waits, and most of the rest waits once, for one future. A task for each would cost two
more turns of the loop, an entry in a weak set and more than many a command.
Owns: nothing but the coroutines under way. Futures raise their exception inside the coroutine, as with a task.
Limits: there is no current task, so what is driven must not use asyncio.timeout or TaskGroup; it may await tasks,
gather and to_thread.
On failure: what is raised before the first wait is raised by `drive`; later, `done` is told, or the loop when there is
no `done`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

#: told of the end of what had to wait: what it raised (CancelledError too), or None
Done = Callable[[BaseException | None], None]


class Driven:
    """A coroutine that waits for something. Keep it to `cancel` it; otherwise nobody needs to hold it."""

    __slots__ = ("_cancelled", "_coroutine", "_done", "_waited")

    def __init__(self, coroutine: Coroutine[Any, Any, None], done: Done | None, waited: Any) -> None:
        self._coroutine = coroutine
        self._done = done
        self._cancelled = False
        self._wait(waited)

    def cancel(self) -> None:
        """Have asyncio.CancelledError raised where the coroutine waits, in a later turn of the loop."""
        if self._waited is None or not self._waited.cancel():
            self._cancelled = True

    def _wait(self, waited: Any) -> None:
        """waited: what the coroutine yielded: a future, or None for the next turn of the loop."""
        self._waited = waited
        if waited is None:
            asyncio.get_running_loop().call_soon(self._go_on, None)
        else:
            waited._asyncio_future_blocking = False  # as a task does
            waited.add_done_callback(self._go_on)

    def _go_on(self, _waited: object) -> None:
        fault: BaseException | None = None
        try:
            if self._cancelled:
                self._cancelled = False
                waited = self._coroutine.throw(asyncio.CancelledError())
            else:
                waited = self._coroutine.send(None)
        except StopIteration:
            pass
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as raised:
            fault = raised
        else:
            self._wait(waited)
            return
        if self._done is not None:
            self._done(fault)
        elif fault is not None:
            raise fault


def drive(coroutine: Coroutine[Any, Any, None], done: Done | None = None) -> Driven | None:
    """Run the coroutine as far as it goes: None when that is to its end, else what goes on with it.

    What it raises before it first waits is raised here; `done` is called only when it had to wait.
    """
    try:
        waited = coroutine.send(None)
    except StopIteration:
        return None
    return Driven(coroutine, done, waited)
