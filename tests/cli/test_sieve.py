"""postroom sieve: scripts are checked, kept, chosen, and tried out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Mailboxes
from postroom.store.api import AnnotationLimits, NewAnnotation
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.values.flags import FLAGGED

GOOD = 'require "fileinto";\nif header :contains "subject" "lists" { fileinto "Lists"; }\n'
MAIL = "Return-Path: <bob@far.test>\r\nFrom: bob@far.test\r\nTo: ann@example.org\r\nSubject: the lists\r\n\r\nhello\r\n"


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "good.sieve"
    path.write_text(GOOD)
    return str(path)


def test_check_a_file(postroom: Any, script: str, tmp_path: Path) -> None:
    done = postroom("sieve", "check", script)
    assert (done.code, done.out) == (0, "") and "nothing is wrong" in done.err
    bad = tmp_path / "bad.sieve"
    bad.write_text('keep\nfileinto "x";')
    done = postroom("sieve", "check", str(bad))
    assert done.code == 1
    assert done.out == f"{bad}:2:1: keep ends without a ;  (put a ; before fileinto)\n"
    done = postroom("sieve", "check", str(bad), "--json")
    assert done.code == 1 and done.json["ok"] is False
    assert done.json["faults"] == [
        {"line": 2, "column": 1, "text": "keep ends without a ;", "advice": "put a ; before fileinto"}
    ]


def test_the_life_of_a_script(postroom: Any, ann: str, script: str) -> None:
    assert postroom("sieve", "list", ann).out == ""
    assert postroom("sieve", "put", ann, "main", script).code == 0
    assert postroom("sieve", "put", ann, "other", script, "--activate").code == 0
    listed = postroom("sieve", "list", ann, "--json").json["scripts"]
    assert [(one["name"], one["active"], one["size"]) for one in listed] == [
        ("main", False, len(GOOD)),
        ("other", True, len(GOOD)),
    ]
    assert postroom("sieve", "show", ann).out == GOOD
    assert postroom("sieve", "check", ann).code == 0
    assert postroom("sieve", "activate", ann, "main").code == 0
    assert postroom("sieve", "rename", ann, "main", "renamed").code == 0
    assert postroom("sieve", "show", ann, "--json").json["name"] == "renamed"
    assert postroom("sieve", "rm", ann, "renamed").code == 1
    assert postroom("sieve", "activate", ann, "--none").code == 0
    assert postroom("sieve", "rm", ann, "renamed").code == 0
    assert postroom("sieve", "show", ann).code == 3
    assert postroom("sieve", "rm", ann, "renamed").code == 3
    assert postroom("sieve", "rename", ann, "other", "other").code == 4
    assert postroom("sieve", "activate", ann).code == 2
    assert postroom("sieve", "list", "nobody@example.org").code == 3
    acts = [act["act"] for act in postroom("audit", "list", "--limit", "100", "--json").json["acts"]]
    assert {"sieve put", "sieve activate", "sieve rename", "sieve rm"} <= set(acts)


def test_what_is_not_taken(postroom: Any, ann: str, script: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.sieve"
    bad.write_text("fly;")
    done = postroom("sieve", "put", ann, "main", str(bad), "--json")
    assert done.code == 1 and done.json["faults"][0]["text"] == "there is no command fly"
    assert postroom("sieve", "put", ann, "a\nb", script).code == 2
    assert postroom("sieve", "list", ann, "--json").json["scripts"] == []


def test_trying_out(postroom: Any, ann: str, script: str, tmp_path: Path) -> None:
    mail = tmp_path / "mail.eml"
    mail.write_text(MAIL, newline="")
    assert postroom("sieve", "test", ann, str(mail)).code == 3
    found = postroom("sieve", "test", ann, str(mail), "--script", script, "--json").json["messages"]
    assert [(one["subject"], one["actions"], one["error"]) for one in found] == [
        ("the lists", ['fileinto "Lists"'], "")
    ]
    away = tmp_path / "away.sieve"
    away.write_text('require "vacation"; vacation "away";')
    (one,) = postroom("sieve", "test", ann, str(mail), "--script", str(away), "--json").json["messages"]
    assert one["actions"][0].startswith('vacation "away"') and "not sent" not in one["actions"][0]
    (one,) = postroom("sieve", "test", ann, str(mail), "--script", str(away), "--from", "", "--json").json["messages"]
    assert "not sent" in one["actions"][0]
    done = postroom("sieve", "test", ann, "--script", script)
    assert done.code == 0 and "0 messages; nothing was changed" in done.err


def test_scripts_of_the_site(postroom: Any, ann: str, script: str, tmp_path: Path) -> None:
    """RFC 6609 3.2: checked when they are kept; a domain's stand before the server's; people's include them."""
    assert postroom("sieve", "global", "put", "base", script).code == 0
    assert postroom("sieve", "global", "put", "base", script, "--domain", "example.org").code == 0
    assert postroom("sieve", "global", "put", "base", script, "--domain", "nowhere.test").code == 3
    bad = tmp_path / "bad.sieve"
    bad.write_text('fileinto "x";')
    done = postroom("sieve", "global", "put", "bad", str(bad), "--json")
    assert done.code == 1 and "fileinto" in done.json["faults"][0]["text"]
    assert postroom("sieve", "global", "put", "", script).code == 2
    listed = postroom("sieve", "global", "list", "--json").json["scripts"]
    assert [(one["name"], one["size"]) for one in listed] == [("base", len(GOOD))]
    assert postroom("sieve", "global", "show", "base", "--domain", "example.org").out == GOOD
    user = tmp_path / "user.sieve"
    user.write_text('require "include"; include :global "base"; include :global :optional "other";')
    assert postroom("sieve", "put", ann, "main", str(user), "--activate").code == 0
    mail = tmp_path / "mail.eml"
    mail.write_text(MAIL)
    told = postroom("sieve", "test", ann, str(mail), "--json").json["messages"][0]
    assert told["actions"] == ['fileinto "Lists"'] and not told["error"]
    assert postroom("sieve", "global", "rm", "base").code == 0
    assert postroom("sieve", "test", ann, str(mail), "--json").json["messages"][0]["error"] == ""
    assert postroom("sieve", "global", "rm", "base", "--domain", "example.org").code == 0
    assert postroom("sieve", "global", "rm", "base").code == 3
    error = postroom("sieve", "test", ann, str(mail), "--json").json["messages"][0]["error"]
    assert error == 'line 1: there is no script "base" to include'
    acts = postroom("audit", "list", "--limit", "100", "--json").json["acts"]
    assert {"sieve global put", "sieve global rm"} <= {act["act"] for act in acts}


