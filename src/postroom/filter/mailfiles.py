"""Messages in files, to learn from: mbox, Maildir, folders with a message in each file, single messages.

Files are read piece by piece; a message larger than LARGEST is passed over.
Trusts: nothing in the files; links in folders are not followed.
Standards: RFC 4155 (mbox); a line of ">From " loses one ">", as most programs write it (mboxrd).
On failure: OSError.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

#: octets of a message
LARGEST: Final = 50 * 1024 * 1024
_LINE: Final = 64 * 1024
_SEPARATOR: Final = re.compile(rb"From [^\r\n]*\d{4}\r?\n?\Z|From [^ \r\n]+ +[^\r\n]*\r?\n?\Z")
_QUOTED: Final = re.compile(rb">+From ")


def messages(path: Path) -> Iterator[bytes]:
    """Every message below a path, in the order of their names. Raises OSError."""
    if path.is_dir():
        for file in _files(path):
            yield from _of_file(file)
    else:
        yield from _of_file(path)


def _files(folder: Path) -> Iterator[Path]:
    """Of a Maildir the delivered messages, of another folder all files; what begins with a dot is a Maildir's own."""
    if (folder / "cur").is_dir() and (folder / "new").is_dir():
        for part in ("cur", "new"):
            yield from sorted(one for one in (folder / part).iterdir() if _is_file(one))
        for one in sorted(folder.iterdir()):
            if one.is_dir() and not one.is_symlink() and (one / "cur").is_dir():
                yield from _files(one)
        return
    for one in sorted(folder.iterdir()):
        if one.name.startswith("."):
            continue
        if one.is_dir() and not one.is_symlink():
            yield from _files(one)
        elif _is_file(one):
            yield one


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)


def _of_file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if file.read(5) == b"From ":
            file.seek(0)
            yield from _mbox(file)
        elif path.stat().st_size <= LARGEST:
            file.seek(0)
            octets = file.read(LARGEST + 1)
            if octets.strip():
                yield octets


def _mbox(file: BinaryIO) -> Iterator[bytes]:
    found: list[bytes] = []
    size, empty = 0, True
    first = True
    while line := file.readline(_LINE):
        if empty and line.startswith(b"From ") and _SEPARATOR.match(line):
            if not first:
                yield from _whole(found, size)
            found, size, first = [], 0, False
            empty = False
            continue
        empty = line in (b"\n", b"\r\n")
        size += len(line)
        if size <= LARGEST:
            found.append(line[1:] if _QUOTED.match(line) else line)
    yield from _whole(found, size)


def _whole(lines: list[bytes], size: int) -> Iterator[bytes]:
    """Without the empty line that stands before the next message."""
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines.pop()
    if lines and size <= LARGEST:
        yield b"".join(lines)
