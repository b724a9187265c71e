"""`postroom explain tls`: what would be demanded of each server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.explain_tls import explain_tls
from postroom.cli.main import main
from postroom.net.resolver import Resolver
from postroom.testing.dnsserver import DnsServer
from postroom.values.clock import SystemClock

ZONE = {
    "far.test": {"MX": [[10, "mx.far.test"], [20, "old.far.test"]]},
    "mx.far.test": {"A": ["192.0.2.1"]},
    "old.far.test": {"A": ["192.0.2.2"]},
    "_25._tcp.mx.far.test": {"TLSA": [[3, 1, 1, "00" * 32]]},
    "_25._tcp.old.far.test": {"TLSA": [[1, 1, 1, "00" * 32]]},
}


async def test_each_server_is_told_of() -> None:
    async with DnsServer(ZONE, signed={"far.test"}) as server:
        resolver = Resolver([server.address], SystemClock())
        found = await explain_tls(resolver, "far.test", offline=True)
        resolver.close()
    assert found.steps == [
        "Servers of far.test: mx.far.test (10), old.far.test (20). DNSSEC vouches for them, so DANE may apply.",
        "MTA-STS: no policy.",
        f"mx.far.test: TLS with a certificate that fits one of 3 1 1 {'00' * 32} (DANE), or no mail.",
        "old.far.test: TLS with any certificate, or no mail: it has TLSA records, but none that can be used (DANE).",
    ]
    assert [each["level"] for each in found.servers] == ["dane", "encrypt"]


def _run(capsysbinary: Any, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["explain", "tls", *arguments])
    assert not ended.value.code
    return capsysbinary.readouterr().out.decode()


def test_with_zone_data_nothing_is_fetched(capsysbinary: Any, tmp_path: Path) -> None:
    zone = {**ZONE, "_mta-sts.far.test": {"TXT": ["v=STSv1; id=1"]}, "mta-sts.far.test": {"A": ["127.0.0.1"]}}
    (tmp_path / "zone.json").write_text(json.dumps(zone))
    told = _run(capsysbinary, "far.test", "--zone", str(tmp_path / "zone.json"))
    assert "How is mail to far.test protected?" in told
    assert "nothing is fetched; mail goes on without" in " ".join(told.split())
    found = json.loads(_run(capsysbinary, "far.test", "--zone", str(tmp_path / "zone.json"), "--json"))
    assert [each["level"] for each in found["servers"]] == ["opportunistic", "opportunistic"]
    told = _run(capsysbinary, "gone.test", "--zone", str(tmp_path / "zone.json"))
    assert "The domain gone.test does not exist" in told
