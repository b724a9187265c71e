"""Coroutines without tasks: what waits goes on in a callback of what it waits for.

Most work of a connection never waits, and most of the rest waits once, for one future. A task for each would cost two
more turns of the loop, an entry in a weak set and more than many a command. What is driven is the current task while it
runs, as asyncio provides for tasks of others' making, so asyncio.timeout, gather, to_thread and all else work in it.
Owns: nothing but the coroutines under way. Futures raise their exception inside the coroutine, as with a task.
On failure: what is raised before the first wait is raised by `drive`; later, `done` is told, or the loop when there is
no `done`.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine
from typing import Any

#: told of the end of what had to wait: what it raised (CancelledError too), or None
Done = Callable[[BaseException | None], None]


class Driven:
    """A coroutine on its way. Keep it to `cancel` it; otherwise nobody needs to hold it."""

    __slots__ = ("_coroutine", "_done", "_loop", "_requests", "_strike", "_waited")

    def __init__(self, coroutine: Coroutine[Any, Any, None], done: Done | None) -> None:
        self._coroutine: Coroutine[Any, Any, None] | None = coroutine  # None at the end
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._requests = 0  # cancellations asked for and not taken back
        self._strike = False  # CancelledError is the next thing it hears
        self._waited: Any = None  # a future, or None for the next turn of the loop

    # what asyncio.timeout and TaskGroup ask of a task

    def cancel(self, msg: object = None) -> bool:
        """Have asyncio.CancelledError raised where the coroutine waits, in a later turn of the loop."""
        if self._coroutine is None:
            return False
        self._requests += 1
        if self._waited is None or not self._waited.cancel(msg):
            self._strike = True
        return True

    def cancelling(self) -> int:
        """How often `cancel` was called, less what was taken back."""
        return self._requests

    def uncancel(self) -> int:
        """Take one cancellation back; how many are left."""
        self._requests = max(self._requests - 1, 0)
        return self._requests

    def done(self) -> bool:
        """Has it come to its end?"""
        return self._coroutine is None

    # steps

    def step(self) -> bool:
        """As far as it goes now; False at the end. Raises what the coroutine raises."""
        coroutine, loop = self._coroutine, self._loop
        assert coroutine is not None
        task: Any = self  # all that asyncio asks of one
        outer = None
        try:
            _enter_task(loop, task)
        except RuntimeError:  # a task calls us: it is not the current one for a while
            outer = asyncio.current_task(loop)
            assert outer is not None
            _leave_task(loop, outer)
            _enter_task(loop, task)
        try:
            if self._strike:
                self._strike = False
                waited = coroutine.throw(asyncio.CancelledError())
            else:
                waited = coroutine.send(None)
        except StopIteration:
            self._coroutine = None
            return False
        except BaseException:
            self._coroutine = None
            raise
        finally:
            _leave_task(loop, task)
            if outer is not None:
                _enter_task(loop, outer)
        self._waited = waited
        if waited is None:
            loop.call_soon(self._go_on, None)
        else:
            waited._asyncio_future_blocking = False  # as a task does
            waited.add_done_callback(self._go_on)
            if self._strike and waited.cancel():  # asked for while it ran
                self._strike = False
        return True

    def _go_on(self, _waited: object) -> None:
        self._waited = None
        fault: BaseException | None = None
        try:
            if self.step():
                return
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as raised:
            if self._done is None:
                raise
            fault = raised
        if self._done is not None:
            self._done(fault)


def drive(coroutine: Coroutine[Any, Any, None], done: Done | None = None) -> Driven | None:
    """Run the coroutine as far as it goes: None when that is to its end, else what goes on with it.

    What it raises before it first waits is raised here; `done` is called only when it had to wait.
    """
    driven = Driven(coroutine, done)
    return driven if driven.step() else None
