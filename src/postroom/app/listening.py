"""The listeners of one worker, at its start and through reloads.

Owns: this worker's listening sockets, one for each row of the plan, and what serves them; the certificate, once for
each file of authorities that clients may have theirs from; the count of handshakes. A listener that did not change is
not touched by a reload; one that did is served anew on the same socket, whose backlog waits meanwhile. Connections that
stand do not hear of it.
On failure: CertificateError and ListenError; then the certificate, and listeners not yet looked at, are as before.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from postroom.config import Config, Limits, Listener
from postroom.net.handshakes import Handshakes
from postroom.net.link import LinkOptions
from postroom.net.listen import DriverMaker, Failed, Server, serve
from postroom.net.tls import Certificates
from postroom.net.wheel import Wheel
from postroom.policy.networks import Networks, unit

#: implicit TLS handshakes under way in one worker: 50 MiB at the most
HANDSHAKES: Final = 2000


def client_authorities(config: Config) -> list[str]:
    """The files of authorities that listeners name, each once; "" for those that name none."""
    return list(dict.fromkeys(listener.client_authorities for listener in config.listener))


class Listening:
    """make_driver: for a listener, what makes the driver of a new connection; failed: told of those without one.

    barred: addresses that are turned away before a handshake.
    """

    __slots__ = ("_certificates", "_failed", "_handshakes", "_make_driver", "_served", "_sockets", "_wheel")

    def __init__(
        self,
        wheel: Wheel,
        make_driver: Callable[[Listener], DriverMaker],
        failed: Failed,
        barred: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self._wheel = wheel
        self._make_driver = make_driver
        self._failed = failed
        self._certificates: dict[str, Certificates] = {}  # by the authorities of clients
        self._handshakes = Handshakes(1, HANDSHAKES, unit, barred=barred)
        self._sockets: dict[int, socket.socket] = {}
        self._served: dict[int, tuple[Listener, Server]] = {}

    def adopt(self, sockets: Mapping[int, socket.socket]) -> None:
        """More sockets of ours, by row."""
        self._sockets.update(sockets)

    async def follow(self, config: Config, rows: Sequence[int]) -> None:
        """Serve these listeners, each on the socket of its row, and no others. Raises CertificateError, ListenError."""
        had_tls = bool(self._certificates)
        if config.tls.certificate:
            self._renew(config)
        self._limit(config.limits)
        wanted = dict(zip(rows, config.listener, strict=True))
        for row, (listener, server) in list(self._served.items()):
            if wanted.get(row) != listener or had_tls != bool(self._certificates):
                del self._served[row]
                server.close()
        for row in self._sockets.keys() - wanted.keys():
            self._sockets.pop(row).close()
        for row, listener in wanted.items():
            if row not in self._served:
                await self._serve(row, listener)

    def _renew(self, config: Config) -> None:
        """Raises CertificateError."""
        known, self._certificates = self._certificates, {}
        try:
            for authorities in client_authorities(config):
                if authorities in known:
                    known[authorities].reload(config.tls)
                self._certificates[authorities] = known.get(authorities) or Certificates(config.tls, authorities)
        except BaseException:
            self._certificates = known
            raise

    def _limit(self, limits: Limits) -> None:
        self._handshakes.limit(limits.connections_per_ip, Networks(limits.trusted_networks).contains)

    async def _serve(self, row: int, listener: Listener) -> None:
        certificates = self._certificates.get(listener.client_authorities)
        options = LinkOptions(wheel=self._wheel, tls=certificates, handshakes=self._handshakes)
        sock = self._sockets[row].dup()  # a server closes its socket; ours stays for the next one
        sock.setblocking(False)
        try:
            server = await serve(sock, listener, self._make_driver(listener), options, self._failed)
        except BaseException:
            sock.close()
            raise
        self._served[row] = (listener, server)

    def close(self) -> None:
        """Take no more connections."""
        for _, server in self._served.values():
            server.close()
        self._served.clear()
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
