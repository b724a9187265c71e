"""TLS between the socket's transport and a link: octets are sealed and opened in memory, one record after the other.

The loops bring TLS of their own, but at a price for connections that wait: uvloop takes 256 KiB of address space for
each, of which pages are touched that nobody gives back once some connections have gone, 8 to 28 KiB; asyncio as much
for real. Here a connection costs what OpenSSL needs. Octets are handed over in pieces of a record, as OpenSSL's buffers
in memory never shrink.
Owns: the TLS state of one connection. The buffer it opens records into may be shared by all of a thread: it is filled
and read within one call.
Trusts: nobody. What is received is bounded by what the loop reads at once; what waits to be sent, by the socket's
transport, which tells the link when it is too much. A handshake has a deadline.
Standards: RFC 8446 6.1, RFC 5246 7.2.1 (close_notify both ways; a connection that ends without is taken for ended).
On failure: the link hears of it once, by `handshaken` before the handshake is done, by `connection_lost` afterwards.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final, Protocol

from postroom.net.negotiated import TlsSource

#: octets opened at once: more than a record holds (RFC 8446 5.1)
READ: Final = 17 * 1024
#: octets handed to OpenSSL at once, either way
_PIECE: Final = 16 * 1024

Octets = bytes | bytearray | memoryview


class Reader(Protocol):
    """What sits above: a link."""

    def handshaken(self, tls: Sealed, fault: Exception | None) -> None:
        """The handshake is done, or has failed: then the socket's transport is closed without any more words."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...


