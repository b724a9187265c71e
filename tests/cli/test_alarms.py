"""`postroom alarm` on a scratch folder, and which events are alarms."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from postroom.observe.alarms import ENDED_BY, is_alarm, watch
from postroom.observe.catalogue import CATALOGUE
from postroom.store.embedded import EmbeddedStore
from postroom.store.memory import MemoryStore


def note(site: Path, *alarms: tuple[str, str, dict[str, object]]) -> None:
    async def work() -> None:
        store = EmbeddedStore(site / "data")
        for name, subject, fields in alarms:
            store.alarms.note(time.time(), name, subject, fields)
        await store.close()

    asyncio.run(work())


def test_list_and_done(postroom: Any, site: Path) -> None:
    empty = postroom("alarm", "list")
    assert (empty.code, empty.out) == (0, "")
    frozen: dict[str, object] = {"login": "ann@example.org", "score": 9, "reason": "bounces"}
    note(site, ("account.frozen", "ann@example.org", frozen), ("account.frozen", "ann@example.org", frozen))
    note(site, ("session.fault", "imap", {"service": "imap", "reason": "Traceback:\n  line\nValueError: \x1b[2J"}))
    text = postroom("alarm", "list").out
    assert "may not send: login ann@example.org, score 9, reason bounces (2 times since" in text
    assert "ValueError" in text
    assert "\x1b" not in text
    first, second = postroom("alarm", "list", "--json").json["alarms"]
    assert (first["event"], first["subject"], first["count"]) == ("account.frozen", "ann@example.org", 2)
    assert postroom("alarm", "done").code == 2
    assert postroom("alarm", "done", "99").code == 3
    assert postroom("alarm", "done", str(first["id"]), "--json").json["closed"] == 1
    assert [one["id"] for one in postroom("alarm", "list", "--json").json["alarms"]] == [second["id"]]
    assert postroom("alarm", "done", "--all").code == 0
    assert postroom("alarm", "list").out == ""
    acts = postroom("audit", "list", "alarm", "--json").json["acts"]
    assert [act["on"] for act in acts] == ["account.frozen ann@example.org", "session.fault imap"]


def test_an_account_that_is_let_go_is_no_alarm_any_more(postroom: Any, ann: str, site: Path) -> None:
    assert postroom("limit", "freeze", ann, "--reason", "odd").code == 0
    note(site, ("account.frozen", ann, {"login": ann}))
    assert len(postroom("alarm", "list", "--json").json["alarms"]) == 1
    assert postroom("limit", "unfreeze", ann).code == 0
    assert postroom("alarm", "list", "--json").json["alarms"] == []


async def test_every_error_is_an_alarm_and_what_ends_one_fits() -> None:
    assert all(is_alarm(name) for name, kind in CATALOGUE.items() if kind.level == "error")
    assert not is_alarm("message.accepted")
    alarms = MemoryStore().alarms
    for ending, names in ENDED_BY.items():
        assert ending in CATALOGUE
        for name in names:
            assert is_alarm(name)
            fields = {"login": "a@here.test", "zone": "list.test", "name": "worker 0", "reason": "x"}
            watch(1.0, name, fields, alarms.note, alarms.end)
            assert [one.name for one in await alarms.open()] == [name]
            watch(2.0, ending, fields, alarms.note, alarms.end)
            assert await alarms.open() == []
