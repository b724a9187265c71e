"""An authoritative DNS server on loopback for tests and demonstrations, over UDP and TCP on one port.

Purpose: `DnsServer(zone)` answers from data in the form of `postroom explain --batch`: {name: {type: values}}. A, AAAA,
PTR, CNAME, NS: texts; MX: [[preference, host]]; TXT: texts, or lists of character-strings; SRV: [[priority, weight,
port, host]]; TLSA: [[usage, selector, matching type, "hex"]]; SOA: [[mname, rname, serial, refresh, retry, expire,
minimum]]; "TTL": seconds. A type's value may be the name of a fault ("SERVFAIL", "TIMEOUT", any of `Fault`); "*" stands
for all types not named; a name that is absent is NXDOMAIN; "*.example.test" is a wildcard (RFC 4592).
`signed` are the domains whose answers carry AD when it is asked for, `bogus` those that a validating resolver refuses:
SERVFAIL. So it plays the part of a recursive resolver that validates; `server.dns = ["127.0.0.1:PORT"]` points to it.
Start it with `async with DnsServer(zone) as server`, or from code without a loop with `running(zone)`.
Owns: its sockets. Trusts: its zone; a question that cannot be read gets no answer.
Standards: RFC 1035 4, RFC 2308 2 (SOA in negative answers), RFC 6891, RFC 7766.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from postroom.net.resolver_wire import encode_name, read_name

Zone = Mapping[str, Mapping[str, Any]]

_TYPES: Final = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
    "TLSA": 52,
}
_NAMES: Final = {number: name for name, number in _TYPES.items()}
_OPT, _IN = 41, 1
_AD, _DO = 0x0020, 0x8000
_PLAIN_UDP = 512  # octets without EDNS
_CODES: Final = {"FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
_LIE: Final = "203.0.113.66"


class Fault(StrEnum):
    """What can go wrong. Those that lie tell the truth right after."""

    TIMEOUT = "TIMEOUT"  # no answer
    SERVFAIL = "SERVFAIL"
    REFUSED = "REFUSED"
    FORMERR = "FORMERR"
    NOTIMP = "NOTIMP"
    NXDOMAIN = "NXDOMAIN"
    TRUNCATED = "TRUNCATED"  # TC by UDP, whole by TCP
    NO_TCP = "NO_TCP"  # TC by UDP, and a closed door by TCP
    NO_EDNS = "NO_EDNS"  # FORMERR to whoever speaks EDNS
    WRONG_ID = "WRONG_ID"  # a false answer with another number
    WRONG_QUESTION = "WRONG_QUESTION"  # a false answer to another question
    WRONG_SOURCE = "WRONG_SOURCE"  # a false answer from another port
    FLOOD = "FLOOD"  # many guesses of the number, and no true answer but by TCP
    GARBAGE = "GARBAGE"  # number and question fit, the rest is cut off
    EMPTY = "EMPTY"  # an answer without its question section


@dataclass(slots=True)
class _Trouble:
    fault: Fault | None
    times: int
    delay: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that came."""

    name: str
    kind: str
    tcp: bool
    authentic: bool  # AD or DO was set
    edns: bool


@dataclass(slots=True)
class _Query:
    number: int
    flags: int
    name: str
    kind: int
    question: bytes
    room: int
    edns: bool
    dnssec: bool
    tcp: bool
    key: tuple[str, str] = field(default=("", ""))


