"""Real DNSSEC: a signed zone, unbound that validates it, and what our resolver makes of its answers."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.dnssec
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from postroom.net.resolver import Resolver
from postroom.net.resolver_exchange import Patience
from postroom.values.clock import SystemClock
from postroom.values.dns import DnsUnavailable, NoSuchName, RecordType

UNBOUND = shutil.which("unbound", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = [pytest.mark.system, pytest.mark.skipif(UNBOUND is None, reason="unbound is not installed")]

ZONE = """
$ORIGIN {name}.
@ 300 IN SOA ns.{name}. host.{name}. 1 3600 600 86400 60
@ 300 IN NS ns.{name}.
@ 300 IN MX 10 mx.{name}.
ns 300 IN A 127.0.0.1
mx 300 IN A 192.0.2.1
broken 300 IN A 192.0.2.2
alias 300 IN CNAME mx.{name}.
_25._tcp.mx 300 IN TLSA 3 1 1 {data}
"""


def signed_zone(name: str) -> tuple[str, str]:
    """A zone with signatures, that of `broken` for another address; and the key as a trust anchor."""
    zone = dns.zone.from_text(ZONE.format(name=name, data="ab" * 32), origin=f"{name}.", relativize=False)
    key = ec.generate_private_key(ec.SECP256R1())
    public = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
    now = datetime.datetime.now(datetime.UTC)
    with zone.writer() as transaction:
        dns.dnssec.sign_zone(
            zone,
            transaction,
            keys=[(key, public)],
            dnskey_ttl=300,
            inception=now - datetime.timedelta(hours=1),
            expiration=now + datetime.timedelta(hours=1),
        )
    text = zone.to_text(relativize=False).replace("192.0.2.2", "192.0.2.66")
    return text, f"{name}. IN DNSKEY {public.to_text()}"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("unbound")
    text, anchor = signed_zone("signed.test")
    (folder / "signed.zone").write_text(text)
    (folder / "plain.zone").write_text(ZONE.format(name="plain.test", data="cd" * 32))
    port = free_port()
    (folder / "unbound.conf").write_text(f"""
server:
  interface: 127.0.0.1@{port}
  do-ip6: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  num-threads: 1
  module-config: "validator iterator"
  ede: yes
  local-zone: "test." nodefault
  trust-anchor: "{anchor}"
remote-control:
  control-enable: no
auth-zone:
  name: "signed.test."
  zonefile: "{folder / "signed.zone"}"
  for-downstream: no
  for-upstream: yes
auth-zone:
  name: "plain.test."
  zonefile: "{folder / "plain.zone"}"
  for-downstream: no
  for-upstream: yes
""")
    with subprocess.Popen(
        [str(UNBOUND), "-d", "-p", "-c", str(folder / "unbound.conf")], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:  # it says when it serves, or why not
            said.append(line)
            if "start of service" in line:
                break
        else:
            pytest.fail("unbound did not start: " + "".join(said))
        yield f"127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        process.stderr.read()


@pytest.fixture
def resolver(server: str) -> Iterator[Resolver]:
    made = Resolver([server], SystemClock(), patience=Patience(budget=20, first=5))
    yield made
    made.close()


async def test_what_is_signed_is_secure(resolver: Resolver) -> None:
    mx = await resolver.lookup("signed.test", RecordType.MX)
    assert (mx.records, mx.secure) == (((10, "mx.signed.test"),), True)
    tlsa = await resolver.lookup("_25._tcp.mx.signed.test", RecordType.TLSA)
    assert (tlsa.records, tlsa.secure) == (((3, 1, 1, b"\xab" * 32),), True)
    alias = await resolver.lookup("alias.signed.test", RecordType.A)
    assert (alias.records, alias.secure) == (("192.0.2.1",), True)
    nothing = await resolver.lookup("mx.signed.test", RecordType.AAAA)
    assert (nothing.records, nothing.secure) == ((), True)
    with pytest.raises(NoSuchName):
        await resolver.lookup("no.signed.test", RecordType.A)


async def test_what_is_not_signed_is_not(resolver: Resolver) -> None:
    mx = await resolver.lookup("plain.test", RecordType.MX)
    assert (mx.records, mx.secure) == (((10, "mx.plain.test"),), False)


async def test_a_broken_signature_is_no_answer(resolver: Resolver) -> None:
    with pytest.raises(DnsUnavailable, match=r"SERVFAIL.*DNSSEC"):
        await resolver.lookup("broken.signed.test", RecordType.A)


async def test_no_word_counts_from_a_server_that_was_not_chosen(server: str, tmp_path: Path) -> None:
    resolver = Resolver([server], SystemClock())
    [chosen] = resolver._servers.order()
    chosen.trusted = False
    assert not (await resolver.lookup("signed.test", RecordType.MX)).secure
    resolver.close()
