"""The steps of a run, in a file: for the report of a failure, and to do them once more.

A line a step: the client, when it began and when it ended in the order of all that began and ended, and the step. Done
once more, a step begins when all those have ended that had ended before it began; those that overlapped overlap again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from postroom.testing.stress.client import Manner, Step


@dataclass(slots=True)
class Done:
    """A step that was done, or begun: end is 0 then."""

    client: int
    begin: int
    end: int
    step: Step


class Record:
    """Of one run."""

    def __init__(self) -> None:
        self._now = 0
        self.done: list[Done] = []

    def begin(self, client: int, step: Step) -> Done:
        """A step begins."""
        self._now += 1
        done = Done(client, self._now, 0, step)
        self.done.append(done)
        return done

    def end(self, done: Done) -> None:
        """It has ended."""
        self._now += 1
        done.end = self._now

    def write(self, path: Path, manners: list[Manner]) -> None:
        """Manners first, then the steps."""
        with path.open("w", encoding="utf-8") as file:
            json.dump([asdict(manner) for manner in manners], file)
            for done in self.done:
                file.write("\n")
                text = done.step.text.decode("latin-1")
                json.dump([done.client, done.begin, done.end, done.step.kind, text, done.step.note], file)


def read(path: Path) -> tuple[list[dict[str, Any]], list[Done]]:
    """What `write` wrote."""
    first, *lines = path.read_text(encoding="utf-8").split("\n")
    steps = []
    for line in lines:
        client, begin, end, kind, text, note = json.loads(line)
        steps.append(Done(client, begin, end, Step(kind, text.encode("latin-1"), note)))
    return json.loads(first), steps


async def again(steps: list[Done], perform: Callable[[int, Step], Awaitable[None]]) -> None:
    """Do the steps once more, in the same order where there was one."""
    last = max((done.end for done in steps), default=0) + 1
    ended = {done.begin: asyncio.Event() for done in steps}
    order = sorted(steps, key=lambda done: done.end or last)

    async def one(done: Done) -> None:
        for other in order:
            if not other.end or other.end > done.begin:
                break
            await ended[other.begin].wait()
        await perform(done.client, done.step)
        ended[done.begin].set()

    async with asyncio.TaskGroup() as group:
        for done in steps:
            group.create_task(one(done))
