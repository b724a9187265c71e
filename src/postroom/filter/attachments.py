"""Attachments nobody should be sent: programs, under their own or a borrowed name, also inside archives.

Octets are believed more than names. Archives are listed, never unpacked: at most MOST_ENTRIES names of the first
LARGEST octets.
Pure but for reading the content. On failure: never; an archive that cannot be listed says so.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Final

from postroom.filter.scoring import Reason
from postroom.filter.seen import Attachment, Seen

#: octets of an attachment that are looked at
LARGEST: Final = 8 * 1024 * 1024
MOST_ENTRIES: Final = 2_000
PROGRAMS: Final = frozenset((
    "exe", "scr", "com", "pif", "bat", "cmd", "vbs", "vbe", "js", "jse", "wsf", "wsh", "hta", "jar", "lnk", "msi",
    "msp", "cpl", "reg", "ps1", "psm1", "dll", "sys", "chm", "iso", "img", "vhd", "vhdx", "application", "gadget",
    "inf", "scf", "url", "xll", "appx", "msix", "apk", "dmg", "pkg", "one",
))  # fmt: skip
_MACROS: Final = frozenset(("docm", "dotm", "xlsm", "xltm", "xlam", "pptm", "potm", "ppam", "ppsm", "sldm"))
_HARMLESS: Final = frozenset(("pdf", "doc", "docx", "xls", "xlsx", "jpg", "jpeg", "png", "gif", "txt", "mp3", "mp4"))
_ARCHIVES: Final = frozenset(("zip", "docx", "xlsx", "pptx", "jar", "odt", "ods"))
_PROGRAM_STARTS: Final = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "a shortcut"),
)
_OVERRIDE: Final = "\u202e"


def dangers(seen: Seen) -> Iterator[Reason]:
    """At most one reason of each kind."""
    told: set[str] = set()
    for attachment in seen.attachments:
        for reason in _of(attachment):
            if reason.name not in told:
                told.add(reason.name)
                yield reason


def _of(one: Attachment) -> Iterator[Reason]:
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
    if start.startswith(b"PK\x03\x04") and (one.extension in _ARCHIVES or not one.extension):
        yield from _archive(one)


def _by_name(one: Attachment) -> Iterator[Reason]:
    extension = one.extension
    if extension in PROGRAMS:
        before = one.name.lower().rsplit(".", 2)
        if len(before) == 3 and before[1].strip() in _HARMLESS:
            yield Reason("FILE_DOUBLE", 8.0, f"the attachment {_shown(one.name)} pretends to be a {before[1].strip()}")
        else:
            yield Reason("FILE_PROGRAM", 6.0, f"the attachment {_shown(one.name)} is of a kind that can run")
    elif extension in _MACROS:
        yield Reason("FILE_MACROS", 2.0, f"the attachment {_shown(one.name)} is a document with macros")


def _archive(one: Attachment) -> Iterator[Reason]:
    octets = one.octets(LARGEST)
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            entries = archive.infolist()[:MOST_ENTRIES]
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, RecursionError):
        if len(octets) < LARGEST:
            yield Reason("FILE_BROKEN", 1.0, f"the archive {_shown(one.name)} cannot be read")
        return
    names = [entry.filename.lower() for entry in entries]
    for name in names:
        if name.rpartition(".")[2] in PROGRAMS:
            yield Reason("FILE_INSIDE", 6.0, f"the archive {_shown(one.name)} holds {_shown(name)}, which can run")
            break
    if any(name.endswith("vbaproject.bin") for name in names):
        yield Reason("FILE_MACROS", 2.0, f"the document {_shown(one.name)} holds macros")
    if any(entry.flag_bits & 1 for entry in entries):
        yield Reason(
            "FILE_LOCKED", 1.5, f"the archive {_shown(one.name)} is locked with a password, so nothing can look inside"
        )


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[-60:])