class DnsServer:
    """Serves `zone`, which may be changed while it runs."""

    def __init__(
        self,
        zone: Zone | None = None,
        *,
        ttl: int = 300,
        negative_ttl: int = 60,
        signed: Iterable[str] = (),
        bogus: Iterable[str] = (),
    ) -> None:
        """ttl: of records without their own, seconds; negative_ttl: of what does not exist."""
        self.zone: dict[str, dict[str, Any]] = {}
        self.add(zone or {})
        self.ttl = ttl
        self.negative_ttl = negative_ttl
        self.signed = {name.lower().rstrip(".") for name in signed}
        self.bogus = {name.lower().rstrip(".") for name in bogus}
        self.asked: list[Asked] = []
        self.host = ""
        self.port = 0
        self._troubles: dict[tuple[str, str], _Trouble] = {}
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._streams: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """As `server.dns` takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def add(self, zone: Zone) -> None:
        """More names; those that are there are replaced."""
        for name, types in zone.items():
            self.zone[name.lower().rstrip(".")] = dict(types)

    def fault(self, name: str, kind: str = "*", what: str = "", *, times: int = -1, delay: float = 0.0) -> None:
        """Trouble with a name ("*": any) and type: the next `times` questions, -1: all; delay: seconds before it."""
        fault = Fault(what) if what else None
        self._troubles[name.lower().rstrip("."), kind] = _Trouble(fault, times, delay)

    def count(self, name: str, kind: str = "") -> int:
        """How often a name was asked for."""
        return sum(each.name == name.lower().rstrip(".") and kind in ("", each.kind) for each in self.asked)

    # life

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve; port 0 takes one that is free for both UDP and TCP. Raises OSError."""
        loop = asyncio.get_running_loop()
        for last in (False, False, False, False, True):
            self._tcp = await asyncio.start_server(self._stream, host, port)
            self.host, self.port = self._tcp.sockets[0].getsockname()[:2]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(host, self.port)
                )
            except OSError:
                self._tcp.close()
                if last or port:
                    raise
            else:
                return

    async def stop(self) -> None:
        """Serve no more."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in list(self._streams):
            task.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # transports

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                query = _parse(await reader.readexactly(length), tcp=True)
                if query is None or not self._respond(query, lambda data: _write(writer, data), writer.close):
                    return
        except (EOFError, OSError):
            return
        finally:
            writer.close()

    def datagram(self, data: bytes, peer: Any) -> None:
        """Internal: one question by UDP."""
        query = _parse(data, tcp=False)
        if query is None:
            return
        transport = self._udp
        assert transport is not None
        self._respond(query, lambda reply: transport.sendto(reply, peer), lambda: self._lie_elsewhere(query, peer))

    def _lie_elsewhere(self, query: _Query, peer: Any) -> None:
        with socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(self._lie(query), peer)

    def _respond(self, query: _Query, send: Callable[[bytes], None], aside: Callable[[], None]) -> bool:
        """Answer, perhaps later, perhaps not. aside: close the connection, or lie from another port."""
        kind = _NAMES.get(query.kind, str(query.kind))
        self.asked.append(Asked(query.name, kind, query.tcp, bool(query.flags & _AD) or query.dnssec, query.edns))
        trouble = self._trouble(query.name, kind)
        fault = trouble.fault if trouble else None
        if fault is Fault.NO_TCP and query.tcp:
            aside()
            return False
        replies = self._replies(query, kind, fault)
        delay = trouble.delay if trouble else 0.0

        def give() -> None:
            if fault is Fault.WRONG_SOURCE and not query.tcp:
                aside()
            for reply in replies:
                send(reply)

        if delay:
            asyncio.get_running_loop().call_later(delay, give)
        else:
            give()
        return True

    def _trouble(self, name: str, kind: str) -> _Trouble | None:
        for key in ((name, kind), (name, "*"), ("*", kind), ("*", "*")):
            trouble = self._troubles.get(key)
            if trouble is not None and trouble.times:
                trouble.times -= 1
                return trouble
        return None

    # answers

    def _replies(self, query: _Query, kind: str, fault: Fault | None) -> list[bytes]:
        found = self._find(query.name, kind)
        if isinstance(found, str):
            fault, found = Fault(found), _Found()
        if fault is Fault.TIMEOUT or (fault is Fault.FLOOD and not query.tcp):
            lies = 20 if fault is Fault.FLOOD else 0
            return [self._lie(query, number=query.number + 1 + lie) for lie in range(lies)]
        if fault is Fault.NO_EDNS:
            fault = Fault.FORMERR if query.edns else None
        if self._within(query.name, self.bogus):
            fault = Fault.SERVFAIL
        if fault is not None and fault.value in _CODES:
            return [_message(query, _CODES[fault.value])]
        truth = self._truth(query, found, cut=fault in (Fault.TRUNCATED, Fault.NO_TCP) and not query.tcp)
        return [truth] if fault is None or query.tcp else self._spoilt(query, truth, fault)

    def _spoilt(self, query: _Query, truth: bytes, fault: Fault) -> list[bytes]:
        if fault is Fault.GARBAGE:
            return [truth[: 12 + len(query.question)] + b"\xc0"]
        if fault is Fault.EMPTY:
            return [struct.pack("!6H", query.number, 0x8182, 0, 0, 0, 0)]
        if fault is Fault.WRONG_ID:
            return [self._lie(query, number=query.number ^ 1), truth]
        if fault is Fault.WRONG_QUESTION:
            return [self._lie(query, question=encode_name("other.test") + query.question[-4:]), truth]
        return [truth]

    def _truth(self, query: _Query, found: _Found, *, cut: bool) -> bytes:
        secure = (bool(query.flags & _AD) or query.dnssec) and self._within(query.name, self.signed)
        secure = secure and all(self._within(name, self.signed) for name in found.path)
        code = 0 if found.exists else _CODES["NXDOMAIN"]
        authority = [] if found.answered else [self._soa(query.name)]
        reply = _message(query, code, found.records, authority, secure=secure)
        if cut or (not query.tcp and len(reply) > query.room):
            return _message(query, 0, flags=0x0200)
        return reply

    def _lie(self, query: _Query, *, number: int | None = None, question: bytes = b"") -> bytes:
        """A false answer: an address nobody gave."""
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, _IN, 86400, 4) + socket.inet_aton(_LIE)
        number = query.number if number is None else number & 0xFFFF
        return struct.pack("!6H", number, 0x81A0, 1, 1, 0, 0) + (question or query.question) + record

    def _within(self, name: str, domains: set[str]) -> bool:
        return any(name == domain or name.endswith("." + domain) for domain in domains)

    def _find(self, name: str, kind: str) -> _Found | str:
        """The records on the way from a name, or the fault that is in their place."""
        records: list[bytes] = []
        path: list[str] = []
        while True:
            types = self._types(name)
            if types is None:
                return _Found(records, path, exists=False)
            ttl = int(types.get("TTL", self.ttl))
            values = types.get(kind)
            alias = types.get("CNAME")
            if values is None and (alias is None or kind == "CNAME"):
                values = types.get("*", [])
            if values is None:
                assert alias is not None
                if isinstance(alias, str):
                    return alias
            elif isinstance(values, str):
                return values
            else:
                records += [_record(name, kind, value, ttl) for value in values]
                return _Found(records, path, answered=bool(values))
            records.append(_record(name, "CNAME", alias[0], ttl))
            name = str(alias[0]).lower().rstrip(".")
            if name in path:
                return _Found(records, path, answered=True)
            path.append(name)

    def _types(self, name: str) -> Mapping[str, Any] | None:
        """What there is of a name: its own, nothing because there is something below it, or a wildcard's."""
        if name in self.zone:
            return self.zone[name]
        if any(other.endswith("." + name) for other in self.zone):
            return {}
        while name:
            name = name.partition(".")[2]
            wildcard = self.zone.get(f"*.{name}")
            if wildcard is not None:
                return wildcard
            if name in self.zone:
                return None
        return None

    def _soa(self, name: str) -> bytes:
        """RFC 2308 3: with the zone's own SOA, or one of the top-level domain."""
        at = name
        while at:
            soa = self.zone.get(at, {}).get("SOA")
            if isinstance(soa, list):
                return _record(at, "SOA", soa[0], self.negative_ttl)
            top, at = at, at.partition(".")[2]
        value = (
            [f"ns.{top}", f"hostmaster.{top}", 1, 3600, 600, 86400, self.negative_ttl] if name else ["."] * 2 + [0] * 5
        )
        return _record(top if name else "", "SOA", value, self.negative_ttl)


