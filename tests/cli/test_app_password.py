"""`postroom user app-password`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from postroom.store.embedded import EmbeddedStore


def test_an_app_passwords_life(postroom: Any, site: Path, ann: str) -> None:
    assert "no app passwords yet" in postroom("user", "app-password", "list", ann).err
    both = ("--name", "Phone", "--protocols", "smtp, IMAP")
    made = postroom("user", "app-password", "add", ann, *both, "--expires", "90d", "--json").json
    assert made["protocols"] == ["imap", "smtp"]
    assert len(made["password"]) == 34
    plain = postroom("user", "app-password", "add", ann, "--from", "192.0.2.7/24")
    assert plain.out.count("-") == 6
    assert plain.out.strip() not in plain.err
    assert postroom("user", "token", "list", ann, "--json").json["tokens"] == []
    assert postroom("user", "token", "rm", ann, made["id"]).code == 3

    async def use() -> None:
        store = EmbeddedStore(site / "data", None)
        row = await store.directory.account_by_login(ann)
        assert row is not None
        await store.limits.place(row.id, f"app-password {made['id']} imap", time.time())
        await store.close()

    asyncio.run(use())
    rows = postroom("user", "app-password", "list", ann, "--json").json["app_passwords"]
    assert [row["name"] for row in rows] == ["Phone", ""]
    assert list(rows[0]["used"]) == ["imap"]
    assert rows[1]["networks"] == ["192.0.2.0/24"]
    shown = postroom("user", "app-password", "list", ann).out
    assert "(imap)" in shown
    assert "not within 90 days" in shown
    assert made["password"] not in shown
    assert postroom("user", "app-password", "rm", ann, made["id"]).code == 0
    assert postroom("user", "app-password", "rm", ann, made["id"]).code == 3
    assert postroom("user", "app-password", "rm", ann).code == 2
    assert len(postroom("user", "app-password", "rm", ann, "--all", "--json").json["ids"]) == 1
    recorded = postroom("audit", "list", "--json").out
    assert "user app-password add" in recorded
    assert made["password"] not in recorded
    files = [path.read_bytes() for path in (site / "data").rglob("*") if path.is_file()]
    assert not any(made["password"].encode() in octets for octets in files)


def test_app_passwords_that_cannot_be(postroom: Any, site: Path, ann: str) -> None:
    assert postroom("user", "app-password", "add", "nobody@example.org").code == 3
    assert postroom("user", "app-password", "add", ann, "--expires", "2020-01-01").code == 2
    assert postroom("user", "app-password", "add", ann, "--protocols", "http").code == 2
    assert postroom("user", "app-password", "add", ann, "--from", "x").code == 2
    config = site / "postroom.toml"
    config.write_text(config.read_text().replace("#app_passwords = 25", "app_passwords = 0"))
    done = postroom("user", "app-password", "add", ann)
    assert (done.code, "0 of 0" in done.err) == (2, True)
