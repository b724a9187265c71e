"""TLS below a link, without a socket: what it says, hears and ends with, octet by octet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from postroom.config import Tls
from postroom.net import Certificates
from postroom.net.sealed import READ, Sealed


class Raw:
    """The socket's transport."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.written: list[bytes] = []
        self.reading = True
        self.closing = self.aborted = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.written.append(bytes(data))

    def writelines(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def take(self) -> bytes:
        data = b"".join(self.written)
        self.written.clear()
        return data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.written))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 1)}.get(name, default)


class Above:
    """A link, as TLS sees it."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.events: list[str] = []
        self.tls: Sealed | None = None
        self.fault: Exception | None = None

    def handshaken(self, tls: Sealed, fault: Exception | None) -> None:
        self.tls, self.fault = tls, fault
        self.events.append("failed" if fault else "ready")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.heard += data

    def eof_received(self) -> bool:
        self.events.append("eof")
        return True

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.fault = exc
        self.events.append("lost")


class Both:
    """A server's end of TLS, and a client played with OpenSSL itself."""

    def __init__(self, pair: Tls, *, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, trust: bool = True) -> None:
        self.raw, self.above = Raw(), Above()
        self.sealed = Sealed(self.above, self.raw, Certificates(pair), bytearray(READ), 10.0)  # type: ignore[arg-type]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = maximum
        if trust:
            context.load_verify_locations(pair.certificate)
        self.to_client, self.from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self.to_client, self.from_client, server_hostname="mail.example")

    def carry(self, cut: int = 1 << 20) -> None:
        """Octets both ways, the client's in pieces, until nobody has any."""
        while True:
            theirs, ours = self.from_client.read(), self.raw.take()
            if not theirs and not ours:
                return
            for at in range(0, len(theirs), cut):
                if not self.raw.closing:
                    self.sealed.data_received(theirs[at : at + cut])
            self.to_client.write(ours)
            if self.client.version() is None or not self.above.events:
                self.shake()

    def shake(self) -> None:
        try:
            self.client.do_handshake()
        except ssl.SSLWantReadError:
            return

    def ready(self, cut: int = 1 << 20) -> Both:
        self.shake()
        self.carry(cut)
        assert self.above.events == ["ready"]
        return self

    def client_reads(self) -> bytes:
        self.carry()
        heard = bytearray()
        try:
            while piece := self.client.read(1 << 16):
                heard += piece
        except ssl.SSLWantReadError:
            pass
        return bytes(heard)


@pytest_asyncio.fixture
async def both(pair: Tls) -> AsyncIterator[Both]:
    yield Both(pair)


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_octets_cut_anywhere(pair: Tls, maximum: ssl.TLSVersion) -> None:
    both = Both(pair, maximum=maximum).ready(cut=1)
    both.client.write(b"a1 NOOP\r\n")
    both.client.write(b"a2 NOOP\r\n")
    both.carry(cut=1)
    assert both.above.heard == b"a1 NOOP\r\na2 NOOP\r\n"
    assert both.sealed.get_extra_info("ssl_object").version() == both.client.version()
    assert both.sealed.get_extra_info("peername") == ("192.0.2.1", 1)
    assert both.sealed.get_extra_info("nothing", 5) == 5


async def test_much_at_once_passes_in_records(both: Both) -> None:
    """OpenSSL's buffers keep the size they once had: nothing larger than a record goes into them."""
    both.ready()
    much = bytes(range(256)) * 4000
    both.sealed.write(memoryview(much))
    assert max(map(len, both.raw.written)) < 17_000
    assert both.client_reads() == much
    at = 0
    while at < len(much):
        at += both.client.write(much[at:])
    both.carry()
    assert both.above.heard == much


async def test_the_peer_ends_its_side_and_still_gets_its_answer(both: Both) -> None:
    both.ready()
    both.client.write(b"QUIT\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        both.client.unwrap()
    both.carry()
    assert both.above.events == ["ready", "eof"]
    both.sealed.write(b"221 bye\r\n")
    both.sealed.close()
    assert both.raw.closing and not both.raw.aborted
    assert [each[:1] for each in both.raw.written] == [b"\x17", b"\x17"]  # the answer, and our goodbye
    both.sealed.connection_lost(None)
    assert both.above.events == ["ready", "eof", "lost"]


async def test_a_connection_that_ends_without_goodbye(both: Both) -> None:
    both.ready()
    assert both.sealed.eof_received()  # half-open: the link closes once it has answered
    assert both.above.events == ["ready", "eof"]
    both.sealed.write(b"last words")
    both.sealed.close()
    assert both.raw.closing
    assert both.client_reads() == b"last words"


async def test_close_waits_for_the_peers_goodbye_and_hears_nothing_else(both: Both) -> None:
    both.ready()
    both.sealed.pause_reading()
    both.sealed.write(b"BYE")
    both.sealed.close()
    both.sealed.close()
    both.sealed.write(b"too late")
    assert both.sealed.is_closing() and not both.raw.closing and both.raw.reading
    both.client.write(b"never mind")
    assert both.client_reads() == b"BYE"
    assert both.above.heard == b""
    both.client.unwrap()
    both.carry()
    assert both.raw.closing and not both.raw.aborted
    assert both.above.events == ["ready"]  # the loop tells of the end
    both.sealed.connection_lost(None)
    assert both.above.events == ["ready", "lost"]


async def test_who_breaks_a_record_is_told_and_cut_off(both: Both) -> None:
    both.ready()
    both.sealed.data_received(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert both.raw.closing and both.raw.written  # an alert
    both.sealed.data_received(b"more")
    both.sealed.write(b"unheard")
    await asyncio.sleep(0)
    assert both.above.events == ["ready", "lost"]
    assert isinstance(both.above.fault, ssl.SSLError)
    assert both.raw.aborted
    both.sealed.connection_lost(None)
    both.sealed.pause_writing()
    both.sealed.resume_writing()
    assert both.above.events == ["ready", "lost"]


async def test_a_client_that_does_not_trust_us(pair: Tls) -> None:
    both = Both(pair, trust=False)
    both.shake()
    with pytest.raises(ssl.SSLCertVerificationError):
        both.carry()
    assert both.above.events == []
    both.sealed.data_received(both.from_client.read())
    assert both.above.events == ["failed"]
    assert isinstance(both.above.fault, ssl.SSLError)
    assert both.raw.closing
    await asyncio.sleep(0)
    assert both.raw.aborted
    both.sealed.connection_lost(None)
    assert both.above.events == ["failed"]


async def test_the_end_before_the_handshake(pair: Tls) -> None:
    one, other = Both(pair), Both(pair)
    assert not one.sealed.eof_received()
    other.sealed.connection_lost(None)
    for both in (one, other):
        assert both.above.events == ["failed"]
        assert isinstance(both.above.fault, ConnectionError)


async def test_back_pressure_is_passed_on(both: Both) -> None:
    both.sealed.pause_writing()  # in the handshake, too: what was sent before may still be under way
    both.sealed.resume_writing()
    assert both.above.events == ["pause", "resume"]
