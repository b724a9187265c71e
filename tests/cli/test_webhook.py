"""`postroom webhook`."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(200 if self.headers["webhook-signature"].startswith("v1,") else 401)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def receiver() -> Iterator[Any]:
    server = http.server.HTTPServer(("127.0.0.1", 0), _Receiver)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_list_test_retry(postroom: Any, site: Path, receiver: Any) -> None:
    path = site / "postroom.toml"
    secret = site / "secret"
    secret.write_text("0123456789\n")
    url = f"http://127.0.0.1:{receiver.server_port}/in"
    with path.open("a") as file:
        file.write(
            f'\n[[webhook]]\nname = "crm"\nurl = "{url}"\nsecret_file = "{secret}"\nevents = ["message.failed"]\n'
        )
    assert postroom("config", "check").out.count("webhook") == 0
    (row,) = postroom("webhook", "list", "--json").json["webhooks"]
    assert (row["name"], row["events"], row["waiting"]) == ("crm", ["message.failed"], 0)
    assert postroom("webhook", "test", "crm", "--json").json["status"] == 200
    assert len(receiver.seen) == 1
    assert postroom("webhook", "retry", "crm").code == 4
    assert postroom("webhook", "test", "other").code == 3
    secret.unlink()
    assert postroom("webhook", "test", "crm").code == 69
    assert "secret_file" in postroom("config", "check").out + postroom("config", "check").err


@pytest.mark.parametrize("url", ["http://far.test/", "ftp://x/", "https://user@x.test/", "https:///x", "nonsense"])
def test_places_that_are_not_called(postroom: Any, site: Path, url: str) -> None:
    path = site / "postroom.toml"
    with path.open("a") as file:
        file.write(f'\n[[webhook]]\nname = "crm"\nurl = "{url}"\nsecret_file = "{path}"\n')
    done = postroom("config", "check")
    assert done.code != 0
    assert "webhook[0].url" in done.out + done.err
