"""Sending over HTTPS to a running server: to the mailbox, once also when it is killed, with a new certificate."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import signal
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from running import Running, children, events, serve_again, start_demo, stop_demo, until


class Client:
    """A program with a token of the first user."""

    def __init__(self, server: Running) -> None:
        self.server = server
        made = server.postroom("user", "token", "add", server.login(), "--json")
        self.token = json.loads(made.stdout)["token"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        server = self.server
        connection = http.client.HTTPSConnection(server.host, server.ports["https"], timeout=20, context=server.tls())
        given = {"Authorization": f"Bearer {self.token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if body is not None:
            given["Content-Type"] = "application/json"
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, given)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def send(self, subject: str, **headers: str) -> tuple[int, Any]:
        order = {"from": self.server.login(), "to": [self.server.login(1)], "subject": subject, "text": "hello"}
        return self.ask("POST", "/api/v1/messages", order, **headers)

    def state(self, name: str) -> str:
        code, found = self.ask("GET", f"/api/v1/messages/{name}")
        return str(found["state"]) if code == 200 else f"{code}"


def inbox(server: Running, subject: str) -> int:
    """How many messages of this subject the second user has."""
    import imaplib

    with imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=server.tls()) as client:
        client.login(server.login(1), server.password(1))
        client.select("INBOX", readonly=True)
        _, found = client.search(None, "SUBJECT", f'"{subject}"')
        return len(found[0].split())


def test_to_the_mailbox(server: Running) -> None:
    client = Client(server)
    code, told = client.send("to the mailbox", Idempotency_Key="one")
    assert code == 202, told
    until(lambda: client.state(told["id"]) == "delivered")
    assert client.send("to the mailbox", Idempotency_Key="one") == (202, told)
    assert inbox(server, "to the mailbox") == 1
    traced = json.loads(server.postroom("trace", told["message_id"], "--json").stdout)
    assert [one["id"] for one in traced["messages"]] == [told["id"]]
    removed = json.loads(server.postroom("user", "token", "list", server.login(), "--json").stdout)["tokens"]
    server.postroom("user", "token", "rm", server.login(), removed[-1]["id"])
    assert client.send("no more")[0] == 401


def test_taking_back_what_waits(server: Running) -> None:
    client = Client(server)
    order = {"from": server.login(), "to": ["out@far.test"], "subject": "x", "text": "x"}
    code, told = client.ask("POST", "/api/v1/messages", {**order, "send_at": "2999-01-01T00:00:00Z"})
    assert (code, told["kind"]) == (422, "refused")
    code, told = client.ask("POST", "/api/v1/messages", order)
    assert code == 202
    assert until(lambda: client.ask("DELETE", f"/api/v1/messages/{told['id']}")[0] == 200)
    assert client.state(told["id"]) == "dropped"


def _kill_workers(server: Running, threads: list[threading.Thread]) -> int:
    """Now and then, a few times, while somebody is sending."""
    killed = 0
    while any(thread.is_alive() for thread in threads):
        threads[0].join(0.4)
        workers = children(server.process.pid)[1:]
        if killed < 6 and workers:
            os.kill(workers[killed % len(workers)], signal.SIGKILL)
            killed += 1
    return killed


@pytest.mark.timeout(180)
def test_a_key_survives_kill(folder: Path) -> None:
    """Workers are killed while requests are under way; every request is sent again until it is answered."""
    server = start_demo(folder)
    client = Client(server)
    try:
        done: list[int] = []

        def sender(number: int) -> None:
            for count in range(15):
                name = f"kill-{number}-{count}"
                while True:
                    try:
                        code, _ = client.send(name, Idempotency_Key=name)
                    except (OSError, http.client.HTTPException, ssl.SSLError):
                        continue
                    if code == 202:
                        done.append(code)
                        break

        threads = [threading.Thread(target=sender, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        killed = 0
        killed = _kill_workers(server, threads)
        for thread in threads:
            thread.join()
        assert len(done) == 45
        assert killed
        until(lambda: inbox(server, "kill-") >= 45, 30)
        until(lambda: not json.loads(server.postroom("queue", "list", "--json").stdout)["entries"], 30)
        assert inbox(server, "kill-") == 45
    finally:
        stop_demo(server)


@pytest.mark.timeout(120)
def test_after_a_restart_with_another_certificate(folder: Path) -> None:
    import datetime

    from postroom.net.tls import write_self_signed

    server = start_demo(folder)
    client = Client(server)
    code, told = client.send("before", Idempotency_Key="k")
    assert code == 202
    stop_demo(server)
    again = serve_again(server)
    client.server = again
    try:
        assert client.send("before", Idempotency_Key="k") == (202, told)
        now = datetime.datetime.now(datetime.UTC)
        write_self_signed(folder / "certificate.pem", folder / "key.pem", ("localhost", "127.0.0.1"), 30, now)
        again.process.send_signal(signal.SIGHUP)

        def new_certificate() -> bool:
            try:
                return client.send("after", Idempotency_Key="k2")[0] == 202
            except ssl.SSLError:
                return False

        until(new_certificate)
        assert inbox(again, "before") == 1
    finally:
        stop_demo(again)


class _Receiver(http.server.BaseHTTPRequestHandler):
    """Refuses the first call, takes the others."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        calls: list[Any] = self.server.calls  # type: ignore[attr-defined]
        calls.append((self.headers["webhook-id"], json.loads(body)))
        self.send_response(500 if len(calls) == 1 else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@pytest.mark.timeout(120)
def test_a_webhook_of_a_running_server(folder: Path) -> None:
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    receiver.calls = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    server = start_demo(folder)
    try:
        (folder / "secret").write_text("0123456789\n")
        url = f"http://127.0.0.1:{receiver.server_port}/"
        with Path(server.config).open("a") as file:
            file.write(f'\n[[webhook]]\nname = "crm"\nurl = "{url}"\nsecret_file = "secret"\n')
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(events(server, "config.reloaded")) >= 2)
        code, told = Client(server).send("hooked")
        assert code == 202
        calls: list[Any] = receiver.calls  # type: ignore[attr-defined]
        until(lambda: len({name for name, _ in calls}) == 2 and len(calls) >= 3, 30)
        assert {one["type"] for _, one in calls} == {"message.delivered", "message.received"}
        assert {one["data"]["id"] for _, one in calls} == {told["id"]}
        until(lambda: json.loads(server.postroom("webhook", "list", "--json").stdout)["webhooks"][0]["waiting"] == 0)
    finally:
        stop_demo(server)
        receiver.shutdown()
        thread.join()
        receiver.server_close()
