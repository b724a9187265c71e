"""A running Postroom for each test process."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Running, start_demo, stop_demo


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that goes away afterwards."""
    path = Path(tempfile.mkdtemp(prefix="postroom-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """One demo for all tests of this process; it must stop cleanly and leave a store that passes `postroom check`."""
    path = Path(tempfile.mkdtemp(prefix="postroom-"))
    running = start_demo(path)
    yield running
    assert stop_demo(running) == 0, (path / "stderr.log").read_text()[-3000:]
    running.postroom("check")
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def mailbox(server: Running) -> Iterator[dict[str, str]]:
    """A fresh account on the running server, made by the command a person would use."""
    name = f"t{os.urandom(4).hex()}@{server.domain}"
    server.postroom("user", "add", name, "--password-stdin", stdin="correct horse 9\n")
    yield {"login": name, "password": "correct horse 9"}
