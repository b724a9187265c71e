"""Asking the child that reads strangers' files: started at the first file, ended when there are none for a while.

Owns: the child. One file at a time. A file that kills it, or takes too long, is to blame for that alone: the next gets
a new child.
On failure: NotRead, with whether another try makes sense.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Final

import msgspec

import postroom
from postroom.index.extraction.child import LENGTH
from postroom.index.extraction.limits import MOST_OCTETS, MOST_TEXT

#: seconds of CPU for one file, and of anybody's time: the machine may be busy
CPU_SECONDS: Final = 10.0
WALL_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 30.0
_MOST_ANSWER: Final = 8 * MOST_TEXT
#: what the child needs of the environment
_PASSED: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "VIRTUAL_ENV")


class NotRead(Exception):
    """A file gave no text. again: it may have been the machine's fault."""

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class Extractor:
    """The child, when there is one."""

    def __init__(
        self, cpu_seconds: float = CPU_SECONDS, wall_seconds: float = WALL_SECONDS, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._cpu = cpu_seconds
        self._wall = wall_seconds
        self._idle = idle_seconds
        self._child: Process | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Of the child, 0 without one."""
        return self._child.pid if self._child is not None else 0

    async def text(self, kind: str, data: bytes) -> str:
        """The text of a file. Raises NotRead."""
        if len(data) > MOST_OCTETS:
            raise NotRead(f"it has more than {MOST_OCTETS} octets")
        async with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            try:
                async with asyncio.timeout(self._wall):
                    return await self._ask(await self._started(), kind, data)
            except TimeoutError:
                await self._kill()
                raise NotRead(f"it takes longer than {self._wall:.0f} seconds") from None
            except (OSError, EOFError) as fault:
                status = await self._kill()
                raise NotRead(f"reading it ended the process ({status})", again=status in (0, None)) from fault
            finally:
                if self._child is not None:
                    self._ending = asyncio.get_running_loop().call_later(self._idle, self._end)

    async def _started(self) -> Process:
        if self._child is None or self._child.returncode is not None:
            environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
            places = (str(Path(postroom.__file__).parents[1]), environment.get("PYTHONPATH", ""))
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
            command = (sys.executable, "-m", "postroom.index.extraction.child")
            self._child = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, close_fds=True
            )
        return self._child

    async def _ask(self, child: Process, kind: str, data: bytes) -> str:
        assert child.stdin is not None
        assert child.stdout is not None
        head = msgspec.msgpack.encode((kind, self._cpu))
        child.stdin.write(b"".join((LENGTH.pack(len(head)), head, LENGTH.pack(len(data)), data)))
        await child.stdin.drain()
        (size,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
        if size > _MOST_ANSWER:
            raise EOFError
        answer = await child.stdout.readexactly(size)
        try:
            text, why = msgspec.msgpack.decode(answer, type=tuple[str | None, str])
        except msgspec.MsgspecError as fault:  # it may have been taken over
            raise EOFError from fault
        if text is None:
            raise NotRead(why)
        return text[:MOST_TEXT]

    def _end(self) -> None:
        """Nothing was asked for a while: its input ends, and so does it."""
        child, self._child = self._child, None
        if child is not None and child.stdin is not None:
            child.stdin.close()

    async def _kill(self) -> int | None:
        """The status it ended with."""
        child, self._child = self._child, None
        if child is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        return await child.wait()

    async def close(self) -> None:
        """End the child."""
        if self._ending is not None:
            self._ending.cancel()
        await self._kill()
