"""Ports: bound, shared, taken."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from postroom.config import Listener, Protocol, TlsMode
from postroom.net import Link, LinkOptions, ListenError, Wheel, bind, bind_all, serve
from postroom.net.holder import holder

from .conftest import Recorder


def smtp(port: int = 0, address: str = "127.0.0.1", tls: TlsMode = TlsMode.NONE) -> Listener:
    return Listener(protocol=Protocol.SMTP, port=port, address=address, tls=tls)


def test_a_taken_port_says_who_holds_it_and_what_to_change() -> None:
    with bind(smtp()) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            bind(smtp(port))
        text = str(caught.value)
        assert f"port {port} (smtp) on 127.0.0.1 is taken" in text
        assert f"process {os.getpid()} (" in text
        assert "change `port` of the smtp listener" in text
        with pytest.raises(ListenError):  # sharing must be asked for by all of them
            bind(smtp(port), reuse_port=True)


def test_workers_share_a_port_but_strangers_do_not() -> None:
    sockets = bind_all(smtp(), 3)
    ports = {sock.getsockname()[1] for sock in sockets}
    assert len(sockets) == 3
    assert len(ports) == 1
    with pytest.raises(ListenError, match="is taken"):
        bind_all(smtp(ports.pop()), 2)  # another Postroom of the same user
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(
    ("listener", "match"),
    [
        (smtp(address="mail.example"), "no IP address"),
        (smtp(address="192.0.2.77"), "no such address"),
    ],
)
def test_addresses_that_cannot_be(listener: Listener, match: str) -> None:
    with pytest.raises(ListenError, match=match):
        bind(listener)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may bind any port")
def test_a_low_port_needs_root() -> None:
    with pytest.raises(ListenError, match="needs root"):
        bind(smtp(25))


async def test_every_address_takes_ipv4_and_shows_it_so() -> None:
    arrivals: asyncio.Queue[Recorder] = asyncio.Queue()

    def driver(link: Link) -> Recorder:
        recorder = Recorder(link)
        arrivals.put_nowait(recorder)
        return recorder

    listener, wheel = smtp(address="::"), Wheel()
    sock = bind(listener)
    port = sock.getsockname()[1]
    server = await serve(sock, listener, driver, LinkOptions(wheel=wheel))
    hosts = ["127.0.0.1", "::1"] if socket.has_dualstack_ipv6() else ["127.0.0.1"]
    for host in hosts:
        _, writer = await asyncio.open_connection(host, port)
        recorder = await arrivals.get()
        assert recorder.link.peer[0] == host
        writer.close()
        await recorder.until("closed")
    server.close()
    wheel.stop()
    with pytest.raises(OSError, match=r"."):
        await asyncio.open_connection("127.0.0.1", port)


async def test_tls_without_certificate_is_said_at_the_start() -> None:
    listener = smtp(tls=TlsMode.IMPLICIT)
    with bind(listener) as sock, pytest.raises(ListenError, match=r"\[tls\] is empty"):
        await serve(sock, listener, Recorder, LinkOptions(wheel=Wheel()))


def test_nobody_holds_a_free_port() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    assert holder(port) == ""