EVENTS = """require ["environment", "imap4flags", "fileinto", "variables", "imapsieve"];
if environment :is "imap.cause" "FLAG" {
    if allof (environment :contains "imap.changedflags" "$Junk", hasflag "$Junk") { fileinto "Junk"; }
} elsif environment :is "imap.cause" "APPEND" {
    if environment :is "imap.user" "ben@example.org" { addflag "\\\\Flagged"; }
}
"""


def noted(folder: Path, login: str, script: str) -> None:
    """INBOX names a script, as a mail program would have it."""

    async def work() -> None:
        store = EmbeddedStore(folder / "data", None)
        row = await store.directory.account_by_login(login)
        assert row is not None
        account = await store.account(row.id)
        inbox = await account.mailbox("INBOX")
        assert inbox is not None
        entry = NewAnnotation("", "imapsieve/script", script.encode())
        await account.annotate(inbox.id, [entry], AnnotationLimits())
        mail = MAIL.replace("Return-Path: <bob@far.test>\r\n", "").encode()
        boxes = await Mailboxes(store, SystemClock(), lambda: uuid4().hex).open(row)
        await boxes.append(inbox.id, [Incoming(content=Content.of(mail), flags=FLAGGED, keywords=("$Junk",))])
        await store.close()

    asyncio.run(work())


def test_trying_out_what_is_done_by_imap(postroom: Any, site: Path, ann: str, tmp_path: Path) -> None:
    events, mail = tmp_path / "events.sieve", tmp_path / "mail.eml"
    events.write_text(EVENTS)
    mail.write_text(MAIL)
    flagged = ("--event", "flag", "--changed-flags", "$Junk")
    none = postroom("sieve", "test", ann, *flagged)
    assert (none.code, "names no script" in none.err) == (3, True)
    assert postroom("sieve", "put", ann, "events", str(events)).code == 0
    noted(site, ann, "events")
    (one,) = postroom("sieve", "test", ann, *flagged, "--json").json["messages"]
    assert one["actions"] == [
        'fileinto "Junk" flags \\Flagged $Junk',
        "the message is marked \\Deleted, for nothing keeps it",
    ]
    (one,) = postroom("sieve", "test", ann, "--event", "flag", "--changed-flags", "\\Seen", "--json").json["messages"]
    assert one["actions"] == ["implicit keep flags \\Flagged $Junk"]
    (one,) = postroom("sieve", "test", ann, str(mail), *flagged, "--json").json["messages"]
    assert one["actions"] == ["implicit keep"], "the message of a file has no flags"
    (one,) = postroom("sieve", "test", ann, str(mail), *flagged, "--flags", "$Junk", "--json").json["messages"]
    assert one["actions"][0] == 'fileinto "Junk" flags $Junk'
    by_ben = ("--event", "append", "--by", "ben@example.org")
    (one,) = postroom("sieve", "test", ann, str(mail), *by_ben, "--script", str(events), "--json").json["messages"]
    assert one["actions"] == ["implicit keep flags \\Flagged"]
    (one,) = postroom("sieve", "test", ann, str(mail), "--event", "copy", "--json").json["messages"]
    assert one["actions"] == ["implicit keep"]
    assert postroom("sieve", "test", ann, "--event", "flag").code == 2
    assert postroom("sieve", "test", ann, "--event", "copy", "--changed-flags", "x").code == 2
    assert postroom("sieve", "test", ann, "--by", "x").code == 2
    assert postroom("sieve", "test", ann, "--event", "copy", "--from", "x").code == 2
    assert postroom("sieve", "test", ann, "--event", "copy", "--mailbox", "Nowhere").code == 3


def test_trying_out_knows_details_and_scores(postroom: Any, ann: str, tmp_path: Path) -> None:
    script, mail = tmp_path / "x.sieve", tmp_path / "mail.eml"
    script.write_text(
        'require ["envelope", "subaddress", "fileinto", "spamtestplus", "relational", "comparator-i;ascii-numeric"];'
        'if envelope :detail "to" "lists" { fileinto "Lists"; }'
        'if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "100" { fileinto "Spam"; }'
    )
    spam = "X-Spam-Score: 10.0\r\nX-Spam-Status: Yes, score=10.0 required=5.0 tests=none\r\n"
    mail.write_text(f"Delivered-To: Ann+lists@example.org\r\n{spam}{MAIL}")
    (one,) = postroom("sieve", "test", ann, str(mail), "--script", str(script), "--json").json["messages"]
    assert one["actions"] == ['fileinto "Lists"', 'fileinto "Spam"']


def test_a_file_that_is_not_there_is_named(postroom: Any, ann: str) -> None:
    done = postroom("sieve", "check", "my-filter.sieve")
    assert done.code == 3 and "there is no file my-filter.sieve" in done.err and "log-in of an account" in done.err
