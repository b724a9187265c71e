"""Log-ins by a certificate of the client (EXTERNAL) for submission, POP3 and ManageSieve."""

from __future__ import annotations

import datetime
import poplib
import smtplib
import socket
import ssl
from pathlib import Path

import pytest

from postroom.config import Protocol, Tls, TlsMode
from postroom.net import Certificates
from postroom.servers.managesieve.service import ManageSieveService, Rooms
from postroom.sieve.run import Limits
from postroom.testing.client_authority import ClientAuthority

from .house import ANN, House
from .test_smtp_driver import blocking


def _log_in(port: int, context: ssl.SSLContext) -> tuple[bytes, int]:
    """The mechanisms before, and the answer."""
    with smtplib.SMTP("localhost", port) as client:
        client.starttls(context=context)
        client.ehlo()
        mechanisms = client.esmtp_features["auth"]
        return mechanisms.encode(), client.docmd("AUTH", "EXTERNAL =")[0]


def _log_in_to_pop3(port: int, context: ssl.SSLContext) -> tuple[list[str], bytes]:
    client = poplib.POP3_SSL("localhost", port, context=context)
    try:
        mechanisms = client.capa()["SASL"]
        return mechanisms, client._shortcmd("AUTH EXTERNAL =")  # type: ignore[attr-defined,no-any-return]
    except poplib.error_proto as fault:
        return mechanisms, fault.args[0]
    finally:
        client.close()


def _log_in_to_managesieve(port: int, context: ssl.SSLContext) -> tuple[str, str]:
    """The mechanisms, and the answer."""
    with (
        socket.create_connection(("localhost", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
        tls.makefile("rw", newline="\r\n") as lines,
    ):
        greeting = []
        while not greeting or not greeting[-1].startswith("OK"):
            greeting.append(lines.readline())
        lines.write('AUTHENTICATE "EXTERNAL" ""\n')
        lines.flush()
        return next(line for line in greeting if line.startswith('"SASL"')), lines.readline()


async def test_managesieve(house: House, pair: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = ClientAuthority(tmp_path, "ours", datetime.datetime.now(datetime.UTC))
    house.certificates = Certificates(pair, authority.path)
    context = ssl.create_default_context(cafile=pair.certificate)
    context.load_cert_chain(authority.certify(ANN.login)[0])
    rooms = Rooms(
        store=house.store,
        logins=house.logins("managesieve"),
        gate=house.policy,
        log=house.events,
        version="1",
        limits=Limits(),
    )
    monkeypatch.setattr(house, "_smtp", lambda _service: ManageSieveService(rooms, house.config))
    port = await house.serve(Protocol.MANAGESIEVE, TlsMode.IMPLICIT)
    mechanisms, answer = await blocking(lambda: _log_in_to_managesieve(port, context))
    assert "EXTERNAL" in mechanisms
    assert answer.startswith("OK")
    mechanisms, answer = await blocking(lambda: _log_in_to_managesieve(port, house.tls))
    assert "EXTERNAL" not in mechanisms
    assert answer.startswith("NO")


async def test_a_certificate_opens_its_account(house: House, pair: Tls, tmp_path: Path) -> None:
    authority = ClientAuthority(tmp_path, "ours", datetime.datetime.now(datetime.UTC))
    house.certificates = Certificates(pair, authority.path)
    with_certificate = ssl.create_default_context(cafile=pair.certificate)
    with_certificate.load_cert_chain(authority.certify(ANN.login)[0])
    port = await house.serve(Protocol.SUBMISSION)
    mechanisms, code = await blocking(lambda: _log_in(port, with_certificate))
    assert b"EXTERNAL" in mechanisms
    assert code == 235
    mechanisms, code = await blocking(lambda: _log_in(port, house.tls))
    assert b"EXTERNAL" not in mechanisms
    assert code == 504
    drops = await house.serve(Protocol.POP3, TlsMode.IMPLICIT)
    known, answer = await blocking(lambda: _log_in_to_pop3(drops, with_certificate))
    assert "EXTERNAL" in known
    assert answer.startswith(b"+OK")
    known, answer = await blocking(lambda: _log_in_to_pop3(drops, house.tls))
    assert "EXTERNAL" not in known
    assert answer.startswith(b"-ERR")
