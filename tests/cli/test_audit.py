"""Every change by a command is a record, no secret is in one, and whatever is done to the records is found."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.auditing import CHANGES, READS
from postroom.store.api import (
    AccountStore,
    AlarmStore,
    DirectoryStore,
    FilterStore,
    HookStore,
    LimitsStore,
    MarkStore,
    QuarantineStore,
    QueueStore,
    SearchStore,
    Store,
    TrainingStore,
)


def acts(postroom: Any, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = postroom("audit", "list", "--limit", "1000", "--json", *arguments).json["acts"]
    return found


@pytest.fixture
def records(site: Path) -> Path:
    return site / "data" / "audit" / "records"


def test_every_method_of_the_store_is_a_change_or_is_none() -> None:
    parts = {
        "store": Store,
        "directory": DirectoryStore,
        "queue": QueueStore,
        "limits": LimitsStore,
        "alarms": AlarmStore,
        "hooks": HookStore,
        "training": TrainingStore,
        "quarantine": QuarantineStore,
        "account": AccountStore,
        "marks": MarkStore,
        "filters": FilterStore,
        "saved": SearchStore,
    }
    for name, part in parts.items():
        methods = {one for one, _ in inspect.getmembers(part) if not one.startswith("_")}
        changes, reads = CHANGES.get(name, frozenset()), READS[name]
        assert not changes & reads
        assert methods == changes | reads, "put the new method in one of the lists of cli/auditing.py"


def test_what_was_done_to_whom_from_what_to_what(postroom: Any, ann: str) -> None:
    assert postroom("user", "set", ann, "--quota", "5G", "--name", "Ann").code == 0
    assert postroom("user", "disable", ann).code == 0
    assert postroom("alias", "add", "info@example.org", "bob@far.test").code == 0
    assert postroom("alias", "rm", "info@example.org", "--yes").code == 0
    assert postroom("user", "show", ann).code == 0
    assert postroom("user", "set", "nobody@example.org", "--quota", "5G").code == 3
    told = acts(postroom)
    assert [(act["act"], act["on"]) for act in told if "key" not in act["act"]][-5:] == [
        ("user add", ann),
        ("user set", ann),
        ("user disable", ann),
        ("alias add", "info@example.org"),
        ("alias rm", "info@example.org"),
    ]
    by_act = {act["act"]: act for act in told}
    assert by_act["user set"]["before"] == {"name": "", "quota": -1}
    assert by_act["user set"]["after"] == {"name": "Ann", "quota": 5 << 30}
    assert by_act["user disable"]["after"] == {"disabled": True}
    assert by_act["alias rm"]["before"]["members"] == ["bob@far.test"]
    assert by_act["user set"]["who"]["uid"] == os.getuid()
    assert [act["number"] for act in told] == list(range(1, len(told) + 1))
    assert acts(postroom, "disable") == [by_act["user disable"]]
    assert postroom("audit", "list", "nothing-like-that").code == 3
    text = postroom("audit", "list", ann).out
    assert "quota: -1 -> 5368709120" in text


def test_no_secret_is_recorded(postroom: Any, ann: str, site: Path, records: Path) -> None:
    password = "only once and never again"
    assert postroom("user", "passwd", ann, "--password-stdin", stdin=f"{password}\n").code == 0
    [act] = acts(postroom, "passwd")
    assert act["before"] == {"password": "set", "scram": "set"}
    assert act["after"] == {"password": "changed", "scram": "changed"}
    everything = records.read_bytes() + b"".join(path.read_bytes() for path in (site / "data/events").iterdir())
    for secret in (password, "argon2", "PRIVATE KEY", "correct horse"):
        assert secret.encode() not in everything
    assert records.stat().st_mode & 0o777 == 0o600
    assert records.parent.stat().st_mode & 0o777 == 0o700


def test_a_change_that_fails_is_recorded_as_failed(postroom: Any, ann: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from postroom.store.api import StoreUnavailable
    from postroom.store.embedded.directory import EmbeddedDirectory

    async def no(*_: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(EmbeddedDirectory, "put_account", no)
    assert postroom("user", "disable", ann).code == 75
    first, second = acts(postroom, "disable")
    assert first["after"] == {"disabled": True}
    assert second["note"] == "it failed: disk full"


def test_nothing_is_done_without_a_record(postroom: Any, ann: str, records: Path) -> None:
    os.rename(records, records.with_name("elsewhere"))
    records.mkdir()
    assert postroom("user", "disable", ann).code != 0
    assert not postroom("user", "show", ann, "--json").json["disabled"]


def test_a_whole_chain(postroom: Any, ann: str) -> None:
    done = postroom("audit", "verify")
    assert done.code == 0, done.out
    number, digest = done.out.split()
    assert postroom("audit", "verify", "--json").json == {
        "schema": 1,
        "ok": True,
        "records": int(number),
        "hash": digest,
        "faults": [],
    }


def change_a_word(lines: list[bytes]) -> None:
    lines[1] = lines[1].replace(b"example.org", b"example.com")


def remove_one(lines: list[bytes]) -> None:
    del lines[1]


def remove_the_first(lines: list[bytes]) -> None:
    del lines[0]


def swap_two(lines: list[bytes]) -> None:
    lines[0], lines[1] = lines[1], lines[0]


def repeat_one(lines: list[bytes]) -> None:
    lines.insert(1, lines[1])


def cut_the_end_off(lines: list[bytes]) -> None:
    del lines[-1]


def cut_off_all(lines: list[bytes]) -> None:
    lines.clear()


def put_one_in(lines: list[bytes]) -> None:
    from hashlib import sha256

    previous = lines[-1][:64]
    body = lines[-1][65:-1].replace(b"ann@", b"eve@")
    lines.append(sha256(previous + body).hexdigest().encode() + b" " + body + b"\n")


def write_nonsense(lines: list[bytes]) -> None:
    lines[0] = b"nonsense\n"


def white_space(lines: list[bytes]) -> None:
    lines[0] = lines[0].replace(b'":', b'": ')


FORGERIES = [
    change_a_word, remove_one, remove_the_first, swap_two, repeat_one, cut_the_end_off, cut_off_all, put_one_in,
    write_nonsense, white_space,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES)
def test_every_forgery_is_found(forge: Any, postroom: Any, ann: str, records: Path) -> None:
    assert postroom("user", "disable", ann).code == 0
    lines = records.read_bytes().splitlines(keepends=True)
    assert len(lines) >= 3
    forge(lines)
    records.write_bytes(b"".join(lines))
    done = postroom("audit", "verify")
    assert done.code == 1
    assert "record" in done.out


def rehashed(lines: list[bytes]) -> list[bytes]:
    """A whole new chain of the same bodies."""
    from hashlib import sha256

    previous, new = b"0" * 64, []
    for number, line in enumerate(lines, 1):
        body = json.loads(line[65:])
        body |= {"number": number, "previous": previous.decode()}
        octets = json.dumps(body, sort_keys=True).encode()
        previous = sha256(previous + octets).hexdigest().encode()
        new.append(previous + b" " + octets + b"\n")
    return new


@pytest.mark.parametrize("head", ["old", "new", "none"])
def test_a_chain_made_anew_does_not_fit_what_was_told_elsewhere(
    head: str, postroom: Any, ann: str, records: Path
) -> None:
    assert postroom("user", "disable", ann).code == 0
    lines = rehashed(records.read_bytes().splitlines(keepends=True)[:-1])
    records.write_bytes(b"".join(lines))
    kept = records.with_name("head")
    if head == "new":
        kept.write_bytes(b"%d %b\n" % (len(lines), lines[-1][:64]))
    elif head == "none":
        kept.unlink()
    done = postroom("audit", "verify")
    assert done.code == 1
    assert "is missing" in done.out
    assert "is not the one that was written" in done.out


def test_a_record_cut_short_by_a_power_cut_is_no_fault(postroom: Any, ann: str, records: Path) -> None:
    with records.open("ab") as file:
        file.write(b'0123456789 {"time": 1')
    assert postroom("user", "disable", ann).code == 0
    assert postroom("audit", "verify").code == 0
    kept = records.with_name("head")
    number, _, digest = kept.read_text().partition(" ")
    assert int(number) > 1
    previous = records.read_bytes().splitlines()[-2][:64].decode()
    kept.write_text(f"{int(number) - 1} {previous}\n")
    assert postroom("audit", "verify").code == 0, "the head may be one behind"
    assert digest.strip() != previous


def test_an_act_on_mail_is_in_its_trace(postroom: Any, site: Path) -> None:
    import asyncio

    from postroom.store.embedded import EmbeddedStore
    from postroom.testing.store_contract import received

    async def fill() -> None:
        store = EmbeddedStore(site / "data")
        await store.queue.accept(received("q1", "ann@example.org"))
        store.events.add(1e9, "message.accepted", {"queue_id": "q1", "sender": "s@far.test", "to": ["ann@example.org"]})
        await store.close()

    asyncio.run(fill())
    assert postroom("queue", "hold", "q1").code == 0
    assert postroom("queue", "drop", "q1", "--yes").code == 0
    [one] = postroom("trace", "q1", "--json").json["messages"]
    assert [event["fields"]["state"] for event in one["events"][1:]] == ["held", "dropped"]
    assert one["state"] == "dropped"
    assert "an administrator" in postroom("trace", "q1").out
    told = acts(postroom, "queue")
    assert [(act["act"], act["on"], act["after"]) for act in told] == [
        ("queue hold", "q1", {"state": "held"}),
        ("queue drop", "q1", {"state": "dropped"}),
    ]
