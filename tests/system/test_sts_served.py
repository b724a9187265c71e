"""The MTA-STS policy of a running server."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

from running import configure, serve_again, start_demo, stop_demo

from postroom.relay.sts_policy import read_policy


def fetch(port: int, host: str, trust: ssl.SSLContext) -> tuple[int, str, bytes]:
    url = f"https://127.0.0.1:{port}/.well-known/mta-sts.txt"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers={"Host": host}), timeout=10, context=trust
        ) as got:
            return got.status, got.headers["content-type"], got.read()
    except urllib.error.HTTPError as fault:
        return fault.code, "", fault.read()


def test_the_policy_of_a_hosted_domain_is_served(tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    stop_demo(demo)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    path = Path(demo.config)
    more = f'\n[[listener]]\nprotocol = "http"\nport = {port}\naddress = "127.0.0.1"\ntls = "implicit"\n'
    path.write_text(path.read_text() + more)
    configure(demo, "mta_sts", mode="enforce")
    server = serve_again(replace(demo, host="127.0.0.1", ports={**demo.ports, "https": port}))
    try:
        status, media_type, body = fetch(port, f"mta-sts.{server.domain}", server.tls())
        assert (status, media_type.partition(";")[0]) == (200, "text/plain")
        assert read_policy(body).mode == "enforce"
        assert fetch(port, "mta-sts.other.test", server.tls())[0] == 404
        shown = server.postroom("dns", "show", server.domain).stdout
        assert "_mta-sts" in shown and "v=STSv1; id=" in shown
    finally:
        stop_demo(server)
