"""The log: one JSON line an event, a count of each kind since the start, and the way into the events files.

Owns: the log file's descriptor. Fields are plain values; passwords and message texts never are among them.
Cost: under 1 us for an event whose level is off, about 3 us for one that is written, half a us to have it kept. In a
worker, lines of level info and below wait up to a quarter of a second, so that a busy server writes many at once;
warnings and errors never wait.
On failure: a line that cannot be written is dropped; the log never stops the mail.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

import msgspec

from postroom.observe.alarms import ENDED_BY, is_alarm
from postroom.observe.catalogue import CATALOGUE, KEPT

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_DELAY: Final = 0.25
_MOST: Final = 256  # lines that wait

#: what is given on
_WATCHED: Final = KEPT | ENDED_BY.keys() | {name for name in CATALOGUE if is_alarm(name)}

Later = Callable[[float, Callable[[], None]], Any]
#: takes the time, name and fields of an event that is to be kept (store.api.events.EventStore.add)
Keep = Callable[[float, str, Mapping[str, Any]], None]


class Events:
    """Call it with an event's name and fields. counts: how often each was told, whether it was logged or not."""

    def __init__(self, level: str, file: str = "", *, process: str = "", stream: BinaryIO | None = None) -> None:
        """level: the least that is written; file: "" is standard error; process: named in each line.

        stream: where to write instead. Raises OSError when the file cannot be opened.
        """
        self.counts: Counter[str] = Counter()
        self._heads = _heads(level, process)
        self._patient = {name for name, kind in CATALOGUE.items() if _LEVELS[kind.level] <= _LEVELS["info"]}
        self._process = process
        self._stream = stream or _open(file)
        self._encode = msgspec.json.Encoder(enc_hook=str).encode
        self._waiting: list[bytes] = []
        self._later: Later | None = None
        self._second = -1
        self._stamp = b""
        self._keep: Keep | None = None

    def follow(self, level: str, file: str) -> None:
        """Another level and file from now on; the same file is opened anew, because it may have been moved away.

        Raises OSError when the file cannot be opened, and changes nothing.
        """
        stream = _open(file)
        self.flush()
        self._stream.close()
        self._stream = stream
        self._heads = _heads(level, self._process)

    def wait_with(self, later: Later | None) -> None:
        """Lines of level info may wait from now on: later is a loop's call_later. None: nothing waits any more."""
        self._later = later
        if later is None:
            self.flush()

    def keep_with(self, keep: Keep | None) -> None:
        """Give on events that are to be kept (catalogue.KEPT) or watched for (alarms) from now on. None: no more."""
        self._keep = keep

    def __call__(self, name: str, /, **fields: object) -> None:
        """Tell an event of the catalogue."""
        self.counts[name] += 1
        if self._keep is not None and name in _WATCHED:
            self._keep(time.time(), name, fields)
        head = self._heads.get(name)
        if head is None:
            if name in CATALOGUE:
                return
            # a test compares code and catalogue; at run time no mail is lost for a word
            head = self._heads[name] = _head(name, "warning", self._process)
        waiting = self._waiting
        rest = b"," + self._encode(fields)[1:] if fields else b"}"
        waiting.append(self._now() + head + rest + b"\n")
        if self._later is None or name not in self._patient or len(waiting) >= _MOST:
            self.flush()
        elif len(waiting) == 1:
            self._later(_DELAY, self.flush)

    def flush(self) -> None:
        """Write what waits, in one piece, so that processes can share a file."""
        if self._waiting:
            lines, self._waiting = self._waiting, []
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(b"".join(lines))
                self._stream.flush()

    def _now(self) -> bytes:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime('{"time":"%Y-%m-%dT%H:%M:%S', time.gmtime(second)).encode()
        return b'%b.%06dZ"' % (self._stamp, int((now - second) * 1e6))


def _heads(level: str, process: str) -> dict[str, bytes]:
    """The beginning of each event's line; those below the level have none."""
    least = _LEVELS[level]
    return {name: _head(name, kind.level, process) for name, kind in CATALOGUE.items() if _LEVELS[kind.level] >= least}


def _head(name: str, level: str, process: str) -> bytes:
    fields = {"event": name, "level": level, **({"process": process} if process else {})}
    return b"," + msgspec.json.encode(fields)[1:-1]


def _open(path: str) -> BinaryIO:
    """The log file for appending, or a copy of standard error."""
    if path:
        return open(path, "ab", buffering=0)
    return os.fdopen(os.dup(2), "wb", buffering=0)
