"""`postroom trace` on a scratch folder without a server."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from postroom.store.api import QueueFilter, RecipientState
from postroom.store.embedded import EmbeddedStore
from postroom.testing.store_contract import received

NOW = time.time()


@pytest.fixture(autouse=True)
def someone(ann: str) -> str:
    """The recipient's account."""
    return ann


def tell(site: Path, *events: tuple[float, str, dict[str, object]], queued: str = "") -> None:
    """Keep events as a worker would; queued: an id that waits in the queue."""

    async def work() -> None:
        store = EmbeddedStore(site / "data")
        try:
            for age, name, fields in events:
                store.events.add(NOW - age, name, fields)
            if queued:
                entry = await store.queue.accept(received(queued, "ann@example.org"))
                await store.queue.change(QueueFilter(ids=(entry.id,)), RecipientState.HELD, None)
        finally:
            await store.close()

    asyncio.run(work())


def accepted(name: str, age: float = 60.0, **fields: object) -> tuple[float, str, dict[str, object]]:
    told = {"queue_id": name, "sender": "bob@far.test", "to": ["ann@example.org"], "size": 400, "peer": "192.0.2.1"}
    return age, "message.accepted", told | fields


def test_one_message_is_told_step_by_step(postroom: Any, site: Path) -> None:
    tell(
        site,
        accepted("q1", message_id="m1@far.test", helo="mx.far.test", service="smtp"),
        (59.0, "message.delivered", {"queue_id": "q1", "recipient": "ann@example.org", "mailbox": "INBOX", "uid": 3}),
    )
    for word in ("bob@far.test", "Ann@Example.org", "<M1@far.test>", "q1", "192.0.2.1"):
        done = postroom("trace", word)
        assert done.code == 0, done.err
        head, fate, *steps = done.out.splitlines()
        assert re.fullmatch(r"[-\d]{10} [:\d]{8}  q1  from bob@far.test to ann@example.org", head)
        assert fate == "  Was delivered to INBOX of ann@example.org"
        assert "accepted from mx.far.test [192.0.2.1] by SMTP without encryption, 400 octets" in steps[0]
        assert steps[1].endswith("delivered to INBOX of ann@example.org, UID 3")


def test_mail_to_a_detail_or_an_alias_is_found_by_the_account(postroom: Any, site: Path) -> None:
    told = {"queue_id": "q1", "recipient": "ann-shop@example.org", "mailbox": "INBOX", "uid": 3}
    told["login"] = "ann@example.org"
    tell(site, accepted("q1", to=["ann-shop@example.org"]), (59.0, "message.delivered", told))
    for word in ("ann@example.org", "ann-shop@example.org"):
        done = postroom("trace", word)
        assert done.code == 0, done.err
        assert "delivered to INBOX of ann@example.org, UID 3" in done.out


def test_several_messages_are_told_briefly(postroom: Any, site: Path) -> None:
    tell(site, *[accepted(f"q{number}", 100 - number) for number in range(30)])
    done = postroom("trace", "bob@far.test", "--limit", "3")
    assert [line.split()[2] for line in done.out.splitlines() if line[:1].isdigit()] == ["q29", "q28", "q27"]
    assert "accepted from" not in done.out
    assert "only the newest 3" in done.err
    assert "accepted from" in postroom("trace", "bob@far.test", "--limit", "3", "--steps").out
    assert len(postroom("trace", "--limit", "100", "--json").json["messages"]) == 30


def test_times_choose(postroom: Any, site: Path) -> None:
    tell(site, accepted("old", 5 * 86400), accepted("new", 3600))
    assert [one["id"] for one in postroom("trace", "--json", "--since", "1d").json["messages"]] == ["new"]
    assert [one["id"] for one in postroom("trace", "--json", "--until", "2h").json["messages"]] == ["old"]
    day = time.strftime("%Y-%m-%d", time.localtime(NOW - 2 * 86400))
    assert [one["id"] for one in postroom("trace", "--json", "--since", day).json["messages"]] == ["new"]
    wrong = postroom("trace", "--since", "yesterday")
    assert wrong.code == 2
    assert "2026-11-22" in wrong.err


def test_what_waits_is_told_by_the_queue(postroom: Any, site: Path) -> None:
    tell(site, accepted("held1"), queued="held1")
    told = postroom("trace", "held1", "--json").json["messages"][0]
    assert told["state"] == "held"
    assert "is held by an administrator" in postroom("trace", "held1").out.lower()


def test_nothing_found(postroom: Any, site: Path) -> None:
    done = postroom("trace", "nobody@far.test")
    assert done.code == 3
    assert done.out == ""
    assert "30 days" in done.err
    assert postroom("trace", "nobody@far.test", "--json").json["messages"] == []
    assert postroom("trace").code == 3


def test_failed_logins_are_told_when_asked_for(postroom: Any, site: Path) -> None:
    tell(site, (5.0, "login.failed", {"login": "ann@example.org", "ip": "192.0.2.9", "service": "imap", "reason": "x"}))
    assert postroom("trace", "ann@example.org").code == 3
    assert "a log-in as 'ann@example.org'" in postroom("trace", "ann@example.org", "--all").out
    assert postroom("trace", "192.0.2.9").code == 0


def test_words_of_a_peer_do_not_steer_the_terminal(postroom: Any, site: Path) -> None:
    tell(site, accepted("q1"), (1.0, "message.failed", {"queue_id": "q1", "recipient": "a@b.test", "reply": "\x1b[2J"}))
    out = postroom("trace", "q1").out
    assert "\x1b" not in out
    assert json.loads(postroom("trace", "q1", "--json").out)["messages"][0]["events"][1]["fields"]["reply"] == "\x1b[2J"
