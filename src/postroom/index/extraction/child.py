"""The process that reads strangers' files, for as long as there are any: one request after the other on its input.

Before the first it gives away what it does not need: it cannot open a file or a socket, start a process, write a file,
or grow beyond its memory; each request may take so many seconds of CPU, then the system kills it. It follows its parent
into death.
Request: 8 octets of length, then msgpack (kind, seconds), then the file the same way. Answer: 8 octets, msgpack
(text, why). text None: unreadable.
On failure: it dies, and whoever asked knows that the file was to blame.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
from encodings.aliases import aliases
from typing import BinaryIO, Final

import msgspec

from postroom.index.extraction.formats import text_of
from postroom.index.extraction.limits import MOST_OCTETS, Unreadable

LENGTH: Final = struct.Struct("<Q")
#: octets of address space; PDFium and the interpreter take 150 MiB of it
_MEMORY: Final = 1024 * 1024 * 1024
_NICE: Final = 19
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000


def main() -> None:
    """Read requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _load()
    _give_up_rights()
    while (head := _read(requests)) is not None:
        kind, seconds = msgspec.msgpack.decode(head, type=tuple[str, float])
        data = _read(requests)
        if data is None:
            return
        _allow_seconds(seconds)
        answer = msgspec.msgpack.encode(_answer(kind, data))
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _answer(kind: str, data: bytes) -> tuple[str | None, str]:
    try:
        return text_of(kind, data).encode("utf-8", "replace").decode(), ""
    except Unreadable as fault:
        return None, str(fault)[:200]
    except MemoryError:
        return None, "it takes more memory than is allowed"
    except RecursionError:
        return None, "nested too deep"
    except Exception as fault:  # whatever a library thinks of
        return None, f"{type(fault).__name__}: {fault}"[:200]


def _read(source: BinaryIO) -> bytes | None:
    """The next octets with their length before them; None at the end."""
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    if size > 2 * MOST_OCTETS:
        return None
    data = source.read(size)
    return data if len(data) == size else None


def _load() -> None:
    """Everything that lies in files, before files can be opened no more."""
    import chardet
    import pypdfium2

    chardet.detect("überhaupt".encode("latin-1"))
    with contextlib.suppress(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(b"%PDF-1.4")
    for name in {*aliases.values(), *aliases}:
        with contextlib.suppress(LookupError, ImportError):  # some are of other systems
            codecs.lookup(name)


def _give_up_rights() -> None:
    with contextlib.suppress(OSError, AttributeError):
        system = ctypes.CDLL(None, use_errno=True)
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        system.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)  # where the system allows it; the limits below hold in any case
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    for limit, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))


def _allow_seconds(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


if __name__ == "__main__":
    main()
