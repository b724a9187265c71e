"""Log-ins by a certificate of the client (EXTERNAL) for submission and POP3."""

from __future__ import annotations

import datetime
import poplib
import smtplib
import ssl
from pathlib import Path

from postroom.config import Protocol, Tls, TlsMode
from postroom.net import Certificates
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
