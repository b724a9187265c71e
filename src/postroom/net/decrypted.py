"""What stands between TLS and a link: a protocol that lends TLS a buffer to decrypt into.

For a protocol without one, asyncio and uvloop alike ask for 256 KiB at every read and give back what was not filled:
three calls into the kernel and its work on fresh pages, for one line of a client. That was half the CPU time of a small
command over TLS.
Owns: nothing. The buffer may be shared by all links of a thread: it is filled and read within one call of the loop.
On failure: as the link.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from postroom.net.link import Link

#: octets decrypted at once: four records
READ: Final = 64 * 1024


class Decrypted(asyncio.BufferedProtocol):
    """A link as TLS sees it."""

    __slots__ = ("_buffer", "_link")

    def __init__(self, link: Link, buffer: bytearray) -> None:
        self._link = link
        self._buffer = buffer

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where to decrypt to; a view, as loops fill it piece by piece through slices."""
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        """So many octets were."""
        self._link.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        """See Link."""
        return self._link.eof_received()

    def pause_writing(self) -> None:
        """See Link."""
        self._link.pause_writing()

    def resume_writing(self) -> None:
        """See Link."""
        self._link.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See Link."""
        self._link.connection_lost(exc)
