"""`postroom group`, `postroom share`, `postroom acl`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from postroom.store.embedded import EmbeddedStore


@pytest.fixture
def people(site: Path, postroom: Any) -> None:
    for name in ("ann", "ben", "eve"):
        assert postroom("user", "add", f"{name}@example.org", "--generate").code == 0


def held(site: Path, login: str) -> dict[str, dict[str, int]]:
    """The ACLs of an account by name of the mailbox, "" for the top level."""

    async def look() -> dict[str, dict[str, int]]:
        store = EmbeddedStore(site / "data", None)
        try:
            row = await store.directory.account_by_login(login)
            assert row is not None
            account = await store.account(row.id)
            names = {info.id: info.name for info in await account.mailboxes()}
            return {names.get(box, ""): dict(acl) for box, acl in (await account.acls()).items()}
        finally:
            await store.close()

    return asyncio.run(look())


def test_a_groups_life(people: None, postroom: Any) -> None:
    made = postroom("group", "add", "Team@Example.org", "ann@example.org", "--name", "The team", "--json").json
    assert (made["address"], made["members"], made["name"]) == ("team@example.org", ["ann@example.org"], "The team")
    assert postroom("group", "add", "all@example.org", "team@example.org", "eve@example.org").code == 0
    joined = postroom("group", "join", "team@example.org", "ben@example.org", "ann@example.org", "--json").json
    assert joined["members"] == ["ann@example.org", "ben@example.org"]
    shown = postroom("group", "show", "team@example.org", "--json").json
    assert (shown["groups"], shown["shares"]) == (["all@example.org"], [])
    assert [row["address"] for row in postroom("group", "list", "--json").json["groups"]] == [
        "all@example.org",
        "team@example.org",
    ]
    left = postroom("group", "leave", "team@example.org", "ann@example.org", "--json").json
    assert left["members"] == ["ben@example.org"]
    assert postroom("domain", "rm", "example.org", "--yes").code == 1
    assert postroom("group", "rm", "team@example.org", "--yes").code == 0
    assert postroom("group", "show", "all@example.org", "--json").json["members"] == ["eve@example.org"]
    acts = [act["act"] for act in postroom("audit", "list", "--json").json["acts"]]
    assert [act for act in acts if act.startswith("group")] == [
        "group add",
        "group add",
        "group join",
        "group leave",
        "group rm",
    ]


def test_groups_that_cannot_be(people: None, postroom: Any) -> None:
    assert postroom("group", "add", "team@example.org", "ann@example.org").code == 0
    assert postroom("group", "add", "team@example.org").code == 4
    assert postroom("group", "add", "team@elsewhere.test").code == 3
    unknown = postroom("group", "join", "team@example.org", "anne@example.org")
    assert unknown.code == 3
    assert "ann@example.org" in unknown.err
    assert postroom("group", "join", "tem@example.org", "ann@example.org").code == 3
    assert postroom("group", "leave", "team@example.org", "ben@example.org").code == 3
    assert postroom("group", "join", "team@example.org", "team@example.org").code == 2
    assert postroom("group", "add", "all@example.org", "team@example.org").code == 0
    assert postroom("group", "join", "team@example.org", "all@example.org").code == 2
    for number in range(1, 4):
        above = "all" if number == 1 else f"g{number - 1}"
        assert postroom("group", "add", f"g{number}@example.org", f"{above}@example.org").code == 0
    assert postroom("group", "add", "g4@example.org", "g3@example.org").code == 2
    assert postroom("group", "rm", "all@example.org").code == 2  # nobody can be asked


def test_a_shared_mailboxs_life(people: None, postroom: Any, site: Path) -> None:
    assert postroom("group", "add", "team@example.org", "ben@example.org").code == 0
    made = postroom(
        "share", "add", "support@example.org", "--member", "ann@example.org", "--group", "team@example.org", "--json"
    ).json
    assert made["shared"] is True
    everything = {"ann@example.org": "lrswipkxte", "group:team@example.org": "lrswipkxte"}
    assert {one["identifier"]: one["rights"] for one in made["members"]} == everything
    boxes = held(site, "support@example.org")
    assert set(boxes) == {"", "INBOX", "Drafts", "Sent", "Trash", "Junk", "Archive"}
    assert len({tuple(acl) for acl in boxes.values()}) == 1
    refused = postroom("user", "passwd", "support@example.org", "--generate")
    assert refused.code == 2
    assert "share show" in refused.err
    joined = postroom(
        "share", "join", "support@example.org", "--member", "eve@example.org", "--rights", "read", "--json"
    )
    assert {one["identifier"]: one["rights"] for one in joined.json["members"]} == {
        **everything,
        "eve@example.org": "lrs",
    }
    assert {one["identifier"]: one["send"] for one in joined.json["members"]} == {
        "ann@example.org": "as",
        "group:team@example.org": "as",
        "eve@example.org": "no",
    }
    again = ("share", "join", "support@example.org", "--member", "eve@example.org", "--rights", "read")
    assert postroom(*again, "--send", "on-behalf").code == 0
    listed = postroom("share", "show", "support@example.org", "--json").json["members"]
    assert [one["send"] for one in listed if one["identifier"] == "eve@example.org"] == ["on-behalf"]
    assert postroom("share", "join", "support@example.org", "--member", "anyone").code == 2
    assert postroom("share", "leave", "support@example.org", "--member", "anyone").code == 0
    left = postroom("share", "leave", "support@example.org", "--member", "ann@example.org", "--json").json
    assert {one["identifier"] for one in left["members"]} == {"eve@example.org", "group:team@example.org"}
    assert postroom("share", "leave", "support@example.org", "--member", "ann@example.org").code == 3
    assert postroom("share", "set", "support@example.org", "--name", "Support", "--quota", "5G").code == 0
    assert left["sent_copies"] is True
    assert postroom("share", "set", "support@example.org", "--no-sent-copies", "--json").json["sent_copies"] is False
    assert postroom("share", "set", "support@example.org", "--seen", "private", "--mailbox", "Archive").code == 0
    assert postroom("share", "set", "support@example.org", "--seen", "private", "--mailbox", "Nowhere").code == 3
    assert postroom("share", "set", "support@example.org", "--mailbox", "Archive").code == 2
    shown = postroom("share", "show", "support@example.org", "--json").json
    assert {box["name"] for box in shown["mailboxes"] if box["seen"] == "private"} == {"Archive"}
    assert (shown["name"], shown["quota"]) == ("Support", 5 << 30)
    assert [row["address"] for row in postroom("share", "list", "--json").json["shares"]] == ["support@example.org"]
    assert postroom("user", "rm", "eve@example.org", "--yes").code == 0  # and a namesake later begins with nothing
    assert "eve@example.org" not in held(site, "support@example.org")["INBOX"]
    assert postroom("group", "rm", "team@example.org", "--yes").code == 0
    assert held(site, "support@example.org") == {}
    assert postroom("share", "rm", "ann@example.org", "--yes").code == 1
    assert postroom("share", "rm", "support@example.org", "--yes").code == 0
    assert postroom("share", "show", "support@example.org").code == 3


def test_shared_mailboxes_that_cannot_be(people: None, postroom: Any) -> None:
    assert postroom("share", "add", "ann@example.org").code == 4
    assert postroom("share", "add", "support@elsewhere.test").code == 3
    assert postroom("share", "add", "support@example.org", "--member", "nobody@example.org").code == 3
    assert postroom("share", "show", "support@example.org").code == 3  # nothing was made
    assert postroom("share", "add", "support@example.org", "--rights", "everything").code == 2
    assert postroom("share", "add", "support@example.org").code == 0
    assert postroom("share", "join", "support@example.org").code == 2
    assert postroom("share", "join", "support@example.org", "--member", "support@example.org").code == 3


def test_rights_on_a_mailbox(people: None, postroom: Any, site: Path) -> None:
    set_ = ("acl", "set", "ann@example.org")
    assert postroom(*set_, "ben@example.org", "read").code == 0
    done = postroom(*set_, "ben@example.org", "+w", "--json").json
    assert (done["rights"], done["mailboxes"]) == ("lrsw", 1)
    assert postroom(*set_, "anyone", "lr", "--mailbox", "sent").code == 3
    assert postroom(*set_, "anyone", "lr", "--mailbox", "Sent").code == 0
    assert postroom(*set_, "-eve@example.org", "r", "--mailbox", "Sent").code == 2  # an option, to click
    assert postroom(*set_, "--mailbox", "Sent", "--", "-eve@example.org", "r").code == 0
    everywhere = postroom(*set_, "eve@example.org", "-l", "--all")
    assert everywhere.code in (0, 2)
    listed = postroom("acl", "list", "ann@example.org", "--json").json["acl"]
    assert listed == [
        {"mailbox": "INBOX", "identifier": "ben@example.org", "rights": "lrsw"},
        {"mailbox": "Sent", "identifier": "-eve@example.org", "rights": "r"},
        {"mailbox": "Sent", "identifier": "anyone", "rights": "lr"},
    ]
    assert postroom("acl", "list", "ann@example.org", "Sent", "--json").json["acl"] == listed[1:]
    assert postroom(*set_, "group:nobody@example.org", "read").code == 3
    assert "1 member." in postroom("group", "add", "team@example.org", "ben@example.org").err
    wrong = postroom(*set_, "team@example.org", "read")
    assert (wrong.code, "is a group: write group:team@example.org" in wrong.err) == (3, True)
    assert postroom(*set_, "ann@example.org", "read").code == 3
    assert postroom(*set_, "not an address", "read").code == 2
    assert postroom(*set_, "ben@example.org", "lrq").code == 2
    assert postroom("acl", "rm", "ann@example.org", "ben@example.org").code == 0
    assert postroom("acl", "rm", "ann@example.org", "ben@example.org").code == 4
    assert postroom("acl", "rm", "ann@example.org", "anyone", "--all", "--json").json["mailboxes"] == 1
    assert set(held(site, "ann@example.org")) == {"Sent"}
    acts = [act for act in postroom("audit", "list", "--json").json["acts"] if act["act"].startswith("acl")]
    assert acts[1]["after"] == {"identifier": "ben@example.org", "rights": "+w", "mailboxes": ["INBOX"]}
