"""Certificates: made, served, renewed under a running listener, and refused with a reason."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from postroom.config import Tls, TlsMode
from postroom.net import CertificateError, Certificates, client_context, self_signed
from postroom.net.tls import end_point, write_self_signed

from .conftest import NOW, Serve
from .test_link import connect


def write(folder: Path, name: str = "mail.example") -> Tls:
    write_self_signed(folder / "cert.pem", folder / "key.pem", [name], 2, NOW)
    return Tls(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem"))


def test_a_self_signed_certificate_names_hosts_and_addresses(tmp_path: Path) -> None:
    pem, key = self_signed(["mail.example", "192.0.2.1", "::1"], 30, NOW)
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "::1"]
    assert certificate.not_valid_after_utc - NOW == pytest.approx(
        datetime.timedelta(days=30), abs=datetime.timedelta(seconds=1)
    )
    assert isinstance(serialization.load_pem_private_key(key, None), ec.EllipticCurvePrivateKey)


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        tls = write(tmp_path / "new" / "folder")
    finally:
        os.umask(old)
    assert Path(tls.key).stat().st_mode & 0o777 == 0o600
    write(tmp_path / "new" / "folder")  # again, over the old one


async def serial(port: int, **options: object) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in options.items():
        setattr(context, name, value)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.close()
    return certificate


async def test_reload_changes_new_connections_only(
    site: Serve, tmp_path: Path, certificates: Certificates, client_tls: ssl.SSLContext
) -> None:
    here = await site(lambda driver, data: driver.link.send(data), tls=TlsMode.IMPLICIT)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", here.port, ssl=client_tls, server_hostname="mail.example"
    )
    before = await serial(here.port)
    first = await here.driver()
    await here.driver()
    for turn in range(2):  # the second reload replaces what the first put in place
        certificates.reload(write(tmp_path, f"mail{turn}.example"))
        after = await serial(here.port)
        assert after == ssl.PEM_cert_to_DER_cert((tmp_path / "cert.pem").read_text())
        info = (await here.driver()).link.tls
        assert info is not None
        assert info.server_end_point == hashlib.sha256(after).digest() != hashlib.sha256(before).digest()
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    assert first.link.tls is not None
    assert first.link.tls.server_end_point == hashlib.sha256(before).digest()
    writer.close()


async def test_a_failed_reload_changes_nothing(site: Serve, tmp_path: Path, certificates: Certificates) -> None:
    here = await site(tls=TlsMode.IMPLICIT)
    before = await serial(here.port)
    with pytest.raises(CertificateError):
        certificates.reload(Tls(certificate=str(tmp_path / "none.pem"), key=str(tmp_path / "none.key")))
    assert await serial(here.port) == before


async def test_old_tls_is_refused_and_1_2_is_not(site: Serve) -> None:
    here = await site(tls=TlsMode.IMPLICIT)
    assert await serial(here.port, maximum_version=ssl.TLSVersion.TLSv1_2)
    info = (await here.driver()).link.tls
    assert info is not None
    assert info.version == "TLSv1.2"
    assert info.cipher.startswith("ECDHE-")


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"])
async def test_ciphers_without_aead_are_refused(site: Serve, pair: Tls, cipher: str) -> None:
    here = await site(tls=TlsMode.IMPLICIT)
    client = ssl.create_default_context(cafile=pair.certificate)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    _, writer = await connect(here.port, ssl=client, server_hostname="mail.example")  # the certificate is ECDSA's
    assert writer.get_extra_info("cipher")[0].startswith("ECDHE-ECDSA-")
    writer.close()
    client.set_ciphers(cipher)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(here.port, ssl=client, server_hostname="mail.example")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_not_taken_up_again(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """What a worker's key has sealed no other worker could open, and nothing would ever change it."""
    certificates = Certificates(write(tmp_path))
    client = client_context(verify=False)
    client.minimum_version = client.maximum_version = version
    session = None
    for _ in range(2):
        session, reused = shake_hands(certificates, client, session)
        assert not reused
    assert session is None or not session.has_ticket


def shake_hands(
    certificates: Certificates, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None]:
    """A handshake in memory, and a word of the server's, with which tickets would come."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = certificates.context().wrap_bio(up, down, server_side=True)
    client = context.wrap_bio(down, up, server_hostname="mail.example", session=session)
    for _ in range(4):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    server.write(b"hello")
    assert client.read(5) == b"hello"
    return client.session, client.session_reused


def test_tls_1_3_alone_can_be_asked_for(tmp_path: Path) -> None:
    tls = write(tmp_path)
    context = Certificates(Tls(certificate=tls.certificate, key=tls.key, minimum="1.3")).context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.num_tickets == 0


def test_what_cannot_be_used_says_why(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    with pytest.raises(CertificateError, match="does not belong to"):
        Certificates(Tls(certificate=one.certificate, key=two.key))
    with pytest.raises(CertificateError, match="No such file"):
        Certificates(Tls(certificate=str(tmp_path / "none.pem"), key=one.key))
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(CertificateError, match="no usable PEM file"):
        Certificates(Tls(certificate=str(tmp_path / "junk.pem"), key=one.key))
    key = serialization.load_pem_private_key(Path(one.key).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    Path(one.key).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match="locked with a password"):
        Certificates(one)


@pytest.mark.parametrize(
    ("key", "algorithm", "name"),
    [
        (ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), "sha384"),
        (rsa.generate_private_key(65537, 2048), hashes.SHA256(), "sha256"),
        (ed25519.Ed25519PrivateKey.generate(), None, ""),
    ],
)
def test_the_end_point_is_hashed_as_its_signature(key: object, algorithm: object, name: str) -> None:
    """RFC 5929 4.1."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())  # type: ignore[attr-defined]
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .sign(key, algorithm)  # type: ignore[arg-type]
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    expected = hashlib.new(name, der).digest() if name else b""
    assert end_point(certificate.public_bytes(serialization.Encoding.PEM)) == expected


async def test_a_client_context_checks_names_unless_told_not_to(site: Serve, pair: Tls) -> None:
    here = await site(tls=TlsMode.IMPLICIT)
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection(
            "127.0.0.1", here.port, ssl=client_context(True, pair.certificate), server_hostname="other.example"
        )
    for context, name in (
        (client_context(True, pair.certificate), "mail.example"),
        (client_context(False), "other.example"),
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", here.port, ssl=context, server_hostname=name)
        writer.close()
