"""DEFLATE in both directions, without a compressor or window that an idle session keeps (RFC 4978, RFC 1951).

Purpose: zlib's own objects cost 64 to 300 KiB a session for as long as it lasts. Here a compressor lives as long as one
write: it is given the end of what the client has seen already as its dictionary, and so continues the client's stream.
The receiving side is made anew for each read in the same way wherever the client's stream stands at the border of two
blocks, which is where well-behaved clients leave it (Z_SYNC_FLUSH).
Ownership: two kibioctets of what was sent, up to 32 of what came; `rest` packs the latter to a tenth.
Trust: what comes is hostile. It is expanded a slice at a time, and only when somebody asks for the next slice; how much
of it a command may need is the caller's to say.
On failure: BadStream; the connection cannot go on.
"""

from __future__ import annotations

import zlib
from typing import Final

#: octets that one step expands to at the most
SLICE: Final = 64 * 1024
#: the farthest that a DEFLATE stream looks back (RFC 1951 2)
WINDOW: Final = 32 * 1024
#: what an empty stored block ends with: the mark of Z_SYNC_FLUSH
MARK: Final = b"\x00\x00\xff\xff"

_LEVEL: Final = 1  # replies shrink to a tenth; 6 takes twice as long for a fifth less
_MEMORY: Final = 5  # zlib's memLevel: with more, making a compressor costs more than small replies do
_BITS: Final = 13
_HISTORY: Final = 2048
#: from so many octets on a sample decides how to compress: attachments cost much and gain little
_LARGE: Final = 16 * 1024
_SAMPLE: Final = 4096
_STORE_ABOVE: Final = 0.97
_HUFFMAN_ABOVE: Final = 0.55  # base64 comes to 0.77 by its alphabet alone, four times as fast
#: more history than this is packed when a session rests
_PACK_ABOVE: Final = 4096
#: flushes with nothing before them after which a client is taken to be playing
_EMPTY: Final = 100
_END: Final = b"\x01\x00\x00\xff\xff"  # an empty last block


class BadStream(ValueError):
    """What came is no DEFLATE stream, or goes on behind its end."""


class Deflater:
    """What we send."""

    __slots__ = ("_history",)

    def __init__(self) -> None:
        self._history = b""

    def pack(self, data: bytes) -> bytes:
        """These octets compressed, complete for whoever receives them (RFC 4978 3)."""
        level, bits, memory, strategy = _LEVEL, _BITS, _MEMORY, zlib.Z_DEFAULT_STRATEGY
        if len(data) >= _LARGE:
            gain = _sampled(data)
            if gain > _STORE_ABOVE:
                level = 0
            elif gain > _HUFFMAN_ABOVE:
                bits, memory, strategy = 15, 8, zlib.Z_HUFFMAN_ONLY
        if self._history:
            maker = zlib.compressobj(level, zlib.DEFLATED, -bits, memory, strategy, self._history)
        else:
            maker = zlib.compressobj(level, zlib.DEFLATED, -bits, memory, strategy)
        packed = maker.compress(data) + maker.flush(zlib.Z_SYNC_FLUSH)
        self._history = data[-_HISTORY:] if len(data) >= _HISTORY else (self._history + data)[-_HISTORY:]
        return packed


def _sampled(data: bytes) -> float:
    """What a piece out of the middle shrinks to."""
    start = (len(data) - _SAMPLE) // 2
    maker = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_BITS, _MEMORY)
    return len(maker.compress(data[start : start + _SAMPLE]) + maker.flush()) / _SAMPLE


class Inflater:
    """What comes. `feed` octets, then `more` until it gives nothing."""

    __slots__ = ("_ended", "_history", "_packed", "_pos", "_raw", "_state")

    def __init__(self) -> None:
        self._raw = b""  # what came; from _pos on it is not expanded yet
        self._pos = 0
        self._state: zlib._Decompress | None = None  # only while the stream stands within a block
        self._history = b""
        self._packed = False  # the history is, too
        self._ended = False  # by the client, with a last block

    def feed(self, data: bytes) -> None:
        """Take octets that came."""
        self._raw = self._raw[self._pos :] + data if self._pos < len(self._raw) else data
        self._pos = 0

    def more(self) -> bytes:
        """The next octets, hardly more than SLICE; b"" when everything is expanded. Raises BadStream.

        Nothing behind a flush of the client's is touched before it is asked for: there its stream may end
        (RFC 8437 4.1).
        """
        for _ in range(_EMPTY):
            if self._pos >= len(self._raw):
                self._raw, self._pos = b"", 0  # an idle connection holds nothing
                return b""
            if self._ended:
                raise BadStream("the compressed stream has ended")
            found = self._step()
            if found:
                self._history = found[-WINDOW:] if len(found) >= WINDOW else (self._history + found)[-WINDOW:]
                return found
        raise BadStream("the compressed stream has nothing in it")

    def _step(self) -> bytes:
        """Expand up to the next flush, and up to SLICE."""
        end = self._raw.find(MARK, self._pos)
        stop = len(self._raw) if end < 0 else end + len(MARK)
        state = self._state or self._begin()
        try:
            found = state.decompress(self._raw[self._pos : stop], SLICE)
            if len(found) >= SLICE and not state.unconsumed_tail and not state.eof:
                found += state.decompress(b"", SLICE)  # of a run that was cut off
        except zlib.error as fault:
            raise BadStream("the compressed stream is damaged") from fault
        left = len(state.unconsumed_tail) + len(state.unused_data)
        self._pos = stop - left
        self._ended = state.eof
        border = state.eof or (end >= 0 and not left and _at_border(state))
        self._state = None if border else state
        return found

    def _begin(self) -> zlib._Decompress:
        if self._packed:
            self._history, self._packed = zlib.decompress(self._history), False
        if self._history:
            return zlib.decompressobj(-15, zdict=self._history)
        return zlib.decompressobj(-15)

    def leftover(self) -> bytes:
        """What came behind the end of compression, as it is; nothing is held any more."""
        raw = self._raw[self._pos :]
        self._raw, self._pos, self._state = b"", 0, None
        return raw

    def rest(self) -> None:
        """The client is silent: take as little room as may be."""
        if self._state is None and not self._packed and len(self._history) > _PACK_ABOVE:
            self._history, self._packed = zlib.compress(self._history, 1), True

    @property
    def held(self) -> int:
        """Octets kept for the next read; zlib's own window besides, where the stream stands within a block."""
        return len(self._history) + len(self._raw) + (WINDOW if self._state is not None else 0)


def _at_border(state: zlib._Decompress) -> bool:
    """True when the stream could end here: between two blocks, with no bit of an octet left over."""
    probe = state.copy()
    try:
        return not probe.decompress(_END) and probe.eof and not probe.unused_data
    except zlib.error:
        return False
