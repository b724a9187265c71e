"""The MTA-STS policy of hosted domains, as other servers fetch it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette

from postroom.app.facts import site_facts
from postroom.config import Config, Listener, MtaSts, Protocol, Server, TlsMode
from postroom.identity.records import records, sts_id, sts_policy
from postroom.relay.sts_policy import read_policy, record_id
from postroom.servers.http.sts import sts_route
from postroom.store.api import StoreUnavailable

HTTPS = Listener(protocol=Protocol.HTTP, port=443, tls=TlsMode.IMPLICIT)


def config(*listeners: Listener, mode: str = "enforce") -> Config:
    return Config(server=Server(hostname="mx.here.test"), listener=listeners, mta_sts=MtaSts(mode=mode))


async def get(host: str, *, broken: bool = False, method: str = "GET") -> tuple[int, str, bytes]:
    async def is_hosted(domain: str) -> bool:
        if broken:
            raise StoreUnavailable("disk")
        return domain == "here.test"

    app = Starlette(routes=[sts_route(sts_policy(site_facts(config(HTTPS))), is_hosted)])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/.well-known/mta-sts.txt",
        "query_string": b"",
        "headers": [(b"host", host.encode())],
        "scheme": "https",
        "server": ("127.0.0.1", 443),
        "root_path": "",
    }
    await app(scope, receive, send)
    fields = dict(sent[0]["headers"])
    return sent[0]["status"], fields[b"content-type"].decode(), b"".join(each.get("body", b"") for each in sent[1:])


@pytest.mark.parametrize(
    "host", ["mta-sts.here.test", "MTA-STS.Here.test", "mta-sts.here.test:443", "mta-sts.here.test."]
)
async def test_others_read_the_policy_of_a_hosted_domain(host: str) -> None:
    status, media_type, body = await get(host)
    assert (status, media_type.partition(";")[0]) == (200, "text/plain")
    policy = read_policy(body)
    assert (policy.mode, policy.mx) == ("enforce", ("mx.here.test",))


@pytest.mark.parametrize(
    "host", ["here.test", "mta-sts.other.test", "mta-sts.", "", "mx.here.test", "127.0.0.1", "[::1"]
)
async def test_other_hosts_have_none(host: str) -> None:
    assert (await get(host))[0] == 404


async def test_a_directory_that_cannot_be_read() -> None:
    assert (await get("mta-sts.here.test", broken=True))[0] == 503


def test_the_dns_announces_what_is_served() -> None:
    site = site_facts(config(HTTPS))
    assert (site.https, site.sts_mode) == (True, "enforce")
    [text] = [each.value for each in records("here.test", (), site) if each.name == "_mta-sts.here.test"]
    assert record_id([text.encode()]) == sts_id(sts_policy(site))
    other = site_facts(config(HTTPS, mode="testing"))
    assert sts_id(sts_policy(other)) != sts_id(sts_policy(site))


@pytest.mark.parametrize("listeners", [(), (Listener(protocol=Protocol.HTTP, port=80, tls=TlsMode.NONE),)])
def test_without_https_nothing_is_announced(listeners: tuple[Listener, ...]) -> None:
    found = records("here.test", (), site_facts(config(*listeners)))
    assert not [each for each in found if each.kind == "mta-sts"]
