"""kill -9 while mail leaves: nothing is lost, and whatever arrives twice was told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import smtplib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import environment

from postroom.config import Config, Limits, Listener, Log, OutgoingTls, Protocol, Route, Server, TlsMode, sample
from postroom.testing.scripted_peer import ScriptedPeer

ROUNDS = 3
SENDERS = 4


class Sink:
    """A peer on a loop of its own, in a thread."""

    def __init__(self) -> None:
        self.peer = ScriptedPeer(features=("PIPELINING",))
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.peer.start(), self.loop).result(10)

    def tokens(self) -> list[str]:
        """Of the messages that were given to their end."""
        return [
            re.findall(rb"load (\w+)", taken.data)[0].decode() for taken in list(self.peer.messages) if taken.complete
        ]

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.peer.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.stop()


def site(folder: Path, sink: Sink) -> tuple[Path, int]:
    """A configuration that sends everything to the sink, and the port it listens on."""
    port = 25000 + os.getpid() % 20000
    config = Config(
        server=Server(hostname="mx.here.test", data=str(folder / "data"), workers=2),
        listener=(Listener(protocol=Protocol.SMTP, port=port, tls=TlsMode.NONE),),
        limits=Limits(relay_networks=("127.0.0.1",), trusted_networks=("127.0.0.1",)),
        route=(Route(domain="far.example", host="127.0.0.1", port=sink.peer.port, tls=OutgoingTls.NONE),),
        log=Log(file=str(folder / "server.log")),
    )
    (folder / "data").mkdir()
    (folder / "postroom.toml").write_text(sample(config))
    return folder / "postroom.toml", port


class Site:
    """The server, started and killed."""

    def __init__(self, path: Path, port: int) -> None:
        self.path = path
        self.port = port

    def start(self) -> None:
        command = [sys.executable, "-m", "postroom.cli.main", "serve", "--config", str(self.path)]
        self.process = subprocess.Popen(command, env=environment(), start_new_session=True, stderr=subprocess.DEVNULL)
        wait(self._answers)

    def _answers(self) -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5) as smtp:
                return smtp.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    def kill(self) -> None:
        """All processes at once: they are a session of their own."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def wait(condition, seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never happened"
        pause.wait(0.05)


def load(port: int, number: int, acknowledged: list[str]) -> None:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
            smtp.ehlo("load.example")
            for count in range(100_000):
                token = f"s{number}m{count}"
                smtp.sendmail("a@here.test", [f"u{count}@far.example"], f"Subject: load {token}\r\n\r\nHello\r\n")
                acknowledged.append(token)
    except (OSError, smtplib.SMTPException):
        pass


@pytest.mark.timeout(180)
def test_nothing_is_lost_and_doubles_are_told(tmp_path: Path, sink: Sink) -> None:
    here = Site(*site(tmp_path, sink))
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        here.start()
        before = len(sink.peer.messages)
        threads = [
            threading.Thread(target=load, args=(here.port, number * SENDERS + one, acknowledged))
            for one in range(SENDERS)
        ]
        for thread in threads:
            thread.start()
        wait(lambda before=before: len(sink.peer.messages) > before + 100)
        here.kill()
        for thread in threads:
            thread.join(20)
    here.start()
    wait(lambda: set(acknowledged) <= set(sink.tokens()))
    assert here.stop() == 0
    twice = {token for token, count in Counter(sink.tokens()).items() if count > 1}
    events = [json.loads(line) for line in (tmp_path / "server.log").read_text().splitlines()]
    told = [event for event in events if event["event"] == "relay.maybe_doubled"]
    assert len(acknowledged) > 100 * ROUNDS
    assert len(twice) <= len(told), (twice, told)
    recovered = [event for event in events if "had taken it when this server was stopped" in str(event.get("reply"))]
    print(f"{len(acknowledged)} sent, {len(twice)} twice, {len(told)} told, {len(recovered)} recovered")
