"""AUTH=EXTERNAL: log-ins by a certificate of the client, on real sockets and on both event loops (RFC 4422 A)."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import imaplib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvloop
from imap_house import TLS, House, play

from postroom.config import Listener, Protocol, Tls, TlsMode
from postroom.net import CertificateError, Certificates, LinkOptions, Wheel, bind, serve
from postroom.net.client_certificate import ClientCertificate, client_certificate
from postroom.net.tls import write_self_signed
from postroom.servers.login import Logins
from postroom.testing.client_authority import ClientAuthority

ANN, BEN = "ann@example.org", "ben@example.org"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    write_self_signed(folder / "cert.pem", folder / "key.pem", ["localhost", "127.0.0.1"], 2, NOW)
    return Tls(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> ClientAuthority:
    return ClientAuthority(tmp_path_factory.mktemp("authority"), "ours", NOW)


@dataclass
class Running:
    """imaps asks for certificates, plain does not."""

    house: House
    imaps: int
    plain: int
    starttls: int
    pair: Tls

    def context(self, certificate: str = "") -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=self.pair.certificate)
        if certificate:
            made.load_cert_chain(certificate)
        return made


@contextlib.asynccontextmanager
async def running(pair: Tls, authority: ClientAuthority) -> AsyncIterator[Running]:
    house = House()
    for login in (ANN, BEN):
        await house.add_account(login)
    wheel, ports, servers = Wheel(), [], []
    with_authority = Certificates(pair, authority.path)
    for mode, certificates in (
        (TlsMode.IMPLICIT, with_authority),
        (TlsMode.IMPLICIT, Certificates(pair)),
        (TlsMode.STARTTLS, with_authority),
    ):
        listener = Listener(protocol=Protocol.IMAP, port=0, tls=mode)
        sock = bind(listener)
        ports.append(sock.getsockname()[1])

        def driver(link: Any, listener: Listener = listener) -> Any:
            return house.service.driver(link, listener)

        servers.append(await serve(sock, listener, driver, LinkOptions(wheel=wheel, tls=certificates)))
    try:
        yield Running(house, *ports, pair)
    finally:
        for server in servers:
            server.close()
        house.service.stop()
        wheel.stop()
        await asyncio.sleep(0)


@pytest.fixture(params=LOOPS)
def run(
    request: pytest.FixtureRequest, pair: Tls, authority: ClientAuthority
) -> Callable[[Callable[[Running], None]], None]:
    """Runs a client's part of a test in a thread, against a server on one of the loops."""

    def run_it(talk: Callable[[Running], None], prepare: Callable[[House], Awaitable[None]] | None = None) -> None:
        async def main() -> None:
            async with running(pair, authority) as server:
                if prepare is not None:
                    await prepare(server.house)
                await asyncio.to_thread(talk, server)

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(main())

    return run_it


def authenticate(client: imaplib.IMAP4, authzid: bytes = b"") -> str:
    """The last answer of the exchange."""
    try:
        return str(client.authenticate("EXTERNAL", lambda _challenge: authzid)[1][0].decode())
    except imaplib.IMAP4.error as fault:
        return str(fault)


def test_a_certificate_opens_its_account(run: Any, authority: ClientAuthority) -> None:
    path, _ = authority.certify("Ann@EXAMPLE.org")

    def talk(server: Running) -> None:
        client = imaplib.IMAP4_SSL("127.0.0.1", server.imaps, ssl_context=server.context(path))
        assert "AUTH=EXTERNAL" in client.capabilities
        assert "Logged in" in authenticate(client)
        assert client.select("INBOX")[0] == "OK"
        client.logout()
        client = imaplib.IMAP4("127.0.0.1", server.starttls)
        assert "AUTH=EXTERNAL" not in client.capabilities
        client.starttls(server.context(path))
        assert "AUTH=EXTERNAL" in client.capabilities
        assert "Logged in" in authenticate(client, b"ann@example.org")
        client.logout()
        succeeded = [fields for name, fields in server.house.events if name == "login.succeeded"]
        assert [(each["login"], each["mechanism"]) for each in succeeded] == [(ANN, "EXTERNAL")] * 2

    run(talk)


def test_without_a_certificate_there_is_nothing_to_say(run: Any, authority: ClientAuthority) -> None:
    path, _ = authority.certify(ANN)

    def talk(server: Running) -> None:
        for port, context in ((server.imaps, server.context()), (server.plain, server.context(path))):
            client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context)
            assert "AUTH=EXTERNAL" not in client.capabilities
            assert "[CANNOT]" in authenticate(client, ANN.encode())
            assert client.login(ANN, "secret")[0] == "OK"
            client.logout()

    run(talk)


