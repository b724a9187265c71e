"""Attachments nobody should be sent: programs, under their own or a borrowed name, also inside archives.

Octets are believed more than names. Archives are listed, never unpacked (filter.archives). A page of HTML as an
attachment is a page to log in outside of every list of hosts, so it is looked at too.
Pure but for reading the content. On failure: never; an archive that cannot be listed says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from postroom.filter.archives import Listing, listing
from postroom.filter.scoring import Reason
from postroom.filter.seen import Attachment, Seen

#: octets of an attachment that are looked at
LARGEST: Final = 8 * 1024 * 1024
#: octets of all attachments of a message together
_ALL: Final = 24 * 1024 * 1024
_PAGE: Final = 64 * 1024
PROGRAMS: Final = frozenset((
    "exe", "scr", "com", "pif", "bat", "cmd", "vbs", "vbe", "js", "jse", "wsf", "wsh", "hta", "jar", "lnk", "msi",
    "msp", "cpl", "reg", "ps1", "psm1", "dll", "sys", "chm", "iso", "img", "vhd", "vhdx", "application", "gadget",
    "inf", "scf", "url", "xll", "appx", "msix", "apk", "dmg", "pkg", "one",
))  # fmt: skip
_MACROS: Final = frozenset(("docm", "dotm", "xlsm", "xltm", "xlam", "pptm", "potm", "ppam", "ppsm", "sldm"))
_HARMLESS: Final = frozenset(("pdf", "doc", "docx", "xls", "xlsx", "jpg", "jpeg", "png", "gif", "txt", "mp3", "mp4"))
_PAGES: Final = frozenset(("htm", "html", "shtml", "xhtml", "xht", "svg", "mht", "mhtml", "hta"))
_ASKS: Final = re.compile(
    rb"<form\b|type\s{0,9}=\s{0,9}[\"']?password|<script\b|\batob\s{0,9}\(|location\s{0,9}[.=]|http-equiv\s{0,9}=\s{0,9}[\"']?refresh",
    re.IGNORECASE,
)
_PROGRAM_STARTS: Final = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "a shortcut"),
)
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: octets of an old document that are looked at
_OLE_LOOKED: Final = 2 * 1024 * 1024
_OLE_MACROS: Final = ("_VBA_PROJECT".encode("utf-16-le"), "_VBA_PROJECT_CUR".encode("utf-16-le"))
_OLE_LOCKED: Final = "EncryptedPackage".encode("utf-16-le")
_OVERRIDE: Final = "\u202e"


def dangers(seen: Seen) -> Iterator[Reason]:
    """At most one reason of each kind."""
    told: set[str] = set()
    room = _ALL
    for attachment in seen.attachments:
        size = min(attachment.size, LARGEST)
        whole, room = size <= room, room - size
        for reason in _of(attachment, whole):
            if reason.name not in told:
                told.add(reason.name)
                yield reason


def _of(one: Attachment, whole: bool) -> Iterator[Reason]:
    """whole: there is room to look at all its octets."""
    name = one.name or "without a name"
    if _OVERRIDE in one.name:
        yield Reason(
            "FILE_REVERSED", 6.0, f"the name of the attachment {_shown(name)} is turned round to hide what it is"
        )
    yield from _by_name(one)
    start = one.octets(16)
    for octets, what in _PROGRAM_STARTS:
        if start.startswith(octets):
            yield Reason("FILE_PROGRAM", 8.0, f"the attachment {_shown(name)} is {what}")
    if one.extension in _PAGES or (one.type == "text/html" and one.name):
        yield from _page(one)
    elif whole and start.startswith(_OLE):
        yield from _ole(one)
    elif whole:
        found = listing(start, one.octets, LARGEST)
        if found is not None:
            yield from _archive(one, found)


def _page(one: Attachment) -> Iterator[Reason]:
    if _ASKS.search(one.octets(_PAGE)):
        yield Reason("FILE_PAGE", 4.5, f"the attachment {_shown(one.name)} is a page that asks for something or runs")


def _by_name(one: Attachment) -> Iterator[Reason]:
    extension = one.extension
    if extension in PROGRAMS:
        before = one.name.lower().rsplit(".", 2)
        if len(before) == 3 and before[1].strip() in _HARMLESS:
            yield Reason("FILE_DOUBLE", 8.0, f"the attachment {_shown(one.name)} pretends to be a {before[1].strip()}")
        else:
            yield Reason("FILE_PROGRAM", 6.0, f"the attachment {_shown(one.name)} is of a kind that can run")
    elif extension in _MACROS:
        yield Reason("FILE_MACROS", 3.0, f"the attachment {_shown(one.name)} is a document with macros")


def _archive(one: Attachment, found: Listing) -> Iterator[Reason]:
    if found.broken:
        yield Reason("FILE_BROKEN", 1.0, f"the archive {_shown(one.name)} cannot be read")
    if found.bomb:
        yield Reason(
            "FILE_BOMB", 5.0, f"the archive {_shown(one.name)} would become far larger than any use has for it"
        )
    for name in found.names:
        if name.rstrip(". ").rpartition(".")[2] in PROGRAMS:
            yield _inside(one, name)
            break
    if any(name.endswith("vbaproject.bin") for name in found.names):
        yield Reason("FILE_MACROS", 3.0, f"the document {_shown(one.name)} holds macros")
    if found.locked:
        yield Reason(
            "FILE_LOCKED", 1.5, f"the archive {_shown(one.name)} is locked with a password, so nothing can look inside"
        )


def _inside(one: Attachment, name: str) -> Reason:
    parts = name.rstrip(". ").rsplit(".", 2)
    if len(parts) == 3 and parts[1].strip() in _HARMLESS:
        what = f"the archive {_shown(one.name)} holds {_shown(name)}, which pretends to be a {parts[1].strip()}"
        return Reason("FILE_DOUBLE", 8.0, what)
    return Reason("FILE_INSIDE", 6.0, f"the archive {_shown(one.name)} holds {_shown(name)}, which can run")


def _ole(one: Attachment) -> Iterator[Reason]:
    """An Office document of the old kind: its directory names what is in it, in UTF-16."""
    octets = one.octets(_OLE_LOOKED)
    if any(name in octets for name in _OLE_MACROS):
        yield Reason("FILE_MACROS", 2.0, f"the document {_shown(one.name)} holds macros")
    if _OLE_LOCKED in octets:
        yield Reason(
            "FILE_LOCKED", 1.5, f"the document {_shown(one.name)} is locked with a password, so nothing can look inside"
        )


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[-60:])
