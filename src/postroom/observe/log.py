"""The log: one JSON line an event, and a count of each kind since the start.

Owns: the log file's descriptor. Fields are plain values; passwords and message texts never are among them.
Cost: about 1 us for an event whose level is off, a few for one that is written.
On failure: a line that cannot be written is dropped; the log never stops the mail.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from typing import Any, BinaryIO

import msgspec
import structlog

from postroom.observe.catalogue import CATALOGUE

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Events:
    """Call it with an event's name and fields. counts: how often each was told, whether it was logged or not."""

    def __init__(self, level: str, file: str = "", *, process: str = "", stream: BinaryIO | None = None) -> None:
        """level: the least that is written; file: "" is standard error; process: named in each line.

        stream: where to write instead. Raises OSError when the file cannot be opened.
        """
        self.counts: Counter[str] = Counter()
        least = _LEVELS[level]
        self._levels = {name: kind.level for name, kind in CATALOGUE.items() if _LEVELS[kind.level] >= least}
        self._logger: Any = structlog.wrap_logger(
            _Lines(stream or _open(file)),
            processors=[structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"), _encode],
            wrapper_class=structlog.BoundLoggerBase,
            cache_logger_on_first_use=True,
        ).bind(**({"process": process} if process else {}))

    def __call__(self, name: str, /, **fields: object) -> None:
        """Tell an event of the catalogue."""
        self.counts[name] += 1
        level = self._levels.get(name)
        if level is not None:
            self._logger._proxy_to_logger("msg", name, level=level, **fields)
        elif name not in CATALOGUE:  # a test compares code and catalogue; at run time no mail is lost for a word
            self._logger._proxy_to_logger("msg", name, level="warning", **fields)


class _Lines:
    """Whole lines in one write each, so that processes can share a file."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def msg(self, line: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(line)
            self._stream.flush()


def _open(path: str) -> BinaryIO:
    """The log file for appending, or a copy of standard error."""
    if path:
        return open(path, "ab", buffering=0)
    return os.fdopen(os.dup(2), "wb", buffering=0)


def _encode(_logger: Any, _method: str, fields: Any) -> bytes:
    name = fields.pop("event")
    return msgspec.json.encode({"time": fields.pop("time"), "event": name, **fields}, enc_hook=str) + b"\n"
