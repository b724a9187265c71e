"""`postroom check` looks at the small files that all share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from postroom.store.api import Call, HookChange, KeptReport, SentReport
from postroom.store.embedded import EmbeddedStore

REPORT = KeptReport(
    kind="dmarc", domain="here.test", proven="far.test", org="Far", id="1", begin=1.0, end=2.0, received=3.0, data=b"x"
)
CALL = Call(hook="crm", id="c1", type="message.delivered", time=1.0, body=b'{"a":1}', next=1.0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(str(tmp_path))
    await store.reports.keep(REPORT)
    await store.reports.reserve(SentReport(kind="dmarc", day="2026-11-20", name="far.test", entry="e1", at=1.0))
    await store.reports.finish("dmarc", "2026-11-20")
    await store.hooks.add(HookChange(at=1.0, calls=(CALL,), contexts={"m1": b"x"}))
    yield store
    await store.close()


async def findings(store: EmbeddedStore) -> list[tuple[str, str]]:
    return [(one.place, one.what) async for one in store.check()]


def change(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


async def test_all_is_well(store: EmbeddedStore) -> None:
    assert await findings(store) == []


@pytest.mark.parametrize(
    ("file", "sql", "words"),
    [
        ("reports.db", "UPDATE received SET begin = 9", "reports about here.test end before they begin"),
        ("reports.db", "UPDATE sent SET day = 'x'", "reports to far.test were written down without a day"),
        ("reports.db", "UPDATE finished SET day = ''", "days that are done are no days: dmarc "),
        ("webhooks.db", "UPDATE call SET body = x'ff'", "calls of crm have no JSON"),
        ("webhooks.db", "UPDATE call SET attempts = -1", "calls of crm cannot be made"),
        ("webhooks.db", "UPDATE context SET data = x''", "whose the messages m1 are is lost"),
    ],
)
async def test_what_cannot_be(store: EmbeddedStore, tmp_path: Path, file: str, sql: str, words: str) -> None:
    change(tmp_path / file, sql)
    assert await findings(store) == [(file, words)]


@pytest.mark.parametrize("file", ["reports.db", "webhooks.db", "policy.db"])
async def test_a_file_that_is_damaged(store: EmbeddedStore, tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    octets = bytearray(path.read_bytes())
    octets[4096:] = b"\xa5" * (len(octets) - 4096)
    path.write_bytes(octets)
    found = await findings(store)
    assert found and {place for place, _ in found} == {file}


async def test_a_file_that_is_no_database(store: EmbeddedStore, tmp_path: Path) -> None:
    change(tmp_path / "reports.db", "PRAGMA wal_checkpoint(TRUNCATE)")
    (tmp_path / "reports.db").write_bytes(b"not a database, but long enough to look at" * 200)
    [(place, what)] = await findings(store)
    assert place == "reports.db" and "cannot be read" in what