@dataclass(slots=True)
class _Found:
    records: list[bytes] = field(default_factory=list)
    path: list[str] = field(default_factory=list)  # names that CNAMEs led to
    exists: bool = True
    answered: bool = False


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._server.datagram(data, addr)


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(len(data).to_bytes(2, "big") + data)


def _parse(data: bytes, *, tcp: bool) -> _Query | None:
    """A question; None when it is none."""
    try:
        number, flags, questions, _, _, others = struct.unpack_from("!6H", data)
        if flags & 0x8000 or questions != 1:
            return None
        name, at = read_name(data, 12)
        kind, _ = struct.unpack_from("!HH", data, at)
        room, dnssec, edns = _PLAIN_UDP, False, False
        if others and data[at + 4] == 0:
            type_, size, ttl = struct.unpack_from("!HHI", data, at + 5)
            if type_ == _OPT:
                room, dnssec, edns = max(size, _PLAIN_UDP), bool(ttl & _DO), True
    except (ValueError, IndexError, struct.error):
        return None
    return _Query(number, flags, name, kind, data[12 : at + 4], room, edns, dnssec, tcp)


def _message(
    query: _Query,
    code: int,
    answers: Iterable[bytes] = (),
    authority: Iterable[bytes] = (),
    *,
    secure: bool = False,
    flags: int = 0,
) -> bytes:
    """RFC 1035 4.1: QR, RD as asked, RA."""
    answers, authority = list(answers), list(authority)
    bits = 0x8080 | (query.flags & 0x0100) | (_AD if secure else 0) | flags | code
    head = struct.pack("!6H", query.number, bits, 1, len(answers), len(authority), 1 if query.edns else 0)
    opt = b"\0" + struct.pack("!HHIH", _OPT, 1232, _DO if query.dnssec else 0, 0) if query.edns else b""
    return head + query.question + b"".join(answers) + b"".join(authority) + opt