def refused(port: int, context: ssl.SSLContext) -> bool:
    """The handshake failed: nothing was said to this client."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            return tls.recv(1) == b""  # in TLS 1.3 the client hears of it with the first octets
    except OSError:
        return True


def test_what_is_not_verified_opens_nothing(run: Any, authority: ClientAuthority, tmp_path: Path) -> None:
    strangers = ClientAuthority(tmp_path, "theirs", NOW).certify(ANN)[0]
    expired = authority.certify(ANN, until=NOW - DAY)[0]
    servers_own = authority.certify(ANN, for_servers=True)[0]
    good = authority.certify(ANN)[0]

    def talk(server: Running) -> None:
        assert not refused(server.imaps, server.context(good))
        assert not refused(server.imaps, server.context())
        for path in (strangers, expired, servers_own):
            assert refused(server.imaps, server.context(path))
            assert not refused(server.plain, server.context(path))

    run(talk)


def test_tls_1_2_and_sessions_that_go_on(run: Any, authority: ClientAuthority) -> None:
    """A session that is taken up again shows no certificate, and so opens nothing."""
    path, _ = authority.certify(ANN)

    def talk(server: Running) -> None:
        context = server.context(path)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        session = None
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", server.imaps), 10) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as tls,
            ):
                greeting = b""
                while not greeting.endswith(b"\r\n"):
                    greeting += tls.recv(4096)
                assert (b"AUTH=EXTERNAL" in greeting) is not tls.session_reused
                session = tls.session

    run(talk)


class Resumed:
    """A connection whose session is an earlier one's."""

    session_reused = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def getpeercert(self, binary_form: bool) -> bytes:
        raise AssertionError("not to be looked at")


def test_a_resumed_session_has_no_certificate() -> None:
    Resumed.context.verify_mode = ssl.CERT_OPTIONAL
    assert client_certificate(Resumed()) is None


def test_a_configured_certificate_needs_no_address(run: Any, authority: ClientAuthority) -> None:
    path, sha256 = authority.certify()
    both, both_sha256 = authority.certify(ANN)

    async def prepare(house: House) -> None:
        logins: Logins = house.service.logins
        house.service._rooms = replace(
            house.service._rooms, logins=replace(logins, certificates={sha256: BEN, both_sha256: BEN})
        )

    def talk(server: Running) -> None:
        for certificate, authzid, login in ((path, b"", BEN), (both, b"", BEN), (both, ANN.encode(), ANN)):
            client = imaplib.IMAP4_SSL("127.0.0.1", server.imaps, ssl_context=server.context(certificate))
            assert "Logged in" in authenticate(client, authzid)
            assert server.house.events[-1][1]["login"] == login
            client.logout()

    run(talk, prepare)


def test_authorities_are_files_of_certificates(pair: Tls, authority: ClientAuthority, tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("no certificate")
    with pytest.raises(CertificateError, match=r"junk\.pem"):
        Certificates(pair, str(tmp_path / "junk.pem"))
    with pytest.raises(CertificateError, match=r"none\.pem"):
        Certificates(pair, str(tmp_path / "none.pem"))
    certificates = Certificates(pair, authority.path)
    certificates.reload()
    assert certificates.context().verify_mode is ssl.CERT_OPTIONAL


# --- who may: the same for every protocol


def shown(*addresses: str) -> Any:
    return replace(TLS, client=ClientCertificate(addresses, "ab" * 32))


async def test_the_initial_response_and_whose_account(house: House) -> None:
    await play(
        house.connect(tls=shown("nobody@example.org", ANN, BEN)),
        """
        S: * OK [CAPABILITY ... AUTH=EXTERNAL AUTH=SCRAM-SHA-256-PLUS ...] ...
        C: a1 AUTHENTICATE EXTERNAL =
        S: a1 OK ...
        """,
    )
    client = house.connect(tls=shown(ANN))
    client.hear()
    assert await client.say("a1 AUTHENTICATE EXTERNAL") == b"+ \r\n"
    assert (await client.say("*")).startswith(b"a1 BAD ")
    assert (await client.say("a2 AUTHENTICATE EXTERNAL YmVuQGV4YW1wbGUub3Jn")).startswith(
        b"a2 NO [AUTHORIZATIONFAILED] "
    )
    assert (await client.say("a3 AUTHENTICATE EXTERNAL AA==")).startswith(b"a3 BAD ")
    assert (await client.say("a4 AUTHENTICATE EXTERNAL YW5uQEV4YW1wbGUub3Jn")).startswith(b"a4 OK ")
    logins = [name for name, _ in house.events if name.startswith("login.")]
    assert logins == ["login.succeeded", "login.failed", "login.succeeded"]


async def test_who_is_refused(house: House) -> None:
    nobody = house.connect(tls=shown("nobody@example.org"))
    nobody.hear()
    assert (await nobody.say("a1 AUTHENTICATE EXTERNAL =")).startswith(b"a1 NO [AUTHENTICATIONFAILED] ")
    assert house.throttle.failures == 1
    account = await house.store.directory.account_by_login(ANN)
    await house.store.directory.put_account(replace(account, disabled=True))
    client = house.connect(tls=shown(ANN))
    client.hear()
    assert (await client.say("a1 AUTHENTICATE EXTERNAL =")).startswith(b"a1 NO [CONTACTADMIN] ")
    assert house.throttle.failures == 2
    house.throttle.failures = house.throttle.limit
    assert (await client.say("a2 AUTHENTICATE EXTERNAL =")).startswith(b"a2 NO [LIMIT] ")
    assert {fields["mechanism"] for name, fields in house.events if name == "login.failed"} == {"EXTERNAL"}
