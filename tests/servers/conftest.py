"""A house that speaks: a store, people, and every server on real sockets."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.config import Tls
from postroom.net.tls import write_self_signed
from postroom.observe.catalogue import CATALOGUE

from .house import House


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.datetime.now(datetime.UTC)
    write_self_signed(folder / "cert.pem", folder / "key.pem", ["localhost", "127.0.0.1"], 2, now)
    return Tls(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem"))


@pytest.fixture
async def house(tmp_path: Path, pair: Tls) -> AsyncIterator[House]:
    made = House(tmp_path / "data", pair)
    await made.furnish()
    yield made
    await made.close()
    assert set(made.events.names()) <= set(CATALOGUE)
    assert made.faults_expected or made.events.of("session.fault") == []
