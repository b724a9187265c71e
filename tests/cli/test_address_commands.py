"""postroom domain, user: domain aliases, details, suspension, removed accounts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from postroom.store.embedded import EmbeddedStore

BEN = "ben@example.org"


def test_domain_settings(postroom: Any, ann: str) -> None:
    made = postroom("domain", "add", "example.net", "--alias-of", "example.org")
    assert made.code == 0
    assert "Its addresses are those of example.org." in made.err
    told = postroom("domain", "show", "example.net", "--json").json
    assert (told["alias_of"], told["separators"], told["detail_folders"], told["receives"]) == (
        "example.org",
        "+",
        "off",
        True,
    )
    assert "alias of example.org" in postroom("domain", "list").out
    assert postroom("user", "add", "x@example.net", "--generate").code == 2
    assert postroom("domain", "rm", "example.org", "--yes").code == 1
    changed = postroom(
        "domain",
        "set",
        "example.org",
        "--separators",
        "-",
        "--detail-folders",
        "create",
        "--off",
        "--receive",
        "--json",
    ).json
    assert (changed["separators"], changed["detail_folders"], changed["disabled"], changed["receives"]) == (
        "-",
        "create",
        True,
        True,
    )
    assert "suspended, receives mail" in postroom("domain", "show", "example.org").out
    assert postroom("domain", "set", "example.org", "--off", "--json").json["receives"] is False
    assert postroom("domain", "set", "example.org", "--on", "--json").json["receives"] is True
    assert postroom("domain", "set", "example.org", "--separators", ".").code == 2
    assert postroom("domain", "set", "example.net", "--alias-of", "").code == 0
    assert postroom("user", "set", ann, "--detail-folders", "existing", "--json").json["detail_folders"] == "existing"
    assert postroom("user", "set", ann, "--detail-folders", "domain", "--json").json["detail_folders"] == ""


def test_a_disabled_account_may_receive(postroom: Any, ann: str) -> None:
    assert postroom("user", "disable", ann, "--receive", "--json").json["receives"] is True
    assert "disabled, receives mail" in postroom("user", "show", ann).out
    assert postroom("user", "disable", ann, "--receive").code == 4
    assert postroom("user", "disable", ann, "--json").json["receives"] is False
    assert postroom("user", "enable", ann, "--json").json["receives"] is True


def test_the_folder_of_what_was(postroom: Any, ann: str, site: Path) -> None:
    assert postroom("user", "set", ann, "--past", "all", "--json").json["past"] == "all"
    assert "deleted mail and other days" in postroom("user", "show", ann).out
    assert postroom("user", "set", ann, "--past", "off").code == 0

    async def collide() -> None:
        store = EmbeddedStore(site / "data")
        row = await store.directory.account_by_login(ann)
        assert row is not None
        await (await store.account(row.id)).create("Recover/mine")
        await store.close()

    asyncio.run(collide())
    done = postroom("user", "set", ann, "--past", "deleted")
    assert done.code == 1
    assert "has a mailbox Recover already" in done.err


def test_a_removed_account_comes_back(postroom: Any, ann: str, site: Path) -> None:
    number = postroom("user", "show", ann, "--json").json["id"]
    assert postroom("user", "deleted", "list", "--json").json["users"] == []
    removed = postroom("user", "rm", ann, "--yes")
    assert f"postroom user deleted restore {ann}" in removed.err
    assert "30 days" in removed.err
    assert postroom("user", "show", ann).code == 3
    [gone] = postroom("user", "deleted", "list", "--json").json["users"]
    assert (gone["login"], gone["id"]) == (ann, number)
    assert gone["kept_until"] - gone["deleted"] == 30 * 86_400
    assert number in postroom("user", "deleted", "list", "--domain", "example.org").out
    assert postroom("check").code == 0
    assert postroom("domain", "rm", "example.org", "--yes").code == 1
    assert postroom("user", "deleted", "restore", "nobody@example.org").code == 3
    back = postroom("user", "deleted", "restore", ann, "--json").json
    assert (back["login"], back["id"]) == (ann, number)
    assert postroom("user", "show", ann, "--json").json["has_password"]
    assert postroom("user", "rm", ann, "--yes").code == 0
    assert postroom("user", "add", ann, "--generate").code == 0
    assert postroom("user", "deleted", "restore", ann).code == 4
    assert postroom("user", "deleted", "restore", number, "--as", BEN).code == 0
    assert postroom("user", "rm", BEN, "--yes").code == 0
    assert postroom("user", "deleted", "purge", BEN).code == 2
    assert postroom("user", "deleted", "purge", BEN, "--yes", "--json").json["purged"]
    assert not list((site / "data" / "accounts").glob(f"*/{number}"))
    assert postroom("user", "rm", ann, "--purge", "--yes", "--json").json["purged"]
    assert postroom("user", "deleted", "list", "--json").json["users"] == []
    assert postroom("check").code == 0
    acts = list(postroom("audit", "list", "--limit", "100", "--json").json["acts"])
    told = [(act["act"], act["on"]) for act in acts if act["act"].startswith(("user deleted", "user rm"))]
    assert told == [
        ("user rm", ann),
        ("user deleted restore", ann),
        ("user rm", ann),
        ("user deleted restore", BEN),
        ("user rm", BEN),
        ("user deleted purge", BEN),
        ("user rm", ann),
    ]
    assert "argon2" not in str(acts)
