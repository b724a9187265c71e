"""`postroom demo --json` as a subprocess, driven from outside only."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO, TypeVar

import pytest

T = TypeVar("T")
SERVICES = (25, 587, 465, 24, 143, 993, 110, 995, 4190, 443, 9464)


@dataclass(slots=True)
class Running:
    """A demo that answers: what it printed, and its process."""

    process: subprocess.Popen[str]
    host: str
    ports: dict[str, int]
    domain: str
    users: list[dict[str, str]]
    certificate: str
    data: str
    pids: list[int]
    shared: list[str]
    schema: int = 1

    def login(self, number: int = 0) -> str:
        return self.users[number]["login"]

    def password(self, number: int = 0) -> str:
        return self.users[number]["password"]

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        return context

    @property
    def config(self) -> str:
        return str(Path(self.data).parent / "postroom.toml")

    def postroom(self, *arguments: str, stdin: str = "", ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command against this server."""
        done = subprocess.run(
            [sys.executable, "-m", "postroom.cli.main", *arguments, "--config", self.config],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment(),
        )
        assert not ok or done.returncode == 0, done.stderr
        return done


def environment() -> dict[str, str]:
    source = str(Path(__file__).parents[2] / "src")
    return {**os.environ, "PYTHONPATH": source, "NO_COLOR": "1"}


#: offsets that belong to this process while it lives; a thousand apart no two of them share a port
_OURS: dict[int, TextIO] = {}
OFFSETS = range(12000, 32000, 1000)


def free_offset() -> int:
    """An offset whose ports are all free just now, and which no other process of the tests takes."""
    for offset in (*_OURS, *OFFSETS):
        if (offset in _OURS or _reserve(offset)) and all(_free(offset + port) for port in SERVICES):
            return offset
    raise RuntimeError("no free ports")


def _reserve(offset: int) -> bool:
    file = (Path(tempfile.gettempdir()) / f"postroom-test-{offset}.lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    _OURS[offset] = file
    return True


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return port < 65000


def start_demo(folder: Path, *extra: str) -> Running:
    command = [sys.executable, "-m", "postroom.cli.main", "demo", "--json", "--keep", str(folder)]
    process = subprocess.Popen(
        [*command, "--port-offset", str(free_offset()), *extra],
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr.log").open("w"),
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait(10)
        pytest.fail("the demo did not start: " + (folder / "stderr.log").read_text()[-2000:])
    told: dict[str, Any] = json.loads(line)
    return Running(process=process, **told)


def stop_demo(running: Running, number: int = signal.SIGTERM) -> int:
    running.process.send_signal(number)
    code = running.process.wait(20)
    assert running.process.stdout is not None
    running.process.stdout.close()
    return code


def needs(program: str) -> pytest.MarkDecorator:
    """Skip where the system program is missing, and say so."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def serve_again(before: Running) -> Running:
    """`postroom serve` on the folder of a demo that has stopped; waits until every port answers."""
    folder = Path(before.data).parent
    until(lambda: not any(map(_lives, before.pids)), 20)  # those of a server that was killed notice it in a moment
    process = subprocess.Popen(
        [sys.executable, "-m", "postroom.cli.main", "serve", "--config", before.config],
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr.log").open("w"),
        text=True,
        env=environment(),
    )
    for port in before.ports.values():
        _answers(process, before.host, port)
    return replace(before, process=process, pids=children(process.pid))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _answers(process: subprocess.Popen[str], host: str, port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            socket.create_connection((host, port), 5).close()
        except OSError:
            continue
        return
    raise AssertionError(f"port {port} does not answer")


def children(pid: int) -> list[int]:
    """The processes started by this one, the hashing process first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def named(server: Running, name: str) -> int:
    """The process id of "hashing" or "worker N"; 0 while it is not there."""
    for pid in children(server.process.pid):
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if title.rstrip(b"\0 ") == f"postroom: {name}".encode():
            return pid
    return 0


def until(what: Callable[[], T], seconds: float = 15.0) -> T:
    """The first true answer of `what`, asked again and again."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        select.select([], [], [], 0.02)
    return answer


def events(server: Running, name: str) -> list[dict[str, Any]]:
    """What the log tells under this name."""
    lines = (Path(server.data).parent / "server.log").read_text().splitlines()
    return [told for told in map(json.loads, lines) if told["event"] == name]


def configure(server: Running, table: str = "", **keys: object) -> None:
    """Change keys of the configuration file, which names each of them once, or once in the table."""
    path = Path(server.config)
    whole = path.read_text()
    start = whole.index(f"\n[{table}]") if table else 0
    end = whole.find("\n[", start + 1) if table else -1
    text = whole[start:] if end < 0 else whole[start:end]
    for key, value in keys.items():
        text, count = re.subn(rf"(?m)^#? ?{key} = .*$", lambda _, k=key, v=value: f"{k} = {json.dumps(v)}", text)
        assert count == 1, (key, count)
    path.write_text(whole[:start] + text + (whole[end:] if end >= 0 else ""))
