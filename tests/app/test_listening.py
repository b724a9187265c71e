"""The listeners of a worker: certificates of clients, through reloads."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from msgspec.structs import replace

from postroom.app.listening import Listening
from postroom.config import Config, Listener, Protocol, Tls, TlsMode
from postroom.net.link import Driver, Link
from postroom.net.listen import bind
from postroom.net.tls import CertificateError, write_self_signed
from postroom.net.wheel import Wheel
from postroom.testing.client_authority import ClientAuthority

NOW = datetime.datetime.now(datetime.UTC)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Greeter:
    """Says whose certificate the client has shown."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def connected(self) -> None:
        tls = self._link.tls
        assert tls is not None
        self._link.send(",".join(tls.client.addresses if tls.client else ["nobody"]).encode() + b"\n")
        self._link.close()

    def received(self, data: bytes) -> None: ...

    def expired(self) -> None: ...

    def closed(self, reason: Exception | None) -> None: ...


class Site:
    """One listener that asks for certificates, and one that does not."""

    def __init__(self, folder: Path, authorities: str) -> None:
        write_self_signed(folder / "cert.pem", folder / "key.pem", ["127.0.0.1"], 2, NOW)
        asking = Listener(protocol=Protocol.IMAP, port=0, tls=TlsMode.IMPLICIT, client_authorities=authorities)
        self.config = Config(
            tls=Tls(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem")),
            listener=(asking, replace(asking, client_authorities="")),
        )
        self._cafile = str(folder / "cert.pem")
        self.wheel = Wheel()
        self.listening = Listening(self.wheel, lambda _listener: _driver, lambda _host, _fault: None)
        sockets = [bind(listener) for listener in self.config.listener]
        self.ports = [sock.getsockname()[1] for sock in sockets]
        self.listening.adopt(dict(enumerate(sockets)))

    async def follow(self, config: Config) -> None:
        await self.listening.follow(config, list(range(len(config.listener))))

    async def shown(self, which: int, certificate: str) -> str:
        """What the greeting says, "" when the handshake failed."""
        return await asyncio.to_thread(self._shown, self.ports[which], certificate)

    def _shown(self, port: int, certificate: str) -> str:
        context = ssl.create_default_context(cafile=self._cafile)
        context.load_cert_chain(certificate)
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 10) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
                tls.makefile() as lines,
            ):
                return lines.readline().strip()
        except OSError:
            return ""


def _driver(link: Link) -> Driver:
    return Greeter(link)


@pytest.mark.parametrize("loop", LOOPS)
def test_authorities_of_clients_through_reloads(loop: str, tmp_path: Path) -> None:
    ours, theirs = (ClientAuthority(tmp_path, name, NOW) for name in ("ours", "theirs"))
    ann, eve = ours.certify("ann@example.org")[0], theirs.certify("eve@example.org")[0]
    trusted = tmp_path / "trusted.pem"
    certificates = {authority.path: Path(authority.path).read_bytes() for authority in (ours, theirs)}
    trusted.write_bytes(certificates[ours.path])

    async def work() -> None:
        site = Site(tmp_path, str(trusted))
        await site.follow(site.config)
        assert (await site.shown(0, ann), await site.shown(0, eve)) == ("ann@example.org", "")
        assert (await site.shown(1, ann), await site.shown(1, eve)) == ("nobody", "nobody")
        for authority, seen in ((theirs, ("", "eve@example.org")), (ours, ("ann@example.org", ""))):
            trusted.write_bytes(certificates[authority.path])  # the same file with other authorities
            await site.follow(site.config)
            assert (await site.shown(0, ann), await site.shown(0, eve)) == seen
        trusted.write_text("junk")
        with pytest.raises(CertificateError):
            await site.follow(site.config)
        assert (await site.shown(0, ann), await site.shown(0, eve)) == ("ann@example.org", "")
        asking, plain = site.config.listener
        turned = replace(
            site.config, listener=(replace(asking, client_authorities=""), replace(plain, client_authorities=ours.path))
        )
        await site.follow(turned)
        assert (await site.shown(0, ann), await site.shown(0, eve)) == ("nobody", "nobody")
        assert (await site.shown(1, ann), await site.shown(1, eve)) == ("ann@example.org", "")
        site.listening.close()
        site.wheel.stop()

    factory: Callable[[], asyncio.AbstractEventLoop] = LOOPS[loop]
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())
