"""`postroom quarantine`, without a server."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.codes import Exit
from postroom.store.api import KeepLimits, QuarantineItem
from postroom.store.embedded import EmbeddedStore
from postroom.values.content import Content

MAIL = Content.of(b"From: Bad <bad@far.test>\r\nSubject: buy\r\n\r\nbuy now\r\n")


@pytest.fixture
def apart(site: Path, ann: str) -> list[str]:
    """Three messages in quarantine for ann, of which the last one is hers and may not leave."""

    async def work() -> list[str]:
        store = EmbeddedStore(site / "data", None)
        row = await store.directory.account_by_login(ann)
        assert row is not None
        ids = []
        for number in range(3):
            now = time.time()
            item = QuarantineItem(
                id=f"e{number}-0",
                entry=f"e{number}",
                account=row.id,
                domain="example.org",
                recipient=ann if number < 2 else "bob@far.test",
                sender=f"s{number}@far.test",
                received=now - 3600 * (10 - number),
                until=now + 86400,
                size=MAIL.size,
                outgoing=number == 2,
                author="Bad\x1b[2J <bad@far.test>",
                subject="buy",
                score=9.5,
                why="its words",
                guarded=number == 0,
            )
            await store.quarantine.keep(item, MAIL, KeepLimits())
            ids.append(item.id)
        await store.close()
        return ids

    return asyncio.run(work())


def listed(postroom: Any, *options: str) -> list[str]:
    return [one["id"] for one in postroom("quarantine", "list", "--json", *options).json["items"]]


def test_they_are_listed_and_shown(postroom: Any, apart: list[str], ann: str) -> None:
    assert listed(postroom) == apart
    assert listed(postroom, "--account", ann, "--incoming") == apart[:2]
    assert listed(postroom, "--domain", "example.org", "--outgoing") == apart[2:]
    assert listed(postroom, "--sender", "S1@") == apart[1:2]
    assert listed(postroom, "--since", "9.5h") == apart[1:]
    assert listed(postroom, "--limit", "1") == apart[2:]
    assert postroom("quarantine", "list", "--account", "nobody@example.org").code == Exit.NOT_FOUND
    out = postroom("quarantine", "list").out
    assert "\x1b" not in out
    assert "9.5" in out
    shown = postroom("quarantine", "show", apart[0]).out
    assert "because" in shown
    assert "its words" in shown
    assert postroom("quarantine", "show", apart[0], "--message", "--json").json["message"].endswith("buy now\r\n")
    assert postroom("quarantine", "show", "e9-0").code == Exit.NOT_FOUND


def test_deleting_can_be_taken_back(postroom: Any, apart: list[str]) -> None:
    assert postroom("quarantine", "delete", "--sender", "far.test", "--incoming", "--json").json["changed"] == apart[:2]
    assert listed(postroom) == apart[2:]
    done = postroom("quarantine", "delete", apart[0])
    assert done.code == Exit.NO_CHANGE
    assert "deleted already" in done.err
    assert postroom("quarantine", "undelete", apart[0], "--json").json["changed"] == apart[:1]
    assert listed(postroom) == [apart[0], apart[2]]
    acts = postroom("audit", "list", "--limit", "100", "--json").json["acts"]
    deleted = next(act for act in acts if act["act"] == "quarantine delete")
    assert deleted["after"] == {"state": "deleted"}
    assert any("e0-0 kept from s0@far.test to ann@example.org" in one for one in deleted["before"]["items"])


def test_a_release_is_written_down_for_the_server_and_learned(postroom: Any, apart: list[str], ann: str) -> None:
    done = postroom("quarantine", "release", apart[0], "--learn", "--json").json
    assert (done["changed"], done["learned"], done["served"]) == (apart[:1], 1, False)
    assert listed(postroom, "--state", "releasing") == apart[:1]
    assert postroom("filter", "status", ann, "--json").json["ham"] == 1
    again = postroom("quarantine", "release", apart[0], "--learn")
    assert again.code == Exit.NO_CHANGE
    assert postroom("filter", "status", ann, "--json").json["ham"] == 1
    many = postroom("quarantine", "release", "--incoming", "--account", ann)
    assert many.code == 0, "one is left"
    assert listed(postroom, "--state", "releasing") == apart[:2]


def test_many_are_not_released_by_accident(postroom: Any, apart: list[str]) -> None:
    assert postroom("quarantine", "release", "--sender", "far.test").code == Exit.USAGE
    assert postroom("quarantine", "release").code == Exit.USAGE
    assert postroom("quarantine", "release", apart[0], "--sender", "x").code == Exit.USAGE
    assert listed(postroom) == apart
    assert postroom("quarantine", "release", "--sender", "far.test", "--yes").code == 0
    assert listed(postroom, "--state", "releasing") == apart


def test_a_link_releases_its_message_only(postroom: Any, apart: list[str], site: Path) -> None:
    refused = postroom("quarantine", "link", apart[0])
    assert refused.code == Exit.FAILED
    assert "is for no link: its words" in refused.err
    text = postroom("quarantine", "link", apart[1]).out.strip()
    assert postroom("quarantine", "release", "--link", text.replace("e1-0", "e0-0")).code == Exit.FAILED
    assert postroom("quarantine", "release", "--link", "https://x.test/?m=1").code == Exit.FAILED
    assert postroom("quarantine", "release", "--link", text, apart[0]).code == Exit.USAGE
    done = postroom(
        "quarantine", "release", "--link", f"https://mail.example.org/quarantine/release?m={text}", "--json"
    )
    assert done.json["changed"] == [apart[1]]
    assert listed(postroom) == [apart[0], apart[2]]
