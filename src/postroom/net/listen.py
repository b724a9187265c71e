"""Ports: binding them before privileges are dropped, and serving them on a worker's loop.

Owns: listening sockets. Each worker has one of its own per listener (SO_REUSEPORT); the supervisor keeps all of them
open, so that connections wait instead of failing while a worker is restarted.
Standards: "::" takes IPv4 too (RFC 3493 5.3); the PROXY protocol is believed from configured networks only.
On failure: ListenError, saying who holds the port and what to change.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from dataclasses import replace as replace_options
from ipaddress import ip_address, ip_network

from msgspec.structs import replace

from postroom.config import Listener, TlsMode
from postroom.net.holder import holder
from postroom.net.link import Driver, Link, LinkOptions
from postroom.net.proxy import BadProxyHeader, Proxied, need, parse

BACKLOG = 1024
#: seconds a load balancer has for its header
PROXY_DEADLINE = 5.0
_ACCEPT_PAUSE = 0.5  # seconds without accept() when the process has no file descriptor left

DriverMaker = Callable[[Link], Driver]
#: told of connections that never became a link: address and what happened
Failed = Callable[[str, Exception], None]


class ListenError(Exception):
    """A listener cannot be opened; the text names the cause and the way out."""


def bind(listener: Listener, *, reuse_port: bool = False) -> socket.socket:
    """A listening socket. reuse_port: more sockets may share the port (all of them must ask for it).

    Raises ListenError.
    """
    address = listener.address
    if address == "::" and not socket.has_dualstack_ipv6():
        address = "0.0.0.0"  # noqa: S104 - every address is what the administrator asked for
    try:
        family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    except ValueError as fault:
        raise ListenError(f"{address!r} is no IP address; write one, or :: for every address") from fault
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # inherited by accepted connections: clients that vanished are found in the end
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        sock.bind((address, listener.port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as fault:
        sock.close()
        raise ListenError(_explain(listener, fault)) from fault
    return sock


def bind_all(listener: Listener, workers: int, *, shared: bool = False) -> list[socket.socket]:
    """One socket per worker on one port. Raises ListenError, also when another Postroom of ours shares the port.

    shared: we listen on this port already, on another address, so that the last cannot be found out.
    """
    # With SO_REUSEPORT a second server of the same user would get half of our connections without an error:
    # the first socket is bound without it to find that out, and gives the port when the system chooses it.
    fixed = listener
    if not (shared and listener.port):
        probe = bind(listener)
        fixed = replace(listener, port=probe.getsockname()[1])
        probe.close()
    sockets: list[socket.socket] = []
    try:
        sockets.extend(bind(fixed, reuse_port=True) for _ in range(workers))
    except ListenError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _explain(listener: Listener, fault: OSError) -> str:
    where = f"port {listener.port} ({listener.protocol}) on {listener.address}"
    change = f"change `port` of the {listener.protocol} listener in the configuration"
    if fault.errno == errno.EADDRINUSE:
        by = holder(listener.port)
        who = f"{by} listens there" if by else f"another program listens there (`ss -ltnp sport = :{listener.port}`)"
        return f"{where} is taken: {who}; stop it, or {change}"
    if fault.errno == errno.EACCES:
        return f"{where} needs root: start as root with `user` set in [server], or {change} to one above 1023"
    if fault.errno == errno.EADDRNOTAVAIL:
        return f"{where}: this machine has no such address; `ip address` shows those it has"
    return f"{where} cannot be opened: {fault.strerror}"


class Server:
    """A listener being served. `close` stops accepting; links that stand go on."""

    __slots__ = ("_stop",)

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def close(self) -> None:
        """Take no more connections; the socket is closed in this process."""
        self._stop()


async def serve(
    sock: socket.socket,
    listener: Listener,
    make_driver: DriverMaker,
    options: LinkOptions,
    failed: Failed = lambda host, fault: None,
) -> Server:
    """Serve a bound socket on the running loop; starts the wheel of deadlines.

    With implicit TLS or STARTTLS, options.tls must be there. Raises ListenError when it is not.
    """
    loop = asyncio.get_running_loop()
    if listener.tls is not TlsMode.NONE and options.tls is None:
        raise ListenError(f"the {listener.protocol} listener on port {listener.port} wants TLS, but [tls] is empty")
    options.wheel.start(loop)
    options = replace_options(options, implicit=listener.tls is TlsMode.IMPLICIT, failed=failed)
    if listener.proxy_networks:
        return ProxiedListener(sock, listener, make_driver, options, failed).start()
    server = await loop.create_server(lambda: Link(make_driver, options), sock=sock, backlog=BACKLOG)
    return Server(server.close)


class ProxiedListener:
    """Accepts connections behind a load balancer: header first, then (with implicit TLS) the handshake.

    The header is read from the socket octet-exactly, before a transport exists, so that what follows it is untouched.
    """

    __slots__ = ("_failed", "_loop", "_make_driver", "_networks", "_options", "_sock", "_tasks")

    def __init__(
        self, sock: socket.socket, listener: Listener, make_driver: DriverMaker, options: LinkOptions, failed: Failed
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._networks = [ip_network(network, strict=False) for network in listener.proxy_networks]
        self._make_driver = make_driver
        self._options = options
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> Server:
        """Accept from now on."""
        self._loop.add_reader(self._sock.fileno(), self._accept)
        return Server(self._close)

    def _close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()

    def _accept(self) -> None:
        for _ in range(64):
            try:
                connection, address = self._sock.accept()
            except OSError as fault:
                if fault.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    self._rest()
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._adopt(connection, str(address[0])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _rest(self) -> None:
        """No descriptor left: the socket stays readable, so stand back instead of spinning."""
        self._loop.remove_reader(self._sock.fileno())
        self._loop.call_later(_ACCEPT_PAUSE, self._go_on)

    def _go_on(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock.fileno(), self._accept)

    async def _adopt(self, connection: socket.socket, host: str) -> None:
        try:
            proxied = Proxied(None, None)
            if self._believed(host):
                async with asyncio.timeout(PROXY_DEADLINE):
                    proxied = await read_header(self._loop, connection)
            await self._loop.connect_accepted_socket(
                lambda: Link(self._make_driver, self._options, peer=proxied.peer, local=proxied.local),
                connection,
            )
        except (OSError, BadProxyHeader) as fault:  # TimeoutError is an OSError
            connection.close()
            self._failed(host, fault)

    def _believed(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


async def read_header(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Proxied:
    """Read the PROXY header from a non-blocking socket, and not one octet more. Raises BadProxyHeader, OSError."""
    header = b""
    while missing := need(header):
        await _readable(loop, sock)
        size = missing.exactly
        if not size:  # version 1: as far as CR LF
            ahead = sock.recv(missing.most, socket.MSG_PEEK)
            size = ahead.find(b"\n") + 1 or len(ahead)
        piece = sock.recv(size) if size else b""
        if not piece:
            raise BadProxyHeader("the connection ended inside the PROXY header")
        header += piece
    return parse(header)


async def _readable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    ready = asyncio.Event()
    fd = sock.fileno()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
