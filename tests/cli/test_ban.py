"""`postroom ban`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest


def test_bans(postroom: Any, site: Path) -> None:
    assert postroom("ban", "list").err == "0 banned\n"
    before = time.time()
    told = postroom("ban", "add", "192.0.2.7", "--for", "2h", "--reason", "spam", "--json").json
    assert told["network"] == "192.0.2.7"
    assert before + 7200 <= told["until"] <= time.time() + 7200
    assert told["by"]
    assert "for good" in postroom("ban", "add", "2001:db8::1").err
    done = postroom("ban", "list")
    assert "192.0.2.7 " in done.out
    assert "2001:db8::/64" in done.out
    assert done.err == "2 banned\n"
    bans = postroom("ban", "list", "--json").json["bans"]
    assert [(ban["network"], ban["until"] is None) for ban in bans] == [("192.0.2.7", False), ("2001:db8::/64", True)]
    assert postroom("ban", "rm", "2001:db8::77").err == "2001:db8::/64 may connect again\n"
    assert postroom("ban", "rm", "192.0.2.7", "--json").json["removed"]
    assert postroom("ban", "rm", "192.0.2.7").code == 3
    assert postroom("ban", "list", "--json").json["bans"] == []


@pytest.mark.parametrize("wrong", ["everybody", "192.0.2.1/99", "0.0.0.0/0", "::/0", ""])
def test_what_cannot_be_banned(wrong: str, postroom: Any, site: Path) -> None:
    assert postroom("ban", "add", wrong).code == 2


def test_wrong_times(postroom: Any, site: Path) -> None:
    assert postroom("ban", "add", "192.0.2.1", "--for", "long").code == 2
