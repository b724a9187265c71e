"""One try to open a session with one server: the connection, its greeting, TLS and the log-in.

Owns: a connection until it is handed over. Trusts: nothing of the server.
Standards: RFC 5321 4.5.3.2, RFC 3207 4.
On failure: Unopened, or TlsFailed when TLS is the reason and its absence might be borne.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable

from msgspec import Struct

from postroom.config import OutgoingTls
from postroom.net.link import Link, LinkOptions, TlsSource
from postroom.net.wheel import Wheel
from postroom.relay.connection import Connection, Endpoint
from postroom.relay.routes import Nexthop
from postroom.relay.tls_policy import TlsLevel, failure_of, words_of
from postroom.values.clock import Clock
from postroom.wire.smtp.client import ClientSession
from postroom.wire.smtp.client_types import ClientOptions, Failed, Reply

_CONNECT = 30.0  # seconds for the connection to stand; others are waiting to be tried


class Unopened(Struct, frozen=True):
    """No server is ready. host: whose reply it is, "" for our own."""

    reply: Reply
    host: str = ""


class TlsFailed(Struct, frozen=True, kw_only=True):
    """The connection failed because of TLS. kind, failure, detail: as TlsResult; local: our address."""

    kind: str
    failure: str
    detail: str
    unopened: Unopened
    local: str = ""


class Connector:
    """Opens sessions."""

    def __init__(self, wheel: Wheel, clock: Clock) -> None:
        self._wheel = wheel
        self._clock = clock

    async def open(
        self, hop: Nexthop, hostname: str, endpoint: Endpoint, tls: TlsSource | None, level: TlsLevel
    ) -> Connection | Unopened | TlsFailed:
        """One connection up to where mail can be sent. hostname: ours; tls: None without."""
        implicit = hop.tls is OutgoingTls.IMPLICIT
        options = ClientOptions(
            hostname=hostname,
            starttls=_starttls(level, never=tls is None or implicit),  # type: ignore[arg-type]
            login=hop.login,
            password=hop.password,
            plaintext_auth=hop.tls in (OutgoingTls.NONE, OutgoingTls.OPPORTUNISTIC),
        )
        session = ClientSession(options, secure=implicit)
        made: list[Connection] = []
        born = self._clock.monotonic()

        def driver(link: Link) -> Connection:
            made.append(Connection(link, session, endpoint, born))
            return made[0]

        try:
            await self._link(driver, endpoint, tls, implicit=implicit)
        except TimeoutError:
            return _unreachable(hop, endpoint, "does not answer")
        except ssl.SSLError as fault:
            return _handshake_failed(endpoint, fault)
        except OSError as fault:
            return _unreachable(hop, endpoint, f"cannot be reached: {_words(fault)}")
        return await self._greeted(made[0], endpoint, "" if hop.host or hostname == "localhost" else hostname.lower())

    async def _greeted(self, connection: Connection, endpoint: Endpoint, us: str) -> Connection | Unopened | TlsFailed:
        """Wait for the greetings to be over. us: our name where mail may come back to us, else ""."""
        try:
            failed = await connection.opened()
        except BaseException:
            connection.abort()
            raise
        if failed is None and us and connection.server == us:
            connection.close()  # behind address translation our own address looks like a stranger's
            return Unopened(Reply(554, "5.4.6", f"{endpoint.host} is this server, which does not host it", local=True))
        if failed is None:
            return connection
        connection.close()
        if connection.handshake_failed:
            return _handshake_failed(endpoint, connection.fault, connection.local)
        unopened = Unopened(failed.reply, "" if failed.reply.local else endpoint.host)
        if _for_want_of_tls(failed):
            kind = "starttls-not-supported"
            return TlsFailed(
                kind=kind, failure=kind, detail=failed.reply.text, unopened=unopened, local=connection.local
            )
        return unopened

    async def _link(
        self, driver: Callable[[Link], Connection], endpoint: Endpoint, tls: TlsSource | None, *, implicit: bool
    ) -> None:
        """The connection, with its handshake when that comes first."""
        options = LinkOptions(wheel=self._wheel, tls=tls)
        now = tls if implicit else None
        async with asyncio.timeout(_CONNECT):
            await asyncio.get_running_loop().create_connection(
                lambda: Link(driver, options),
                endpoint.address,
                endpoint.port,
                local_addr=(endpoint.source, 0) if endpoint.source else None,
                ssl=now.context() if now else None,
                server_hostname=now.server_name if now else None,
            )


def _starttls(level: TlsLevel, *, never: bool) -> str:
    if never:
        return "never"
    return "required" if level >= TlsLevel.ENCRYPT else "offered"


def _unreachable(hop: Nexthop, endpoint: Endpoint, what: str) -> Unopened:
    shown = endpoint.host
    if not hop.host or endpoint.host.strip("[]") != endpoint.address:
        shown = f"{endpoint.host} [{endpoint.address}]"
    return Unopened(Reply(451, "4.4.1", f"{shown} port {endpoint.port} {what}", local=True))


def _handshake_failed(endpoint: Endpoint, fault: Exception | None, local: str = "") -> TlsFailed:
    detail = words_of(fault)
    text = f"The TLS handshake with {endpoint.host} [{endpoint.address}] failed: {detail}"
    unopened = Unopened(Reply(454, "4.7.5", text, local=True))
    return TlsFailed(kind="handshake", failure=failure_of(fault), detail=detail, unopened=unopened, local=local)


def _for_want_of_tls(failed: Failed) -> bool:
    return failed.stage == "STARTTLS" or (failed.reply.local and failed.reply.enhanced == "4.7.4")


def _words(fault: OSError) -> str:
    return os.strerror(fault.errno) if fault.errno else str(fault)  # asyncio words it otherwise than uvloop
