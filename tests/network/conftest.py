from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from network_house import Company, Peers, free_ports

from postroom.testing.dnsserver import DnsServer, running


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    with running({}) as server:
        yield server


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.stop()


@pytest.fixture
def companies(dns: DnsServer) -> Iterator[Callable[..., list[Company]]]:
    """Makes companies a.test, b.test, …; all of them are stopped and checked afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="postroom-net-", dir="/tmp"))
    made: list[Company] = []
    names = ("smtp", "submission", "imap")

    def make(count: int, **options: object) -> list[Company]:
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        for number in range(count):
            domain = f"{'abc'[number]}.test"
            company = Company(
                domain, f"127.0.{number + 1}.10", folder / domain, {"port": ports["smtp"], **ports}, dns,
                ("ann", "ben"), **options,
            )  # fmt: skip
            del company.ports["smtp"]
            company.found()
            company.start()
            made.append(company)
        return made

    yield make
    for company in made:
        company.stop()
        company.postroom("check")
        assert not company.events("session.fault"), company.events("session.fault")
    if not os.environ.get("POSTROOM_KEEP"):
        shutil.rmtree(folder)
