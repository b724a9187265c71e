"""`--quota…` of user and domain, and what is shown of them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from postroom.store.api import Seen
from postroom.store.embedded import EmbeddedStore

SECRET = "long enough 1"
ANN, BEN = "ann@example.org", "ben@example.org"


def add(postroom: Any, login: str, *options: str) -> Any:
    return postroom("user", "add", login, "--password-stdin", "--json", *options, stdin=SECRET)


def holds(postroom: Any, login: str) -> dict[str, int]:
    found: dict[str, int] = postroom("user", "show", login, "--json").json["may_hold"]
    return found


def test_own_quota_then_the_domain_s_then_the_configured(postroom: Any, site: Path) -> None:
    assert add(postroom, ANN).json["quota"] == -1
    assert add(postroom, BEN, "--quota", "3M", "--quota-mailboxes", "9", "--administers", "domain").code == 0
    assert holds(postroom, ANN) == {"octets": 0, "messages": 0, "mailboxes": 10_000, "annotations": 1 << 20}
    path = site / "postroom.toml"
    text = path.read_text()
    for line in ("quota = 1000000", "quota_messages = 7", "most = 40"):
        text = re.sub(rf"^#{line.split()[0]} = .*$", line, text, count=1, flags=re.MULTILINE)
    path.write_text(text)
    assert holds(postroom, ANN) == {"octets": 1_000_000, "messages": 7, "mailboxes": 40, "annotations": 1 << 20}
    done = postroom("domain", "set", "example.org", "--account-quota", "2M", "--account-messages", "none", "--json")
    assert (done.json["account_quota"], done.json["account_messages"]) == (2 << 20, 0)
    assert holds(postroom, ANN)["octets"] == 2 << 20
    assert holds(postroom, ANN)["messages"] == 0
    assert holds(postroom, BEN) == {"octets": 3 << 20, "messages": 0, "mailboxes": 9, "annotations": 1 << 20}
    back = postroom("user", "set", BEN, "--quota", "default", "--quota-annotations", "64k", "--administers", "none")
    assert back.code == 0
    assert holds(postroom, BEN) == {"octets": 2 << 20, "messages": 0, "mailboxes": 9, "annotations": 64 << 10}
    assert postroom("domain", "set", "example.org", "--account-quota", "default").code == 0
    assert holds(postroom, BEN)["octets"] == 1_000_000


def test_what_people_read(postroom: Any, site: Path) -> None:
    add(postroom, ANN, "--quota", "2M", "--administers", "server")
    shown = postroom("user", "show", ANN).out
    assert "0 B of 2.0 MiB (0 %) in 0 messages" in shown
    assert "6 of 10000" in shown
    assert "quotas of everybody" in shown
    assert "2.0 MiB" in postroom("user", "list").out
    postroom("domain", "set", "example.org", "--quota", "10G", "--account-quota", "1G", "--accounts", "5")
    shown = postroom("domain", "show", "example.org").out
    assert "0 B of 10.0 GiB (0 %) in 0 messages" in shown
    assert "1.0 GiB in as many messages as configured" in shown
    assert "1 of 5" in shown


def test_use_as_it_was_last_seen(postroom: Any, site: Path) -> None:
    add(postroom, ANN, "--quota", "1000")
    add(postroom, BEN)
    number = postroom("user", "show", ANN, "--json").json["id"]

    async def look() -> None:
        store = EmbeddedStore(site / "data", slot=None)
        seen = Seen(account=number, domain="example.org", octets=950, messages=3, percent=95)
        await store.usage.note([seen], (), 1.0)
        await store.close()

    asyncio.run(look())
    listed = {row["login"]: row for row in postroom("user", "list", "--json").json["users"]}
    assert (listed[ANN]["used"], listed[ANN]["messages"], listed[ANN]["percent"]) == (950, 3, 95)
    assert listed[BEN]["used"] is None
    assert "950 B (95 %)" in postroom("user", "list").out
    assert "950 B in 3 messages" in postroom("domain", "show", "example.org").out
    [domain] = postroom("domain", "list", "--json").json["domains"]
    assert (domain["used"], domain["messages"]) == (950, 3)


def test_values_that_will_not_do(postroom: Any, site: Path) -> None:
    add(postroom, ANN)
    for options in (
        ("--quota", "much"),
        ("--quota-messages", "-5"),
        ("--quota-mailboxes", "2G"),
        ("--quota-annotations", "x"),
        ("--administers", "world"),
    ):
        assert postroom("user", "set", ANN, *options).code == 2, options
    for options in (("--quota", "default"), ("--accounts", "default"), ("--quota-messages", "many")):
        assert postroom("domain", "set", "example.org", *options).code == 2, options


def test_a_domain_has_as_many_accounts_as_it_may(postroom: Any, site: Path) -> None:
    add(postroom, ANN)
    assert postroom("domain", "set", "example.org", "--accounts", "1").code == 0
    done = add(postroom, BEN)
    assert done.code == 1
    assert "as many as it may" in done.err
    assert "domain set example.org --accounts" in done.err
    postroom("domain", "set", "example.org", "--accounts", "none")
    assert add(postroom, BEN).code == 0
