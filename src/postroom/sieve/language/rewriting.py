"""replace, enclose: another content instead of a part or around the message.

Standards: RFC 5703 5, 6; RFC 2045; RFC 2046 5.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from postroom.message.compose import Unsuitable, text_entity, unstructured
from postroom.sieve.faults import ScriptError
from postroom.sieve.language.mime import below, sections_of
from postroom.sieve.mail import Header
from postroom.sieve.run import PER_UNIT_SHIFT
from postroom.sieve.texts import Text, get, get_all
from postroom.sieve.words import Call, Kind, Step, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.mail import Section
    from postroom.sieve.run import Run

#: fields that belong to a content, and go with it
_OF_CONTENT: Final = ("content-", "mime-version")
#: fields that stay outside when a message is enclosed
_OUTSIDE: Final = frozenset(
    ("return-path", "delivered-to", "received", "from", "to", "cc", "subject", "date", "message-id")
)
#: octets of a message that is enclosed or rewritten
_LARGEST: Final = 16 * 1024 * 1024


def _entity(text: str, mime: bool) -> bytes:
    """The octets of a content with its header; text is the whole of it with `mime`."""
    if mime:
        octets = text.encode("utf-8", "replace")
        return octets if b"\r\n\r\n" in octets or octets.startswith(b"\r\n") else octets + b"\r\n\r\n"
    return text_entity(text)


def _subject_and_from(run: Run, subject: Text | None, sender: Text | None) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    for name, value in (("Subject", subject), ("From", sender)):
        if value is not None:
            try:
                fields[name.lower()] = unstructured(name, " ".join(get(value, run).split())).encode() + b"\r\n"
            except Unsuitable as fault:
                raise ScriptError(f"the {name} cannot stand in a header: {fault}") from None
    return fields


def _renew(run: Run, entity: bytes, fields: dict[str, bytes], kept: Callable[[str], bool]) -> None:
    """The message gets another content: of its fields those that are kept stay."""
    end = entity.index(b"\r\n\r\n") + 4 if not entity.startswith(b"\r\n") else 2
    outside = [octets for name, octets in run.header.fields() if name and name not in fields and kept(name)]
    of_content = entity[:end]
    version = b"" if b"mime-version:" in of_content.lower() else b"MIME-Version: 1.0\r\n"
    run.header.replace(b"".join((*outside, *fields.values(), version, of_content)))
    sections = sections_of(run)
    for inner in sections[1:]:
        inner.gone = True
    sections[0].octets = entity[end:]


def _not_of_content(name: str) -> bool:
    return not name.startswith(_OF_CONTENT)


def _replace(call: Call) -> Step:
    text, mime = call.text(0), call.has("mime")
    subject, sender = call.tag_text("subject"), call.tag_text("from")

    def replace(run: Run) -> None:
        sections = _rewritable(run)
        section = run.part or sections[0]
        new = get(text, run)
        entity = _entity(new, mime)
        if section.part.index == 0:
            _renew(run, entity, _subject_and_from(run, subject, sender), _not_of_content)
        else:
            section.header = Header(entity[: entity.find(b"\r\n\r\n") + 4])
            section.octets = entity
            for inner in below(run, section)[1:]:
                inner.gone = True
        section.text = new

    return replace


def _rewritable(run: Run) -> list[Section]:
    """The parts. Raises ScriptError when the message cannot be rewritten here."""
    sections = sections_of(run)
    if run.mail.size > _LARGEST:
        raise ScriptError("the message is too large to be rewritten")
    if run.header is not sections[0].header:
        raise ScriptError("a script that is included for a part cannot rewrite the message")
    run.spend(100 + (run.mail.size >> PER_UNIT_SHIFT))
    return sections


def _enclose(call: Call) -> Step:
    text, subject, names = call.text(0), call.tag_text("subject"), call.tag_texts("headers") or ()

    def enclose(run: Run) -> None:
        """RFC 5703 6: the message becomes an attachment; of its fields, those that are named stay outside too."""
        sections = _rewritable(run)
        octets = run.header.octets + run.mail.rebuilt(sections)
        boundary = b"=_%b" % hashlib.sha256(octets).hexdigest()[:32].encode()
        wanted = _OUTSIDE | {name.lower() for name in get_all(names, run)}
        new = get(text, run)
        entity = b"".join(
            (
                b'Content-Type: multipart/mixed;\r\n boundary="%b"\r\n\r\n' % boundary,
                b"--%b\r\n%b\r\n" % (boundary, text_entity(new)),
                b"--%b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" % boundary,
                octets,
                b"\r\n--%b--\r\n" % boundary,
            )
        )
        _renew(run, entity, _subject_and_from(run, subject, None), wanted.__contains__)
        sections[0].text = new

    return enclose


COMMANDS: Final = (
    Word(
        name="replace",
        build=_replace,
        usage='replace [:mime] [:subject "…"] [:from "…"] "text";',
        takes=(Kind.STRING,),
        needs=("replace",),
        tags=(
            TagWord(name="mime"),
            TagWord(name="subject", value=Kind.STRING),
            TagWord(name="from", value=Kind.STRING),
        ),
    ),
    Word(
        name="enclose",
        build=_enclose,
        usage='enclose [:subject "…"] [:headers ["…"]] "text";',
        takes=(Kind.STRING,),
        needs=("enclose",),
        tags=(TagWord(name="subject", value=Kind.STRING), TagWord(name="headers", value=Kind.STRINGS)),
    ),
)