def _record(name: str, kind: str, value: Any, ttl: int) -> bytes:
    data = _RDATA[kind](value)
    return encode_name(name) + struct.pack("!HHIH", _TYPES[kind], _IN, ttl, len(data)) + data


def _text(value: Any) -> bytes:
    """One TXT record: a text, cut into strings of 255 octets, or its strings."""
    strings = [_octets(value)] if isinstance(value, str | bytes) else [_octets(each) for each in value]
    cut = [each[at : at + 255] for each in strings for at in range(0, max(len(each), 1), 255)]
    return b"".join(bytes((len(each),)) + each for each in cut)


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


_RDATA: Final[dict[str, Callable[[Any], bytes]]] = {
    "A": socket.inet_aton,
    "AAAA": lambda value: socket.inet_pton(socket.AF_INET6, value),
    "NS": encode_name,
    "CNAME": encode_name,
    "PTR": encode_name,
    "MX": lambda value: struct.pack("!H", value[0]) + encode_name(value[1]),
    "TXT": _text,
    "SRV": lambda value: struct.pack("!3H", *value[:3]) + encode_name(value[3]),
    "TLSA": lambda value: bytes(value[:3]) + bytes.fromhex(value[3]),
    "SOA": lambda value: encode_name(value[0]) + encode_name(value[1]) + struct.pack("!5I", *value[2:]),
}


@contextmanager
def running(zone: Zone | None = None, **options: Any) -> Iterator[DnsServer]:
    """A server in a thread of its own, for code without an event loop. Options as for DnsServer."""
    server = DnsServer(zone, **options)
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with server:
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="dns server", daemon=True)
    thread.start()
    ready.wait()
    if not server.port:
        raise OSError("the DNS server could not start")
    try:
        yield server
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()
