"""`postroom user token`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_a_tokens_life(postroom: Any, site: Path) -> None:
    assert postroom("user", "add", "ann@example.org", "--generate").code == 0
    made = postroom("user", "token", "add", "ann@example.org", "--name", "shop", "--expires", "90d", "--json").json
    assert made["token"].startswith("prt_")
    assert made["scopes"] == ["send"]
    assert 89 * 86400 < made["expires"] - made["created"] <= 90 * 86400
    both = ("--scope", "send", "--scope", "read-events")
    plain = postroom("user", "token", "add", "ann@example.org", *both)
    assert plain.out.startswith("prt_")
    listed = postroom("user", "token", "list", "ann@example.org", "--json").json["tokens"]
    assert [row["name"] for row in listed] == ["shop", ""]
    assert listed[1]["scopes"] == ["send", "read-events"]
    assert made["token"] not in postroom("user", "token", "list", "ann@example.org").out
    assert postroom("user", "token", "rm", "ann@example.org", made["id"]).code == 0
    gone = postroom("user", "token", "rm", "ann@example.org", made["id"])
    assert gone.code == 3
    assert "token list" in gone.err
    recorded = postroom("audit", "list", "--json")
    assert "user token add" in recorded.out
    assert made["token"] not in recorded.out
    files = [path.read_bytes() for path in (site / "data").rglob("*") if path.is_file()]
    assert not any(made["token"].encode() in octets for octets in files)


def test_tokens_that_cannot_be(postroom: Any, site: Path) -> None:
    assert postroom("user", "token", "add", "nobody@example.org").code == 3
    postroom("user", "add", "ann@example.org", "--generate")
    assert postroom("user", "token", "add", "ann@example.org", "--expires", "2020-01-01").code == 2
    assert postroom("user", "token", "add", "ann@example.org", "--scope", "admin").code == 2
