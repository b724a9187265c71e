"""The body's hashes, taken while the body passes: once for each canonicalisation, whatever the number of signatures.

Give each chunk once, cut anywhere; memory stays constant, because pending white space is counted and not kept.
A signature that covers only the first octets (l=) costs no second pass: the running hash is read where it ends.
Standards: RFC 6376 3.4.3, 3.4.4 and 3.7; SHA-256 alone, as RFC 8301 3.1 leaves nothing else. A CR or LF that is no
part of a CRLF is an octet like any other.
On failure: never, for any octets.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from postroom.mailauth.header import Canonical

#: chunks are worked through in pieces of this many octets, so that they stay in the processor's cache
PIECE = 65_536
_CRLF_BLOCK = b"\r\n" * 4096


@dataclass(frozen=True, slots=True)
class BodyDigest:
    """SHA-256 of a canonical body or of its first octets.

    hashed: octets of the canonical body that the digest covers. total: octets that the canonical body has.
    """

    value: bytes
    hashed: int
    total: int


class _Hash:
    """The hash of one canonical stream, read where somebody's l= ends."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._cuts: list[int] = []
        self._digests: dict[int, bytes] = {}
        self.total = 0

    def cut(self, at: int) -> None:
        if at not in self._cuts:
            insort(self._cuts, at)

    def feed(self, data: bytes) -> None:
        while self._cuts and self._cuts[0] <= self.total + len(data):
            at = self._cuts.pop(0)
            part = at - self.total
            self._sha.update(data[:part])
            self._digests[at] = self._sha.digest()
            self.total, data = at, data[part:]
        self._sha.update(data)
        self.total += len(data)

    def lines(self, count: int) -> None:
        """So many empty lines."""
        while count > 0:
            block = _CRLF_BLOCK[: 2 * count]
            self.feed(block)
            count -= len(block) // 2

    def digest(self, length: int | None) -> BodyDigest:
        if length is None or length >= self.total:
            return BodyDigest(self._sha.digest(), self.total, self.total)
        return BodyDigest(self._digests[length], length, self.total)


def _trailing_lines(data: bytes) -> int:
    """How many CRLFs stand at the end."""
    tail = data[len(data.rstrip(b"\r\n")) :]
    if tail == b"\r\n" * (len(tail) // 2):
        return len(tail) // 2
    count = 0
    while tail.endswith(b"\r\n", 0, len(tail) - 2 * count):
        count += 1
    return count


def _relax(data: bytes) -> bytes:
    """Steps a of RFC 6376 3.4.4 for octets whose last line end may still be to come."""
    if b"\t" in data:
        data = data.replace(b"\t", b" ")
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data.replace(b" \r\n", b"\r\n") if b" \r" in data else data  # the short needle is found faster


def _same(data: bytes) -> bytes:
    return data


class _Stream:
    """One canonical form of one body."""

    def __init__(self, form: Canonical) -> None:
        relaxed = form is Canonical.RELAXED
        self._change: Callable[[bytes], bytes] = _relax if relaxed else _same
        self._held_back = (b" \r", b" ", b"\r") if relaxed else (b"\r",)
        self._empty_is_nothing = relaxed
        self._rest = b""  # what the next octets may still change: a space, a CR
        self._lines = 0  # CRLFs that count only when something follows
        self.hash = _Hash()

    def feed(self, piece: bytes) -> None:
        data = self._change(self._rest + piece if self._rest else piece)
        for rest in self._held_back:
            if data.endswith(rest):
                data, self._rest = data[: -len(rest)], rest
                break
        else:
            self._rest = b""
        lines = _trailing_lines(data)
        if 2 * lines < len(data):
            self._flush()
            self.hash.feed(data[: -2 * lines] if lines else data)
        self._lines += lines

    def _flush(self) -> None:
        self.hash.lines(self._lines)
        self._lines = 0

    def finish(self) -> None:
        """The end of the body: what was held back is decided, and the last line gets its CRLF."""
        if self._rest not in (b"", b" "):  # white space at the end of the last line counts for nothing
            self._flush()
            self.hash.feed(self._rest)
        if self.hash.total or not self._empty_is_nothing:
            self.hash.feed(b"\r\n")


def _pieces(chunk: bytes) -> Iterator[bytes]:
    if len(chunk) <= PIECE:
        yield chunk
    else:
        for start in range(0, len(chunk), PIECE):
            yield chunk[start : start + PIECE]


class BodyHashes:
    """All hashes of one body: first say what is wanted, then feed the body, then read the digests."""

    def __init__(self) -> None:
        self._streams: dict[Canonical, _Stream] = {}
        self._finished = False

    def want(self, form: Canonical, length: int | None = None) -> None:
        """Ask for one canonical form; `length`: only its first octets are hashed (the tag l=)."""
        stream = self._streams.setdefault(form, _Stream(form))
        if length is not None:
            stream.hash.cut(length)

    def update(self, chunk: bytes) -> None:
        """The next octets of the body, any number of them."""
        for piece in _pieces(chunk):
            for stream in self._streams.values():
                stream.feed(piece)

    def digest(self, form: Canonical, length: int | None = None) -> BodyDigest:
        """The hash of what was wanted; the first call ends the body. Raises KeyError if it was not asked for.

        A length beyond the body gives the whole body: the caller compares `hashed` with what was claimed.
        """
        if not self._finished:
            self._finished = True
            for stream in self._streams.values():
                stream.finish()
        return self._streams[form].hash.digest(length)
