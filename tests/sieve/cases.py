"""Reads the behaviour list: files of scripts, messages and what comes of them.

== name of the case (RFC 5228 4.1)
-- script
-- message          the first message of the file, or the built-in one, when it is left out
-- environment    name: value; from, to, now, zone, spam, virus, mailbox, special, metadata, seen, or an item;
                     separators: of details, or none, with name: the recipient's own;
                     with imap (RFC 6785) the script runs for what was done by IMAP, on a message with these flags
-- actions          one a line, as describe() tells them; or
-- faults           one a line, as Fault prints; or
-- error            why the run ended
-- stored           optional: the message as the first action that files or sends it on has it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from postroom.sieve.world import Environment

FOLDER = Path(__file__).parent / "behaviour"

DEFAULT_MESSAGE = """\
Return-Path: <ann@example.org>
Received: from mx.example.org by mx.example.net; Sat, 21 Nov 2026 09:00:00 +0000
Received: from ann.example.org by mx.example.org; Sat, 21 Nov 2026 08:59:30 +0100
From: Ann Example <ann@example.org>
To: Bob <bob@example.net>, carol+team@example.net
Cc: "Dave, D." <dave@sub.example.com>
Subject: [lists] Minutes of the meeting
Date: Sat, 21 Nov 2026 09:58:59 +0100
Message-ID: <m1@example.org>
X-Priority: 2

Hello Bob,
here are the minutes.
"""


@dataclass(slots=True)
class Case:
    name: str
    script: str = ""
    message: str = ""
    environment: dict[str, list[str]] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)

    def octets(self) -> bytes:
        return crlf(self.message)


def crlf(text: str) -> bytes:
    return re.sub(r"\r?\n", "\r\n", text).encode("utf-8", "surrogateescape")


def read_cases(path: Path) -> Iterator[Case]:
    shared = DEFAULT_MESSAGE
    text = path.read_text("utf-8", "surrogateescape")
    preface, *cases = re.split(r"^== ", text, flags=re.MULTILINE)
    sections = _sections(preface)
    shared = sections.get("message", shared)
    for each in cases:
        name, _, rest = each.partition("\n")
        found = _sections(rest)
        case = Case(name.strip(), found.pop("script"), found.pop("message", shared))
        for line in found.pop("environment", "").splitlines():
            if line.strip():
                key, _, value = line.partition(":")
                case.environment.setdefault(key.strip(), []).append(value.strip())
        case.expected = found
        assert set(found) <= {"actions", "faults", "error", "stored"}, f"{name}: {sorted(found)}"
        assert found, f"{name} expects nothing"
        yield case


def _sections(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    _, *pieces = re.split(r"^-- ", text, flags=re.MULTILINE)
    for piece in pieces:
        name, _, body = piece.partition("\n")
        found[name.strip()] = body.rstrip("\n") + "\n" if name.strip() != "message" else body
    return found


_KNOWN = {
    "from",
    "to",
    "now",
    "zone",
    "spam",
    "virus",
    "mailbox",
    "special",
    "metadata",
    "seen",
    "library",
    "imap",
    "separators",
}


def environment(case: Case) -> Environment:
    given = case.environment
    now = given.get("now", ["2026-11-22T10:00:00+00:00"])[0]
    return Environment(
        sender=given.get("from", ["ann@example.org"])[0],
        recipient=given.get("to", ["bob@example.net"])[0],
        now=datetime.fromisoformat(now).timestamp(),
        zone=int(given.get("zone", ["0"])[0]),
        spam=float(given["spam"][0]) if "spam" in given else None,
        virus=int(given.get("virus", ["0"])[0]),
        separators=given.get("separators", ["+"])[0].replace("none", ""),
        name=given["name"][0] if "separators" in given and "name" in given else "",
        imap="imap" in given,
        flags=tuple(given.get("imap", [""])[0].split()),
        items={key: values[0] for key, values in given.items() if key not in _KNOWN},
    )


class CaseWorld:
    """The account a case describes."""

    def __init__(self, case: Case) -> None:
        given = case.environment
        self._mailboxes = {"INBOX", *given.get("mailbox", [])}
        self._special = dict(line.split(" ", 1) for line in given.get("special", []))
        self._metadata = {tuple(line.split(" ", 2)[:2]): line.split(" ", 2)[2] for line in given.get("metadata", [])}
        self._seen = set(given.get("seen", []))

    def mailbox_exists(self, name: str) -> bool:
        return name in self._mailboxes or name.upper() == "INBOX"

    def mailbox_with_id(self, mailbox_id: str) -> str | None:
        name = mailbox_id.removeprefix("id-")
        return name if mailbox_id.startswith("id-") and name in self._mailboxes else None

    def special_use(self, attribute: str) -> str | None:
        return next((name for key, name in self._special.items() if key.lower() == attribute.lower()), None)

    def special_uses(self, name: str) -> tuple[str, ...]:
        return tuple(key for key, mailbox in self._special.items() if mailbox == name)

    def metadata(self, mailbox: str | None, entry: str) -> str | None:
        return self._metadata.get((mailbox or "server", entry.lower()))

    def seen(self, key: str) -> bool:
        return key in self._seen


class CaseLibrary:
    """Included scripts: environment lines `library: personal name path-less script on one line`."""

    def __init__(self, case: Case) -> None:
        self._scripts = {}
        for line in case.environment.get("library", []):
            where, name, script = line.split(" ", 2)
            self._scripts[name, where == "personal"] = script.replace("\\n", "\n")

    def script(self, name: str, personal: bool) -> str | None:
        return self._scripts.get((name, personal))
