"""Thunderbird itself, without a window, as a person uses it: from address and password to the shared mailbox."""

from __future__ import annotations

import smtplib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from marionette import Thunderbird
from running import Running, needs, until
from test_clients import arrived, imap, letter

pytestmark = needs("thunderbird")
SUBJECT = "Grüße aus 東京"
PROJECTS = "Projekte ä & 日本"


@pytest.fixture
def thunderbird(tmp_path: Path) -> Iterator[Thunderbird]:
    program = Thunderbird(tmp_path)
    yield program
    program.quit()


def published(server: Running) -> str:
    """The settings for mail programs, as the server gives them to anybody who asks for the domain."""
    where = f"https://{server.host}:{server.ports['https']}/mail/config-v1.1.xml"
    request = urllib.request.Request(where, headers={"Host": f"autoconfig.{server.domain}"})
    with urllib.request.urlopen(request, timeout=20, context=server.tls()) as answer:
        return str(answer.read().decode())


def deliver(server: Running, to: str, subject: str, text: str = "Hello\n") -> None:
    with smtplib.SMTP(server.host, server.ports["smtp"], "client.example", timeout=20) as smtp:
        smtp.send_message(letter(to, subject, text=text))


def test_a_person_with_thunderbird(server: Running, mailbox: dict[str, str], thunderbird: Thunderbird) -> None:
    do, login = thunderbird, mailbox["login"]
    deliver(server, login, "before")
    server.postroom("share", "add", f"desk@{server.domain}", "--member", login)

    # the account: an address, a password, and what the server publishes
    encoded = "".join(line for line in Path(server.certificate).read_text().splitlines() if "-" not in line)
    do("trust", encoded, "localhost", [server.ports[name] for name in ("imaps", "submissions")])
    incoming, outgoing = do("set_up", published(server), login, mailbox["password"])
    assert incoming == ["imap", "localhost", server.ports["imaps"], 3, login]
    assert outgoing == ["smtp", "localhost", server.ports["submissions"], 3, login]
    do("look")
    own = {"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"}
    shared = f"Shared/desk@{server.domain}"
    do.until("folders", met=lambda names: own < set(names))
    do.until("folders", met=lambda names: f"{shared}/INBOX" in names)  # given by the administrator, without a click
    do("open", "INBOX")
    do.until("subjects", "INBOX", met=lambda subjects: subjects == ["before"])

    # sending, with the copy in Sent, and mail that comes while the program waits
    do("send", login, login, SUBJECT, "Größe: 42\r\n")
    do.until("subjects", "INBOX", met=lambda subjects: subjects == ["before", SUBJECT])
    do("open", "Sent")
    do.until("subjects", "Sent", met=lambda subjects: subjects == [SUBJECT])
    deliver(server, login, "pushed", "The quick brown fox\n")
    do.until("subjects", "INBOX", met=lambda subjects: subjects[-1] == "pushed")
    assert "quick brown fox" in do("text", "INBOX", "pushed")
    assert do("search", "INBOX", "brown") == ["pushed"]

    # what it marks, others see; what others mark, it sees
    do("mark", "INBOX", SUBJECT, "project")
    other = imap(server, mailbox)
    other.select("INBOX")
    until(lambda: other.noop() and other.search(None, "SEEN FLAGGED KEYWORD project")[1] == [b"2"], 60)
    other.store("1", "+FLAGS", "(\\Seen \\Flagged)")
    do.until("state", "INBOX", "before", met=lambda state: state["read"] and state["flagged"])

    # folders, with names in any language; copies, moves, deletion
    do("make", PROJECTS)
    do.until("folders", met=lambda names: PROJECTS in map(utf7, names))
    [name] = [one for one in do("folders") if utf7(one) == PROJECTS]
    assert do("copy", "INBOX", SUBJECT, name, False) == 0
    assert do("copy", "INBOX", "pushed", "Junk", True) == 0
    assert do("remove", "INBOX", SUBJECT) == 0
    until(lambda: other.noop() and other.search(None, "ALL")[1] == [b"1"], 60)
    assert b"Subject: pushed" in arrived(other, 1, "Junk")[0]
    assert len(arrived(other, 1, "Trash")) == 1
    do("rename", name, "Fertig")
    do.until("folders", met=lambda names: "Fertig" in names and name not in names)
    do("open", "Fertig")
    do.until("subjects", "Fertig", met=lambda subjects: subjects == [SUBJECT])

    # the mailbox of several people
    deliver(server, f"desk@{server.domain}", "for us all")
    do("open", f"{shared}/INBOX")
    do.until("subjects", f"{shared}/INBOX", met=lambda subjects: subjects == ["for us all"])
    other.logout()


def utf7(name: str) -> str:
    """Modified UTF-7 to text, for programs that keep names as they came (RFC 3501 5.1.3)."""
    from postroom.wire.imap.names import decode

    return decode(name.encode()) if name.isascii() else name
