"""`postroom limit`, and the limits of single domains and accounts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from postroom.config import Sending
from postroom.policy.outgoing import account_charges, domain_charges
from postroom.store.api import Demand, Freeze, Taken
from postroom.store.embedded import EmbeddedStore


def sent(folder: Path, login: str, *to: str) -> str:
    """One message, as the server counts it; the account's id."""

    async def work() -> str:
        store = EmbeddedStore(folder / "data", None)
        row = await store.directory.account_by_login(login)
        assert row is not None
        sending = Sending()
        charges = domain_charges(sending, login.partition("@")[2]) + account_charges(sending, row)
        answer = await store.limits.take(Demand(account=row.id, recipients=to, charges=charges), time.time())
        assert isinstance(answer, Taken)
        await store.close()
        return row.id

    return asyncio.run(work())


def frozen(folder: Path, account: str) -> None:
    async def work() -> None:
        store = EmbeddedStore(folder / "data", None)
        assert await store.limits.freeze(
            Freeze(account=account, since=time.time(), score=120, reasons=("30 of 40 messages bounced",))
        )
        await store.close()

    asyncio.run(work())


def test_show(postroom: Any, site: Path, ann: str) -> None:
    done = postroom("limit", "show")
    assert done.out.split("\n")[1].split() == ["example.org", "0", "of", "500", "-"]
    sent(site, ann, "x@far.test", "y@far.test")
    assert "1 of 500" in postroom("limit", "show").out
    assert "ann@example.org  1 of 1000           2 of 5000   2 of 200  -" in postroom("limit", "show").out
    done = postroom("limit", "show", ann)
    assert "messages, last day" in done.out
    assert "x@far.test" in done.out
    told = postroom("limit", "show", ann, "--json").json
    assert told["day"]["new"] == {"used": 2, "limit": 200, "free_at": None}
    assert told["frozen"] is None
    told = postroom("limit", "show", "example.org", "--json").json
    assert told["hour"]["messages"]["used"] == 1
    assert "1 of 500" in postroom("limit", "show", "example.org").out


def test_lift(postroom: Any, site: Path, ann: str) -> None:
    before = time.time()
    told = postroom("limit", "lift", "example.org", "--json").json
    assert before + 3600 <= told["lifted_until"] <= time.time() + 3600
    assert "lifted until" in postroom("limit", "show", "example.org").out
    done = postroom("limit", "lift", ann, "--for", "30m")
    assert "may send without limit until" in done.err
    assert postroom("limit", "show", ann, "--json").json["lifted_until"]
    assert postroom("limit", "lift", ann, "--for", "0").err == f"the limits of {ann} hold again\n"
    assert postroom("limit", "show", ann, "--json").json["lifted_until"] is None
    assert postroom("limit", "lift", ann, "--for", "25h").code == 2
    assert postroom("limit", "lift", ann, "--for", "soon").code == 2
    assert postroom("limit", "lift", "nobody@example.org").code == 3
    assert postroom("limit", "lift", "other.example").code == 3


def test_freeze_and_unfreeze(postroom: Any, site: Path, ann: str) -> None:
    assert postroom("limit", "unfreeze", ann).code == 4
    frozen(site, sent(site, ann, "x@far.test"))
    assert "frozen" in postroom("limit", "show").out
    done = postroom("limit", "show", ann)
    assert "  30 of 40 messages bounced" in done.out
    assert f"postroom limit unfreeze {ann}" in done.err
    assert "stopped: 30 of 40 messages bounced" in postroom("user", "show", ann).out
    assert postroom("user", "show", ann, "--json").json["frozen"] == ["30 of 40 messages bounced"]
    assert "may send again" in postroom("limit", "unfreeze", ann).err
    assert postroom("limit", "show", ann, "--json").json["frozen"] is None
    told = postroom("limit", "freeze", ann, "--reason", "on holiday", "--json").json
    assert told["frozen"]["reasons"] == ["on holiday"]
    assert told["frozen"]["by"]
    assert postroom("limit", "freeze", ann).code == 4


def test_limits_of_their_own(postroom: Any, site: Path, ann: str) -> None:
    assert postroom("domain", "set", "example.org", "--hourly-messages", "2000").code == 0
    assert postroom("limit", "show", "example.org", "--json").json["hour"]["messages"]["limit"] == 2000
    assert "2000" in postroom("domain", "show", "example.org").out
    assert postroom("domain", "set", "example.org", "--hourly-messages", "default").code == 0
    assert postroom("limit", "show", "example.org", "--json").json["hour"]["messages"]["limit"] == 500
    changes = ("--daily-messages", "5", "--daily-recipients", "none", "--daily-new", "7")
    assert postroom("user", "set", ann, *changes).code == 0
    day = postroom("limit", "show", ann, "--json").json["day"]
    assert [day[kind]["limit"] for kind in ("messages", "recipients", "new")] == [5, 0, 7]
    assert "any number" in postroom("limit", "show", ann).out
    assert "5 messages, any number of recipients, 7 new recipients a day" in postroom("user", "show", ann).out


@pytest.mark.parametrize("wrong", ["-5", "many", "1.5", "²"])
def test_what_is_no_limit(wrong: str, postroom: Any, ann: str) -> None:
    assert postroom("user", "set", ann, f"--daily-new={wrong}").code == 2


def test_a_removed_account_leaves_nothing(postroom: Any, site: Path, ann: str) -> None:
    account = sent(site, ann, "x@far.test")
    frozen(site, account)
    postroom("user", "disable", ann)
    assert postroom("user", "rm", ann, "--yes").code == 0
    assert postroom("user", "deleted", "purge", ann, "--yes").code == 0

    async def left() -> tuple[int, int]:
        store = EmbeddedStore(site / "data", None)
        found = len(store.limits.rules().frozen), len(store.limits.correspondents(account, 9))
        await store.close()
        return found

    assert asyncio.run(left()) == (0, 0)
