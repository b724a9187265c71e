"""Settings that mail programs fetch by the domain of an address alone."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from starlette.applications import Starlette

from postroom.servers.http.autoconfig import autoconfig_routes
from postroom.store.api import StoreUnavailable

SERVICES = (("submission", True, 465), ("pop3", True, 995), ("imap", False, 143), ("imap", True, 993))


async def get(host: str, path: str = "/mail/config-v1.1.xml", *, broken: bool = False) -> tuple[int, bytes]:
    async def is_hosted(domain: str) -> bool:
        if broken:
            raise StoreUnavailable("disk")
        return domain == "here.test"

    app = Starlette(routes=autoconfig_routes("mx.here.test", SERVICES, is_hosted))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"emailaddress=ann%40here.test",
        "headers": [(b"host", host.encode())],
        "scheme": "https",
        "server": ("127.0.0.1", 443),
        "root_path": "",
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


@pytest.mark.parametrize("path", ["/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"])
@pytest.mark.parametrize("host", ["autoconfig.here.test", "here.test", "Autoconfig.HERE.test:443"])
async def test_programs_find_the_servers(host: str, path: str) -> None:
    status, body = await get(host, path)
    assert status == 200
    provider = ElementTree.fromstring(body).find("emailProvider")
    assert provider is not None
    assert (provider.get("id"), provider.findtext("domain")) == ("here.test", "here.test")
    found = [
        (one.tag, one.get("type"), one.findtext("hostname"), one.findtext("port"), one.findtext("socketType"))
        for one in provider
        if one.get("type")
    ]
    assert found == [
        ("incomingServer", "imap", "mx.here.test", "993", "SSL"),
        ("incomingServer", "imap", "mx.here.test", "143", "STARTTLS"),
        ("incomingServer", "pop3", "mx.here.test", "995", "SSL"),
        ("outgoingServer", "smtp", "mx.here.test", "465", "SSL"),
    ]
    assert {one.findtext("username") for one in provider if one.get("type")} == {"%EMAILADDRESS%"}


@pytest.mark.parametrize("host", ["autoconfig.other.test", "autoconfig.", "", "127.0.0.1"])
async def test_other_hosts_have_none(host: str) -> None:
    assert (await get(host))[0] == 404


async def test_a_directory_that_cannot_be_read() -> None:
    assert (await get("here.test", broken=True))[0] == 503