class Sealed(asyncio.Protocol):
    """The protocol of the socket's transport, and the transport of a link. Made in the call that must begin TLS."""

    __slots__ = ("_buffer", "_closing", "_ended", "_in", "_out", "_raw", "_reader", "_shaking", "_timer", "_tls")

    def __init__(
        self, reader: Reader, transport: asyncio.Transport, source: TlsSource, buffer: bytearray, seconds: float
    ) -> None:
        """From here on the transport carries TLS. seconds: how long the handshake may take. Raises ssl.SSLError."""
        name = source.server_name
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = source.context().wrap_bio(self._in, self._out, server_side=name is None, server_hostname=name)
        self._reader: Reader | None = reader  # None: it has heard that it is over
        self._raw = transport
        self._buffer = buffer
        self._shaking = True
        self._closing = self._ended = False
        self._timer: asyncio.TimerHandle | None = asyncio.get_running_loop().call_later(seconds, self._late)
        transport.set_protocol(self)
        transport.resume_reading()
        if name is not None:
            self._shake()  # a client speaks first

    # the transport of the link

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio.BaseTransport."""
        return self._tls if name == "ssl_object" else self._raw.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As asyncio.WriteTransport; of octets that are sealed."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """As asyncio.WriteTransport."""
        return self._raw.get_write_buffer_size()

    def pause_reading(self) -> None:
        """As asyncio.ReadTransport; what was read already is still delivered."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """As asyncio.ReadTransport."""
        self._raw.resume_reading()

    def is_closing(self) -> bool:
        """As asyncio.BaseTransport."""
        return self._closing or self._raw.is_closing()

    def write(self, data: Octets) -> None:
        """As asyncio.WriteTransport."""
        if self._closing or not data:
            return
        try:
            if len(data) <= _PIECE:
                self._tls.write(data)
                self._raw.write(self._out.read())
            else:
                self._raw.writelines(self._records(data))
        except ssl.SSLError as fault:
            self._fail(fault)

    def _records(self, data: Octets) -> list[bytes]:
        view, sealed = memoryview(data), []
        at = 0
        while at < len(view):
            at += self._tls.write(view[at : at + _PIECE])
            sealed.append(self._out.read())
        return sealed

    def close(self) -> None:
        """Say goodbye behind what was written; the transport closes when the peer has done so too, or is made to."""
        if self._closing:
            return
        self._closing = True
        self._say_goodbye()
        if self._ended:
            self._raw.close()
        else:
            self._raw.resume_reading()

    def _say_goodbye(self) -> None:
        with suppress(ssl.SSLError):  # the peer's goodbye is still to come
            self._tls.unwrap()
            self._ended = True
        self._send()

    def abort(self) -> None:
        """As asyncio.WriteTransport."""
        self._closing = True
        self._raw.abort()

    # the protocol of the socket's transport

    def data_received(self, data: bytes) -> None:
        """The loop: octets."""
        if len(data) <= _PIECE:
            self._in.write(data)
            self._take()
            return
        view = memoryview(data)
        for at in range(0, len(view), _PIECE):
            self._in.write(view[at : at + _PIECE])
            self._take()

    def eof_received(self) -> bool:
        """The loop: the peer will send nothing more."""
        if self._shaking:
            self._end_handshake(ConnectionResetError("the peer went away in the TLS handshake"))
            return False
        self._end()
        return not self._closing  # the link closes when the last command is answered

    def pause_writing(self) -> None:
        """The loop: more than the high-water mark is unsent."""
        if self._reader is not None:
            self._reader.pause_writing()

    def resume_writing(self) -> None:
        """The loop: the peer has caught up."""
        if self._reader is not None:
            self._reader.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop: it is over."""
        self._closing = True
        if self._shaking:
            self._end_handshake(exc or ConnectionResetError("the connection ended in the TLS handshake"))
        elif self._reader is not None:
            reader, self._reader = self._reader, None  # it names us: let both go without the collector
            reader.connection_lost(exc)

    # inside

    def _take(self) -> None:
        if self._shaking:
            self._shake()
        if not self._shaking and self._in.pending:
            self._open()

    def _open(self) -> None:
        """Deliver what can be opened; after close(), throw it away until the peer's goodbye."""
        incoming, buffer, read = self._in, self._buffer, self._tls.read
        try:
            while incoming.pending and not self._ended:
                count: Any = read(READ, buffer)  # octets, as a buffer is given
                if not count:
                    self._end()
                elif not self._closing and self._reader is not None:
                    self._reader.data_received(bytes(memoryview(buffer)[:count]))
        except ssl.SSLWantReadError:
            pass  # a part of a record
        except ssl.SSLZeroReturnError:
            self._end()
        except ssl.SSLError as fault:
            self._fail(fault)
            return
        self._send()

    def _end(self) -> None:
        """The peer will say nothing more."""
        if self._ended:
            return
        self._ended = True
        if self._closing:
            self._raw.close()
        elif self._reader is not None:
            self._reader.eof_received()

    def _send(self) -> None:
        """What TLS itself has to say."""
        if self._out.pending and not self._raw.is_closing():
            self._raw.write(self._out.read())

    def _fail(self, fault: Exception) -> None:
        """The peer breaks the rules of TLS: say so if it can be said, and end the connection."""
        if not self._closing:
            self._closing = True
            self._send()
            self._raw.close()
            asyncio.get_running_loop().call_soon(self._break, fault)

    def _break(self, fault: Exception) -> None:
        self._raw.abort()
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.connection_lost(fault)

    # the handshake

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
        except Exception as fault:  # whatever it is, it must be over for the link
            self._send()
            self._end_handshake(fault)
        else:
            self._send()
            self._end_handshake(None)

    def _late(self) -> None:
        self._end_handshake(TimeoutError("the TLS handshake took too long"))

    def _end_handshake(self, fault: Exception | None) -> None:
        reader = self._reader
        if self._timer is None or reader is None:
            return
        self._timer.cancel()
        self._timer = None
        if fault is None:
            self._shaking = False
        else:
            self._closing = self._ended = True
            self._reader = None
            self._raw.close()
            asyncio.get_running_loop().call_soon(self._raw.abort)  # once TLS's own words are written, if they can be
        reader.handshaken(self, fault)
