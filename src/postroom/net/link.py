"""One connection: the class that owns the transport, for every protocol and on every event loop.

Owns: the transport, what waits to be written, the upgrade to TLS, the deadline, back-pressure both ways.
A driver is fed octets and sends octets; replies of one turn of the loop leave in one write.
Trusts: nobody. A peer that does not read its replies is not read from either; plaintext received before TLS is thrown
away (CVE-2011-0411); a handshake has a deadline.
Standards: RFC 3207 4.2 and RFC 2595 2 (start over after STARTTLS), RFC 5929 4 (tls-server-end-point).
On failure: the driver hears `closed` exactly once, with the reason if there was one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from postroom.net.handshakes import Handshakes
from postroom.net.negotiated import TlsInfo, TlsSource, tls_info
from postroom.net.sealed import READ, Octets, Sealed
from postroom.net.sockets import NOWHERE, Endpoint, acknowledge, endpoint, in_kernel
from postroom.net.wheel import Wheel

__all__ = ["Driver", "Link", "LinkOptions", "Octets", "TlsInfo", "TlsSource"]

_JOIN_UP_TO = 65536  # more than this is handed to the transport at once instead of being collected
_FORGOTTEN = 5.0  # seconds after a last abort() until a connection is taken for gone
#: a link that was closed is looked at so often: who has been sent everything need not say goodbye (TLS) any longer
LOOK = 2.0
#: seconds in which a peer must take LEAST_TAKEN octets more of the last words, or all, before it is cut off
LINGER = 30.0
LEAST_TAKEN = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions:
    """What links of one listener share. handshake: seconds a TLS handshake may take; high_water: octets unsent.

    handshakes: limits implicit handshakes under way; failed: told of those that failed, with the peer's address.
    """

    wheel: Wheel
    tls: TlsSource | None = None
    implicit: bool = False  # the handshake comes first (993, 995, 465)
    handshakes: Handshakes | None = None
    failed: Callable[[str, Exception], None] | None = None
    handshake: float = 15.0
    high_water: int = 256 * 1024
    buffer: bytearray = field(default_factory=partial(bytearray, READ), repr=False, compare=False)  # see net.sealed


class Driver(Protocol):
    """A protocol's side of a link. All are called on the loop; none may take long."""

    def connected(self) -> None:
        """The connection stands; with implicit TLS, the handshake is done."""

    def received(self, data: bytes) -> None:
        """Octets from the peer, cut anywhere. Never called while paused."""

    def expired(self) -> None:
        """The deadline passed. Arm it again, or say goodbye and close."""

    def closed(self, reason: Exception | None) -> None:
        """The connection is gone; called once. None: closed in the usual way by either side."""


