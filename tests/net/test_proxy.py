"""The PROXY protocol: headers, cuts, hostile ones, and connections behind a believed balancer."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.config import TlsMode
from postroom.net.proxy import V1_LONGEST, V2_LONGEST, BadProxyHeader, Proxied, need, parse

from .conftest import Serve, plain_socket

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + bytes([0x20 | command, family]) + len(block).to_bytes(2, "big") + block


def v2_inet4(peer: str, port: int, tlvs: bytes = b"") -> bytes:
    block = socket.inet_aton(peer) + socket.inet_aton("192.0.2.25") + port.to_bytes(2, "big") + b"\x00\x19"
    return v2(1, 0x11, block + tlvs)


V6_BLOCK = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::25")
GOOD = [
    (b"PROXY TCP4 203.0.113.9 192.0.2.25 40000 25\r\n", Proxied(("203.0.113.9", 40000), ("192.0.2.25", 25))),
    (b"PROXY TCP6 2001:db8::7 2001:db8::25 1 65535\r\n", Proxied(("2001:db8::7", 1), ("2001:db8::25", 65535))),
    (b"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n", Proxied(("203.0.113.9", 1), ("::1", 2))),
    (b"PROXY UNKNOWN\r\n", Proxied(None, None)),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", Proxied(None, None)),
    (v2_inet4("203.0.113.9", 40000), Proxied(("203.0.113.9", 40000), ("192.0.2.25", 25))),
    (v2_inet4("203.0.113.9", 40000, b"\x04\x00\x01x"), Proxied(("203.0.113.9", 40000), ("192.0.2.25", 25))),
    (v2(1, 0x21, V6_BLOCK + b"\x00\x01\x00\x02"), Proxied(("2001:db8::7", 1), ("2001:db8::25", 2))),
    (v2(0, 0x00, b""), Proxied(None, None)),  # LOCAL: the balancer's own check
    (v2(0, 0x11, b"x" * 12), Proxied(None, None)),
    (v2(1, 0x31, b"x" * 216), Proxied(None, None)),  # Unix sockets: no address of ours
]
BAD = [
    b"EHLO mail.example\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.25 40000 25 \r\n",
    b"PROXY TCP4 203.0.113.999 192.0.2.25 40000 25\r\n",
    b"PROXY TCP4 2001:db8::7 192.0.2.25 40000 25\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.25 70000 25\r\n",
    b"PROXY TCP5 203.0.113.9 192.0.2.25 40000 25\r\n",
    b"PROXY UDP4 203.0.113.9 192.0.2.25 40000 25\r\n",
    b"PROXY TCP4 203.0.113.9 192.0.2.25 40000 25\nEHLO x\r\n",
    b"PROXY " + b"x" * 200 + b"\r\n",
    b"PROXY UNKNOWN\x00\r\n",
    v2(1, 0x11, b"short"),
    v2(2, 0x11, b"x" * 12),
    SIGNATURE + b"\x11\x11\x00\x0c" + b"x" * 12,
    SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 600,
]


def take(stream: bytes) -> tuple[Proxied, bytes]:
    """Read a header as the listener does; gives it and what was left."""
    header, rest = b"", stream
    while missing := need(header):
        if missing.exactly:
            size = missing.exactly
        else:
            ahead = rest[: missing.most]
            size = ahead.find(b"\n") + 1 or len(ahead)
        if not rest:
            raise BadProxyHeader("ended")
        header, rest = header + rest[:size], rest[size:]
        assert len(header) <= max(V1_LONGEST, V2_LONGEST)
    return parse(header), rest


@pytest.mark.parametrize(("header", "expected"), GOOD)
def test_good_headers_and_not_an_octet_more(header: bytes, expected: Proxied) -> None:
    assert take(header + b"EHLO x\r\n") == (expected, b"EHLO x\r\n")
    for cut in range(len(header)):
        assert need(header[:cut]) is not None
        with pytest.raises(BadProxyHeader):
            take(header[:cut])


@pytest.mark.parametrize("header", BAD)
def test_bad_headers(header: bytes) -> None:
    with pytest.raises(BadProxyHeader):
        take(header)


@given(st.one_of(st.binary(max_size=700), st.builds(SIGNATURE.__add__, st.binary(max_size=700))))
def test_any_octets_end_in_an_answer(stream: bytes) -> None:
    with suppress(BadProxyHeader):
        take(stream)


LOCAL = ("127.0.0.0/8",)


@pytest.mark.parametrize("pieces", [1, 3, 1000])
@pytest.mark.parametrize("header", [GOOD[0][0], GOOD[5][0], GOOD[6][0]])
async def test_a_believed_balancer_names_the_peer(site: Serve, header: bytes, pieces: int) -> None:
    here = await site(proxies=LOCAL)
    loop, sock = asyncio.get_running_loop(), plain_socket(here.port)
    octets = header + b"EHLO x\r\n"
    step = -(-len(octets) // pieces)
    for start in range(0, len(octets), step):
        await loop.sock_sendall(sock, octets[start : start + step])
        for _ in range(3):
            await asyncio.sleep(0)
    driver = await here.driver()
    await driver.hears(b"EHLO x\r\n")
    assert driver.link.peer == ("203.0.113.9", 40000)
    assert driver.link.local == ("192.0.2.25", 25)
    sock.close()


async def test_implicit_tls_behind_a_balancer(site: Serve, client_tls: ssl.SSLContext) -> None:
    here = await site(proxies=LOCAL, tls=TlsMode.IMPLICIT)
    loop, sock = asyncio.get_running_loop(), plain_socket(here.port)
    await loop.sock_sendall(sock, GOOD[0][0])
    _, writer = await asyncio.open_connection(sock=sock, ssl=client_tls, server_hostname="mail.example")
    writer.write(b"a1 NOOP\r\n")
    driver = await here.driver()
    await driver.hears(b"a1 NOOP\r\n")
    assert driver.link.peer == ("203.0.113.9", 40000)
    assert driver.link.secure
    writer.close()


async def test_others_are_not_believed(site: Serve) -> None:
    here = await site(proxies=("192.0.2.0/24",))
    loop, sock = asyncio.get_running_loop(), plain_socket(here.port)
    await loop.sock_sendall(sock, GOOD[0][0])
    driver = await here.driver()
    await driver.hears(GOOD[0][0])
    assert driver.link.peer[0] == "127.0.0.1"
    sock.close()


async def test_a_balancer_without_header_is_turned_away(site: Serve) -> None:
    here = await site(proxies=LOCAL)
    loop, sock = asyncio.get_running_loop(), plain_socket(here.port)
    await loop.sock_sendall(sock, b"EHLO mail.example\r\n")
    host, fault = await asyncio.wait_for(here.failures.get(), 10)
    assert host == "127.0.0.1"
    assert isinstance(fault, BadProxyHeader)
    with pytest.raises(ConnectionError):
        assert await loop.sock_recv(sock, 10) == b""
        raise ConnectionError  # closed without unread octets
    sock.close()
    sock = plain_socket(here.port)
    sock.close()  # gone before it said anything
    _, fault = await asyncio.wait_for(here.failures.get(), 10)
    assert isinstance(fault, BadProxyHeader)


async def test_a_silent_balancer_is_not_waited_for(site: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.net.listen.PROXY_DEADLINE", 0.02)
    here = await site(proxies=LOCAL)
    sock = plain_socket(here.port)
    _, fault = await asyncio.wait_for(here.failures.get(), 10)
    assert isinstance(fault, TimeoutError)
    sock.close()
