"""The octets of a message, wherever they lie.

A message of up to 64 KiB is carried as bytes; a larger one lies in a sealed file that nobody changes any more.
Readers ask for ranges and never need the whole in memory.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Source(Protocol):
    """What an octet-exact reader may do with a message: length, slices, and find. bytes and mmap both fit."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: slice, /) -> bytes: ...
    def find(self, sub: bytes, start: int = ..., end: int = ..., /) -> int: ...


class Content(Struct, frozen=True, eq=False):
    """`size` octets: `prefix` (trace fields added at delivery) and then either `data` or the file at `path`.

    digest: SHA-256 of the file's octets when whoever wrote the file knows it, else empty; not compared.
    """

    size: int
    data: bytes = b""
    path: str = ""
    prefix: bytes = b""
    digest: bytes = b""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self._octets() == other._octets()

    def __hash__(self) -> int:
        return hash(self._octets())

    def _octets(self) -> tuple[int, bytes, str, bytes]:
        return self.size, self.data, self.path, self.prefix

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Octets already in memory."""
        return cls(size=len(data), data=data)

    def with_prefix(self, prefix: bytes) -> Content:
        """The same octets with more header fields in front; small ones are joined at once."""
        if self.path:
            return Content(
                size=self.size + len(prefix), path=self.path, prefix=prefix + self.prefix, digest=self.digest
            )
        return Content(self.size + len(prefix), prefix + self.data)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """Octets start to end (not including end; both clipped to the size). Raises OSError if the file is gone."""
        stop = self.size if end is None else min(end, self.size)
        if start >= stop:
            return b""
        if not self.path:
            return self.data[start:stop]
        lead = len(self.prefix)
        head = self.prefix[start:stop]
        first, last = max(start - lead, 0), stop - lead
        if last <= 0:
            return head
        with open(self.path, "rb", buffering=0) as file:
            return head + os.pread(file.fileno(), last - first, first)

    def source(self) -> Source:
        """The octets without the prefix as something to scan: bytes, or a read-only mapping of the file."""
        if not self.path:
            return self.data
        with open(self.path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Patched:
    """A Content read as if some of its ranges held other octets; the Content itself stays as it is."""

    __slots__ = ("_original", "_pieces", "_starts", "size")

    def __init__(self, original: Content, patches: Sequence[tuple[int, int, bytes]]) -> None:
        """patches: (start, end, octets instead), ascending, not overlapping."""
        self._original = original
        self._pieces: list[tuple[int, bytes | None]] = []  # (start in the original, octets instead)
        self._starts: list[int] = []
        at = here = 0
        for start, end, octets in (*patches, (original.size, original.size, b"")):
            for begin, instead, length in ((at, None, start - at), (start, octets, len(octets))):
                if length:
                    self._pieces.append((begin, instead))
                    self._starts.append(here)
                    here += length
            at = end
        self.size = here

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """As Content.read."""
        stop = self.size if end is None else min(end, self.size)
        found: list[bytes] = []
        number = bisect_right(self._starts, start) - 1
        while start < stop:
            begin, instead = self._pieces[number]
            first = self._starts[number]
            number += 1
            last = min(stop, self._starts[number] if number < len(self._starts) else self.size)
            if instead is not None:
                found.append(instead[start - first : last - first])
            else:
                found.append(self._original.read(begin + start - first, begin + last - first))
            start = last
        return b"".join(found)