class Link(asyncio.Protocol):
    """One connection. Its methods may be called at any time on the loop, and do nothing once it is gone."""

    __slots__ = (
        "__weakref__",
        "_choked",
        "_closing",
        "_driver",
        "_encode",
        "_ended",
        "_flush_due",
        "_held",
        "_left",
        "_local",
        "_loop",
        "_lost",
        "_make_driver",
        "_moved",
        "_options",
        "_out",
        "_paused",
        "_queued",
        "_receiving",
        "_taken",
        "_transport",
        "_upgraded",
        "_upgrading",
        "_waiter",
        "due",
        "peer",
        "slot",
        "tls",
    )

    _driver: Driver
    _transport: asyncio.Transport

    def __init__(
        self,
        make_driver: Callable[[Link], Driver],
        options: LinkOptions,
        *,
        peer: Endpoint | None = None,
        local: Endpoint | None = None,
    ) -> None:
        """peer, local: what a trusted proxy said they are; None asks the socket."""
        self._make_driver = make_driver
        self._options = options
        self._loop = asyncio.get_running_loop()
        self.peer = peer or NOWHERE
        self._local = local
        self.tls: TlsInfo | None = None
        self.due = self.slot = 0
        self._left = -1  # octets of the last words that were unsent when the peer was last seen to take some
        self._taken = 0  # when that was, by the wheel
        self._out: list[Octets] = []
        self._queued = 0
        self._encode: Callable[[bytes], bytes] | None = None
        self._held: list[bytes] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._receiving = self._flush_due = self._paused = self._choked = self._upgrading = False
        self._ended = self._closing = self._moved = False
        self._lost = True  # until connected

    # what a driver uses

    @property
    def secure(self) -> bool:
        """True when nobody between the peer and us can read along."""
        return self.tls is not None

    @property
    def loopback(self) -> bool:
        """True when the peer is on this machine."""
        host = self.peer[0]
        return host.startswith("127.") or host == "::1"

    @property
    def local(self) -> Endpoint:
        """Our end of the connection."""
        if self._local is None:
            self._local = NOWHERE if self._lost else endpoint(self._transport.get_extra_info("sockname"))
        return self._local

    @property
    def alive(self) -> bool:
        """False before the connection stands, after close() and when the peer is gone."""
        return not (self._lost or self._closing)

    @property
    def standing(self) -> bool:
        """True until `closed` was called: also while what was sent is still being written out."""
        return not self._lost

    def send(self, data: Octets) -> None:
        """Write. What is sent in one turn of the loop leaves together. The octets must not change afterwards."""
        if self._closing or self._lost:
            return
        self._out.append(data)
        self._queued += len(data)
        if self._queued >= _JOIN_UP_TO:
            self._flush()
        elif not (self._receiving or self._flush_due):
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def encode_with(self, encode: Callable[[bytes], bytes] | None) -> None:
        """From here on what is sent goes through `encode`, one write at a time; None: as it is."""
        self._flush()
        self._encode = encode

    @property
    def choked(self) -> bool:
        """True when the peer does not take what was sent, or is gone: time to `drain` before sending more."""
        return self._choked or self._lost

    def send_now(self, data: bytes) -> None:
        """Write at once: for what is the last of this turn anyway."""
        if self._closing or self._lost:
            return
        if self._out or self._upgrading or self._encode is not None:
            self._out.append(data)
            self._queued += len(data)
            self._flush()
        else:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was sent. Raises ConnectionError when it is gone."""
        if self._out:
            self._flush()
        while self._choked and not self._lost:
            if self._waiter is None:
                self._waiter = self._loop.create_future()
            await asyncio.shield(self._waiter)
        if self._lost:
            raise ConnectionResetError("the peer is gone")

    def start_tls(self, upgraded: Callable[[], None] | None = None) -> None:
        """Shake hands once what was sent is on its way. `tls` is set before the driver hears from the peer again.

        Octets already received here are thrown away (CVE-2011-0411, RFC 3207 4.2); the driver must empty its own
        framer too. What is sent meanwhile waits. A failed handshake ends the link.
        upgraded: called when TLS stands, for a driver that speaks first then.
        """
        if self._options.tls is None or self.tls is not None or self._upgrading:
            raise RuntimeError("STARTTLS is not possible on this link")
        if self._closing or self._lost:
            return
        self._flush()
        self._held = None
        self._upgraded = upgraded
        self._shake_hands()  # nothing is read as plaintext any more: TLS owns the transport when this returns

    def is_stuck(self) -> bool:
        """True when something waits for the peer and it has taken nothing since this was last asked."""
        stuck = self._choked and not self._moved
        self._moved = False
        return stuck

    def deadline(self, seconds: float) -> None:
        """(Re)arm the deadline: `expired` in `seconds`, give or take the wheel's resolution. 0 disarms."""
        if self._lost or self._closing:
            return
        if seconds > 0:
            self._options.wheel.arm(self, seconds)
        else:
            self._options.wheel.disarm(self)

    def pause(self) -> None:
        """Stop reading: `received` is not called until `resume`. What a busy driver does, so that a peer waits."""
        if not self._paused:
            self._paused = True
            self._read_or_wait()

    def resume(self) -> None:
        """Read on. What came in meanwhile is delivered in the next turn of the loop."""
        if self._paused:
            self._paused = False
            if self._held is not None or self._ended:
                self._loop.call_soon(self._catch_up)
            else:
                self._read_or_wait()

    def close(self) -> None:
        """Write out what was sent, then close; nothing is received any more, and no deadline can be set.

        A slow peer may take its time as long as it takes something; who does not read is cut off.
        """
        if self._closing or self._lost:
            return
        if not self._upgrading:
            self._flush()
            self._transport.close()
        else:
            self._transport.abort()  # in a handshake there is nobody to say goodbye to
        self._closing = True
        self._options.wheel.arm(self, LOOK)

    def abort(self) -> None:
        """Close at once; what waits to be written is lost."""
        if not self._lost:
            self._closing = True
            self._out.clear()
            self._transport.abort()

    # what the loop and the wheel call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop: the connection stands."""
        self._lost = False
        known: Any = transport  # uvloop's transports are no subclasses
        self._adopt(known)
        if self.peer is NOWHERE:
            self.peer = endpoint(transport.get_extra_info("peername"))
        if not self._options.implicit or self.tls is not None:
            self._begin()
            return
        if self._options.handshakes is not None and not self._options.handshakes.enter(self.peer[0]):
            self._transport.abort()
            return
        self._shake_hands()

    def _begin(self) -> None:
        self._receiving = True  # a greeting needs no turn of its own
        try:
            self._driver = self._make_driver(self)
            self._driver.connected()
        except BaseException:
            self._transport.abort()
            raise
        finally:
            self._receiving = False
        self._flush()

    def data_received(self, data: bytes) -> None:
        """The loop: octets."""
        if self._closing:
            return
        if self._paused or self._held is not None or self._upgrading:
            if self._held is None:
                self._held = []
            self._held.append(data)
            return
        self._receiving = True
        try:
            self._driver.received(data)
        finally:
            self._receiving = False
            if self._out:
                self._flush()

    def eof_received(self) -> bool:
        """The loop: the peer will send nothing more, but may wait for answers (`printf ... | nc`)."""
        self._ended = True
        if not self._paused and self._held is None and not self._upgrading:
            self._loop.call_soon(self.close)  # after the answers of this turn
        return self.tls is None  # TLS knows no half-open connections in asyncio

    def pause_writing(self) -> None:
        """The loop: more than the high-water mark is unsent."""
        self._choked = True
        self._read_or_wait()

    def resume_writing(self) -> None:
        """The loop: the peer has caught up."""
        self._choked = False
        self._moved = True
        self._wake()
        self._read_or_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop: it is over."""
        if self._lost:
            return
        self._lost = self._closing = True
        self._options.wheel.disarm(self)
        self._out.clear()
        self._held = None
        self._wake()
        driver = getattr(self, "_driver", None)
        if driver is not None:
            driver.closed(exc)
            del self._driver  # link and driver name each other: let both go without the collector

    def expire(self) -> None:
        """The wheel: the deadline has passed."""
        if self._closing:
            self._see_off()
        elif not self._lost:
            self._driver.expired()

    def _see_off(self) -> None:
        """A link that was closed: has the peer got everything, does it take more, or is it time to cut it off?"""
        unsent = self._transport.get_write_buffer_size()
        wheel = self._options.wheel
        left = unsent + in_kernel(self._transport) if unsent else 0
        if self._left < 0 or self._left - left >= LEAST_TAKEN:
            self._left, self._taken = left, wheel.now
        if unsent and (wheel.now - self._taken) * wheel.resolution < LINGER:
            wheel.arm(self, LOOK)
            return
        self.abort()
        # should the loop have forgotten to tell us that this connection is gone, it is over all the same
        self._loop.call_later(_FORGOTTEN, self.connection_lost, None)

    # inside

    def _adopt(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=self._options.high_water)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.tls = tls_info(tls, self._options.tls)

    def _flush(self) -> None:
        self._flush_due = False
        out = self._out
        if not out or self._upgrading or self._lost:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._queued = 0
        self._transport.write(data if self._encode is None else self._encode(bytes(data)))

    def _read_or_wait(self) -> None:
        """Reading stands still while the driver is busy or the peer does not take what was sent."""
        if self._lost or self._closing or self._upgrading:
            return
        if self._paused or self._choked:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _catch_up(self) -> None:
        """Deliver what arrived while the driver had paused, in order, until it pauses again."""
        while self._held and not (self._paused or self._lost or self._upgrading):
            held, self._held = self._held, None
            self.data_received(b"".join(held))
        if self._paused or self._lost or self._upgrading:
            return
        self._held = None
        if self._ended:
            self.close()
        else:
            self._read_or_wait()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _shake_hands(self) -> None:
        options = self._options
        assert options.tls is not None
        self._upgrading = True
        try:
            Sealed(self, self._transport, options.tls, options.buffer, options.handshake)
        except Exception as fault:  # a name that TLS cannot carry
            self._transport.abort()
            self._upgrading = False
            self._give_up(fault)

    def handshaken(self, tls: Sealed, fault: Exception | None) -> None:
        """TLS: the handshake is over."""
        self._upgrading = False
        source, handshakes, begin = self._options.tls, self._options.handshakes, not hasattr(self, "_driver")
        if begin and handshakes is not None:
            handshakes.leave(self.peer[0])
        if fault is None and source is not None and source.server_name is not None:
            try:
                source.examine(tls.get_extra_info("ssl_object"))
            except Exception as unfit:  # whatever it is, the driver must hear that it is over
                tls.abort()
                fault = unfit
        if self._lost:
            return
        if self._closing:
            tls.abort()
            self._give_up(None)
            return
        if fault is not None:
            self._give_up(fault)
            return
        known: Any = tls
        self._adopt(known)
        if begin:
            self._begin()
        elif self._options.tls is not None and self._options.tls.server_name is None:
            acknowledge(known)
            if self._upgraded is not None:
                self._upgraded()
        self._read_or_wait()
        self._flush()

    def _give_up(self, reason: Exception | None) -> None:
        if reason is not None and not hasattr(self, "_driver") and self._options.failed is not None:
            self._options.failed(self.peer[0], reason)
        self.connection_lost(reason)
