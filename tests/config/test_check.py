"""`config check`: everything that would go wrong later, with cause and way out; and nothing else."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace

from postroom.config import (
    ClientCertificate,
    Config,
    Imap,
    Limits,
    Listener,
    Log,
    Passwords,
    Protocol,
    Relay,
    Server,
    Tls,
    TlsMode,
    check,
    parse_dns_server,
)
from postroom.net.tls import write_self_signed
from postroom.testing.client_authority import ClientAuthority

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def good(tmp_path: Path) -> Config:
    write_self_signed(tmp_path / "cert.pem", tmp_path / "key.pem", ["mail.example"], 90, NOW)
    (tmp_path / "data").mkdir()
    return Config(
        server=Server(hostname="mail.example", data=str(tmp_path / "data")),
        tls=Tls(certificate=str(tmp_path / "cert.pem"), key=str(tmp_path / "key.pem")),
        listener=(
            Listener(protocol=Protocol.SMTP, port=25, address="::"),
            Listener(protocol=Protocol.IMAP, port=993, address="::", tls=TlsMode.IMPLICIT),
            Listener(protocol=Protocol.IMAP, port=0),
            Listener(protocol=Protocol.LMTP, port=0, tls=TlsMode.NONE),
        ),
    )


def said(config: Config, now: datetime = NOW) -> list[tuple[str, bool]]:
    return [(problem.key, problem.fatal) for problem in check(config, now)]


def test_a_good_one(good: Config) -> None:
    assert check(good, NOW) == []


@pytest.mark.parametrize(
    ("section", "value", "key", "fatal", "word"),
    [
        ("server", {"hostname": "two words"}, "server.hostname", True, "mail.example.com"),
        ("server", {"postmaster": "ann"}, "server.postmaster", True, "ann@example.com"),
        ("server", {"dns": ("192.0.2.1", "ns.example")}, "server.dns", True, "'ns.example'"),
        ("server", {"dns": ("192.0.2.1:99999",)}, "server.dns", True, ":53"),
        ("server", {"user": "no-such-user"}, "server.user", True, "useradd"),
        ("server", {"data": "/nowhere/at/all"}, "server.data", True, "postroom init"),
        ("server", {"data": "/etc/passwd"}, "server.data", True, "no folder"),
        ("server", {"hostname": "other.example"}, "tls.certificate", False, "mail.example, not for other.example"),
        ("tls", {"certificate": "/nowhere"}, "tls.certificate", True, "cannot be read"),
        ("tls", {"certificate": ""}, "listener[0]", True, "names no certificate"),
        ("limits", {"trusted_networks": ("10.0.0.0/99",)}, "limits.trusted_networks", True, "no network"),
        ("limits", {"trusted_networks": ("::/0",)}, "limits.trusted_networks", False, "everybody"),
        ("limits", {"relay_networks": ("0.0.0.0/0",)}, "limits.relay_networks", True, "open relay"),
        ("relay", {"user": "me"}, "relay.user", True, "password_file"),
        ("relay", {"password_file": "/nowhere"}, "relay.password_file", True, "cannot be read"),
        ("relay", {"password_file": "/dev/null"}, "relay.password_file", True, "first line is empty"),
        ("relay", {"retry_first": 20000.0}, "relay.retry_first", False, "retry_longest"),
        ("relay", {"warn_after": 432000.0}, "relay.warn_after", False, "bounces"),
        ("log", {"file": "/nowhere/at/all.log"}, "log.file", True, "cannot be written"),
    ],
)
def test_one_thing_wrong(
    good: Config, section: str, value: dict[str, object], key: str, fatal: bool, word: str
) -> None:
    bad = replace(good, **{section: replace(getattr(good, section), **value)})
    problem = check(bad, NOW)[0]
    assert (problem.key, problem.fatal) == (key, fatal)
    assert word in str(problem)
    assert len({one.key for one in check(bad, NOW)}) == 1 or section == "tls" or "hostname" in value


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[::1]:54", ("::1", 54)),
    ],
)
def test_addresses_of_servers(text: str, address: tuple[str, int]) -> None:
    assert parse_dns_server(text) == address


@pytest.mark.parametrize(
    "text", ["", "dns.example", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:x", "[::1", "[::1]54", "::1:70000:x"]
)
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(ValueError):
        parse_dns_server(text)


@pytest.mark.parametrize("dns", ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:53"])
def test_dns_servers_that_are_well_written(good: Config, dns: str) -> None:
    assert said(replace(good, server=replace(good.server, dns=(dns,)))) == []


@pytest.mark.parametrize(
    ("listener", "word"),
    [
        (Listener(protocol=Protocol.POP3, port=993), "port 993 is listener[1]'s already"),  # :: takes 127.0.0.1 too
        (Listener(protocol=Protocol.POP3, port=995, address="mail.example"), "no IP address"),
        (Listener(protocol=Protocol.POP3, port=995, proxy_networks=("0.0.0.0/0",)), "any client may say"),
        (Listener(protocol=Protocol.POP3, port=110, tls=TlsMode.NONE), "plaintext_on_loopback"),
        (Listener(protocol=Protocol.POP3, port=110, address="::", tls=TlsMode.NONE), "nobody can log in"),
    ],
)
def test_listeners(good: Config, listener: Listener, word: str) -> None:
    (problem,) = check(replace(good, listener=(*good.listener, listener)), NOW)
    assert word in str(problem)
    assert problem.fatal is (listener.tls is not TlsMode.NONE)


def test_plain_passwords_on_this_machine_when_asked_for(good: Config) -> None:
    listener = Listener(protocol=Protocol.POP3, port=110, tls=TlsMode.NONE)
    passwords = Passwords(plaintext_on_loopback=True)
    assert said(replace(good, listener=(*good.listener, listener), passwords=passwords)) == []


def test_nobody_listens(good: Config) -> None:
    assert said(replace(good, listener=())) == [("listener", True)]


def test_certificates_that_end(good: Config) -> None:
    assert said(good, NOW + timedelta(days=80)) == [("tls.certificate", False)]
    assert "expired on" in str(check(good, NOW + timedelta(days=100))[0])


def test_a_wildcard_covers_its_hosts(good: Config, tmp_path: Path) -> None:
    write_self_signed(tmp_path / "cert.pem", tmp_path / "key.pem", ["*.example"], 90, NOW)
    assert said(good) == []


def test_keys(good: Config, tmp_path: Path) -> None:
    os.chmod(tmp_path / "key.pem", 0o644)
    assert said(good) == [("tls.key", False)]
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
    )
    assert "locked with a password" in str(check(good, NOW)[0])
    (tmp_path / "key.pem").write_text("junk")
    assert "do not go together" in str(check(good, NOW)[0])


def test_capabilities_to_disable_are_known_ones(good: Config) -> None:
    config = replace(good, imap=Imap(disable=("idle", "IDEL")))
    assert said(config) == []
    [problem] = check(config, NOW, {"IDLE"})
    assert (problem.key, problem.fatal) == ("imap.disable", False)
    assert "'IDEL'" in problem.cause


def test_limits_that_are_too_low_for_clients(good: Config) -> None:
    assert said(replace(good, imap=Imap(message_limit=1000, save_limit=5000))) == []
    config = replace(good, imap=Imap(message_limit=999, save_limit=1))
    assert said(config) == [("imap.message_limit", False), ("imap.save_limit", False)]


def test_certificates_of_clients(good: Config, tmp_path: Path) -> None:
    path = ClientAuthority(tmp_path, "ours", NOW).path
    (tmp_path / "junk.pem").write_text("junk")
    smtp, imaps, imap, lmtp = good.listener
    known = ClientCertificate(sha256="ab" * 32, account="ann@example.com")
    config = replace(good, listener=(smtp, replace(imaps, client_authorities=path)), client_certificate=(known,))
    assert said(config) == []
    wrong = (
        replace(smtp, client_authorities=path),
        replace(imaps, client_authorities=str(tmp_path / "junk.pem")),
        replace(imap, client_authorities=str(tmp_path / "none.pem")),
        replace(lmtp, client_authorities=path),
    )
    nobody = ClientCertificate(sha256="ab" * 32, account="ann")
    assert said(replace(good, listener=wrong, client_certificate=(nobody,))) == [
        ("listener[0].client_authorities", False),
        ("listener[1].client_authorities", True),
        ("listener[2].client_authorities", True),
        ("listener[3].client_authorities", False),
        ("client_certificate[0]", True),
    ]


def test_the_defaults_with_a_folder_lack_only_listeners(tmp_path: Path) -> None:
    config = Config(server=Server(data=str(tmp_path)), limits=Limits(), relay=Relay(), log=Log())
    assert said(config) == [("listener", True)]


def test_http_listeners(good: Config) -> None:
    http = Listener(protocol=Protocol.HTTP, port=8080, address="::", tls=TlsMode.NONE)
    metrics = Listener(protocol=Protocol.METRICS, port=9464, tls=TlsMode.NONE)
    assert check(replace(good, listener=(*good.listener, http, metrics)), NOW) == []
    [wrong] = check(replace(good, listener=(replace(http, tls=TlsMode.STARTTLS),)), NOW)
    assert wrong.fatal
    assert "knows no STARTTLS" in wrong.cause
    [open_to_all] = check(replace(good, listener=(replace(metrics, address="0.0.0.0"),)), NOW)
    assert not open_to_all.fatal
